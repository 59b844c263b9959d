"""A worker in memory: what it is told, what it tells, and how it answers for the whole."""

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from scalability.balancer.config import BalancerOptions
from scalability.balancer.workers import worker as module
from scalability.balancer.workers.messages import (
    AskHealth,
    Certificates,
    Changed,
    Collect,
    Health,
    Refused,
    Report,
    Servers,
    Setup,
    Why,
    WhyAnswer,
)
from scalability.balancer.workers.worker import HEALTH_S, REPORT_S, WorkerService, resident_bytes
from scalability.config import Address, CertificatePath
from scalability.config.certificate import PEM
from scalability.config.load import dump
from scalability.net.listen import Listener
from scalability.testing.certificates import Authority
from scalability.testing.memory import MemoryNetwork, MemoryTransport
from scalability.upstream.health import State
from scalability.upstream.mirror import ServerState

UP = Servers([ServerState("192.0.2.8:81", State.UP)])
HEALTH = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"


class House:
    """A worker whose parent is the test."""

    def __init__(self, **options: Any) -> None:
        self.network = MemoryNetwork()
        self.said: list[Any] = []
        self.full = False
        setup = Setup(1, dump(BalancerOptions(workers=2, **options)), "scalelab-lb-test", ["--listen"])
        self.service: Any = WorkerService(self.network, setup, UP, self.said.append, full=lambda: self.full)
        self.listener: Any = next(part for part in self.service if isinstance(part, Listener))
        for part in self.service:
            if part is not self.listener:
                part.startService()
        self.taken()

    def client(self) -> MemoryTransport:
        return self.network.connect_to(self.listener._factory)

    def taken(self) -> list[Any]:
        said = list(self.said)
        self.said.clear()
        return said


