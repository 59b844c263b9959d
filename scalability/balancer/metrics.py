"""What the balancer tells Prometheus: its clients' side, and each server behind it. Read at scrape time from plain integers."""

from typing import TYPE_CHECKING

from scalability.balancer.front import is_health
from scalability.net.exchange import Exchange
from scalability.net.http_server import HTTPServerFactory
from scalability.net.proxy_protocol import Announcements
from scalability.proxy.application import ProxyApplication
from scalability.telemetry import Histogram, Kind, MetricSet
from scalability.telemetry.http_metrics import KNOWN_METHODS, OTHER_METHOD
from scalability.upstream.per_server import PerServer, add_server_health, add_server_traffic
from scalability.upstream.servers import Upstream
from scalability.upstream.shedding import Shedding

if TYPE_CHECKING:
    from scalability.balancer.reload import Reload

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
        self._forwarded: dict[int, dict[bytes, Histogram]] = {}
        """By status and method: two dictionaries cost less than one with a tuple for its key."""

    def ended(self, exchange: Exchange, seconds: float) -> None:
        """``HTTPServerFactory`` calls this. Paths are never labels: whatever is forwarded has one route."""
        head = exchange.head
        histogram = None
        if exchange.served_by:
            by_method = self._forwarded.get(exchange.status)
            if by_method is not None:
                histogram = by_method.get(head.method)
        if histogram is None:
            method = KNOWN_METHODS.get(head.method, OTHER_METHOD)
            own = not exchange.served_by and is_health(head)
            histogram = self._durations.labelled(method, "/health" if own else "*", str(exchange.status or CLIENT_GONE))
            if exchange.served_by and method is not OTHER_METHOD and len(self._forwarded) < 1000:
                self._forwarded.setdefault(exchange.status, {})[head.method] = histogram
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
    add_retries(metrics, proxy)
    add_queue(metrics, upstream)
    add_server_traffic(PerServer(metrics, ((), upstream)))


def add_retries(metrics: MetricSet, proxy: ProxyApplication) -> None:
    """What was sent once more, and what the budget said to that."""
    retries = proxy.retries
    metrics.counter_from("scalelab_upstream_retries_total", "Attempts beyond a request's first.", lambda: retries.count)
    metrics.gauge_from("scalelab_upstream_retries_waiting", "Requests that wait for their turn to be retried.", lambda: retries.waiting)
    metrics.gauge_from("scalelab_upstream_retry_budget_in_use", "Retries in flight.", lambda: retries.budget.in_use)
    metrics.readings_from(
        "scalelab_upstream_retry_budget_total",
        "How often the retry budget was asked, by its answer: allowed or denied. Who is denied waits and asks again.",
        Kind.COUNTER,
        ("result",),
        lambda: ((("allowed",), retries.budget.allowed), (("denied",), retries.budget.denied)),
    )


def add_queue(metrics: MetricSet, upstream: Upstream) -> None:
    """Requests that wait for a place at a server; and whether this process believes its checks."""
    metrics.gauge_from("scalelab_upstream_queue_length", "Requests that wait for a place at a server.", lambda: len(upstream.line))
    metrics.readings_from(
        "scalelab_upstream_queue_total",
        "Requests that came to the queue, by what came of it: entered, or refused as it was full; expired and withdrawn ones had entered.",
        Kind.COUNTER,
        ("result",),
        lambda: (
            (("entered",), upstream.line.entered),
            (("refused",), upstream.line.refused),
            (("expired",), upstream.line.expirations),
            (("withdrawn",), upstream.line.withdrawn),
        ),
    )
    metrics.gauge_from(
        "scalelab_upstream_panic",
        "1 while so few servers are healthy that all which can be connected to are used, else 0.",
        lambda: int(upstream.panicking),
    )


def add_shedding(metrics: MetricSet, shedding: Shedding) -> None:
    """What is turned away while the event loop cannot keep up."""
    metrics.counter_from("scalelab_lb_shed_total", "Requests that were turned away because the event loop was late.", lambda: shedding.shed)
    metrics.gauge_from("scalelab_lb_shedding_ratio", "The share of new requests that is turned away, 0 to 1.", lambda: shedding.fraction)
    metrics.gauge_from("scalelab_lb_shedding_lag_seconds", "By how much the event loop was late at least, lately.", lambda: shedding.lag_s)


def add_health(metrics: MetricSet, upstream: Upstream) -> None:
    """What the checks say of each server, told by whoever checks."""
    metrics.gauge_from("scalelab_upstream_healthy", "Servers that take traffic.", lambda: sum(s.health.state.usable for s in upstream))
    add_server_health(PerServer(metrics, ((), upstream)))
    metrics.readings_from(
        "scalelab_upstream_ejections_total",
        "Ejections of servers by their cause.",
        Kind.COUNTER,
        ("cause",),
        lambda: (((cause.value,), count) for cause, count in upstream.ejections.totals.items()),
    )
    metrics.counter_from(
        "scalelab_upstream_ejection_overflows_total",
        "Ejections that did not happen, because too many servers, or all others, were out already.",
        lambda: upstream.ejections.overflows,
    )


def add_reloads(metrics: MetricSet, reload: "Reload") -> None:
    """The configuration, as it is read again."""
    metrics.readings_from(
        "scalelab_lb_reloads_total",
        "How often the configuration was read again, by what came of it: changed, unchanged, refused or failed (half way).",
        Kind.COUNTER,
        ("result",),
        lambda: (((result.value,), count) for result, count in reload.counts.items()),
    )
    metrics.gauge_from(
        "scalelab_lb_last_good_reload_timestamp_seconds",
        "When the configuration that holds was last found to be good, at first the start, in Unix seconds.",
        lambda: reload.good_s,
    )


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
