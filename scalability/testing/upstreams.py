"""Servers of an upstream whose connections nobody opens."""

from typing import cast

from scalability.config import Address
from scalability.net.connection_pool import ConnectionPool
from scalability.upstream.selection import RoundRobin
from scalability.upstream.server import Server
from scalability.upstream.servers import Upstream
from scalability.upstream.spec import ServerSpec


class FakePool:
    """Counts how often it was closed."""

    def receivers_without_answer(self) -> list[object]:
        return []

    def __init__(self, address: Address) -> None:
        self.address = address
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


def fake_pool(spec: ServerSpec) -> ConnectionPool:
    """What an ``Upstream`` makes for each server in place of a pool: no connections."""
    return cast(ConnectionPool, FakePool(spec.address))


def specs(*texts: str) -> list[ServerSpec]:
    return [ServerSpec.parse(text) for text in texts]


def upstream_of(*texts: str, trusted: bool = True) -> Upstream:
    upstream = Upstream(RoundRobin, fake_pool)
    upstream.name_servers("configuration", specs(*texts), trusted=trusted)
    return upstream


def server_of(upstream: Upstream, name: str) -> Server:
    servers: list[Server] = [*upstream, *upstream.leaving]
    return next(server for server in servers if server.name == name)


def chosen(upstream: Upstream, count: int) -> list[str]:
    return [upstream.choose().name for _ in range(count)]
