"""Counters, gauges and histograms on plain integers, read only when somebody asks.

``prometheus_client`` costs 0.3 to 1.3 us a call; ``counter.value += 1`` costs 0.03. So the suite counts by itself, and a
``MetricSet`` is a custom collector: its numbers meet the Prometheus client's own exposition at scrape time.

A name follows Prometheus: base units (``_seconds``, ``_bytes``), counters end in ``_total``. Label values come from a
small fixed set (a route's template, a status), never from a request's bytes. As a second line of defence a family that has
``limit`` children answers further ones with one child whose every label is ``other``.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import Generic, NamedTuple, TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.core import Metric as PrometheusMetric
from prometheus_client.registry import Collector
from twisted.logger import Logger

from scalability.telemetry.buckets import Buckets
from scalability.telemetry.histogram import Histogram

LIMIT = 1000
"""Children of a family, unless it says otherwise."""
OTHER = "other"
"""The value of every label of the child that stands for those beyond the limit."""

_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")


class Counter:
    """A number that only grows: ``counter.value += 1``."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: int | float = 0


class Gauge:
    """A number that goes up and down: ``gauge.value = n``."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: int | float = 0


class Kind(Enum):
    """What Prometheus is told in ``# TYPE``."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


Labels = tuple[str, ...]


class Reading(NamedTuple):
    """One time series as it stands now: its label values, in the order of the metric's labels, and a number or a histogram."""

    labels: Labels
    value: int | float | Histogram


class Metric(NamedTuple):
    """A metric as it stands in a ``MetricSet``; ``read`` is called once for each scrape."""

    name: str
    help: str
    kind: Kind
    labels: Labels
    read: Callable[[], Iterable[Reading]]


ChildT = TypeVar("ChildT", bound=Counter | Gauge | Histogram)


class Family(Generic[ChildT]):
    """The children of one metric with labels. Look a child up once and keep it where that is possible; ``labelled`` costs 0.1 us."""

    __slots__ = ("_children", "_limit", "_make", "_width")

    def __init__(self, make: Callable[[], ChildT], width: int, limit: int = LIMIT) -> None:
        self._make = make
        self._width = width
        self._limit = limit
        self._children: dict[Labels, ChildT] = {}

    def labelled(self, *values: str) -> ChildT:
        """The child with these label values, made when it is new. Raises TypeError when their number is wrong."""
        child = self._children.get(values)
        if child is None:
            if len(values) != self._width:
                raise TypeError(f"{self._width} label values are needed, not {values}")
            if len(self._children) >= self._limit:
                values = (OTHER,) * self._width
                child = self._children.get(values)
                if child is not None:
                    return child
            child = self._children[values] = self._make()
        return child

    def remove(self, *values: str) -> None:
        """Forget a child: for what is gone for good, as a backend that discovery took away."""
        self._children.pop(values, None)

    def readings(self) -> list[Reading]:
        """Every child as it stands now."""
        return [Reading(labels, child if isinstance(child, Histogram) else child.value) for labels, child in self._children.items()]


