"""The HTTP server with a stopwatch: the same connections and exchanges, which also remember when what came, for an access log.

Who needs no such log uses ``net.http_server`` and pays nothing for this.
"""

from typing import Any

from scalability.errors import ScalelabError
from scalability.http1.request_head import RequestHead
from scalability.net.exchange import Exchange
from scalability.net.http_server import HTTPServerFactory
from scalability.net.server_connection import ServerConnection

ABORTED = "aborted"
"""The ``trouble`` of an exchange that was cut off for no error."""


TIMES = ("accept_s", "attempts", "connect_s", "first_byte_s", "head_s", "queue_s", "server", "timed_connection")
"""The slots of an exchange that is timed."""

_SLOTS_ARE_BELOW: tuple[str, ...] = ()


class Timed(Exchange):
    """One request and when its parts came. Times are seconds, 0 where a phase did not occur.

    Whoever inherits from it, and perhaps from another kind of exchange too, has the slots ``TIMES``.
    """

    # two classes that both add slots have no common heir
    __slots__ = _SLOTS_ARE_BELOW

    timed_connection: "TimedConnection"
    accept_s: float
    """From the connection (TLS and PROXY preamble included) to the request's first byte: the first request of a connection only."""
    head_s: float
    """From the first byte of the head to its last; 0 for a head that had come while the request before it was answered."""
    queue_s: float
    """From the complete head until a server was chosen."""
    connect_s: float
    """Spent on connecting to servers, failed attempts included; 0 on a connection that was there."""
    first_byte_s: float
    """From sending the head to the server that answered to the first byte of its answer."""
    attempts: int
    """How often it was given to a server."""
    server: str
    """The server that was tried last, whether it answered or not."""

    def __init__(self, connection: "TimedConnection", head: RequestHead, began_s: float) -> None:
        super().__init__(connection, head, began_s)
        self.timed_connection = connection
        self.accept_s = self.head_s = self.queue_s = self.connect_s = self.first_byte_s = 0.0
        self.attempts = 0
        self.server = ""
        first_byte_s, connection.first_byte_s = connection.first_byte_s, 0.0
        if first_byte_s:
            self.head_s = began_s - first_byte_s
            accepted_s, connection.accepted_s = connection.accepted_s, 0.0
            if accepted_s:
                self.accept_s = first_byte_s - accepted_s


class TimedExchange(Timed):
    """``Timed``, and nothing else."""

    __slots__ = TIMES


class TimedConnection(ServerConnection):
    """One client's connection, with a clock at its door."""

    accepted_s = 0.0
    first_byte_s = 0.0
    _received_bytes = 0

    factory: Any  # a TimedServerFactory, or what serves as one

    def connectionMade(self) -> None:
        self.accepted_s = self.factory.clock.seconds()
        super().connectionMade()

    def dataReceived(self, data: bytes) -> None:
        self._received_bytes += len(data)
        if not self.first_byte_s and self._exchange is None and not self._closing:
            self.first_byte_s = self.factory.clock.seconds()
        super().dataReceived(data)

    def take_received_bytes(self) -> int:
        """Bytes that came since this was asked last, without those that belong to requests to come."""
        received = self._received_bytes - len(self._held)
        self._received_bytes = len(self._held)
        return received

    def _refuse(self, error: ScalelabError, exchange: Exchange | None = None) -> None:
        if exchange is None:
            # an exchange has been told of
            self._held = b""  # all that came belongs to this
            self.factory.was_refused(self, error)
        super()._refuse(error, exchange)


class TimedServerFactory(HTTPServerFactory):
    """Serves an application on connections that are timed. ``refused`` is told of what was no request at all."""

    connection_type = TimedConnection
    exchange_type = TimedExchange
    refused: Any = None

    def count_aborted(self, exchange: Exchange) -> None:
        exchange.trouble = exchange.trouble or ABORTED
        super().count_aborted(exchange)

    def was_refused(self, connection: TimedConnection, error: ScalelabError) -> None:
        """Called by a connection that ends with something that is not proper HTTP, or never became a whole head."""
        if self.refused is not None:
            self.refused(connection, error)
