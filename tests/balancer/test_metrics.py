"""What the balancer's metrics say, and that no client can make them grow."""

from typing import Any, cast

from twisted.internet.task import Clock

from scalability.balancer.front import Front
from scalability.balancer.metrics import Requests, add_clients, add_health, add_traffic
from scalability.errors import ConnectError
from scalability.lifecycle import DeadlineWheel
from scalability.net.http_client import ConnectionPool
from scalability.net.http_server import Exchange, HTTPServerFactory
from scalability.proxy.forwarding import ProxyApplication
from scalability.telemetry import MetricSet
from scalability.testing.memory import MemoryNetwork
from scalability.testing.retries import usual_retries
from scalability.upstream.selection import RoundRobin
from scalability.upstream.servers import ServerSpec, Upstream


class FakePool:
    def receivers_without_answer(self) -> list[object]:
        return []

    connects = 5
    idle_connections = 2
    open_connections = 3

    def close(self) -> None: ...


class Held:
    """The proxy's place: answers when told to."""

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []

    def request_received(self, exchange: Exchange) -> None:
        self.exchanges.append(exchange)


Sample = tuple[str, frozenset[tuple[str, str]]]


class Scene:
    def __init__(self) -> None:
        self.metrics = MetricSet()
        self.upstream = Upstream(RoundRobin, lambda _: cast(ConnectionPool, FakePool()))
        self.upstream.name_servers("c", [ServerSpec.parse("127.0.0.1:1001,weight=3")], trusted=True)
        self.proxy = Held()
        self.network = MemoryNetwork()
        self.factory = HTTPServerFactory(
            Front(self.proxy, self.upstream),
            clock=self.network,
            wheel=DeadlineWheel(self.network),
            ended=Requests(self.metrics).ended,
        )
        add_clients(self.metrics, self.factory)
        add_traffic(self.metrics, self.upstream, ProxyApplication(self.upstream, via=b"test", retries=usual_retries(Clock())))
        add_health(self.metrics, self.upstream)
        self.client = self.network.connect_to(self.factory)

    def send(self, line: str) -> None:
        self.client.deliver(f"{line} HTTP/1.1\r\nHost: x\r\n\r\n".encode())

    def samples(self) -> dict[Sample, float]:
        found = [sample for metric in self.metrics.collect() for sample in metric.samples]
        return {(sample.name, frozenset(sample.labels.items())): sample.value for sample in found}

    def value(self, name: str, **labels: str) -> float:
        return self.samples()[name, frozenset(labels.items())]

    def requests(self) -> set[tuple[str, str, str]]:
        counted: list[Any] = [dict(labels) for name, labels in self.samples() if name == "http_server_request_duration_seconds_count"]
        return {(c["http_request_method"], c["http_route"], c["http_response_status_code"]) for c in counted}


def test_requests_are_counted_by_method_route_and_status_never_by_path() -> None:
    scene = Scene()
    scene.send("GET /health")
    for path in ("/a", "/b?c=d"):
        scene.send(f"GET {path}")
        scene.proxy.exchanges[-1].served_by = "127.0.0.1:1001"
        scene.proxy.exchanges[-1].answer(200, b"{}")
    scene.send("POST /a")
    scene.proxy.exchanges[-1].fail(ConnectError())
    assert scene.requests() == {("GET", "/health", "200"), ("GET", "*", "200"), ("POST", "*", "502")}


def test_methods_that_a_client_makes_up_share_one_label() -> None:
    scene = Scene()
    for i in range(50):
        scene.send(f"VERB{i} /")
        scene.proxy.exchanges[-1].answer(405, b"")
    assert scene.requests() == {("_OTHER", "*", "405")}


def test_a_client_that_left_before_the_answer_counts_as_499() -> None:
    scene = Scene()
    scene.send("GET /slow")
    assert scene.value("http_server_active_requests") == 1
    scene.client.reset()
    assert scene.requests() == {("GET", "*", "499")}
    assert scene.value("scalelab_lb_aborted_total") == 1
    assert (scene.value("scalelab_lb_open_connections"), scene.value("scalelab_lb_accepted_total")) == (0, 1)
    assert scene.value("http_server_active_requests") == 0


def test_each_server_has_its_own_series() -> None:
    scene = Scene()
    (server,) = scene.upstream
    server.started()
    server.started()
    server.failed(ConnectError())
    server.counts.checks_passed = 7
    name = "127.0.0.1:1001"
    assert scene.value("scalelab_upstream_requests_total", server=name) == 2
    assert scene.value("scalelab_upstream_failures_total", server=name, reason="connect_failed") == 1
    assert scene.value("scalelab_upstream_active", server=name) == 1
    assert scene.value("scalelab_upstream_weight", server=name) == 3
    assert scene.value("scalelab_upstream_checks_total", server=name, result="passed") == 7
    assert scene.value("scalelab_upstream_connections", server=name, state="idle") == 2
    assert scene.value("scalelab_upstream_connections", server=name, state="busy") == 1
    assert scene.value("scalelab_upstream_connects_total", server=name) == 5


def test_states_are_shown_and_only_one_is_1() -> None:
    scene = Scene()
    (server,) = scene.upstream
    assert scene.value("scalelab_upstream_up", server=server.name) == 1
    scene.upstream.judge(server, False, "refused")
    assert scene.value("scalelab_upstream_up", server=server.name) == 0
    assert scene.value("scalelab_upstream_healthy") == 0
    assert scene.value("scalelab_upstream_went_down_total", server=server.name) == 1
    states = {dict(labels)["state"]: value for (name, labels), value in scene.samples().items() if name == "scalelab_upstream_state"}
    assert {state for state, value in states.items() if value} == {"waiting"}


def test_a_server_that_is_gone_takes_its_series_along() -> None:
    scene = Scene()
    scene.upstream.name_servers("c", [], trusted=True)
    assert not [name for name, labels in scene.samples() if dict(labels).get("server")]
