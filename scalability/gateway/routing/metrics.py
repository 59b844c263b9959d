"""What the gateway tells Prometheus of its routes' servers. Labels are prefixes of the configuration and names of servers, never paths."""

from collections.abc import Callable, Mapping

from scalability.gateway.routing.upstreams import RouteUpstream
from scalability.telemetry import Kind, MetricSet
from scalability.upstream.per_server import PerServer, add_server_health, add_server_traffic

ROUTE = ("route",)


def upstream_metrics(upstreams: Mapping[str, RouteUpstream]) -> MetricSet:
    """Of all routes, by their prefix."""
    metrics = MetricSet()
    each = PerServer(metrics, *(((name,), known.upstream) for name, known in upstreams.items()), names=ROUTE)
    add_server_traffic(each)
    add_server_health(each)

    def number(name: str, help: str, kind: Kind, read: Callable[[RouteUpstream], int | float]) -> None:  # noqa: A002 - Prometheus's word
        metrics.readings_from(name, help, kind, ROUTE, lambda: (((route,), read(known)) for route, known in upstreams.items()))

    number("scalelab_upstream_healthy", "Servers that take traffic.", Kind.GAUGE, lambda u: sum(s.health.state.usable for s in u.upstream))
    number("scalelab_upstream_panic", "1 while the checks are not believed, else 0.", Kind.GAUGE, lambda u: u.upstream.panicking)
    number("scalelab_upstream_retries_total", "Attempts beyond a request's first.", Kind.COUNTER, lambda u: u.proxy.retries.count)
    number("scalelab_upstream_queue_length", "Requests that wait for a place at a server.", Kind.GAUGE, lambda u: len(u.upstream.line))
    number("scalelab_upstream_queue_refused_total", "Those that it was full for.", Kind.COUNTER, lambda u: u.upstream.line.refused)
    number("scalelab_upstream_queue_expired_total", "Those that waited too long.", Kind.COUNTER, lambda u: u.upstream.line.expirations)
    number("scalelab_upstream_open_tunnels", "Connections that are tunnels now.", Kind.GAUGE, lambda u: u.proxy.tunnels.open)
    metrics.readings_from(
        "scalelab_upstream_ejections_total",
        "Ejections of servers by their cause.",
        Kind.COUNTER,
        (*ROUTE, "cause"),
        lambda: (
            ((route, cause.value), count) for route, known in upstreams.items() for cause, count in known.upstream.ejections.totals.items()
        ),
    )
    return metrics
