"""What a process says of itself, as plain numbers."""

from functools import partial
from typing import Any, cast

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from scalability.balancer.use import EXPLAINED, ProcessUse, ServerUse, ThisProcess, Use, ewma_of
from scalability.errors import NoAnswer
from scalability.net.connection_pool import ConnectionPool
from scalability.proxy.application import ProxyApplication
from scalability.proxy.decisions import Decisions
from scalability.testing.retries import usual_retries
from scalability.upstream.selection import ALGORITHMS
from scalability.upstream.servers import Upstream
from scalability.upstream.shedding import Shedding, SheddingPolicy
from scalability.upstream.spec import ServerSpec

NAME = "192.0.2.1:80"


class FakePool:
    connects = 5
    idle_connections = 2
    open_connections = 3

    def receivers_without_answer(self) -> list[object]:
        return []

    def close(self) -> None: ...


class Scene:
    def __init__(self, *, learns: bool = False, kept: int = 200) -> None:
        self.clock = Clock()
        selection = partial(ALGORITHMS["peak_ewma" if learns else "round_robin"], clock=self.clock.seconds, random=lambda: 0.0)
        self.upstream = Upstream(selection, lambda _: cast(ConnectionPool, FakePool()), seconds=self.clock.seconds)
        self.upstream.name_servers("c", [ServerSpec.parse(NAME)], trusted=True)
        (self.server,) = self.upstream
        decisions = Decisions(self.upstream, kept) if kept else None
        self.proxy = ProxyApplication(self.upstream, via=b"test", retries=usual_retries(self.clock), decisions=decisions)
        self.process = ThisProcess(self.upstream, self.proxy, Shedding(SheddingPolicy()))


def result(coroutine: Any) -> Any:
    fired: list[Any] = []
    Deferred.fromCoroutine(coroutine).addCallback(fired.append)
    return fired[0]


def test_a_server_is_told_with_all_that_was_sent_to_it() -> None:
    scene = Scene()
    server = scene.server
    epoch = server.started()
    server.answered(200, 0.25, 1.0, epoch)
    epoch = server.started()
    server.failed(NoAnswer(), epoch, 0.1)
    (use,) = scene.process.servers()
    assert (use.name, use.active, use.requests, use.leaving, use.failures) == (NAME, 1, 2, False, {"no_answer": 1})
    assert (use.idle, use.busy, use.answered, use.answered_s) == (2, 1, 1, 0.25)
    assert (use.breaker, use.breaker_requests, use.breaker_failures, use.opened, use.open_for_s) == ("closed", 2, 1, 0, 0.0)


def test_an_open_breaker_says_for_how_long() -> None:
    scene = Scene()
    for _ in range(20):
        scene.server.failed(NoAnswer(), scene.server.started(), 0.1)
    scene.clock.advance(4.0)
    (use,) = scene.process.servers()
    assert (use.breaker, use.opened, use.open_for_s) == ("open", 1, 6.0)


def test_an_average_is_told_where_there_is_one() -> None:
    scene = Scene(learns=True)
    assert ewma_of(scene.server, 0.0) is None
    scene.server.answered(200, 0.25, 0.0, scene.server.started())
    assert ewma_of(scene.server, 0.0) == 0.25
    (use,) = scene.process.servers()
    assert use.ewma_s == 0.25


def test_a_server_that_is_finishing_is_told_too() -> None:
    scene = Scene()
    scene.server.started()
    scene.upstream.name_servers("c", [], trusted=True)
    (use,) = scene.process.servers()
    assert (use.name, use.leaving) == (NAME, True)


def test_the_rest_of_a_process_is_told() -> None:
    scene = Scene()
    scene.proxy.retries.count = 3
    scene.proxy.retries.budget.take(100)
    scene.proxy.tunnels.opened["websocket"] = 2
    process = scene.process.process()
    assert (process.retries, process.allowed, process.in_use, process.tunnels_opened) == (3, 1, 1, {"websocket": 2})
    assert (process.waiting, process.panic, process.shed_fraction) == (0, False, 0.0)
    assert result(scene.process.uses()) == [Use(0, scene.process.servers(), process)]


def test_both_survive_their_way_to_another_process() -> None:
    scene = Scene()
    for told in (*scene.process.servers(), scene.process.process()):
        assert msgspec.json.decode(msgspec.json.encode(told), type=type(told)) == told
    assert msgspec.json.decode(b'["a",1,2,false]', type=ServerUse) == ServerUse("a", 1, 2, False)
    assert msgspec.json.decode(b"[]", type=ProcessUse) == ProcessUse()


def test_decisions_are_explained_but_not_without_end() -> None:
    scene = Scene()
    assert scene.proxy.decisions is not None
    for _ in range(EXPLAINED + 10):
        scene.proxy.decisions.note(b"same", scene.server, "chosen", 1.0)
    scene.proxy.decisions.note(b"other", scene.server, "chosen", 1.0)
    assert len(scene.process.explained("same")) == EXPLAINED
    assert [decision["server"] for decision in result(scene.process.why("other"))] == [NAME]
    assert scene.process.explained("\u2603 no such name") == []
    assert Scene(kept=0).process.explained("other") == []
