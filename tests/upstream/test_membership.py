"""Servers come, stay, leave and come back, as sources name them."""

import pytest

from scalability.errors import NoAnswer, NoServer
from scalability.testing.upstreams import A, B, C, chosen, closed, server_of, specs, upstream_of
from scalability.upstream.health import State
from scalability.upstream.server import Mode, Server


class Watching:
    def __init__(self) -> None:
        self.events: list[str] = []

    def joined(self, server: Server) -> None:
        self.events.append(f"+{server.name}")

    def left(self, server: Server) -> None:
        self.events.append(f"-{server.name}")


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


def test_another_name_in_the_certificate_is_another_server_that_serves_at_once_if_the_old_one_did() -> None:
    upstream = upstream_of(A, B)
    plain, down = upstream
    plain.started()
    for _ in range(3):
        upstream.judge(down, False, "refused")
    upstream.set_mode(plain, Mode.DRAIN)
    upstream.name_servers("configuration", specs(f"{A},tls=a.example", f"{B},tls"), trusted=False)
    secured, waiting = upstream
    assert (secured.name, secured.tls, secured.health.state, secured.mode) == (A, "a.example", State.UNCHECKED, Mode.DRAIN)
    assert waiting.health.state is State.WAITING
    assert list(upstream.leaving) == [plain]
    assert (closed(plain), closed(down)) == (0, 1)
    # and back again, while the first still has a request: that one returns, and the second goes
    upstream.name_servers("configuration", specs(A, B), trusted=False)
    assert next(iter(upstream)) is plain
    assert closed(secured) == 1
    plain.succeeded()
    assert closed(plain) == 0


def test_two_servers_may_leave_the_same_address() -> None:
    upstream = upstream_of(A)
    for tls in ("a.example", "b.example"):
        next(iter(upstream)).started()
        upstream.name_servers("configuration", specs(f"{A},tls={tls}"), trusted=False)
    first, second = upstream.leaving
    first.succeeded()
    assert list(upstream.leaving) == [second]
    second.succeeded()
    assert [closed(first), closed(second)] == [1, 1]


def test_a_source_that_is_withdrawn_takes_along_what_no_other_names() -> None:
    upstream = upstream_of(A)
    upstream.name_servers("file", specs(f"{A},weight=5", B), trusted=True)
    a = server_of(upstream, A)
    assert (upstream.sources_of(a), a.weight) == (["configuration", "file"], 1)
    upstream.withdraw("configuration")
    assert (upstream.sources_of(a), a.weight) == (["file"], 5)
    assert chosen(upstream, 6).count(A) == 5
    upstream.withdraw("nobody")
    upstream.withdraw("file")
    assert list(upstream) == []
    with pytest.raises(NoServer):
        upstream.choose()
