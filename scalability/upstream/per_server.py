"""What a proxy tells Prometheus of each server behind it, whoever the proxy is. Read at scrape time from plain integers."""

from collections.abc import Callable, Iterable, Iterator

from scalability.telemetry import Histogram, Kind, MetricSet
from scalability.telemetry.metrics import OTHER, Labels
from scalability.upstream import breaker
from scalability.upstream.health import State
from scalability.upstream.server import Mode, Server
from scalability.upstream.servers import Upstream

MOST = 1000
"""Servers that have time series of their own."""


class PerServer:
    """Metrics of which each server has time series of its own, if it is among the first ``MOST``; the rest share the name ``other``.

    They are summed there, whatever they count. A server that goes makes room for another one, whose numbers leave ``other``.
    """

    def __init__(self, metrics: MetricSet, *upstreams: tuple[Labels, Upstream], names: Labels = ()) -> None:
        """Each upstream's series begin with labels of its own, of these ``names``."""
        self._metrics = metrics
        self._upstreams = upstreams
        self._names = names
        self.seconds: Callable[[], float] = upstreams[0][1].seconds if upstreams else lambda: 0.0

    def gauge(self, name: str, help: str, read: Callable[[Server], int | float]) -> None:  # noqa: A002 - Prometheus's word
        """One number a server."""
        self.readings(name, help, Kind.GAUGE, (), lambda server: (((), read(server)),))

    def counter(self, name: str, help: str, read: Callable[[Server], int | float]) -> None:  # noqa: A002
        """One number a server, that only grows."""
        self.readings(name, help, Kind.COUNTER, (), lambda server: (((), read(server)),))

    def readings(
        self,
        name: str,
        help: str,  # noqa: A002
        kind: Kind,
        labels: Labels,
        read: Callable[[Server], Iterable[tuple[Labels, int | float | Histogram]]],
    ) -> None:
        """Several time series a server, which differ in ``labels``."""
        self._metrics.readings_from(name, help, kind, (*self._names, "server", *labels), lambda: self._each(read))

    def _each(
        self, read: Callable[[Server], Iterable[tuple[Labels, int | float | Histogram]]]
    ) -> Iterator[tuple[Labels, int | float | Histogram]]:
        place = 0
        for own, upstream in self._upstreams:
            others: dict[Labels, int | float | Histogram] = {}
            for server in each_name(upstream):
                for labels, value in read(server):
                    if place < MOST:
                        yield (*own, server.name, *labels), value
                    else:
                        others[labels] = _sum(others.get(labels), value)
                place += 1
            for labels, value in others.items():
                yield (*own, OTHER, *labels), value


def _sum(known: int | float | Histogram | None, more: int | float | Histogram) -> int | float | Histogram:
    if isinstance(more, Histogram):
        total = known if isinstance(known, Histogram) else Histogram()
        total.merge(more)
        return total
    return more + known if isinstance(known, int | float) else more


def every_server(upstream: Upstream) -> Iterator[Server]:
    """Those that finish their last requests too."""
    yield from upstream
    yield from upstream.leaving


def each_name(upstream: Upstream) -> Iterator[Server]:
    """The same, but one of each name: a server whose place another has taken is told of no more."""
    seen: set[str] = set()
    for server in every_server(upstream):
        if server.name not in seen:
            seen.add(server.name)
            yield server


def add_server_traffic(each: PerServer) -> None:
    """What was sent to each server. A server that is gone for good takes its series along."""
    each.counter("scalelab_upstream_requests_total", "Attempts sent to each server.", lambda s: s.requests)
    each.readings(
        "scalelab_upstream_failures_total",
        "Attempts that ended without a complete answer, by the error's code; client_gone is no fault of the server.",
        Kind.COUNTER,
        ("reason",),
        lambda s: (((code,), count) for code, count in s.failures.items()),
    )
    each.gauge("scalelab_upstream_active", "Requests in flight.", lambda s: s.active)
    each.readings(
        "scalelab_upstream_response_seconds",
        "Time from sending a request to a server to the head of its answer.",
        Kind.HISTOGRAM,
        (),
        lambda s: (((), s.durations),),
    )
    each.readings(
        "scalelab_upstream_ewma_seconds",
        "How long an answer is expected to take by the algorithm peak_ewma, once there was one.",
        Kind.GAUGE,
        (),
        lambda s: () if not s.latency.answered else (((), round(s.latency.cost(each.seconds(), 0), 6)),),
    )
    each.readings(
        "scalelab_upstream_breaker_state",
        "1 for the state of the server's circuit breaker, 0 for the others.",
        Kind.GAUGE,
        ("state",),
        lambda s: (((state.value,), int(s.breaker.state is state)) for state in breaker.State),
    )
    each.counter("scalelab_upstream_breaker_opened_total", "How often the circuit breaker opened.", lambda s: s.breaker.opened)
    each.counter("scalelab_upstream_connects_total", "Connections that were opened for requests.", lambda s: s.pool.connects)
    each.readings(
        "scalelab_upstream_connections",
        "Open connections for requests, by what they do.",
        Kind.GAUGE,
        ("state",),
        lambda s: ((("idle",), s.pool.idle_connections), (("busy",), s.pool.open_connections - s.pool.idle_connections)),
    )


def add_server_health(each: PerServer) -> None:
    """What the checks say of each server, told by whoever checks."""
    each.gauge("scalelab_upstream_weight", "Each server's share.", lambda s: s.weight)
    each.gauge("scalelab_upstream_share", "How much of its weight counts: below 1 while a server starts slowly.", lambda s: s.share)
    each.gauge("scalelab_upstream_up", "1 for a server that takes traffic, else 0.", lambda s: int(s.health.state.usable and not s.removed))
    each.readings(
        "scalelab_upstream_state",
        "1 for the state that the server's health is in, 0 for the others.",
        Kind.GAUGE,
        ("state",),
        lambda s: (((state.value,), int(s.health.state is state)) for state in State),
    )
    each.readings(
        "scalelab_upstream_mode",
        "1 for what an operator wants of the server, 0 for the others.",
        Kind.GAUGE,
        ("mode",),
        lambda s: (((mode.value,), int(s.mode is mode)) for mode in Mode),
    )
    each.gauge("scalelab_upstream_ejected", "1 for a server that is ejected for how its requests ended, else 0.", lambda s: int(s.ejected))
    each.readings(
        "scalelab_upstream_checks_total",
        "Health checks by their result.",
        Kind.COUNTER,
        ("result",),
        lambda s: ((("passed",), s.counts.checks_passed), (("failed",), s.counts.checks_failed)),
    )
    each.counter("scalelab_upstream_went_down_total", "How often a server was taken out of traffic.", lambda s: s.counts.went_down)
