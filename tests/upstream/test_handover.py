"""Servers that are named no more go on until others take traffic."""

from twisted.internet.task import Clock

from scalability.testing.upstreams import fake_pool
from scalability.upstream.handover import Handover
from scalability.upstream.health import State
from scalability.upstream.selection import RoundRobin
from scalability.upstream.server import Mode, Server
from scalability.upstream.servers import Upstream
from scalability.upstream.spec import ServerSpec

A, B, C = "127.0.0.1:1001", "127.0.0.1:1002", "127.0.0.1:1003"


class Scene:
    """Servers that take traffic, and what is to go on when they are replaced."""

    def __init__(self, *named: str) -> None:
        self.clock = Clock()
        self.upstream = Upstream(RoundRobin, fake_pool, seconds=self.clock.seconds)
        self.handover = Handover(self.clock, self.upstream)
        self.handover.startService()
        self.name(*named, trusted=True)

    def name(self, *named: str, trusted: bool = False) -> None:
        self.upstream.name_servers("configuration", map(ServerSpec.parse, named), trusted=trusted)

    def replace(self, *named: str) -> None:
        self.handover.begin()
        self.name(*named)
        self.handover.settle()

    def names(self) -> list[str]:
        return [server.name for server in self.upstream]

    def server(self, name: str) -> Server:
        found = self.upstream.server_named(name)
        assert found is not None
        return found

    def passes(self, name: str) -> None:
        self.upstream.judge(self.server(name), True, "checked")
        self.clock.advance(0)


def test_a_server_goes_on_until_its_replacement_has_passed_a_check() -> None:
    scene = Scene(A)
    scene.replace(B)
    assert scene.names() == [A, B]
    assert scene.upstream.choose().name == A
    scene.passes(B)
    assert scene.names() == [B]
    assert scene.clock.getDelayedCalls() == []


def test_while_another_one_takes_traffic_it_goes_at_once() -> None:
    scene = Scene(A, B)
    scene.replace(B, C)
    assert scene.names() == [B, C]
    assert scene.upstream.sources_of(scene.server(B)) == ["configuration"]


def test_servers_without_a_share_or_set_to_drain_are_no_replacement() -> None:
    scene = Scene(A, f"{B},weight=0", C)
    scene.upstream.set_mode(scene.server(C), Mode.DRAIN)
    scene.replace(f"{B},weight=0", C)
    assert scene.names() == [A, f"{B}", C]
    scene.upstream.set_mode(scene.server(C), Mode.READY)
    scene.clock.advance(0)
    assert scene.names() == [B, C]


def test_one_that_takes_no_traffic_does_not_go_on() -> None:
    scene = Scene(A)
    scene.server(A).health.state = State.DOWN
    scene.replace(B)
    assert scene.names() == [B]


def test_a_change_back_before_the_replacement_is_up_keeps_the_server_and_its_state() -> None:
    scene = Scene(A)
    kept = scene.server(A)
    scene.replace(B)
    scene.replace(A)
    assert scene.names() == [A]
    assert scene.server(A) is kept
    assert scene.upstream.sources_of(kept) == ["configuration"]


def test_a_second_change_before_the_first_replacement_is_up_keeps_the_server_too() -> None:
    scene = Scene(A)
    scene.replace(B)
    scene.replace(C)
    assert scene.names() == [A, C]
    scene.passes(C)
    assert scene.names() == [C]


def test_a_replacement_that_goes_down_in_the_same_turn_replaces_nobody() -> None:
    scene = Scene(A)
    scene.replace(B)
    b = scene.server(B)
    scene.upstream.judge(b, True, "checked")
    for _ in range(3):
        scene.upstream.judge(b, False, "checked")
    scene.clock.advance(0)
    assert scene.names() == [A, B]


def test_stopping_leaves_nothing_behind() -> None:
    scene = Scene(A)
    scene.replace(B)
    scene.upstream.judge(scene.server(B), True, "checked")
    scene.handover.stopService()
    assert scene.clock.getDelayedCalls() == []
