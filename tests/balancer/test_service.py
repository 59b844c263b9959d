"""The whole balancer in memory: parts in order, checks, forwarding, draining."""

from pathlib import Path
from typing import Any

from twisted.application.service import IService

from scalability.balancer.config import BalancerOptions
from scalability.balancer.service import balancer
from scalability.lifecycle import DeadlineWheel
from scalability.lifecycle.signals import IgnoredSignal
from scalability.net.listen import Listener
from scalability.proxy.lag import LagSampler
from scalability.telemetry.access_log import AccessLog
from scalability.testing.memory import MemoryNetwork
from scalability.upstream.discovery import Backend
from scalability.upstream.probe import HealthChecks
from scalability.upstream.servers import Upstream
from scalability.upstream.sources import Sources
from scalability.upstream.upkeep import Upkeep

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def parts(service: Any) -> list[type[IService]]:
    return [type(part) for part in service]


def test_what_requests_need_stands_below_what_accepts_them(tmp_path: Path) -> None:
    options = BalancerOptions(backend=(Backend.parse("dns:gateway:5000"),), access_log=tmp_path / "access.log")
    assert parts(balancer(MemoryNetwork(), options)) == [
        DeadlineWheel,
        Upstream,
        Upkeep,
        HealthChecks,
        Sources,
        LagSampler,
        AccessLog,
        Listener,
    ]


def test_there_is_no_log_and_no_discovery_unless_asked_for() -> None:
    assert parts(balancer(MemoryNetwork(), BalancerOptions(shed_lag_s=0.0))) == [
        DeadlineWheel,
        Upstream,
        Upkeep,
        HealthChecks,
        Sources,
        IgnoredSignal,
        Listener,
    ]


def test_it_checks_its_servers_and_forwards_to_them_in_turns() -> None:
    network = MemoryNetwork()
    service: Any = balancer(network, BalancerOptions(backend=(Backend.parse("192.0.2.8:81"), Backend.parse("192.0.2.9:82"))))
    *below, listener = service
    for part in below:
        part.startService()
    network.advance(0.25)
    assert sorted((attempt.host, attempt.port) for attempt in network.attempts) == [("192.0.2.8", 81), ("192.0.2.9", 82)]
    for _ in range(2):
        check = network.accept()
        assert check.taken().startswith(b"GET /health HTTP/1.1\r\n")
        check.deliver(ANSWER)
    client = network.connect_to(listener._factory)
    hosts = []
    for _ in range(2):
        client.deliver(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
        (attempt,) = network.attempts
        hosts.append(attempt.host)
        server = network.accept()
        sent = server.taken()
        assert sent.startswith(b"GET /a HTTP/1.1\r\n")
        assert b"Via: 1.1 scalelab-lb-" in sent
        server.deliver(ANSWER)
        assert client.taken().startswith(b"HTTP/1.1 200")
    assert sorted(hosts) == ["192.0.2.8", "192.0.2.9"]
    for part in reversed(below):
        part.stopService()
    client.reset()
    network.advance(0)
    assert network.getDelayedCalls() == []


def test_two_balancers_in_a_row_are_no_loop_and_one_behind_itself_is() -> None:
    options = BalancerOptions(backend=(Backend.parse("192.0.2.8:81"),))

    def sent_by(service: Any, network: MemoryNetwork, request: bytes) -> bytes:
        *_, listener = service
        client = network.connect_to(listener._factory)
        client.deliver(request)
        return network.accept().taken() if network.attempts else client.taken()

    network = MemoryNetwork()
    first, second = balancer(network, options), balancer(network, options)
    once = sent_by(first, network, b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
    assert sent_by(second, network, once).startswith(b"GET /a")
    assert sent_by(first, network, once).startswith(b"HTTP/1.1 508")
