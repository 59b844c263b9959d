"""Numbers of each server, of one upstream or several."""

from typing import Any

from scalability.lifecycle import DeadlineWheel
from scalability.net.connection_pool import ConnectionPool
from scalability.telemetry import MetricSet
from scalability.testing.memory import MemoryNetwork
from scalability.upstream.per_server import PerServer, add_server_health, add_server_traffic
from scalability.upstream.selection import RoundRobin
from scalability.upstream.servers import Upstream
from scalability.upstream.spec import ServerSpec


def upstream(*servers: str) -> Upstream:
    network = MemoryNetwork()
    wheel = DeadlineWheel(network)
    made = Upstream(RoundRobin, lambda spec: ConnectionPool(network, spec.address, wheel))
    made.name_servers("test", [ServerSpec.parse(server) for server in servers], trusted=True)
    return made


def test_the_servers_of_several_upstreams_are_told_apart_by_labels_of_their_own() -> None:
    metrics = MetricSet()
    each = PerServer(metrics, (("/a",), upstream("h:1", "h:2")), (("/b",), upstream("h:1")), names=("route",))
    add_server_traffic(each)
    add_server_health(each)
    samples: list[Any] = [sample for family in metrics.collect() for sample in family.samples]
    requests = [sample.labels for sample in samples if sample.name == "scalelab_upstream_requests_total"]
    assert requests == [{"route": "/a", "server": "h:1"}, {"route": "/a", "server": "h:2"}, {"route": "/b", "server": "h:1"}]
    assert {"route": "/b", "server": "h:1", "state": "closed"} in [
        sample.labels for sample in samples if sample.name == "scalelab_upstream_breaker_state"
    ]
