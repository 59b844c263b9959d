"""A gateway's routes in memory: the test is their client, and their servers."""

from typing import Any

from klein import Klein
from twisted.web.iweb import IRequest

from scalability.api.json import MAX_BODY_BYTES
from scalability.api.routes import routes as resource_of
from scalability.gateway.access.assembly import Access
from scalability.gateway.config import GatewayOptions
from scalability.gateway.routing.building import Routes
from scalability.gateway.routing.config import RouteOptions
from scalability.gateway.routing.front import GatewayServer
from scalability.lifecycle import DeadlineWheel
from scalability.testing.memory import MemoryNetwork, MemoryTransport


class MemoryGateway:
    """Routes as ``Routes`` builds them, in front of a Klein app with ``/data`` and ``/tasks/<id>``, whose answers say ``own``."""

    def __init__(self, *routes: RouteOptions, **options: Any) -> None:
        self.network = MemoryNetwork()
        self.wheel = DeadlineWheel(self.network)
        self.wheel.startService()
        app = Klein()

        @app.route("/data", methods=["GET"])
        def data(request: IRequest) -> bytes:
            return b"own"

        @app.route("/tasks/<name>", methods=["GET"])
        def task(request: IRequest, name: str) -> bytes:
            return b"own " + name.encode()

        self.server = GatewayServer(resource_of(app), self.network, MAX_BODY_BYTES, wall=self.wall)
        self.access = Access(self.network, wall=self.wall)
        self.routes = Routes(self.network, GatewayOptions(routes=routes, **options), self.wheel, self.access, wall=self.wall)
        self.server.cached_routes = self.routes.cached
        self.server.application = self.routes.front(self.server, [rule.rule for rule in app.url_map.iter_rules()], within=self.server)
        self.client = self.connect()

    def wall(self) -> float:
        """The Unix time, which is another one than the reactor's."""
        return 1.7e9 + self.network.seconds()

    def connect(self) -> MemoryTransport:
        """Another client."""
        return self.network.connect_to(self.server)

    def ask(self, target: bytes = b"/a", method: bytes = b"GET", fields: bytes = b"", body: bytes = b"") -> None:
        """Have the client send a request."""
        self.client.deliver(b"%b %b HTTP/1.1\r\nHost: shop\r\n%b\r\n%b" % (method, target, fields, body))

    def answer(self, data: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi") -> bytes:
        """Accept the connection that a route has opened and answer; what was asked there."""
        server = self.network.accept()
        asked: bytes = server.taken()
        server.deliver(data)
        return asked
