"""The servers as another process sees them: shown, chosen among, never judged here."""

import pytest

from scalability.errors import ConnectError, NoAnswer, NoServer
from scalability.lifecycle import DeadlineWheel
from scalability.net.connection_pool import ConnectionPool
from scalability.testing.memory import MemoryNetwork
from scalability.upstream.health import State
from scalability.upstream.mirror import MirroredUpstream, ServerState, states_of
from scalability.upstream.rules import UpstreamRules
from scalability.upstream.selection import RoundRobin
from scalability.upstream.server import Mode, Server
from scalability.upstream.servers import Upstream
from scalability.upstream.spec import ServerSpec

network = MemoryNetwork()
wheel = DeadlineWheel(network)


def pool(spec: ServerSpec) -> ConnectionPool:
    return ConnectionPool(network, spec.address, wheel)


class Told:
    """Reports that were made."""

    def __init__(self) -> None:
        self.refusals: list[str] = []
        self.suspects: list[str] = []
        self.counts: list[dict[str, tuple[int, int]]] = []

    def refused(self, name: str) -> None:
        self.refusals.append(name)

    def suspected(self, name: str) -> None:
        self.suspects.append(name)

    def outcomes(self, counts: dict[str, tuple[int, int]]) -> None:
        self.counts.append(counts)


def mirrored() -> tuple[MirroredUpstream, list[str]]:
    told = Told()
    return MirroredUpstream(RoundRobin, pool, told), told.refusals


def chosen(upstream: Upstream, count: int) -> list[str]:
    return [upstream.choose().name for _ in range(count)]


def test_it_shows_what_the_other_knows() -> None:
    other = Upstream(RoundRobin, pool)
    other.name_servers("x", [ServerSpec.parse("192.0.2.1:80,weight=2,tls=a.example"), ServerSpec.parse("[2001:db8::1]:81")], trusted=True)
    for server, passed in zip(other, (True, False), strict=True):
        other.judge(server, passed, "checked")
    mirror, _ = mirrored()
    mirror.show(states_of(other))
    assert states_of(mirror) == states_of(other)
    assert states_of(mirror) == [
        ServerState("192.0.2.1:80,weight=2,tls=a.example", State.UP),
        ServerState("[2001:db8::1]:81", State.WAITING),
    ]
    assert set(chosen(mirror, 4)) == {"192.0.2.1:80"}


def test_servers_come_go_and_change_their_state_with_each_showing() -> None:
    mirror, _ = mirrored()
    mirror.show([ServerState("192.0.2.1:80", State.UP), ServerState("192.0.2.2:80", State.UP)])
    assert sorted(chosen(mirror, 2)) == ["192.0.2.1:80", "192.0.2.2:80"]
    mirror.show([ServerState("192.0.2.1:80", State.DOWN), ServerState("192.0.2.2:80", State.UP)])
    assert chosen(mirror, 2) == ["192.0.2.2:80"] * 2
    mirror.show([ServerState("192.0.2.3:80", State.UP), ServerState("192.0.2.2:80", State.FALLING)])
    assert sorted(chosen(mirror, 2)) == ["192.0.2.2:80", "192.0.2.3:80"]
    mirror.show([])
    with pytest.raises(NoServer):
        mirror.choose()


def test_how_long_a_server_took_is_forgotten_when_it_comes_back_and_not_before() -> None:
    mirror, _ = mirrored()
    mirror.show([ServerState("192.0.2.1:80", State.UP)])
    (server,) = mirror
    server.latency.observe(3.0, 0.0)
    for state in (State.FALLING, State.UP, State.DOWN, State.RISING):
        mirror.show([ServerState("192.0.2.1:80", state)])
        assert server.latency.value_s == 3.0
    mirror.show([ServerState("192.0.2.1:80", State.UP)])
    assert server.latency.value_s == 0.0


def test_weights_are_shown_too() -> None:
    mirror, _ = mirrored()
    mirror.show([ServerState("192.0.2.1:80,weight=3", State.UP), ServerState("192.0.2.2:80", State.UP)])
    assert chosen(mirror, 4).count("192.0.2.1:80") == 3
    mirror.show([ServerState("192.0.2.1:80", State.UP), ServerState("192.0.2.2:80", State.UP)])
    assert chosen(mirror, 4).count("192.0.2.1:80") == 2


