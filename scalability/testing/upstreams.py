"""Servers of an upstream whose connections nobody opens."""

from collections.abc import Callable
from typing import Any, cast

from twisted.logger import LogEvent, Logger, formatEvent

from scalability.config import Address
from scalability.errors import NoAnswer, ScalelabError
from scalability.net.connection_pool import ConnectionPool
from scalability.upstream.rules import UpstreamRules
from scalability.upstream.selection import RoundRobin
from scalability.upstream.server import Server
from scalability.upstream.servers import Upstream
from scalability.upstream.spec import ServerSpec

A, B, C = "127.0.0.1:1001", "127.0.0.1:1002", "127.0.0.1:1003"


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


def closed(server: Server) -> int:
    """How often the connections of ``server`` were closed."""
    return cast(FakePool, server.pool).closed


class Stopwatch:
    """A clock that the test turns."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def ruled(*texts: str, seconds: Callable[[], float] = Stopwatch(), kind: Any = RoundRobin, **rules: Any) -> Upstream:  # noqa: B008 - it stands still
    """Servers that are up, under these rules."""
    rules = {"rise": 1, "fall": 1} | rules
    upstream = Upstream(kind, fake_pool, rules=UpstreamRules(**rules), seconds=seconds)
    upstream.name_servers("configuration", specs(*texts), trusted=True)
    for server in upstream:
        upstream.judge(server, True, "200")
    return upstream


def failing(server: Server, count: int, error: ScalelabError | None = None) -> None:
    """So many requests fail at ``server``."""
    for _ in range(count):
        epoch = server.started()
        server.failed(error or NoAnswer(), epoch)


def logged(upstream: Upstream) -> list[str]:
    """What ``upstream`` logs from now on, as words."""
    words: list[str] = []

    def observe(event: LogEvent) -> None:
        words.append(formatEvent(event))

    observer: Any = observe
    upstream.log = Logger(observer=observer)
    return words