class MetricSet(Collector):
    """The metrics of one process (or of one part of it: ``include`` puts sets together). Each name exists once.

    Two ways to fill it: ask it for a ``counter``, ``gauge`` or ``histogram`` and count there; or leave the numbers on the
    objects that own them and register what reads them (``counter_from``, ``gauge_from``, ``histogram_from``, ``readings_from``).
    """

    log = Logger()

    def __init__(self) -> None:
        self._metrics: dict[str, Metric] = {}
        self._included: list[MetricSet] = []

    def __iter__(self) -> Iterator[Metric]:
        yield from self._metrics.values()
        for part in self._included:
            yield from part

    def collect(self) -> Iterator[PrometheusMetric]:
        """Every metric as the Prometheus client wants it.

        One that cannot be read is logged and left out: a broken gauge must not blind its reader to all others.
        """
        for metric in self:
            try:
                family = _family(metric)
            except Exception:
                self.log.failure("the metric {name} cannot be read", name=metric.name)
                continue
            yield family

    def include(self, part: "MetricSet") -> None:
        """Show ``part``'s metrics too, now and later. Raises ValueError when a name exists twice."""
        mine = {_family_name(metric.name) for metric in self}
        for metric in part:
            if _family_name(metric.name) in mine:
                raise ValueError(f"there are two metrics named {metric.name}")
        self._included.append(part)

    def counter(self, name: str, help: str) -> Counter:  # noqa: A002 - Prometheus's word
        """A counter without labels. ``name`` ends in ``_total``."""
        counter = Counter()
        self._add(name, help, Kind.COUNTER, (), lambda: (Reading((), counter.value),))
        return counter

    def gauge(self, name: str, help: str) -> Gauge:  # noqa: A002
        """A gauge without labels."""
        gauge = Gauge()
        self._add(name, help, Kind.GAUGE, (), lambda: (Reading((), gauge.value),))
        return gauge

    def histogram(self, name: str, help: str) -> Histogram:  # noqa: A002
        """A histogram of seconds without labels. ``name`` ends in ``_seconds``."""
        histogram = Buckets()
        self._add(name, help, Kind.HISTOGRAM, (), lambda: (Reading((), histogram),))
        return histogram

    def counters(self, name: str, help: str, labels: Labels, *, limit: int = LIMIT) -> Family[Counter]:  # noqa: A002
        """Counters with labels."""
        family = Family(Counter, len(labels), limit)
        self._add(name, help, Kind.COUNTER, labels, family.readings)
        return family

    def gauges(self, name: str, help: str, labels: Labels, *, limit: int = LIMIT) -> Family[Gauge]:  # noqa: A002
        """Gauges with labels."""
        family = Family(Gauge, len(labels), limit)
        self._add(name, help, Kind.GAUGE, labels, family.readings)
        return family

    def histograms(self, name: str, help: str, labels: Labels, *, limit: int = LIMIT) -> Family[Histogram]:  # noqa: A002
        """Histograms of seconds with labels."""
        family: Family[Histogram] = Family(Buckets, len(labels), limit)
        self._add(name, help, Kind.HISTOGRAM, labels, family.readings)
        return family

    def counter_from(self, name: str, help: str, read: Callable[[], int | float]) -> None:  # noqa: A002
        """A counter whose number lives elsewhere; ``read`` is called at each scrape, is quick, and its answer never falls."""
        self._add(name, help, Kind.COUNTER, (), lambda: (Reading((), read()),))

    def gauge_from(self, name: str, help: str, read: Callable[[], int | float]) -> None:  # noqa: A002
        """A gauge whose number lives elsewhere; ``read`` is called at each scrape and is quick."""
        self._add(name, help, Kind.GAUGE, (), lambda: (Reading((), read()),))

    def histogram_from(self, name: str, help: str, read: Callable[[], Histogram]) -> None:  # noqa: A002
        """A histogram that lives elsewhere; ``read`` is called at each scrape and is quick."""
        self._add(name, help, Kind.HISTOGRAM, (), lambda: (Reading((), read()),))

    def readings_from(
        self,
        name: str,
        help: str,  # noqa: A002
        kind: Kind,
        labels: Labels,
        read: Callable[[], Iterable[tuple[Labels, int | float | Histogram]]],
    ) -> None:
        """Time series whose numbers live elsewhere: ``read`` gives ``(label values, number or Histogram)`` for each, at each scrape."""
        self._add(name, help, kind, labels, lambda: (Reading(values, value) for values, value in read()))

    def _add(self, name: str, explanation: str, kind: Kind, labels: Labels, read: Callable[[], Iterable[Reading]]) -> None:
        if not _NAME.match(name) or not all(_NAME.match(label) for label in labels):
            raise ValueError(f"{name}: names and labels are lower case letters, digits and underscores")
        if (kind is Kind.COUNTER) != name.endswith("_total"):
            raise ValueError(f"{name}: a counter's name, and no other, ends in _total")
        if kind is Kind.HISTOGRAM and not name.endswith("_seconds"):
            raise ValueError(f"{name}: a histogram's name ends in _seconds")
        if any(_family_name(metric.name) == _family_name(name) for metric in self):
            raise ValueError(f"there are two metrics named {name}")
        self._metrics[name] = Metric(name, explanation, kind, labels, read)


def _family_name(name: str) -> str:
    # OpenMetrics names the family without the suffix: a gauge x beside a counter x_total would be one family of two kinds
    return name.removesuffix("_total")


def _family(metric: Metric) -> PrometheusMetric:
    if metric.kind is Kind.HISTOGRAM:
        histograms = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
        for labels, value in metric.read():
            assert isinstance(value, Histogram)
            buckets: list[tuple[str, float]] = [(repr(boundary), count) for boundary, count in value.cumulative()]
            buckets.append(("+Inf", value.count))
            histograms.add_metric(labels, buckets, value.sum_s)
        return histograms
    numbers = (
        CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
        if metric.kind is Kind.COUNTER
        else GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
    )
    for labels, value in metric.read():
        assert not isinstance(value, Histogram)
        numbers.add_metric(labels, value)
    return numbers
