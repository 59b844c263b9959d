"""Servers without connections."""

from typing import cast

from scalability.testing.upstreams import (
    A,
    B,
    C,
    FakePool,
    Stopwatch,
    chosen,
    closed,
    failing,
    logged,
    ruled,
    server_of,
    specs,
    upstream_of,
)


def test_servers_are_named_found_and_chosen() -> None:
    upstream = upstream_of("10.0.0.1:80", "10.0.0.2:80")
    assert sorted(chosen(upstream, 2)) == ["10.0.0.1:80", "10.0.0.2:80"]
    server = server_of(upstream, "10.0.0.1:80")
    upstream.name_servers("configuration", specs("10.0.0.2:80"), trusted=True)
    assert cast(FakePool, server.pool).closed == 1


def test_servers_under_rules_are_up_and_fail_and_are_heard_of_as_told() -> None:
    upstream = ruled(A, B, C, seconds=Stopwatch())
    a, _, _ = upstream
    assert upstream.not_ready() is None
    words = logged(upstream)
    failing(a, 5)
    assert words == [f"server {A} is ejected: 5 requests in a row failed"]
    upstream.name_servers("configuration", specs(B), trusted=True)
    assert closed(a) == 1