def test_it_forwards_to_the_servers_that_it_was_told_of() -> None:
    house = House()
    client = house.client()
    client.deliver(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
    (attempt,) = house.network.attempts
    assert (attempt.host, attempt.port) == ("192.0.2.8", 81)
    server = house.network.accept()
    assert b"Via: 1.1 scalelab-lb-test" in server.taken()
    server.deliver(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    assert client.taken().startswith(b"HTTP/1.1 200")
    house.service.received(Servers([ServerState("192.0.2.8:81", State.DOWN, unreachable=True)]))
    client.deliver(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
    assert client.taken().startswith(b"HTTP/1.1 503")


def test_it_serves_the_certificates_that_it_was_told_of_and_looks_at_no_file(tmp_path: Path) -> None:
    authority = Authority()
    old, new = (PEM("gone.pem", "gone.pem", *authority.issue(name)) for name in ("a.example", "b.example"))
    options = BalancerOptions(workers=2, tls_listen=Address("127.0.0.1", 0), tls_cert=(CertificatePath(tmp_path / "gone.pem"),))
    setup = Setup(0, dump(options), "lb", ["--listen", "--tls-listen"], [old])
    service: Any = WorkerService(MemoryNetwork(), setup, UP, lambda message: None)
    assert [type(part).__name__ for part in service if "Certificate" in type(part).__name__] == []
    before = service._certificates.context_for(None)
    service.received(Certificates([new]))
    assert service._certificates.context_for(b"b.example") is service._certificates.context_for(None) is not before
    House().service.received(Certificates([new]))  # without TLS it is none of its business


def test_it_checks_nobody() -> None:
    house = House()
    house.network.advance(10)
    assert house.network.attempts == []


def test_refused_connections_are_told_once_a_turn() -> None:
    house = House()
    clients = [house.client() for _ in range(3)]
    for client in clients:
        client.deliver(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
    for _ in clients:
        house.network.refuse()
    house.network.advance(0)
    assert house.taken() == [Refused({"192.0.2.8:81": 3})]
    assert all(client.taken().startswith(b"HTTP/1.1 502") for client in clients)


def test_it_reports_when_it_is_asked_and_every_two_seconds_unless_its_parent_does_not_read() -> None:
    house = House()
    house.client()
    house.service.received(Collect(7))
    (report,) = house.taken()
    assert isinstance(report, Report)
    assert (report.round, report.open_connections) == (7, 1)
    assert [(use.name, use.active, use.requests, use.leaving) for use in report.servers] == [("192.0.2.8:81", 0, 0, False)]
    assert {"scalelab_lb_accepted_total", "scalelab_upstream_requests_total", "scalelab_lb_worker_event_loop_lag_seconds"} <= {
        metric.name for metric in report.metrics
    }
    assert "scalelab_upstream_healthy" not in {metric.name for metric in report.metrics}, "who decides tells that"
    house.network.advance(REPORT_S)
    assert [type(message) for message in house.taken()] == [Report]
    house.full = True
    house.network.advance(REPORT_S)
    assert house.taken() == []


def test_its_share_of_the_clients_is_all_that_it_accepts() -> None:
    assert House(max_connections=5).listener._factory.room() == 2


def test_health_is_asked_of_the_parent() -> None:
    house = House()
    client = house.client()
    client.deliver(HEALTH)
    assert house.taken() == [AskHealth()]
    assert client.taken() == b""
    house.service.received(Health('{"status":"ok","all":true}'))
    answer = client.taken()
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b'{"status":"ok","all":true}')
    assert house.taken() == []


def test_one_question_is_on_its_way_at_a_time() -> None:
    house = House()
    clients = [house.client() for _ in range(3)]
    for client in clients:
        client.deliver(HEALTH)
    assert house.taken() == [AskHealth()]
    house.service.received(Health('"first"'))
    assert [b"first" in client.taken() for client in clients] == [True, False, False]
    assert house.taken() == [AskHealth()]
    house.service.received(Health('"second"'))
    assert [b"second" in client.taken() for client in clients] == [False, True, True]
    assert house.taken() == []


def test_when_the_parent_hangs_a_worker_says_what_it_knows() -> None:
    house = House()
    client = house.client()
    client.deliver(HEALTH)
    for _ in range(20):
        house.network.advance(HEALTH_S / 10)
    answer = client.taken()
    assert answer.startswith(b"HTTP/1.1 200")
    body = msgspec.json.decode(answer.partition(b"\r\n\r\n")[2])
    assert (body["status"], body["servers"][0]["name"]) == ("ok", "192.0.2.8:81")


def test_a_question_with_an_upload_is_answered_and_its_body_thrown_away() -> None:
    house = House()
    client = house.client()
    client.deliver(b"GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab")
    client.deliver(b"c")
    house.service.received(Health('"fine"'))
    assert b'"fine"' in client.taken()


def test_a_client_that_leaves_before_the_answer_is_no_trouble() -> None:
    house = House()
    gone, stays = house.client(), house.client()
    gone.deliver(b"GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab")
    gone.reset()
    stays.deliver(HEALTH)
    house.service.received(Health('"first"'))
    house.service.received(Health('"second"'))
    assert b'"second"' in stays.taken()


def test_it_listens_with_what_it_inherits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_SOCKET", 100)
    house = House()
    assert house.listener._descriptor == 100


def test_resident_memory_is_read_where_the_machine_tells_it(tmp_path: Path) -> None:
    assert resident_bytes() > 1 << 20
    assert resident_bytes(tmp_path / "nothing") == 0
    statm = tmp_path / "statm"
    statm.write_text("1 2 3")
    assert resident_bytes(statm) == 2 * os.sysconf("SC_PAGE_SIZE")


def test_it_explains_the_requests_that_it_served() -> None:
    house = House()
    client = house.client()
    client.deliver(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
    house.network.accept().deliver(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    (name,) = [line.split(b": ")[1].decode() for line in client.taken().split(b"\r\n") if line.startswith(b"X-Request-Id")]
    house.service.received(Why(7, name))
    house.service.received(Why(8, "another"))
    known, unknown = (message for message in house.taken() if isinstance(message, WhyAnswer))
    assert (known.number, [decision["server"] for decision in known.decisions]) == (7, ["192.0.2.8:81"])
    assert unknown == WhyAnswer(8, [])


def test_its_reports_tell_its_queue_and_its_breakers() -> None:
    house = House()
    house.service.received(Collect(1))
    (report,) = house.taken()
    assert (report.servers[0].breaker, report.servers[0].ewma_s) == ("closed", None)
    assert (report.process.waiting, report.process.percent) == (0, 20)


def test_other_options_hold_from_then_on_with_its_share_of_the_caps() -> None:
    house = House()
    house.service.received(Changed(dump(BalancerOptions(workers=2, max_body_bytes=5, max_connections_per_client=6, connect_timeout_s=1.0))))
    client = house.client()
    client.deliver(b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nhello!")
    assert client.taken().startswith(b"HTTP/1.1 413")
    assert house.listener._factory._max_per_client == 3
    (server,) = house.service._upstream
    assert server.pool.connect_timeout_s == 1.0