def test_a_server_on_its_way_up_serves_while_there_is_no_other() -> None:
    mirror, _ = mirrored()
    mirror.show([ServerState("192.0.2.1:80", State.RISING), ServerState("192.0.2.2:80", State.DOWN)])
    assert chosen(mirror, 1) == ["192.0.2.1:80"]


def test_a_refused_connection_is_reported_and_changes_nothing_here() -> None:
    mirror, refused = mirrored()
    mirror.show([ServerState("192.0.2.1:80", State.UP)])
    for _ in range(5):
        server = mirror.choose()
        server.started()
        server.failed(ConnectError())
    assert refused == ["192.0.2.1:80"] * 5
    assert chosen(mirror, 1) == ["192.0.2.1:80"]


def test_a_server_that_is_leaving_is_not_reported() -> None:
    mirror, refused = mirrored()
    mirror.show([ServerState("192.0.2.1:80", State.UP)])
    server = mirror.choose()
    server.started()
    mirror.show([])
    assert list(mirror.leaving) == [server]
    server.failed(ConnectError())
    assert refused == []
    assert list(mirror.leaving) == []


def test_whoever_decides_hears_of_each_change_of_what_may_be_chosen() -> None:
    heard: list[list[ServerState]] = []
    upstream = Upstream(RoundRobin, pool)
    upstream.when_changed(lambda: heard.append(states_of(upstream)))
    upstream.name_servers("x", [ServerSpec.parse("192.0.2.1:80")], trusted=True)
    (server,) = upstream
    upstream.judge(server, True, "checked")
    for _ in range(3):
        upstream.judge(server, False, "checked")
    upstream.judge(server, True, "checked")
    assert [states[0].state for states in heard] == [State.UNCHECKED, State.DOWN, State.RISING]


