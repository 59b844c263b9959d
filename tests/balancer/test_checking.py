"""Who decides about the servers: the parts that the configuration asks for."""

from scalability.balancer.checking import checking
from scalability.balancer.config import BalancerOptions
from scalability.balancer.traffic import connections_to
from scalability.lifecycle import DeadlineWheel
from scalability.testing.memory import MemoryNetwork
from scalability.upstream.discovery import Backend, DNSDiscovery
from scalability.upstream.probe import HealthChecks
from scalability.upstream.selection import RoundRobin
from scalability.upstream.servers import Upstream


def test_configured_servers_are_named_and_checked_and_names_are_asked_for() -> None:
    network = MemoryNetwork()
    options = BalancerOptions(backend=(Backend.parse("192.0.2.8:81"), Backend.parse("dns:gateway:5000"), Backend.parse("dns:other:1")))
    wheel = DeadlineWheel(network)
    upstream = Upstream(RoundRobin, connections_to(network, options, wheel))
    assert [type(part) for part in checking(network, options, wheel, upstream)] == [HealthChecks, DNSDiscovery, DNSDiscovery]
    assert [server.name for server in upstream] == ["192.0.2.8:81"]
