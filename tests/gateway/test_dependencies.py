"""What the gateway knows of the services behind it."""

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from scalability.errors import AnswerTimeout, ConnectError, ConnectTimeout, DependencyDown, NoAnswer, Overloaded
from scalability.gateway.dependencies import Dependencies, Dependency, DependencyWatch
from scalability.net.service_client import Answer
from scalability.testing.services import FakeService, answer


class DependencyTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_000)
        self.service = FakeService()
        self.dependency = Dependency("cache", self.service, self.clock, recess_s=1.0)

    def get(self) -> Deferred[Answer]:
        return self.dependency.request(b"GET", b"/x")

    def fail_after(self, seconds: float, error: Exception) -> None:
        waiting = self.get()
        self.clock.advance(seconds)
        self.service.open[0].fail(error)
        self.failureResultOf(waiting, type(error))

    def test_it_is_unknown_until_it_was_heard_of_then_up_or_down(self) -> None:
        assert self.dependency.up is None
        waiting = self.get()
        self.service.open[0].answer(500)
        assert self.successResultOf(waiting).status == 500
        assert self.dependency.up is True
        self.fail_after(0, ConnectError())
        assert (self.dependency.up, self.dependency.failures, self.dependency.requests) == (False, 1, 2)

    def test_one_that_was_never_up_is_not_down_but_awaited(self) -> None:
        with capturedLogs() as events:
            self.fail_after(0, ConnectError())
            for status in (200, 200):
                self.get()
                self.service.open[0].answer(status)
            self.fail_after(0, ConnectError())
            self.get()
            self.service.open[0].answer(200)
        ours = [event for event in events if event.get("log_namespace") == "scalability.gateway.dependencies.Dependency"]
        assert [(event["log_level"], formatEvent(event)) for event in ours] == [
            (LogLevel.info, "the cache does not answer yet: connect_failed"),
            (LogLevel.info, "the cache is up"),
            (LogLevel.warn, "the cache is down: connect_failed"),
            (LogLevel.info, "the cache is up again"),
        ]

    def test_one_that_refuses_at_once_is_asked_again_at_once(self) -> None:
        self.fail_after(0.01, ConnectError())
        waiting = self.get()
        self.service.open[0].answer(200)
        assert self.successResultOf(waiting).status == 200

    def test_no_request_waits_again_for_one_that_hangs(self) -> None:
        self.fail_after(0.5, ConnectTimeout())
        for _ in range(3):
            self.failureResultOf(self.get(), DependencyDown)
        assert (len(self.service.asked), self.dependency.skipped) == (1, 3)
        self.clock.advance(1.0)
        for _ in range(3):
            self.failureResultOf(self.get(), DependencyDown)
        (look,) = self.service.open
        assert (look.target, look.timeout_s) == (b"/health", None)
        self.clock.advance(0.5)
        look.fail(AnswerTimeout())
        self.failureResultOf(self.get(), DependencyDown)
        assert self.service.open == []
        self.clock.advance(1.0)
        self.failureResultOf(self.get(), DependencyDown)
        self.service.open[0].answer(200)
        assert self.dependency.up is True
        waiting = self.get()
        self.service.open[0].answer(200)
        self.successResultOf(waiting)

    def test_one_that_hung_and_now_refuses_is_asked_again_at_once(self) -> None:
        self.fail_after(0.5, AnswerTimeout())
        self.clock.advance(1.0)
        self.failureResultOf(self.get(), DependencyDown)
        self.service.open[0].fail(ConnectError())
        self.fail_after(0.0, ConnectError())
        assert self.dependency.skipped == 1

    def test_an_answer_ends_the_recess(self) -> None:
        self.fail_after(0.5, AnswerTimeout())
        probing = self.dependency.probe()
        self.service.open[0].answer(200)
        assert self.successResultOf(probing) is None
        self.get()
        assert len(self.service.open) == 1

    def test_our_own_limit_and_a_cancelled_request_say_nothing_about_it(self) -> None:
        waiting = self.get()
        self.service.open[0].fail(Overloaded())
        self.failureResultOf(waiting, Overloaded)
        leaving = self.get()
        leaving.cancel()
        self.failureResultOf(leaving, CancelledError)
        assert self.service.asked[1].cancelled
        assert (self.dependency.up, self.dependency.failures) == (None, 0)

    def test_what_is_not_there_is_down_for_a_client_with_a_time_to_try_again(self) -> None:
        for error in (ConnectError(), ConnectTimeout(), NoAnswer()):
            asking = Deferred.fromCoroutine(self.dependency.ask(b"GET", b"/x"))
            self.service.open[0].fail(error)
            failure = self.failureResultOf(asking, DependencyDown)
            assert (failure.value.status, failure.value.retry_after_s) == (503, 1)

    def test_what_took_too_long_stays_a_timeout_for_a_client(self) -> None:
        asking = Deferred.fromCoroutine(self.dependency.ask(b"POST", b"/x"))
        self.service.open[0].fail(AnswerTimeout())
        self.failureResultOf(asking, AnswerTimeout)

    def test_changes_are_known_from_probes_too(self) -> None:
        probing = self.dependency.probe()
        (asked,) = self.service.open
        assert (asked.target, asked.timeout_s) == (b"/health", 2.0)
        asked.fail(ConnectError())
        assert self.successResultOf(probing) is None
        assert self.dependency.up is False
        assert self.dependency.requests == 0

    def test_the_watch_looks_at_all_at_once_and_goes_on(self) -> None:
        other = FakeService(lambda asked: answer(200))
        everyone = [self.dependency, Dependency("worker", other, self.clock)]
        watch = DependencyWatch(self.clock, 5.0, everyone)
        watch.startService()
        assert (len(self.service.open), everyone[1].up) == (1, True)
        self.service.open[0].fail(ConnectError())
        self.clock.advance(5.0)
        self.service.open[0].answer(200)
        assert everyone[0].up is True
        assert len(other.asked) == 2
        self.successResultOf(watch.stopService())
        assert self.clock.getDelayedCalls() == []

    def test_connections_are_closed_when_the_service_stops(self) -> None:
        dependencies = Dependencies(self.dependency)
        dependencies.startService()
        assert [one.name for one in dependencies] == ["cache"]
        dependencies.stopService()
        assert self.service.closed
