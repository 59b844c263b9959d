"""Servers come, go, are judged and chosen."""

import errno
from types import SimpleNamespace
from typing import Any, cast

import pytest
from twisted.internet.error import ConnectBindError
from twisted.internet.error import ConnectError as TwistedConnectError
from twisted.internet.task import Clock

from scalability.config import Address
from scalability.errors import (
    BadAnswer,
    BadMessage,
    BrokenAnswer,
    ClientGone,
    ConnectError,
    ConnectTimeout,
    NoAnswer,
    NoServer,
    ScalelabError,
)
from scalability.lifecycle import DeadlineWheel
from scalability.net.http_client import ConnectionPool
from scalability.upstream.health import State
from scalability.upstream.rules import UpstreamRules
from scalability.upstream.selection import RoundRobin
from scalability.upstream.selection.least_connections import LeastConnections
from scalability.upstream.selection.maglev import Maglev
from scalability.upstream.servers import Server, ServerSpec, Upstream


class FakePool:
    def receivers_without_answer(self) -> list[object]:
        return []

    def __init__(self, address: Address) -> None:
        self.address = address
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


class Watching:
    def __init__(self) -> None:
        self.events: list[str] = []

    def joined(self, server: Server) -> None:
        self.events.append(f"+{server.name}")

    def left(self, server: Server) -> None:
        self.events.append(f"-{server.name}")


def specs(*texts: str) -> list[ServerSpec]:
    return [ServerSpec.parse(text) for text in texts]


def upstream_of(*texts: str, trusted: bool = True) -> Upstream:
    upstream = Upstream(RoundRobin, lambda spec: cast(ConnectionPool, FakePool(spec.address)))
    upstream.name_servers("configuration", specs(*texts), trusted=trusted)
    return upstream


def server_of(upstream: Upstream, name: str) -> Server:
    servers: list[Server] = [*upstream, *upstream.leaving]
    return next(server for server in servers if server.name == name)


def chosen(upstream: Upstream, count: int) -> list[str]:
    return [upstream.choose().name for _ in range(count)]


def closed(server: Server) -> int:
    return cast(FakePool, server.pool).closed


A, B, C = "127.0.0.1:1001", "127.0.0.1:1002", "127.0.0.1:1003"


def test_configured_servers_take_turns_before_their_first_check() -> None:
    assert chosen(upstream_of(A, B), 4) == [A, B, A, B]


def test_weights_are_shares() -> None:
    names = chosen(upstream_of(f"{A},weight=3", B), 8)
    assert (names.count(A), names.count(B)) == (6, 2)


def test_without_servers_there_is_none_to_choose() -> None:
    upstream = upstream_of()
    with pytest.raises(NoServer) as error:
        upstream.choose()
    assert (error.value.status, error.value.retry_after_s) == (503, 1)
    assert upstream.not_ready() == "no server is known"


def test_a_server_that_is_down_is_not_chosen_and_is_again_when_it_is_up() -> None:
    upstream = upstream_of(A, B)
    a = server_of(upstream, A)
    upstream.judge(a, False, "it was refused")
    assert chosen(upstream, 2) == [B, B]
    assert a.last_check == "it was refused"
    assert a.counts.went_down == 1
    upstream.judge(a, True, "200")
    assert set(chosen(upstream, 2)) == {A, B}


def test_a_server_on_its_way_up_takes_traffic_while_there_is_no_other() -> None:
    upstream = upstream_of(A, B)
    upstream.configure(UpstreamRules(panic_percent=0))
    a, b = upstream
    for server in (a, b):
        upstream.judge(server, True, "200")
        for _ in range(3):
            upstream.judge(server, False, "500")
    with pytest.raises(NoServer):
        upstream.choose()
    upstream.judge(a, True, "200")
    assert a.health.state is State.RISING
    assert chosen(upstream, 2) == [A, A]
    assert upstream.not_ready() is not None
    upstream.judge(b, True, "200")
    upstream.judge(b, True, "200")
    assert chosen(upstream, 2) == [B, B]
    assert upstream.choose({b}) is a
    upstream.judge(a, False, "500")
    with pytest.raises(NoServer):
        upstream.choose({b})


def test_ready_means_that_a_check_has_passed() -> None:
    upstream = upstream_of(A, B)
    assert upstream.not_ready() == "no server is healthy"
    upstream.judge(server_of(upstream, A), True, "200")
    assert upstream.not_ready() is None
    for _ in range(3):
        upstream.judge(server_of(upstream, A), False, "500")
    assert upstream.not_ready() == "no server is healthy"


def test_a_server_of_weight_0_makes_nothing_ready() -> None:
    upstream = upstream_of()
    upstream.name_servers("configuration", [ServerSpec(Address.parse(A), 0)], trusted=True)
    upstream.judge(server_of(upstream, A), True, "200")
    assert upstream.not_ready() is not None
    with pytest.raises(NoServer):
        upstream.choose()


