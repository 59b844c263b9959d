"""Too few servers are healthy: which others are used."""

import pytest

from scalability.errors import NoServer
from scalability.testing.upstreams import A, B, C, chosen, logged, ruled, server_of, specs
from scalability.upstream.panic import spare


def test_when_too_few_are_healthy_all_that_can_be_connected_to_are_used_and_that_is_said() -> None:
    upstream = ruled(A, B, C)
    a, b, _ = upstream
    words = logged(upstream)
    upstream.judge(a, False, "500")
    assert not upstream.panicking
    upstream.judge(b, False, "500")
    assert upstream.panicking
    assert set(chosen(upstream, 3)) == {A, B, C}
    assert [word for word in words if "panic" in word] == [
        "panic: only 1 of 3 servers are healthy, so that others that can be connected to are used as well"
    ]
    upstream.judge(b, True, "200")
    assert not upstream.panicking
    assert set(chosen(upstream, 4)) == {B, C}
    assert words[-1] == "the panic is over: 2 of 3 servers are healthy"


def test_a_panic_uses_no_server_that_refuses_connections_or_that_was_never_seen_up() -> None:
    upstream = ruled(A, B)
    a, b = upstream
    upstream.name_servers("dns", specs(C), trusted=False)
    upstream.judge(a, False, "refused", unreachable=True)
    upstream.judge(b, False, "500")
    assert upstream.panicking
    assert chosen(upstream, 2) == [B, B]
    upstream.judge(b, False, "refused", unreachable=True)
    assert not upstream.panicking
    with pytest.raises(NoServer):
        upstream.choose()
    upstream.judge(a, False, "500")
    assert chosen(upstream, 2) == [A, A]


def test_a_threshold_of_0_means_that_only_healthy_servers_are_ever_used() -> None:
    upstream = ruled(A, panic_percent=0)
    upstream.judge(server_of(upstream, A), False, "500")
    with pytest.raises(NoServer):
        upstream.choose()


def test_no_server_that_fails_its_checks_takes_the_place_of_a_healthy_backup() -> None:
    upstream = ruled(A, B, f"{C},backup")
    a, b, c = upstream
    upstream.judge(a, False, "500")
    upstream.judge(b, False, "500")
    assert not upstream.panicking
    assert chosen(upstream, 3) == [C] * 3
    upstream.judge(c, False, "500")
    assert upstream.panicking
    assert set(chosen(upstream, 4)) == {A, B}


def test_a_panic_begins_below_its_percentage_and_not_at_it() -> None:
    servers = list(ruled(A, B))
    assert spare(servers, servers[:1], 50) == []
    assert spare(servers, servers[:1], 51) == servers[1:]
    assert spare(servers, [], 0) == []
    assert spare([], [], 100) == []


def test_servers_of_weight_0_count_neither_as_healthy_nor_as_others() -> None:
    a, b, c = ruled(A, B, C)
    a.weight = 0
    assert spare([a, b, c], [a, b], 50) == []
    assert spare([a, b, c], [a, b], 51) == [c]
    assert spare([a, b], [a], 50) == [b]
