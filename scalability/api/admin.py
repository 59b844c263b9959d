"""The admin listener: metrics, liveness and readiness of a component, and its own admin calls."""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from klein import Klein
from prometheus_client.registry import Collector
from twisted.internet.defer import Deferred
from twisted.web.iweb import IRequest

from scalability.api.failures import json_errors
from scalability.api.json import encoded_answer, json_answer
from scalability.telemetry import exposition

Readiness = Callable[[], str | None]
"""None when the component can do its work; else the reason why not, one sentence."""


Refresh = Callable[[], Coroutine[Deferred[Any], Any, None]]
"""Brings what ``/metrics`` shows up to date, for what other processes have counted. It ends in time, whatever they do."""


def metrics_answer(request: IRequest, collectors: Sequence[Collector]) -> bytes:
    """What ``collectors`` tell, in the Prometheus format that the request's Accept prefers, for a Klein route to return."""
    content_type, body = exposition(collectors, request.getHeader("accept") or "")
    return encoded_answer(request, body, content_type.encode())


def admin_app(collectors: Sequence[Collector], ready: Readiness, app: Klein | None = None, refresh: Refresh | None = None) -> Klein:
    """``/metrics``, ``/healthz`` (alive) and ``/readyz`` (200, or 503 with the reason), added to ``app`` or to a new one."""
    app = json_errors(app or Klein())

    if refresh is None:

        @app.route("/metrics", methods=["GET"])
        def metrics(request: IRequest) -> bytes:
            return metrics_answer(request, collectors)

    else:

        @app.route("/metrics", methods=["GET"])
        async def fresh_metrics(request: IRequest) -> bytes:
            await refresh()
            return metrics_answer(request, collectors)

    @app.route("/healthz", methods=["GET"])
    def healthz(request: IRequest) -> bytes:
        return json_answer(request, {"status": "ok"})

    @app.route("/readyz", methods=["GET"])
    def readyz(request: IRequest) -> bytes:
        why = ready()
        if why is None:
            return json_answer(request, {"status": "ready"})
        return json_answer(request, {"status": "not ready", "reason": why}, status=503)

    return app
