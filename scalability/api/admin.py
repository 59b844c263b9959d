"""The admin listener: metrics, liveness and readiness of a component, and its own admin calls."""

from collections.abc import Callable, Sequence

from klein import Klein
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from twisted.web.iweb import IRequest

from scalability.api.failures import json_errors
from scalability.api.json import json_answer

Readiness = Callable[[], str | None]
"""None when the component can do its work; else the reason why not, one sentence."""


def admin_app(collectors: Sequence[Collector], ready: Readiness, app: Klein | None = None) -> Klein:
    """``/metrics``, ``/healthz`` (alive) and ``/readyz`` (200, or 503 with the reason), added to ``app`` or to a new one."""
    app = json_errors(app or Klein())
    registry = CollectorRegistry()
    for collector in collectors:
        registry.register(collector)

    @app.route("/metrics", methods=["GET"])
    def metrics(request: IRequest) -> bytes:
        encode, content_type = choose_encoder(request.getHeader("accept") or "")
        request.setHeader("content-type", content_type)
        return encode(registry)

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
