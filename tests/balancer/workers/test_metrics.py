"""What the parent tells of its workers."""

from typing import Any

from scalability.balancer.config import BalancerOptions
from scalability.balancer.traffic import Connections
from scalability.balancer.workers.metrics import add_workers
from scalability.balancer.workers.parent import Workers
from scalability.lifecycle import DeadlineWheel
from scalability.telemetry import MetricSet
from scalability.testing.memory import MemoryNetwork
from scalability.testing.played_workers import PlayedWorkers
from scalability.upstream.selection import RoundRobin
from scalability.upstream.servers import Upstream


def test_each_worker_is_a_time_series() -> None:
    network = MemoryNetwork()
    options = BalancerOptions(workers=2)
    upstream = Upstream(RoundRobin, Connections(network, options, DeadlineWheel(network)))
    processes = PlayedWorkers()
    workers = Workers(network, options, [], upstream, via="lb", start=processes.start)
    metrics = MetricSet()
    add_workers(metrics, workers)

    def values() -> dict[str, list[Any]]:
        return {m.name.removeprefix("scalelab_lb_worker_"): [(*r.labels, r.value) for r in m.read()] for m in metrics}

    workers.startService()
    processes.started[0].serve()
    processes.started[0].report(active=3)
    assert values() == {
        "up": [("1", 1), ("2", 0)],
        "restarts_total": [("1", 0), ("2", 0)],
        "open_connections": [("1", 3)],
        "cpu_seconds_total": [("1", 0.5)],
        "resident_memory_bytes": [("1", 1000)],
    }
    processes.started[0].end()
    network.advance(1)
    assert values()["up"] == [("1", 0), ("2", 0)]
    assert values()["restarts_total"] == [("1", 1), ("2", 0)]
    assert values()["open_connections"] == []
