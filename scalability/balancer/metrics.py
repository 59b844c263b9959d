"""What the balancer tells Prometheus: its clients' side, and each server behind it. Read at scrape time from plain integers."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from scalability.balancer.front import is_health
from scalability.net.http_server import Exchange, HTTPServerFactory
from scalability.net.proxy_protocol import Announcements
from scalability.proxy.forwarding import ProxyApplication
from scalability.telemetry import Histogram, Kind, MetricSet
from scalability.telemetry.http_metrics import KNOWN_METHODS, OTHER_METHOD
from scalability.upstream.health import State
from scalability.upstream.servers import Server, Upstream

if TYPE_CHECKING:
    # these load OpenSSL, which most do without
    from scalability.net.certificates import CertificateStore
    from scalability.net.tls import TLSServerFactory

CLIENT_GONE = 499
"""The status under which a request is counted whose client did not wait for the answer's head, as in nginx's logs."""


class Requests:
    """Counts each exchange once, when it is over, under OpenTelemetry's names."""

    def __init__(self, metrics: MetricSet) -> None:
        self._durations = metrics.histograms(
            "http_server_request_duration_seconds",
            "Time from a request's complete head to the last byte of its answer, by method, route and status.",
            ("http_request_method", "http_route", "http_response_status_code"),
        )
        self._forwarded: dict[tuple[bytes, int], Histogram] = {}

    def ended(self, exchange: Exchange, seconds: float) -> None:
        """``HTTPServerFactory`` calls this. Paths are never labels: whatever is forwarded has one route."""
        head = exchange.head
        histogram = self._forwarded.get((head.method, exchange.status)) if exchange.served_by else None
        if histogram is None:
            method = KNOWN_METHODS.get(head.method, OTHER_METHOD)
            own = not exchange.served_by and is_health(head)
            histogram = self._durations.labelled(method, "/health" if own else "*", str(exchange.status or CLIENT_GONE))
            if exchange.served_by and method is not OTHER_METHOD and len(self._forwarded) < 1000:
                self._forwarded[head.method, exchange.status] = histogram
        histogram.record(seconds)


def add_clients(metrics: MetricSet, factory: HTTPServerFactory) -> None:
    """Connections and bytes of the clients' side."""
    counts = factory.counts
    metrics.gauge_from("http_server_active_requests", "Requests that are being answered now.", lambda: counts.active)
    metrics.gauge_from("scalelab_lb_open_connections", "Clients that are connected now.", lambda: counts.open)
    metrics.counter_from("scalelab_lb_accepted_total", "Connections of clients that were accepted.", lambda: counts.accepted)
    metrics.counter_from(
        "scalelab_lb_aborted_total",
        "Requests whose answer was not sent completely: the client or the server broke off.",
        lambda: counts.aborted,
    )
    metrics.counter_from(
        "scalelab_lb_refused_total",
        "Connections that ended with a message that is not proper HTTP, or came too late.",
        lambda: counts.refused,
    )
    metrics.counter_from(
        "scalelab_lb_rejected_total",
        "Connections that were closed at once, because their client had as many as one may have.",
        lambda: counts.rejected,
    )
    metrics.readings_from(
        "scalelab_lb_accept_pauses_total",
        "How often accepting paused: at the cap of connections, or for want of descriptors or memory.",
        Kind.COUNTER,
        ("reason",),
        lambda: ((("cap",), counts.paused_at_cap), (("means",), counts.out_of_means)),
    )
    metrics.counter_from("scalelab_lb_sent_bytes_total", "Bytes of answers sent to clients.", lambda: counts.sent_bytes)