def test_a_server_s_limit_for_all_is_shared() -> None:
    mirror = MirroredUpstream(RoundRobin, pool, Told(), part=lambda limit: limit // 2)
    for text, limit in (("", 0), (",maxconn=5", 2), (",maxconn=1", 1)):
        mirror.show([ServerState(f"192.0.2.1:80{text}", State.UP)])
        assert [server.max_active for server in mirror] == [limit]
    mirror.show([ServerState("192.0.2.1:80,maxconn=9,max_connections=6", State.UP)])
    assert [(server.max_active, server.spec.max_connections) for server in mirror] == [(3, 3)]


def test_what_is_seen_is_reported_and_what_is_told_is_shown() -> None:
    told = Told()
    mirror = MirroredUpstream(RoundRobin, pool, told)
    mirror.show([ServerState("192.0.2.1:80", State.UP), ServerState("192.0.2.2:80", State.UP)])
    server = next(iter(mirror))
    for _ in range(5):
        server.answered(503, 0.1, 0.0, server.started())
        server.succeeded()
    assert told.suspects == ["192.0.2.1:80"]
    assert not server.ejected
    mirror.sweep()
    assert told.counts == [{"192.0.2.1:80": (0, 5)}]
    mirror.show([ServerState("192.0.2.1:80", State.UP, ejected=True), ServerState("192.0.2.2:80", State.UP, mode=Mode.READY, share=0.5)])
    assert chosen(mirror, 2) == ["192.0.2.2:80"] * 2
    assert [server.share for server in mirror] == [1.0, 0.5]


def test_everything_that_decides_about_a_server_travels() -> None:
    other = Upstream(RoundRobin, pool, rules=UpstreamRules(rise=1, fall=1, slow_start_s=10.0), seconds=lambda: 1000.0)
    other.name_servers("x", [ServerSpec.parse(f"192.0.2.{number}:80") for number in range(1, 6)], trusted=True)
    for server in other:
        other.judge(server, True, "200")
    drained, weighty, ejected, refused, warm = other
    other.set_mode(drained, Mode.DRAIN)
    other.set_weight(weighty, 7)
    for _ in range(5):
        ejected.failed(NoAnswer(), ejected.started())
    other.judge(refused, False, "refused", unreachable=True)
    other.judge(warm, False, "500")
    other.judge(warm, True, "200")
    mirror, _ = mirrored()
    mirror.show(states_of(other))
    assert states_of(mirror) == states_of(other)
    assert states_of(mirror) == [
        ServerState("192.0.2.1:80", State.UP, Mode.DRAIN),
        ServerState("192.0.2.2:80,weight=7", State.UP),
        ServerState("192.0.2.3:80", State.UP, ejected=True),
        ServerState("192.0.2.4:80", State.DOWN, unreachable=True),
        ServerState("192.0.2.5:80", State.UP, share=0.1),
    ]
    assert "192.0.2.2:80" in chosen(mirror, 8)
    assert not {"192.0.2.1:80", "192.0.2.3:80", "192.0.2.4:80"} & set(chosen(mirror, 40))
    assert mirror.bound(next(iter(mirror))), "clients of a draining server stay there"


def test_ejections_are_begun_and_ended_by_whoever_decides() -> None:
    told = Told()
    mirror = MirroredUpstream(RoundRobin, pool, told)
    both = [ServerState("192.0.2.1:80", State.UP), ServerState("192.0.2.2:80", State.UP)]
    mirror.show(both)
    first = next(iter(mirror))
    mirror.show([both[0]._replace(ejected=True), both[1]])
    assert set(chosen(mirror, 2)) == {"192.0.2.2:80"}
    for _ in range(4):
        first.failed(NoAnswer(), first.started())
    mirror.show(both)
    first.failed(NoAnswer(), first.started())
    assert told.suspects == [], "what came before an ejection ended does not count after it"
    assert set(chosen(mirror, 2)) == {"192.0.2.1:80", "192.0.2.2:80"}


class Waiting:
    """A request in the line."""

    tried: tuple[Server, ...] = ()
    key = None

    def __init__(self) -> None:
        self.got: list[str] = []

    def place_free(self, server: Server | None) -> None:
        self.got.append("nothing" if server is None else server.name)

    def waited_in_vain(self) -> None:
        self.got.append("too late")


def test_who_waits_is_not_told_that_there_is_no_server_while_all_are_replaced() -> None:
    mirror, _ = mirrored()
    mirror.show([ServerState("192.0.2.1:80,maxconn=1", State.UP)])
    mirror.choose().started()
    waiting = Waiting()
    mirror.wait(waiting)
    mirror.show([ServerState("192.0.2.2:80", State.UP)])
    assert waiting.got == ["192.0.2.2:80"]


def test_whoever_waits_on_a_server_that_is_shown_to_be_down_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    mirror, _ = mirrored()
    mirror.show([ServerState("192.0.2.1:80", State.UP), ServerState("192.0.2.2:80", State.UP)])
    down: list[str] = []
    monkeypatch.setattr(mirror, "went_down", lambda server: down.append(server.name))
    mirror.show([ServerState("192.0.2.1:80", State.DOWN), ServerState("192.0.2.2:80", State.FALLING)])
    mirror.show([ServerState("192.0.2.1:80", State.DOWN), ServerState("192.0.2.2:80", State.UP)])
    assert down == ["192.0.2.1:80"]


def test_in_a_panic_each_miss_of_a_server_is_told_and_takes_away_what_waits_for_it() -> None:
    other = Upstream(RoundRobin, pool)
    other.name_servers("x", [ServerSpec.parse(f"192.0.2.{n}:80") for n in (1, 2, 3)], trusted=True)
    up, *hung = other
    other.judge(up, True, "200")
    for server in hung:
        for _ in range(3):
            other.judge(server, True, "200") if server.health.state is State.UNCHECKED else other.judge(server, False, "no answer")
        other.judge(server, False, "no answer")
    assert other.panicking
    mirror, _ = mirrored()
    mirror.show(states_of(other))
    taken: list[str] = []
    mirror.went_down = lambda server: taken.append(server.name)  # type: ignore[method-assign]
    told: list[bool] = []
    other.when_changed(lambda: told.append(True))
    for _ in range(2):
        other.judge(hung[0], False, "no answer")
        mirror.show(states_of(other))
    assert len(told) == 2
    assert taken == ["192.0.2.2:80"] * 2
