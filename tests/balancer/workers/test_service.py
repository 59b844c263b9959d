"""The parent in memory: its parts in order, and its admin answers."""

from pathlib import Path
from typing import Any

import pytest

from scalability.balancer.config import BalancerOptions
from scalability.balancer.service import balancer
from scalability.balancer.workers.parent import Workers
from scalability.balancer.workers.rotation import Rotation
from scalability.balancer.workers.service import balancer_of_workers
from scalability.config import Address, CertificatePath
from scalability.lifecycle import DeadlineWheel
from scalability.net.listen import Listener
from scalability.telemetry import LoopLag
from scalability.testing.certificates import Authority
from scalability.testing.memory import MemoryNetwork
from scalability.testing.played_workers import PlayedWorkers
from scalability.upstream.discovery import Backend
from scalability.upstream.probe import HealthChecks
from scalability.upstream.servers import Upstream
from scalability.upstream.sources import Sources
from scalability.upstream.upkeep import Upkeep


def test_the_workers_stand_above_what_decides_about_the_servers_and_above_the_admin_listener() -> None:
    options = BalancerOptions(workers=2, backend=(Backend.parse("dns:gateway:5000"),), admin=Address("127.0.0.1", 0))
    service: Any = balancer_of_workers(MemoryNetwork(), options, start=PlayedWorkers().start)
    assert [type(part) for part in service] == [
        DeadlineWheel,
        Upstream,
        Upkeep,
        HealthChecks,
        Sources,
        Rotation,
        LoopLag,
        Listener,
        Workers,
    ]


def test_more_than_one_worker_makes_a_parent_and_one_makes_none() -> None:
    assert isinstance(list(balancer(MemoryNetwork(), BalancerOptions(workers=2)))[-1], Workers)
    assert isinstance(list(balancer(MemoryNetwork(), BalancerOptions(workers=1)))[-1], Listener)


def test_metrics_are_collected_from_the_workers_before_they_are_shown() -> None:
    network = MemoryNetwork()
    processes = PlayedWorkers()
    options = BalancerOptions(workers=2, listen=Address("127.0.0.1", 0), admin=Address("127.0.0.1", 0))
    service: Any = balancer_of_workers(network, options, start=processes.start)
    *_, admin, workers = service
    workers.startService()
    try:
        for worker in processes.started:
            worker.serve()
            worker.taken()
        client = network.connect_to(admin._factory)
        client.deliver(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.taken() == b""
        for number, worker in enumerate(processes.started, 1):
            worker.report(worker.taken()[0].round, requests=number)
        answer = client.taken()
        assert answer.startswith(b"HTTP/1.1 200")
        assert b'sent_total{server="192.0.2.1:80"} 3.0' in answer
        assert b'scalelab_lb_worker_up{worker="2"} 1.0' in answer
    finally:
        workers.stopService()
        for worker in processes.started:
            worker.end()


@pytest.mark.parametrize("log", [Path("access.log"), None])
def test_with_an_access_log_or_without_the_parent_passes_its_signal_on(log: Path | None) -> None:
    options = BalancerOptions(workers=2, access_log=log)
    service: Any = balancer_of_workers(MemoryNetwork(), options, start=PlayedWorkers().start)
    assert [type(part) for part in service] == [DeadlineWheel, Upstream, Upkeep, HealthChecks, Sources, Rotation, Workers]


def test_more_certificates_than_workers_can_be_told_end_the_start_with_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scalability.balancer.workers.service.MAX_PEM_BYTES", 100)
    file = Authority().write(tmp_path / "a.pem", "a.example")
    options = BalancerOptions(workers=2, tls_listen=Address("127.0.0.1", 0), tls_cert=(CertificatePath(file),))
    with pytest.raises(SystemExit, match=r"^scalelab-lb: --tls-cert: more than 100 bytes"):
        balancer_of_workers(MemoryNetwork(), options, start=PlayedWorkers().start)


def test_the_parent_watches_the_certificates_and_tells_of_them(tmp_path: Path) -> None:
    file = Authority().write(tmp_path / "a.pem", "a.example")
    options = BalancerOptions(workers=2, tls_listen=Address("127.0.0.1", 0), tls_cert=(CertificatePath(file),))
    service: Any = balancer_of_workers(MemoryNetwork(), options, start=PlayedWorkers().start)
    assert [type(part).__name__ for part in service if "Certificate" in type(part).__name__] == ["CertificateWatch"]
