"""The metrics of several processes as those of one.

Each process tells its ``MetricSet`` as plain data (``told``); whoever is scraped adds them up (``MergedMetrics``): counters and
gauges are sums (a gauge that is a time or a share, ``_seconds`` or ``_ratio``, is the greatest), histograms are merged cell by cell,
which is exact. What a process counted stays counted when it ends, so that no counter ever falls; its gauges go with it.
"""

from collections.abc import Container, Iterator
from typing import NamedTuple

from scalability.telemetry.histogram import Histogram, HistogramState
from scalability.telemetry.metrics import Kind, Labels, Metric, MetricSet, Reading


class ToldReading(NamedTuple):
    """One time series: its label values, and a number or a histogram."""

    labels: Labels
    number: int | float | None = None
    histogram: HistogramState | None = None


class ToldMetric(NamedTuple):
    """One metric with all its time series, ready for JSON."""

    name: str
    help: str
    kind: Kind
    labels: Labels
    readings: list[ToldReading]


def told(metrics: MetricSet) -> list[ToldMetric]:
    """What ``metrics`` say now."""
    return [ToldMetric(metric.name, metric.help, metric.kind, metric.labels, [_told(r) for r in metric.read()]) for metric in metrics]


def _told(reading: Reading) -> ToldReading:
    if isinstance(reading.value, Histogram):
        return ToldReading(reading.labels, None, reading.value.state())
    return ToldReading(reading.labels, reading.value)


class _Sum:
    """One metric of all processes."""

    def __init__(self, metric: ToldMetric) -> None:
        self.metric = metric
        self.values: dict[Labels, int | float | Histogram] = {}

    def add(self, metric: ToldMetric) -> None:
        for labels, number, state in metric.readings:
            known = self.values.get(labels)
            if state is not None:
                if isinstance(known, Histogram):
                    known.merge(Histogram.of(state))
                else:
                    self.values[labels] = Histogram.of(state)
            elif number is not None:
                if not isinstance(known, int | float):
                    self.values[labels] = number
                elif metric.kind is Kind.GAUGE and metric.name.endswith(("_seconds", "_ratio")):
                    self.values[labels] = max(known, number)
                else:
                    self.values[labels] = known + number

    def read(self) -> list[Reading]:
        return [Reading(labels, value) for labels, value in self.values.items()]


class MergedMetrics(MetricSet):
    """The sum of what several processes told last. It has no metrics of its own."""

    def __init__(self) -> None:
        super().__init__()
        self._told: dict[int, list[ToldMetric]] = {}
        self._past: dict[str, ToldMetric] = {}

    def tell(self, process: int, metrics: list[ToldMetric]) -> None:
        """``process`` says this of itself now."""
        self._told[process] = metrics

    def ended(self, process: int) -> None:
        """``process`` is no more: what it counted is kept."""
        for metric in self._told.pop(process, ()):
            if metric.kind is Kind.GAUGE:
                continue
            total = _Sum(metric)
            for part in (self._past.get(metric.name), metric):
                if part is not None:
                    total.add(part)
            self._past[metric.name] = metric._replace(readings=[_told(reading) for reading in total.read()])

    def forget(self, label: str, known: Container[str]) -> None:
        """Drop what ended processes counted under values of ``label`` that are not in ``known`` any more."""
        for name, metric in self._past.items():
            if label in metric.labels:
                place = metric.labels.index(label)
                kept = [reading for reading in metric.readings if reading.labels[place] in known]
                self._past[name] = metric._replace(readings=kept)

    def __iter__(self) -> Iterator[Metric]:
        sums: dict[str, _Sum] = {}
        for metrics in (self._past.values(), *self._told.values()):
            for metric in metrics:
                known = sums.get(metric.name)
                if known is None:
                    known = sums[metric.name] = _Sum(metric)
                known.add(metric)
        for total in sums.values():
            name, explanation, kind, labels, _ = total.metric
            yield Metric(name, explanation, kind, labels, total.read)
