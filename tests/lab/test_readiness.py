"""Waiting for readiness, on a clock of the test's own."""

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from scalability.lab.readiness import ReadinessWatch


class Servers:
    """Servers that answer what the test says."""

    def __init__(self) -> None:
        self.answers: dict[str, str | Deferred[str | None] | None] = {"a": "it does not listen yet", "b": "warming up"}
        self.asked: list[str] = []
        self.ready: list[str] = []
        self.clock = Clock()
        self.watch = ReadinessWatch(self.clock, ["a", "b"], self.ask, self.ready.append)

    def ask(self, name: str) -> Deferred[str | None]:
        self.asked.append(name)
        answer = self.answers[name]
        return answer if isinstance(answer, Deferred) else succeed(answer)


def test_each_server_is_reported_once_when_it_is_ready() -> None:
    servers = Servers()
    servers.watch.startService()
    assert servers.watch.waiting == {"a": "it does not listen yet", "b": "warming up"}
    servers.answers["b"] = None
    servers.clock.advance(0.1)
    assert servers.ready == ["b"]
    servers.answers["a"] = None
    servers.clock.advance(0.1)
    assert servers.ready == ["b", "a"]
    servers.asked.clear()
    servers.clock.pump([0.1] * 10)
    assert servers.asked == [], "who is ready is not asked again"
    servers.watch.stopService()


def test_a_restarted_server_is_asked_again() -> None:
    servers = Servers()
    servers.answers = {"a": None, "b": None}
    servers.watch.startService()
    servers.watch.expect("a")
    servers.clock.advance(0.1)
    assert servers.ready == ["a", "b", "a"]
    servers.watch.stopService()


def test_an_answer_of_an_earlier_life_does_not_count() -> None:
    servers = Servers()
    slow: Deferred[str | None] = Deferred()
    servers.answers = {"a": slow, "b": None}
    servers.watch.startService()
    servers.watch.expect("a")
    servers.answers["a"] = "it does not listen yet"
    slow.callback(None)
    assert servers.ready == ["b"]
    servers.clock.advance(0.1)
    assert servers.watch.waiting == {"a": "it does not listen yet"}
    servers.watch.stopService()


def test_stopping_ends_a_question_that_is_never_answered() -> None:
    servers = Servers()
    cancelled: list[object] = []
    silent: Deferred[str | None] = Deferred(cancelled.append)
    servers.answers["a"] = silent
    servers.watch.startService()
    stopped = servers.watch.stopService()
    servers.clock.advance(5)
    assert stopped.called
    assert cancelled == [silent]
    assert servers.clock.getDelayedCalls() == []


def test_a_server_that_is_given_up_is_asked_no_more() -> None:
    servers = Servers()
    servers.answers["b"] = None
    servers.watch.startService()
    servers.watch.give_up("a")
    servers.answers["a"] = None
    servers.clock.advance(1)
    assert servers.ready == ["b"]
    assert servers.watch.given_up == {"a": "it was given up"}
    servers.watch.stopService()
