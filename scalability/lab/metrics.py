"""The lab's own metrics: which children run, and how often each was started again."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from scalability.lab.supervisor import State, Supervisor


class LabCollector(Collector):
    """Reads the supervisor when it is scraped."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor

    def collect(self) -> Iterator[Metric]:
        """One gauge and one counter, labelled with the child's name."""
        ready = GaugeMetricFamily("scalelab_child_ready", "1 while the child is ready, else 0.", labels=["child"])
        restarts = CounterMetricFamily("scalelab_child_restarts", "Times that the child was started again.", labels=["child"])
        for name, child in self._supervisor.children.items():
            ready.add_metric([name], float(child.state is State.READY))
            restarts.add_metric([name], child.restarts)
        yield ready
        yield restarts
