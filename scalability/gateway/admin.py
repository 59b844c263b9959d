"""The gateway's calls on its admin listener: how its routes' servers stand."""

from collections.abc import Mapping
from typing import Any

from klein import Klein
from twisted.web.iweb import IRequest

from scalability.api.json import json_answer
from scalability.gateway.routing.upstreams import RouteUpstream
from scalability.upstream.server import Server

FIELDS = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))


def admin_calls(upstreams: Mapping[str, RouteUpstream]) -> Klein:
    """The calls; ``upstreams`` by the prefix of their route. Reading is open to whoever reaches the listener."""
    app = Klein()

    @app.route("/routes", methods=["GET"])
    def routes(request: IRequest) -> bytes:
        told = [
            {"prefix": name, "servers": [_described(server) for server in (*known.upstream, *known.upstream.leaving)]}
            for name, known in upstreams.items()
        ]
        return json_answer(request, {"routes": told}, fields=FIELDS)

    return app


def _described(server: Server) -> dict[str, Any]:
    return {
        "name": server.name,
        "state": "leaving" if server.removed else server.health.state.value,
        "ejected": server.ejected,
        "breaker": server.breaker.state.value,
        "weight": server.weight,
        "active": server.active,
        "requests": server.requests,
        "failures": dict(server.failures),
        "last_check": server.last_check,
    }
