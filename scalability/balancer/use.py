"""What one process sends to the servers, as it stands: plain numbers that travel from a worker to its parent, and to whoever asks."""

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from scalability.proxy.application import ProxyApplication
from scalability.upstream.server import Server
from scalability.upstream.servers import Upstream
from scalability.upstream.shedding import Shedding

EXPLAINED = 50
"""Of no more decisions about one request is told: a proxy in front may give many requests the same name."""


class ServerUse(msgspec.Struct, array_like=True):
    """What a process sent to one server."""

    name: str
    active: int
    requests: int
    leaving: bool
    failures: dict[str, int] = {}
    """By the error's code."""
    idle: int = 0
    """Connections."""
    busy: int = 0
    answered: int = 0
    """Requests whose answer's head came, and the seconds that took, added up."""
    answered_s: float = 0.0
    ewma_s: float | None = None
    """None where the algorithm does not learn it, and before the first answer."""
    breaker: str = "closed"
    breaker_requests: int = 0
    """In the window."""
    breaker_failures: int = 0
    opened: int = 0
    """How often the breaker did, ever."""
    open_for_s: float = 0.0
    """How long it still will be, when it is open."""


class ProcessUse(msgspec.Struct, array_like=True):
    """What a process has to do beside: its queue, its retries, what it turns away, its tunnels."""

    panic: bool = False
    waiting: int = 0
    """Requests in the queue."""
    greatest: int = 0
    entered: int = 0
    refused: int = 0
    expired: int = 0
    retries: int = 0
    """Attempts beyond a request's first."""
    allowed: int = 0
    """By the retry budget."""
    denied: int = 0
    in_use: int = 0
    retries_waiting: int = 0
    percent: int = 0
    """The budget: so many percent of the requests in flight, and at least so many at any time."""
    min_concurrent: int = 0
    shed_fraction: float = 0.0
    lag_s: float = 0.0
    shed: int = 0
    tunnels: int = 0
    tunnels_opened: dict[str, int] = {}


class Use(msgspec.Struct):
    """All of a process. ``worker`` counts from 1; 0 stands for the only one, or for those that have ended."""

    worker: int
    servers: list[ServerUse]
    process: ProcessUse = msgspec.field(default_factory=ProcessUse)


class Processes(Protocol):
    """Those that serve the clients."""

    async def uses(self) -> Sequence[Use]:
        """What each does, asked for afresh. Ends in time, whatever they do."""

    async def why(self, request_id: str) -> list[dict[str, Any]]:
        """What is remembered of the decisions about a request, oldest first; likewise."""


class ThisProcess:
    """The only one, or a worker about itself."""

    def __init__(self, upstream: Upstream, proxy: ProxyApplication, shedding: Shedding) -> None:
        self._upstream = upstream
        self._proxy = proxy
        self._shedding = shedding

    async def uses(self) -> list[Use]:
        """See Processes."""
        return [Use(0, self.servers(), self.process())]

    async def why(self, request_id: str) -> list[dict[str, Any]]:
        """See Processes."""
        return self.explained(request_id)

    def explained(self, request_id: str) -> list[dict[str, Any]]:
        """What this process remembers."""
        decisions = self._proxy.decisions
        return decisions.explain(request_id.encode("latin-1", "replace"))[-EXPLAINED:] if decisions is not None else []

    def servers(self) -> list[ServerUse]:
        """Those that finish their last requests too."""
        upstream = self._upstream
        return [self._use(server) for server in (*upstream, *upstream.leaving)]

    def process(self) -> ProcessUse:
        """All else."""
        line, retries, shedding, tunnels = self._upstream.line, self._proxy.retries, self._shedding, self._proxy.tunnels
        budget = retries.budget
        return ProcessUse(
            self._upstream.panicking,
            len(line),
            line.greatest,
            line.entered,
            line.refused,
            line.expirations,
            retries.count,
            budget.allowed,
            budget.denied,
            budget.in_use,
            retries.waiting,
            budget.percent,
            budget.min_concurrent,
            shedding.fraction,
            shedding.lag_s,
            shedding.shed,
            tunnels.open,
            dict(tunnels.opened),
        )

    def _use(self, server: Server) -> ServerUse:
        pool, breaker = server.pool, server.breaker
        idle = pool.idle_connections
        now = self._upstream.seconds()
        return ServerUse(
            server.name,
            server.active,
            server.requests,
            server.removed,
            dict(server.failures),
            idle,
            pool.open_connections - idle,
            server.durations.count,
            round(server.durations.sum_s, 6),
            ewma_of(server, now),
            breaker.state.value,
            breaker.requests,
            breaker.failures,
            breaker.opened,
            round(max(0.0, breaker.open_until_s - now), 3) if breaker.state.value == "open" else 0.0,
        )


def ewma_of(server: Server, now: float) -> float | None:
    """The seconds that ``server`` is expected to take for an answer; None where nothing was learned."""
    return round(server.latency.cost(now, 0), 6) if server.latency.answered else None
