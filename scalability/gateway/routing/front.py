"""What the gateway's clients meet: its own paths, which Klein answers, then routes, then Klein again, which says that nothing is there."""

from collections.abc import Callable, Iterable, Mapping
from time import time
from typing import Any, Final

from twisted.internet.interfaces import IReactorTime
from twisted.web.resource import Resource

from scalability.api.adapter import APIFactory
from scalability.errors import BadMessage, ClientError, Forbidden, ScalelabError, Unauthorized
from scalability.gateway.access.policy import AccessPolicy
from scalability.gateway.exchange import GatewayConnection, GatewayExchange
from scalability.gateway.routing.paths import DottedPath, OwnPaths, Prefixes, path_of
from scalability.gateway.routing.route import Route
from scalability.http1.request_head import RequestHead
from scalability.net.exchange import Application, Exchange
from scalability.net.failures import JSON, error_body, error_fields
from scalability.net.server_connection import ServerConnection
from scalability.proxy.inner import InnerExchange

MAX_KNOWN: Final = 1024
"""Targets whose place is remembered."""
MAX_KNOWN_BYTES: Final = 256
"""Of such a target."""
CLIENT_GONE: Final = 499


class GatewayServer(APIFactory):
    """Serves the gateway's Klein app, and whatever ``application`` puts in front of it. Routes' requests are counted beside Klein's."""

    connection_type: Callable[..., ServerConnection] = GatewayConnection
    exchange_type: Callable[..., Exchange] = GatewayExchange
    cached_routes: frozenset[str] = frozenset()

    def __init__(self, resource: Resource, clock: IReactorTime, max_body_bytes: int, *, wall: Callable[[], float] = time) -> None:
        super().__init__(resource, clock, max_body_bytes, wall=wall)
        self.abort_on_close = False  # the front says so, for its own paths
        self.ended = self._route_ended

    def serve_alone(self, own: Application) -> None:
        """There are no routes: ``own`` gets every request, without a look at its path."""
        self.application = own
        self.abort_on_close = True
        self.ended = None

    def _route_ended(self, exchange: Any, seconds: float) -> None:
        if exchange.route:
            self.http.record(exchange.head.method, exchange.route, exchange.status or CLIENT_GONE, seconds)


class Own:
    """The gateway's own paths: ``application`` is Klein, or what stands in front of it."""

    def __init__(self, application: Application) -> None:
        self._application = application

    def request_received(self, exchange: Exchange) -> None:
        """net's server has a request."""
        connection: Any = exchange.connection
        if isinstance(exchange, GatewayExchange):
            connection.serve(self)
            connection.abort_on_close = True  # who hangs up ends what a route in code does for it
        self._application.request_received(exchange)


class Front:
    """Chooses for each request: ``own`` for ``paths`` and for what is nowhere, else the route with the longest prefix."""

    def __init__(self, own: Application, paths: Iterable[str], routes: Mapping[str, Route]) -> None:
        self.routes = routes
        self._own = own
        self._paths = OwnPaths(paths)
        self._routes: Prefixes[Route] = Prefixes({name.encode(): route for name, route in routes.items()})
        self._known: dict[bytes, Any] = {}

    def request_received(self, exchange: Exchange) -> None:
        """net's server has a request."""
        target = exchange.head.target
        place = self._known.get(target)
        if place is None:
            try:
                place = self.find(target)
            except ClientError as error:
                exchange.fail(error)
                return
            if len(target) <= MAX_KNOWN_BYTES:
                if len(self._known) >= MAX_KNOWN:
                    self._known.clear()
                self._known[target] = place
        place.request_received(exchange)

    def policy_of(self, name: str) -> AccessPolicy | None:
        """What the route ``name`` asks for."""
        route = self.routes.get(name)
        return None if route is None else route.policy

    def find(self, target: bytes) -> Any:
        """A route or ``own``. Raises ClientError for a path that might mean another one."""
        if target.partition(b"?")[0] in self._paths:
            return self._own
        try:
            route = self._routes.find(path_of(target))
        except DottedPath:
            if self._routes:
                raise ClientError("The path has a segment of dots; send it resolved.") from None
            return self._own
        return self._own if route is None else route


class Within:
    """The same for requests of the gateway's own (the parts of a composed route), which the policies of that route have admitted.

    Where a part asks for a key or a token, the composed route must have asked for the same, or for more: else a key for one would open the
    other.

    A composed route may not be a part of another one: who writes such a configuration would build a loop sooner or later.
    """

    def __init__(self) -> None:
        self.front: Front | None = None
        self.own: Application | None = None
        """What answers the gateway's own paths behind their policies: it checks itself whether who asks was checked."""
        self.composed: frozenset[str] = frozenset()
        """Names of routes."""
        self.own_policy: Callable[[RequestHead], AccessPolicy | None] = lambda head: None
        """What the gateway's own paths ask for."""

    def request_received(self, exchange: Exchange) -> None:
        """An inner exchange has a request."""
        assert isinstance(exchange, InnerExchange)
        assert self.front is not None
        try:
            place = self.front.find(exchange.head.target)
        except ClientError as error:
            exchange.fail(error)
            return
        if isinstance(place, Route):
            if place.name in self.composed:
                exchange.fail(BadMessage("A composed route is no part of another.", status=508, code="loop_detected"))
                return
            policy, application = place.policy, place.application
        else:
            assert self.own is not None
            policy, application = self.own_policy(exchange.head), self.own
        if policy is not None and policy.asks_who:
            refusal = self._refusal(exchange, policy)
            if refusal is not None:
                # an answer like that of a server: the whole is answered likewise
                exchange.answer(refusal.status, error_body(refusal), JSON, error_fields(refusal))
                return
        application.request_received(exchange)

    def _refusal(self, exchange: InnerExchange, policy: AccessPolicy) -> ScalelabError | None:
        """Why the client, who has passed the policy of the composed route, does not pass ``policy``."""
        assert self.front is not None
        if not exchange.authenticated:
            return Unauthorized()
        composed = self.front.policy_of(exchange.route)
        if composed is None or not composed.covers(policy):
            return Forbidden("A part of this answer asks for another key or token than the whole.")
        return None
