"""A line for each request of the gateway, also for what was none."""

from typing import Any

from klein import Klein
from twisted.web.iweb import IRequest

from scalability.api.routes import routes as resource_of
from scalability.errors import Forbidden
from scalability.gateway.access_log import GatewayAccess, LoggedExchange, LoggedGatewayServer
from scalability.http1.request_head import RequestHead
from scalability.net.exchange import Application, Exchange
from scalability.net.timed_server import TimedExchange
from scalability.telemetry.access_log import AccessEntry
from scalability.testing.memory import MemoryNetwork, MemoryTransport


class FakeLog:
    def __init__(self) -> None:
        self.entries: list[AccessEntry] = []

    def record(self, entry: AccessEntry) -> None:
        self.entries.append(entry)


class Routing:
    """What a route does to an exchange."""

    def request_received(self, exchange: Exchange) -> None:
        assert isinstance(exchange, LoggedExchange)
        exchange.route = "/shop"
        head = exchange.head
        exchange.head = RequestHead(head.method, b"/stripped", head.minor, head.host, head.shared)
        exchange.served_by = "10.0.0.1:80"
        if b"/no" in head.target:
            exchange.fail(Forbidden())
        elif b"/later" in head.target:
            exchange.receiver = self  # type: ignore[assignment]  # hears of a lost client only
        else:
            exchange.answer(200, b"hi")

    def client_lost(self, error: Exception) -> None:
        """It is in the log."""


class Scene:
    def __init__(self, application: Application | None = None) -> None:
        self.network = MemoryNetwork()
        app = Klein()

        @app.route("/own", methods=["GET"])
        def own(request: IRequest) -> bytes:
            return b"own"

        self.log = FakeLog()
        log: Any = self.log
        self.server = LoggedGatewayServer(
            resource_of(app), self.network, 1000, GatewayAccess(log, lambda: 1_800_000_000 + self.network.seconds())
        )
        if application is None:
            self.server.serve_alone(self.server)
        else:
            self.server.application = application
        self.client: MemoryTransport = self.network.connect_to(self.server)

    def ask(self, target: bytes) -> None:
        self.client.deliver(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % target)

    @property
    def entries(self) -> list[AccessEntry]:
        return self.log.entries


def test_a_line_says_what_was_asked_and_who_answered_through_which_route() -> None:
    scene = Scene(Routing())
    scene.ask(b"/shop/a?token=secret")
    (entry,) = scene.entries
    assert (entry.path, entry.route, entry.server, entry.status, entry.reason) == ("/shop/a", "/shop", "10.0.0.1:80", 200, "complete")
    assert (entry.client, entry.time) == ("192.0.2.1", 1_800_000_000)
    assert entry.received_bytes > 30
    assert entry.bytes > 30
    assert "secret" not in repr(entry)
    assert "'http_route': '/shop'" in str(list(scene.server.metrics.collect()))


def test_refusals_and_clients_that_leave_have_their_reason() -> None:
    scene = Scene(Routing())
    scene.ask(b"/no")
    scene.ask(b"/later")
    scene.client.reset()
    assert [(entry.status, entry.reason) for entry in scene.entries] == [(403, "forbidden"), (0, "client_gone")]


def test_what_is_no_request_has_a_line_without_a_method() -> None:
    scene = Scene(Routing())
    scene.client.deliver(b"nonsense\r\n\r\n")
    (entry,) = scene.entries
    assert (entry.method, entry.status, entry.reason) == ("", 400, "bad_request")


def test_the_gateways_own_paths_have_lines_too() -> None:
    scene = Scene()
    scene.ask(b"/own")
    assert scene.client.taken().endswith(b"own")
    (entry,) = scene.entries
    assert (entry.path, entry.route, entry.status) == ("/own", "", 200)


def test_what_is_noted_of_a_request_has_slots_of_its_own() -> None:
    # a __dict__ for each would come back with the first class on the way that forgets its __slots__
    assert "__dict__" not in dir(LoggedExchange)
    assert "__dict__" not in dir(TimedExchange)
