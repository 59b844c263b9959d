"""Servers that the configuration names one by one."""

import pytest

from scalability.testing.upstreams import fake_pool
from scalability.upstream.discovery.backend import Backend
from scalability.upstream.discovery.static import name_static
from scalability.upstream.selection import RoundRobin
from scalability.upstream.servers import Upstream


@pytest.mark.parametrize("trusted", [True, False])
def test_servers_are_named_without_what_finds_others(trusted: bool) -> None:
    upstream = Upstream(RoundRobin, fake_pool)
    named = ("127.0.0.1:5000", "dns:gateway:5000", "host:5003,weight=3", "file:servers.txt", "dns+srv:gateway")
    name_static(upstream, map(Backend.parse, named), trusted=trusted)
    assert {server.name for server in upstream} == {"127.0.0.1:5000", "host:5003"}
    assert all(server.health.state.usable is trusted for server in upstream)
