"""The lab's own metrics."""

from prometheus_client import CollectorRegistry, generate_latest

from scalability.lab.metrics import LabCollector
from scalability.lab.supervisor import ChildSpec, Supervisor
from scalability.testing.fake_processes import ProcessClock


def test_children_and_their_restarts_are_counted() -> None:
    clock = ProcessClock()
    supervisor = Supervisor(clock, environ={})
    for name in ("cache", "lb"):
        supervisor.add(ChildSpec(name, ["/bin/" + name]))
    supervisor.startService()
    supervisor.mark_ready("cache")
    clock.advance(10)
    clock.spawned[1].end(signal=9)
    registry = CollectorRegistry()
    registry.register(LabCollector(supervisor))
    text = generate_latest(registry).decode()
    assert 'scalelab_child_ready{child="cache"} 1.0' in text
    assert 'scalelab_child_ready{child="lb"} 0.0' in text
    assert 'scalelab_child_restarts_total{child="lb"} 1.0' in text
    supervisor.stopService()
    clock.spawned[0].end()