def test_tried_servers_are_not_chosen_again() -> None:
    upstream = upstream_of(A, B)
    tried = {server_of(upstream, A)}
    assert upstream.choose(tried).name == B
    tried.add(server_of(upstream, B))
    with pytest.raises(NoServer):
        upstream.choose(tried)


@pytest.mark.parametrize("error", [ConnectError(), ConnectTimeout()])
def test_connections_that_cannot_be_made_count_as_failed_checks(error: ScalelabError) -> None:
    upstream = upstream_of(A, B)
    a = server_of(upstream, A)
    upstream.judge(a, True, "200")
    for failures in range(1, 4):
        assert a.health.state.usable
        a.started()
        a.failed(error)
        assert a.failures == {error.code: failures}
    assert a.health.state is State.DOWN
    assert chosen(upstream, 2) == [B, B]


@pytest.mark.parametrize("cause", [ConnectBindError(24, "Too many open files"), TwistedConnectError(errno.EADDRNOTAVAIL, "x")])
def test_running_out_of_our_own_files_or_ports_says_nothing_about_a_server(cause: Exception) -> None:
    upstream = upstream_of(A)
    a = server_of(upstream, A)
    for _ in range(5):
        error = ConnectError()
        error.__cause__ = cause
        a.started()
        a.failed(error)
    assert a.health.state is State.UNCHECKED
    assert a.failures == {"connect_failed": 5}


@pytest.mark.parametrize("error", [NoAnswer(), ClientGone()])
def test_other_failures_leave_health_alone(error: ScalelabError) -> None:
    upstream = upstream_of(A)
    a = server_of(upstream, A)
    for _ in range(10):
        a.started()
        a.failed(error)
    assert a.health.state is State.UNCHECKED
    assert a.failures == {error.code: 10}
    assert (a.active, a.requests) == (0, 10)


def test_bad_answers_are_explained_once_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(Server, "log", SimpleNamespace(warn=lambda text, **values: said.append(text.format(**values))))
    clock = Clock()
    wheel = DeadlineWheel(clock)
    wheel.startService()
    upstream = Upstream(RoundRobin, lambda spec: ConnectionPool(clock, spec.address, wheel))
    upstream.name_servers("configuration", specs(A, B), trusted=True)

    def fail(name: str, error: ScalelabError, cause: Exception | None) -> None:
        server = server_of(upstream, name)
        error.__cause__ = cause
        server.started()
        server.failed(error)

    for _ in range(3):
        fail(A, BadAnswer(), BadMessage("There is no colon."))
        fail(A, NoAnswer(), ConnectionResetError())
    assert said == [f"server {A} answers what is no proper HTTP/1.1: There is no colon."]
    fail(B, BrokenAnswer(), BadMessage("A chunk size is malformed."))
    assert said[1:] == [f"server {B} answers what is no proper HTTP/1.1: A chunk size is malformed."]
    clock.pump([0.25] * 4 * 61)
    fail(A, BadAnswer(), BadMessage("There is no colon."))
    assert len(said) == 3


def test_a_discovered_server_takes_traffic_after_one_passed_check() -> None:
    upstream = upstream_of(A, trusted=False)
    with pytest.raises(NoServer):
        upstream.choose()
    upstream.judge(server_of(upstream, A), True, "200")
    assert chosen(upstream, 1) == [A]


def test_a_removed_server_gets_no_new_request_and_finishes_those_it_has() -> None:
    upstream = upstream_of(A, B)
    a = server_of(upstream, A)
    a.started()
    a.started()
    upstream.name_servers("configuration", specs(B), trusted=True)
    assert chosen(upstream, 3) == [B, B, B]
    a.succeeded()
    assert (closed(a), list(upstream.leaving)) == (0, [a])
    a.failed(NoAnswer())
    assert (closed(a), list(upstream.leaving)) == (1, [])


def test_an_idle_server_that_is_removed_is_closed_at_once() -> None:
    upstream = upstream_of(A, B)
    a = server_of(upstream, A)
    upstream.name_servers("configuration", specs(B), trusted=True)
    assert closed(a) == 1
    assert len(upstream) == 1


def test_a_server_that_comes_back_while_it_drains_keeps_its_connections_and_must_be_checked() -> None:
    upstream = upstream_of(A)
    a = server_of(upstream, A)
    a.started()
    upstream.name_servers("configuration", [], trusted=True)
    upstream.name_servers("configuration", specs(f"{A},weight=2"), trusted=False)
    assert server_of(upstream, A) is a
    assert (a.removed, a.weight, a.health.state) == (False, 2, State.WAITING)
    a.succeeded()
    assert closed(a) == 0


def test_a_late_result_about_a_removed_server_changes_nothing() -> None:
    upstream = upstream_of(A)
    a = server_of(upstream, A)
    a.started()
    upstream.name_servers("configuration", [], trusted=True)
    upstream.judge(a, True, "200")
    assert a.health.state is State.UNCHECKED
    with pytest.raises(NoServer):
        upstream.choose()


