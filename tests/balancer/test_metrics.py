"""What the balancer's metrics say, and that no client can make them grow."""

from typing import Any, cast

from twisted.internet.task import Clock

from scalability.balancer.config import BalancerOptions
from scalability.balancer.front import Front
from scalability.balancer.metrics import Requests, add_clients, add_health, add_reloads, add_shedding, add_traffic
from scalability.balancer.reload import Reload, Result
from scalability.errors import ConnectError, NoAnswer
from scalability.lifecycle import DeadlineWheel
from scalability.net.connection_pool import ConnectionPool
from scalability.net.exchange import Exchange
from scalability.net.http_server import HTTPServerFactory
from scalability.proxy.application import ProxyApplication
from scalability.telemetry import MetricSet
from scalability.telemetry.metrics import OTHER
from scalability.testing.memory import MemoryNetwork
from scalability.testing.retries import usual_retries
from scalability.upstream.per_server import MOST, every_server
from scalability.upstream.selection import RoundRobin
from scalability.upstream.server import Mode
from scalability.upstream.servers import Upstream
from scalability.upstream.shedding import Shedding, SheddingPolicy
from scalability.upstream.spec import ServerSpec


class FakePool:
    def receivers_without_answer(self) -> list[object]:
        return []

    connects = 5
    idle_connections = 2
    open_connections = 3

    def close(self) -> None: ...


class Held:
    """The proxy's place: answers when told to what is not answered in front of it."""

    def __init__(self, front: Front) -> None:
        self.exchanges: list[Exchange] = []
        self._front = front

    def request_received(self, exchange: Exchange) -> None:
        if not self._front.answers(exchange):
            self.exchanges.append(exchange)


Sample = tuple[str, frozenset[tuple[str, str]]]


class Scene:
    def __init__(self) -> None:
        self.metrics = MetricSet()
        self.upstream = Upstream(RoundRobin, lambda _: cast(ConnectionPool, FakePool()))
        self.upstream.name_servers("c", [ServerSpec.parse("127.0.0.1:1001,weight=3")], trusted=True)
        self.proxy = Held(Front(self.upstream))
        self.network = MemoryNetwork()
        self.factory = HTTPServerFactory(
            self.proxy,
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


def test_the_time_to_an_answer_is_a_histogram_of_each_server() -> None:
    scene = Scene()
    (server,) = scene.upstream
    server.answered(200, 0.25, 0.0, server.started())
    assert scene.value("scalelab_upstream_response_seconds_count", server=server.name) == 1
    assert scene.value("scalelab_upstream_response_seconds_bucket", server=server.name, le="0.25") == 1
    assert scene.value("scalelab_upstream_response_seconds_bucket", server=server.name, le="0.1") == 0


def test_what_is_decided_about_a_server_is_told() -> None:
    scene = Scene()
    scene.upstream.name_servers("d", [ServerSpec.parse("127.0.0.1:1002")], trusted=True)
    one, two = scene.upstream
    scene.upstream.set_mode(one, Mode.DRAIN)
    modes = {mode: scene.value("scalelab_upstream_mode", server=one.name, mode=mode) for mode in ("ready", "drain", "maint")}
    assert modes == {"ready": 0, "drain": 1, "maint": 0}
    scene.upstream.set_mode(one, Mode.READY)
    scene.upstream.suspected(two)
    assert scene.value("scalelab_upstream_ejected", server=two.name) == 1
    assert scene.value("scalelab_upstream_ejections_total", cause="failures_in_a_row") == 1
    scene.upstream.suspected(one)
    assert scene.value("scalelab_upstream_ejection_overflows_total") == 1
    assert scene.value("scalelab_upstream_share", server=one.name) == 1
    assert scene.value("scalelab_upstream_panic") == 0


def test_breakers_and_averages_are_told_as_they_are_here() -> None:
    scene = Scene()
    (server,) = scene.upstream
    assert "scalelab_upstream_ewma_seconds" not in {name for name, _ in scene.samples()}
    server.latency.observe(0.5, scene.upstream.seconds())
    assert 0.4 < scene.value("scalelab_upstream_ewma_seconds", server=server.name) <= 0.5
    for _ in range(20):
        server.failed(NoAnswer(), server.started(), 0.1)
    states = {
        state: scene.value("scalelab_upstream_breaker_state", server=server.name, state=state) for state in ("closed", "open", "half-open")
    }
    assert states == {"closed": 0, "open": 1, "half-open": 0}
    assert scene.value("scalelab_upstream_breaker_opened_total", server=server.name) == 1


def test_queue_and_retries_are_told() -> None:
    scene = Scene()
    scene.upstream.line.add("a request", 0.0)  # type: ignore[arg-type]
    scene.upstream.line.leave("a request")  # type: ignore[arg-type]
    assert scene.value("scalelab_upstream_queue_length") == 0
    assert scene.value("scalelab_upstream_queue_total", result="entered") == 1
    assert scene.value("scalelab_upstream_queue_total", result="withdrawn") == 1
    assert scene.value("scalelab_upstream_retry_budget_total", result="allowed") == 0
    assert (scene.value("scalelab_upstream_retry_budget_in_use"), scene.value("scalelab_upstream_retries_waiting")) == (0, 0)


def test_what_is_turned_away_is_told() -> None:
    metrics, shedding = MetricSet(), Shedding(SheddingPolicy())
    add_shedding(metrics, shedding)
    shedding.fraction, shedding.lag_s = 0.5, 0.25
    shedding.sheds(0.1)
    values = {sample.name: sample.value for metric in metrics.collect() for sample in metric.samples}
    assert values == {"scalelab_lb_shed_total": 1, "scalelab_lb_shedding_ratio": 0.5, "scalelab_lb_shedding_lag_seconds": 0.25}


def test_only_so_many_servers_have_series_of_their_own_and_the_rest_is_summed() -> None:
    scene = Scene()
    scene.upstream.name_servers("many", [ServerSpec.parse(f"192.0.2.1:{port}") for port in range(1, MOST + 6)], trusted=True)
    servers = list(scene.upstream)
    for server in servers[-6:]:
        server.answered(200, 0.25, 0.0, server.started())
    assert len({dict(labels).get("server") for name, labels in scene.samples() if name == "scalelab_upstream_requests_total"}) == MOST + 1
    assert scene.value("scalelab_upstream_requests_total", server=OTHER) == 6
    assert scene.value("scalelab_upstream_response_seconds_count", server=OTHER) == 6
    assert scene.value("scalelab_upstream_weight", server=OTHER) == 6
    assert scene.value("scalelab_upstream_state", server=OTHER, state="unchecked") == 6


def test_a_server_whose_place_another_has_taken_is_told_of_no_more() -> None:
    scene = Scene()
    (plain,) = scene.upstream
    plain.started()
    scene.upstream.name_servers("c", [ServerSpec.parse("127.0.0.1:1001,tls")], trusted=True)
    assert [server.tls for server in every_server(scene.upstream)] == ["127.0.0.1", ""]
    assert scene.value("scalelab_upstream_active", server="127.0.0.1:1001") == 0


def test_reloads_are_counted_by_what_came_of_them() -> None:
    scene = Scene()
    reload = Reload(scene.network, BalancerOptions(), BalancerOptions, lambda change: None, wall=lambda: 1.7e9)
    add_reloads(scene.metrics, reload)
    reload.counts[Result.REFUSED] += 2
    assert scene.value("scalelab_lb_reloads_total", result="refused") == 2
    assert scene.value("scalelab_lb_reloads_total", result="changed") == 0
    assert scene.value("scalelab_lb_last_good_reload_timestamp_seconds") == 1.7e9
