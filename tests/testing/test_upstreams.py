"""Servers without connections."""

from typing import cast

from scalability.testing.upstreams import FakePool, chosen, server_of, specs, upstream_of


def test_servers_are_named_found_and_chosen() -> None:
    upstream = upstream_of("10.0.0.1:80", "10.0.0.2:80")
    assert sorted(chosen(upstream, 2)) == ["10.0.0.1:80", "10.0.0.2:80"]
    server = server_of(upstream, "10.0.0.1:80")
    upstream.name_servers("configuration", specs("10.0.0.2:80"), trusted=True)
    assert cast(FakePool, server.pool).closed == 1