def test_a_server_that_two_sources_name_stays_until_neither_does() -> None:
    upstream = upstream_of(A)
    upstream.name_servers("dns:x:1001", specs(A, B), trusted=False)
    assert len(upstream) == 2
    upstream.name_servers("configuration", [], trusted=True)
    assert {server.name for server in upstream} == {A, B}
    upstream.name_servers("dns:x:1001", [], trusted=False)
    assert len(upstream) == 0


def test_naming_the_same_servers_again_changes_nothing_but_weights() -> None:
    upstream = upstream_of(A, B)
    before = list(upstream)
    upstream.judge(before[0], True, "200")
    upstream.name_servers("configuration", specs(f"{A},weight=4", B), trusted=True)
    assert list(upstream) == before
    assert (before[0].weight, before[0].health.state) == (4, State.UP)


def test_watchers_hear_of_every_server_once() -> None:
    upstream = upstream_of(A, B)
    watching = Watching()
    upstream.watch(watching)
    upstream.name_servers("configuration", specs(B, C), trusted=True)
    assert watching.events == [f"+{A}", f"+{B}", f"-{A}", f"+{C}"]


def test_a_selection_that_wants_to_know_hears_of_each_request_that_begins_or_ends() -> None:
    upstream = Upstream(LeastConnections, lambda spec: cast(ConnectionPool, FakePool(spec.address)))
    upstream.name_servers("configuration", specs(A, B), trusted=True)
    a, b = upstream
    for server in (a, a, a, b, b, b):
        server.started()
    a.succeeded()
    assert upstream.choose() is a
    a.started()
    b.failed(NoAnswer())
    assert upstream.choose() is b


def test_a_key_leads_to_the_same_server_and_its_table_is_built_step_by_step() -> None:
    upstream = Upstream(lambda: Maglev(lambda: 0.0, size=8209), lambda spec: cast(ConnectionPool, FakePool(spec.address)))
    assert upstream.builds
    assert not upstream_of(A).builds
    upstream.name_servers("configuration", specs(A, B, C), trusted=True)
    assert upstream.step()
    while upstream.step():
        pass
    keys = [b"%d" % number for number in range(30)]
    found = [upstream.choose(key=key) for key in keys]
    assert len(set(found)) == 3
    assert found == [upstream.choose(key=key) for key in keys]


def test_stopping_closes_every_pool() -> None:
    upstream = upstream_of(A, B)
    a, b = upstream
    a.started()
    upstream.name_servers("configuration", specs(B), trusted=True)
    upstream.startService()
    upstream.stopService()
    assert (closed(a), closed(b)) == (1, 1)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("127.0.0.1", "HOST:PORT"),
        ("127.0.0.1:http", "not a number"),
        ("127.0.0.1:70000", "above 65535"),
        ("127.0.0.1:0", "port 0"),
        ("127.0.0.1:80,weight=", "from 0 to 256"),
        ("127.0.0.1:80,weight=257", "from 0 to 256"),
        ("127.0.0.1:80,level=128", "from 0 to 127"),
        ("127.0.0.1:80,maxconn=1000001", "from 0 to 1000000"),
        ("127.0.0.1:80,backup,level=2", "backup is level 1"),
        ("127.0.0.1:80,spare", "weight=N"),
        ("127.0.0.1:80,tls=a b", "no host name"),
    ],
)
def test_a_bad_server_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        ServerSpec.parse(text)


def test_how_long_a_server_took_is_forgotten_when_it_comes_back_and_not_before() -> None:
    upstream = upstream_of(A, B)
    server = server_of(upstream, A)
    upstream.judge(server, True, "200")
    server.latency.observe(3.0, 0.0)
    for passed in (False, True, False, False, False, True):
        upstream.judge(server, passed, "checked")
        assert server.latency.value_s == 3.0
    assert server.health.state is State.RISING
    upstream.judge(server, True, "200")
    assert server.latency.value_s == 0.0


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1:80",
        "[::1]:80,weight=7",
        "gateway:5000,weight=256",
        "gateway:5000,weight=0",
        "a:1,tls",
        "a:1,weight=2,tls=b",
        "a:1,backup",
        "a:1,level=2",
        "a:1,weight=3,backup,maxconn=40,tls=b",
    ],
)
def test_a_server_is_written_as_it_is_read(text: str) -> None:
    assert str(ServerSpec.parse(text)) == text


@pytest.mark.parametrize(
    ("text", "written"), [("a:1,weight=1,level=0,maxconn=0,tls=a", "a:1,tls"), ("a:1,tls,level=1", "a:1,backup,tls"), (":1", "127.0.0.1:1")]
)
def test_what_is_usual_anyway_is_not_written(text: str, written: str) -> None:
    assert str(ServerSpec.parse(text)) == written
    assert ServerSpec.parse(written) == ServerSpec.parse(text)


def test_options_say_what_a_server_may_be_sent() -> None:
    spec = ServerSpec.parse("10.0.0.1:80,weight=0,level=2,maxconn=100")
    assert spec == ServerSpec(Address("10.0.0.1", 80), weight=0, level=2, max_active=100)


def test_repr_names_server_and_state() -> None:
    server: Any = server_of(upstream_of(A), A)
    assert repr(server) == f"<Server {A} unchecked>"
