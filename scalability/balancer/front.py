"""What the balancer answers itself: ``GET /health``. Everything else it forwards."""

from typing import Any

import msgspec

from scalability.http1.request_head import RequestHead
from scalability.net.exchange import Exchange
from scalability.upstream.server import Server
from scalability.upstream.servers import Upstream

HEALTH = b"/health"


def is_health(head: RequestHead) -> bool:
    """Whether a request asks for the balancer's own liveness, with a query or without."""
    return head.target.partition(b"?")[0] == HEALTH and head.method in (b"GET", b"HEAD")


class Front:
    """What the balancer's port answers for the balancer itself, its own liveness, before the proxy forwards all else."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    def answers(self, exchange: Exchange) -> bool:
        """Whether ``exchange`` is not to be forwarded; then it is, or will be, answered here."""
        # the first is much the cheaper
        if exchange.head.target[:7] == HEALTH and is_health(exchange.head):
            self.health_asked(exchange)
            return True
        return False

    def health_asked(self, exchange: Exchange) -> None:
        """Answer a request for the balancer's own liveness."""
        answer_health(exchange, msgspec.json.encode(self.health()))

    def health(self) -> dict[str, Any]:
        """The balancer's own state is ok whenever it can say so; its servers' states stand beside it."""
        return {"status": "ok", "servers": [describe(server) for server in (*self._upstream, *self._upstream.leaving)]}


def answer_health(exchange: Exchange, body: bytes) -> None:
    """Alive: 200, and ``body`` says more."""
    exchange.answer(200, body, fields=((b"Cache-Control", b"no-store"),))


def describe(server: Server) -> dict[str, Any]:
    """One server for people to read."""
    return {
        "name": server.name,
        "state": "leaving" if server.removed else server.health.state.value,
        "weight": server.weight,
        "active": server.active,
        "requests": server.requests,
        "last_check": server.last_check,
    }
