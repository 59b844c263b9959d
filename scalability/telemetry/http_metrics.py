"""What an HTTP server counts of its requests, under OpenTelemetry's names in Prometheus's form."""

from scalability.telemetry.histogram import Histogram
from scalability.telemetry.metrics import MetricSet

KNOWN_METHODS = {name.encode(): name for name in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT", "QUERY")}
OTHER_METHOD = "_OTHER"
"""What OpenTelemetry's conventions call a method outside the registry: a client may not invent label values."""


class HTTPServerMetrics:
    """``http_server_request_duration_seconds`` by method, route and status, and ``http_server_active_requests``."""

    def __init__(self, metrics: MetricSet) -> None:
        self.active = metrics.gauge("http_server_active_requests", "Requests that are being answered now.")
        self._durations = metrics.histograms(
            "http_server_request_duration_seconds",
            "Time from a request's last byte to the last byte of its answer, by method, route template and status.",
            ("http_request_method", "http_route", "http_response_status_code"),
        )
        self._known: dict[tuple[bytes, str, int], Histogram] = {}

    def record(self, method: bytes, route: str, status: int, seconds: float) -> None:
        """Count one answered request. ``route`` is the template (``/cache/<key>``), or "" when nothing matched; never the path."""
        histogram = self._known.get((method, route, status))
        if histogram is None:
            name = KNOWN_METHODS.get(method, OTHER_METHOD)
            histogram = self._durations.labelled(name, route, str(status))
            if name != OTHER_METHOD and len(self._known) < 1000:
                self._known[method, route, status] = histogram
        histogram.record(seconds)
