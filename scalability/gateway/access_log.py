"""The gateway's server with a stopwatch, for who asks for an access log; who does not uses ``GatewayServer`` and pays nothing.

Lines are those of the balancer, with the route; the phases of a request's way to a server are not known here: a cache may stand before it.
"""

from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.web.resource import Resource

from scalability.errors import ScalelabError
from scalability.gateway.exchange import GatewayConnection, GatewayExchange
from scalability.gateway.routing.front import GatewayServer
from scalability.net.exchange import Application, Exchange
from scalability.net.timed_server import ABORTED, TIMES, Timed, TimedConnection
from scalability.proxy.access import Access, entry_of


class LoggedConnection(GatewayConnection, TimedConnection):
    """A client's connection with a clock at its door."""


class LoggedExchange(GatewayExchange, Timed):
    """The gateway's exchange, and when its parts came."""

    __slots__ = TIMES


class GatewayAccess(Access):
    """Says what the client asked for, whatever became of that in the policies."""

    def ended(self, exchange: Exchange, seconds: float) -> None:
        assert isinstance(exchange, LoggedExchange)
        self.record(entry_of(exchange, seconds, self.wall(), head=exchange.asked, route=exchange.route))


class LoggedGatewayServer(GatewayServer):
    """Writes a line to ``access`` for each exchange that ends, and for whatever was no request."""

    connection_type = LoggedConnection
    exchange_type = LoggedExchange

    def __init__(self, resource: Resource, clock: IReactorTime, max_body_bytes: int, access: GatewayAccess) -> None:
        super().__init__(resource, clock, max_body_bytes, wall=access.wall)
        self._access = access
        self.ended = self._logged

    def serve_alone(self, own: Application) -> None:
        super().serve_alone(own)
        self.ended = self._access.ended

    def count_aborted(self, exchange: Exchange) -> None:
        exchange.trouble = exchange.trouble or ABORTED
        super().count_aborted(exchange)

    def was_refused(self, connection: TimedConnection, error: ScalelabError) -> None:
        """See ``TimedServerFactory``."""
        self._access.refused(connection, error)

    def _logged(self, exchange: Any, seconds: float) -> None:
        self._route_ended(exchange, seconds)
        self._access.ended(exchange, seconds)
