"""What one server is told of its requests, and what follows."""

import errno
from types import SimpleNamespace
from typing import Any, cast

import pytest
from twisted.internet.error import ConnectBindError
from twisted.internet.error import ConnectError as TwistedConnectError
from twisted.internet.task import Clock

from scalability.errors import (
    BadAnswer,
    BadMessage,
    BrokenAnswer,
    ClientGone,
    ConnectError,
    ConnectTimeout,
    NoAnswer,
    ScalelabError,
)
from scalability.lifecycle import DeadlineWheel
from scalability.net.connection_pool import ConnectionPool
from scalability.testing.upstreams import FakePool, chosen, server_of, specs, upstream_of
from scalability.upstream.health import State
from scalability.upstream.selection.peak_ewma import PeakEwma
from scalability.upstream.selection.round_robin import RoundRobin
from scalability.upstream.server import Server
from scalability.upstream.servers import Upstream

A, B, C = "127.0.0.1:1001", "127.0.0.1:1002", "127.0.0.1:1003"


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


def test_repr_names_server_and_state() -> None:
    server: Any = server_of(upstream_of(A), A)
    assert repr(server) == f"<Server {A} unchecked>"


def learning() -> PeakEwma[Any]:
    return PeakEwma(lambda: 1000.0, lambda: 0.0)


def test_each_answer_counts_in_the_durations_and_where_latencies_are_learned_in_those_too() -> None:
    upstream = Upstream(learning, lambda spec: cast(ConnectionPool, FakePool(spec.address)), seconds=lambda: 1000.0)
    upstream.name_servers("configuration", specs(A), trusted=True)
    a = server_of(upstream, A)
    epoch = a.started()
    a.answered(200, 0.25, 1000.0, epoch)
    a.succeeded()
    before = a.latency.cost(1000.0, 0)
    a.started()
    a.failed(NoAnswer(), 0, 0.001)
    assert a.latency.cost(1000.0, 0) > before, "what fails fast is not fast"


@pytest.mark.parametrize("learns", [False, True])
def test_a_whole_answer_counts_as_its_head_and_its_end_do(learns: bool) -> None:
    upstream = Upstream(
        learning if learns else RoundRobin,
        lambda spec: cast(ConnectionPool, FakePool(spec.address)),
        seconds=lambda: 1000.0,
    )
    upstream.name_servers("configuration", specs(f"{A},maxconn=1", f"{B},maxconn=1"), trusted=True)
    at_once, in_two = upstream
    for server in (at_once, in_two):
        assert server.outcomes.failed() is False
        epoch = server.started()
        if server is at_once:
            server.completed(0.25, 1000.0, epoch)
        else:
            server.answered(200, 0.25, 1000.0, epoch)
            server.succeeded()
    for server in (at_once, in_two):
        assert (server.active, server.requests, server.durations.count, server.durations.sum_s) == (0, 1, 1, 0.25)
        assert (server.outcomes.successes, server.outcomes.in_a_row, server.is_full()) == (1, 0, False)
        assert server.latency.answered is learns
    assert at_once.latency.cost(1000.0, 0) == in_two.latency.cost(1000.0, 0)


def test_the_last_whole_answer_of_a_server_that_leaves_ends_it() -> None:
    upstream = upstream_of(A, B)
    a = server_of(upstream, A)
    epoch = a.started()
    upstream.name_servers("configuration", specs(B), trusted=True)
    assert list(upstream.leaving) == [a]
    a.completed(0.25, 1000.0, epoch)
    assert list(upstream.leaving) == []


def test_a_server_is_full_with_as_many_requests_as_it_may_have() -> None:
    upstream = upstream_of(f"{A},maxconn=2", B)
    limited, free = upstream
    for server in (limited, free):
        assert not server.is_full()
        server.started()
        server.started()
    assert limited.is_full()
    assert not free.is_full()
    limited.succeeded()
    assert not limited.is_full()
