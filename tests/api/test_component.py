"""What every server of the suite is made of."""

from typing import Any, ClassVar

import pytest
from klein import Klein
from twisted.application.service import Service
from twisted.internet.testing import MemoryReactorClock
from twisted.web.iweb import IRequest

from scalability.api.component import component_service
from scalability.api.mount import mount
from scalability.config import Address, ServerOptions
from scalability.lifecycle import ParentWatch
from scalability.lifecycle.parent import VARIABLE
from scalability.net.listen import Listener
from scalability.telemetry import LoopLag, MetricSet
from scalability.testing.memory import MemoryNetwork


class Options(ServerOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    component: ClassVar[str] = "cache"


class Part(Service):
    """Notes when it starts and stops."""

    def __init__(self, name: str, told: list[str]) -> None:
        self.label = name
        self.told = told

    def startService(self) -> None:
        super().startService()
        self.told.append(f"{self.label} starts")

    def stopService(self) -> Any:
        self.told.append(f"{self.label} stops")
        return super().stopService()


def app() -> Klein:
    made = Klein()

    @made.route("/hello")
    def hello(request: IRequest) -> bytes:
        return b"hello"

    return made


def with_admin() -> Options:
    return Options(listen=Address("127.0.0.1", 0), admin=Address("127.0.0.1", 0))


def test_parts_start_before_the_listener_and_stop_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    told: list[str] = []
    reactor = MemoryReactorClock()
    parts = [Part("store", told), Part("pool", told)]
    service = component_service(reactor, Options(), who="scalelab-cache", factory=mount(app(), reactor=reactor), parts=parts)
    assert [type(child) for child in service] == [Part, Part, Listener]
    service.privilegedStartService()
    service.startService()
    assert told == ["store starts", "pool starts"]
    assert len(reactor.tcpServers) == 1
    stopped: list[object] = []
    service.stopService().addBoth(stopped.append)
    assert stopped == [None]
    assert told[2:] == ["pool stops", "store stops"]


def test_the_admin_listener_is_there_only_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    reactor = MemoryReactorClock()
    service = component_service(reactor, with_admin(), who="scalelab-cache", factory=mount(app(), reactor=reactor))
    assert [type(child) for child in service] == [LoopLag, Listener, Listener]
    service.startService()
    assert len(reactor.tcpServers) == 2


def test_a_child_of_the_lab_watches_its_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "1")
    reactor = MemoryReactorClock()
    service = component_service(reactor, Options(), who="scalelab-cache", factory=mount(app(), reactor=reactor))
    assert [type(child) for child in service] == [ParentWatch, Listener]


def test_admin_metrics_show_the_components_own_its_requests_and_its_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    network = MemoryNetwork()
    own = MetricSet()
    own.counter("scalelab_cache_hits_total", "Hits.").value += 3
    factory = mount(app(), reactor=network)
    reactor = MemoryReactorClock()
    component_service(reactor, with_admin(), who="scalelab-cache", factory=factory, collectors=[own])
    service = component_service(reactor, with_admin(), who="scalelab-cache", factory=factory, collectors=[own, factory.metrics])
    service.startService()
    client = network.connect_to(factory)
    client.deliver(b"GET /hello HTTP/1.1\r\nHost: h\r\n\r\n")
    admin = network.connect_to(reactor.tcpServers[0][1])
    admin.deliver(b"GET /metrics HTTP/1.0\r\n\r\n")
    text = admin.taken()
    for line in (
        b"scalelab_cache_hits_total 3.0\n",
        b'http_server_request_duration_seconds_count{http_request_method="GET",http_response_status_code="200",http_route="/hello"} 1.0\n',
        b"# TYPE process_cpu_seconds_total counter\n",
        b"# TYPE scalelab_event_loop_lag_seconds histogram\n",
    ):
        assert text.count(line) == 1, line


def test_ready_is_asked_at_each_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    network, reactor = MemoryNetwork(), MemoryReactorClock()
    reasons: list[str | None] = ["no healthy backend", None]
    service = component_service(
        reactor, with_admin(), who="scalelab-lb", factory=mount(app(), reactor=reactor), ready=lambda: reasons.pop(0)
    )
    service.startService()
    admin = network.connect_to(reactor.tcpServers[0][1])
    admin.deliver(b"GET /readyz HTTP/1.1\r\nHost: h\r\n\r\n")
    assert admin.taken().startswith(b"HTTP/1.1 503 ")
    admin.deliver(b"GET /readyz HTTP/1.1\r\nHost: h\r\n\r\n")
    assert admin.taken().startswith(b"HTTP/1.1 200 ")