def add_traffic(metrics: MetricSet, upstream: Upstream, proxy: ProxyApplication) -> None:
    """What was sent to each server: one time series a server and metric. A server that is gone for good takes its series along."""
    tunnels = proxy.tunnels
    metrics.gauge_from("scalelab_lb_open_tunnels", "Connections that are tunnels now: WebSockets and the like.", lambda: tunnels.open)
    metrics.readings_from(
        "scalelab_lb_tunnels_total",
        "Connections that became tunnels, by the protocol that was switched to.",
        Kind.COUNTER,
        ("protocol",),
        lambda: (((protocol,), count) for protocol, count in tunnels.opened.items()),
    )
    metrics.readings_from(
        "scalelab_lb_tunnel_bytes_total",
        "Bytes that passed through tunnels, by the side that sent them.",
        Kind.COUNTER,
        ("from",),
        lambda: ((("client",), tunnels.client_bytes), (("server",), tunnels.server_bytes)),
    )
    metrics.counter_from("scalelab_upstream_retries_total", "Attempts beyond a request's first.", lambda: proxy.retries.count)
    metrics.readings_from(
        "scalelab_upstream_requests_total",
        "Attempts sent to each server.",
        Kind.COUNTER,
        ("server",),
        lambda: (((s.name,), s.requests) for s in every_server(upstream)),
    )
    metrics.readings_from(
        "scalelab_upstream_failures_total",
        "Attempts that ended without a complete answer, by the error's code; client_gone is no fault of the server.",
        Kind.COUNTER,
        ("server", "reason"),
        lambda: (((s.name, code), count) for s in every_server(upstream) for code, count in s.failures.items()),
    )
    metrics.readings_from(
        "scalelab_upstream_active",
        "Requests in flight.",
        Kind.GAUGE,
        ("server",),
        lambda: (((s.name,), s.active) for s in every_server(upstream)),
    )
    metrics.readings_from(
        "scalelab_upstream_connects_total",
        "Connections that were opened for requests.",
        Kind.COUNTER,
        ("server",),
        lambda: (((s.name,), s.pool.connects) for s in every_server(upstream)),
    )
    metrics.readings_from(
        "scalelab_upstream_connections",
        "Open connections for requests, by what they do.",
        Kind.GAUGE,
        ("server", "state"),
        lambda: (
            ((s.name, state), count)
            for s in every_server(upstream)
            for state, count in (
                ("idle", s.pool.idle_connections),
                ("busy", s.pool.open_connections - s.pool.idle_connections),
            )
        ),
    )


def add_health(metrics: MetricSet, upstream: Upstream) -> None:
    """What the checks say of each server, told by whoever checks."""
    metrics.gauge_from("scalelab_upstream_healthy", "Servers that take traffic.", lambda: sum(s.health.state.usable for s in upstream))
    metrics.readings_from(
        "scalelab_upstream_weight",
        "Each server's share.",
        Kind.GAUGE,
        ("server",),
        lambda: (((s.name,), s.weight) for s in every_server(upstream)),
    )
    metrics.readings_from(
        "scalelab_upstream_up",
        "1 for a server that takes traffic, else 0.",
        Kind.GAUGE,
        ("server",),
        lambda: (((s.name,), int(s.health.state.usable and not s.removed)) for s in every_server(upstream)),
    )
    metrics.readings_from(
        "scalelab_upstream_state",
        "1 for the state that the server's health is in, 0 for the others.",
        Kind.GAUGE,
        ("server", "state"),
        lambda: (((s.name, state.value), int(s.health.state is state)) for s in every_server(upstream) for state in State),
    )
    metrics.readings_from(
        "scalelab_upstream_checks_total",
        "Health checks by their result.",
        Kind.COUNTER,
        ("server", "result"),
        lambda: (
            ((s.name, result), count)
            for s in every_server(upstream)
            for result, count in (("passed", s.counts.checks_passed), ("failed", s.counts.checks_failed))
        ),
    )
    metrics.readings_from(
        "scalelab_upstream_went_down_total",
        "How often a server was taken out of traffic.",
        Kind.COUNTER,
        ("server",),
        lambda: (((s.name,), s.counts.went_down) for s in every_server(upstream)),
    )


def every_server(upstream: Upstream) -> Iterator[Server]:
    """Those that finish their last requests too."""
    yield from upstream
    yield from upstream.leaving


def add_certificates(metrics: MetricSet, store: "CertificateStore") -> None:
    """The certificates of the TLS listener."""
    metrics.readings_from(
        "scalelab_lb_certificate_expiry_timestamp_seconds",
        "When each certificate that is served expires, in Unix seconds.",
        Kind.GAUGE,
        ("file",),
        lambda: (((certificate.file,), certificate.expires) for certificate in store.certificates),
    )
    metrics.readings_from(
        "scalelab_lb_certificate_reads_total",
        "How often certificate files that had changed were read, by what came of it: changed or failed.",
        Kind.COUNTER,
        ("result",),
        lambda: (((result,), count) for result, count in store.reloads.items()),
    )


def add_handshakes(metrics: MetricSet, factory: "TLSServerFactory") -> None:
    """The TLS listener's clients."""
    metrics.counter_from(
        "scalelab_lb_tls_handshakes_failed_total",
        "Connections to the TLS listener that ended before their handshake did.",
        lambda: factory.failed_handshakes,
    )


def add_announcements(metrics: MetricSet, announcements: Announcements) -> None:
    """The PROXY protocol headers of clients' connections."""
    metrics.readings_from(
        "scalelab_lb_proxy_headers_total",
        "Connections that had to begin with a PROXY protocol header, by what came of it: read or refused.",
        Kind.COUNTER,
        ("result",),
        lambda: ((("read",), announcements.read), (("refused",), announcements.refused)),
    )
