"""What every process tells of itself: CPU, memory, descriptors, and how late its event loop is."""

from prometheus_client import PlatformCollector, ProcessCollector
from prometheus_client.registry import Collector
from twisted.internet.interfaces import IReactorTime

from scalability.lifecycle import Ticker
from scalability.telemetry.histogram import Histogram
from scalability.telemetry.metrics import MetricSet


def process_collectors() -> tuple[Collector, ...]:
    """The standard ``process_*`` metrics and ``python_info``, read from /proc at each scrape (about 0.2 ms)."""
    return (ProcessCollector(registry=None), PlatformCollector(registry=None))


class LoopLag(Ticker):
    """Measures how late the reactor calls what was due: whatever blocks the loop shows up here first.

    Every ``interval_s`` seconds one sample goes into the histogram ``name``. Python's epoll rounds its
    timeout up to a millisecond, so an idle process shows about 0.5 ms.
    """

    def __init__(
        self, clock: IReactorTime, metrics: MetricSet, *, interval_s: float = 0.5, name: str = "scalelab_event_loop_lag_seconds"
    ) -> None:
        super().__init__(clock, interval_s, self._measure, now=False)
        self.histogram: Histogram = metrics.histogram(name, "How late the event loop called what was due.")
        self._step_s = interval_s
        self._started_s = 0.0
        self._due_s = 0.0

    def startService(self) -> None:
        self._started_s = self._clock.seconds()
        self._due_s = self._started_s + self._step_s
        super().startService()

    def _measure(self) -> None:
        now = self._clock.seconds()
        self.histogram.record(now - self._due_s)
        # as LoopingCall does: the next multiple of the interval, counted from the start
        self._due_s = self._started_s + ((now - self._started_s) // self._step_s + 1) * self._step_s
