"""The HTTP/1.1 server of the whole suite: its connections (``net.server_connection``) and how many, deadlines, counts, draining."""

from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from ipaddress import IPv6Address
from time import time
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import Factory

from scalability.http1.known_heads import KnownHeads
from scalability.http1.limits import DEFAULT_LIMITS, Limits
from scalability.lifecycle import DeadlineWheel
from scalability.net.exchange import Application, Exchange
from scalability.net.server_connection import ServerConnection
from scalability.net.server_counts import ServerCounts


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long a client may keep us waiting, in seconds."""

    head_s: float = 10.0
    """For a complete head, from its first byte; then 408. A new connection has as long to send that byte, and is closed without a word."""
    idle_s: float = 75.0
    """Between requests; then the connection is closed."""
    body_s: float = 30.0
    """Between two pieces of a request's body; then 408. Also the time in which a slow reader must have taken what is queued for it."""
    body_start_s: float = 10.0
    """From a request's head, in which its body may come as slowly as it likes; after that ``min_body_bytes_per_s`` holds (rule 47)."""
    min_body_bytes_per_s: int = 1024
    """What a body must bring on average after that; then 408. Time in which we do not read does not count. 0: any rate will do."""
    linger_s: float = 5.0
    """For a client to read an answer that ends its connection."""
    drain_idle_s: float = 0.5
    """What an idle connection is given for one last request when the server stops."""


def client_of(host: str) -> str:
    """Whom connections from ``host`` are counted for: an IPv4 address, or the /64 of an IPv6 address, which is what one client has."""
    if ":" not in host:
        return host
    address = IPv6Address(host)
    mapped = address.ipv4_mapped
    return str(mapped) if mapped is not None else str(IPv6Address(int(address) >> 64 << 64))


class HTTPServerFactory(Factory):
    """Serves ``application`` on every connection that a listener accepts.

    ``wheel`` must be running; it drives all deadlines. Above ``max_connections`` nothing is accepted until one ends (the kernel's
    backlog waits). A client (an IPv4 address, or an IPv6 network of 64 bits) may have ``max_connections_per_client`` of them, or any
    number with 0; what it opens beyond that is closed at once. ``abort_on_close`` takes a client's FIN for its end, not for a
    half-close. ``ended(exchange, seconds)`` is called after each exchange, with the time from its complete head to the last byte of its
    answer (handed to the kernel, or queued): for histograms and the access log. It must be cheap and must not fail. ``wall`` tells the
    Unix time, which ``clock`` need not, for the Date field.
    """

    noisy = False
    connection_type: Callable[..., ServerConnection] = ServerConnection
    """What a subclass may replace, and the next one too: see ``net.timed_server``."""
    exchange_type: Callable[..., Exchange] = Exchange

    def __init__(
        self,
        application: Application,
        *,
        clock: IReactorTime,
        wheel: DeadlineWheel,
        limits: Limits = DEFAULT_LIMITS,
        timeouts: Timeouts = Timeouts(),
        max_connections: int = 10000,
        max_connections_per_client: int = 0,
        linger_bytes: int = 64 << 20,
        abort_on_close: bool = False,
        ended: Callable[[Exchange, float], None] | None = None,
        wall: Callable[[], float] = time,
    ) -> None:
        self.application = application
        self.clock = clock
        # CPython 3.11 finds what is the instance's own fastest
        self.seconds = clock.seconds
        self.wall = wall
        self.make_exchange = self.exchange_type
        self.wheel = wheel
        self.abort_on_close = abort_on_close
        self.linger_bytes = linger_bytes
        self.counts = ServerCounts()
        self.draining = False
        self._date = b""
        self._date_tick = -1
        self.ended = ended
        """See above; connections call it."""
        self._max_connections = max_connections
        self._clients: dict[str, int] = {}
        self._connections: set[ServerConnection] = set()
        self._waiting_for_room: list[Callable[[], None]] = []
        self._drained: list[Deferred[None]] = []
        self.body_bytes_per_tick = 0
        self.configure(limits=limits, timeouts=timeouts, max_connections_per_client=max_connections_per_client)

    def configure(self, *, limits: Limits, timeouts: Timeouts, max_connections_per_client: int) -> None:
        """Go by these from now on. A deadline that runs already stays; open connections keep ``limits`` for their heads."""
        ticks = self.wheel.ticks
        self.limits = limits
        self.known_heads = KnownHeads()
        """Of connections with these ``limits``."""
        self.head_ticks = ticks(timeouts.head_s)
        self.body_ticks = ticks(timeouts.body_s)
        self.body_start_ticks = ticks(timeouts.body_start_s)
        least = timeouts.min_body_bytes_per_s
        before, self.body_bytes_per_tick = self.body_bytes_per_tick, max(1, least // self.wheel.ticks_per_s) if least else 0
        if self.body_bytes_per_tick != before:
            for connection in self._connections:
                connection.body_rate_changed(before)
        self.linger_ticks = ticks(timeouts.linger_s)
        self.drain_idle_ticks = ticks(timeouts.drain_idle_s)
        self.pause_ticks = self.drain_idle_ticks if self.draining else ticks(timeouts.idle_s)
        """What a client has between two requests."""
        for connection in self._connections:
            connection.be_careful()
        self._max_per_client = max_connections_per_client

    def buildProtocol(self, addr: IAddress | None) -> Any:  # a ServerConnection, or None
        if len(self._connections) >= self._max_connections:
            return None  # only where the port does not ask for room()
        client = ""
        if self._max_per_client:
            client = client_of(getattr(addr, "host", ""))
            had = self._clients.get(client, 0)
            if had >= self._max_per_client:
                self.counts.rejected += 1
                return None
            self._clients[client] = had + 1
        connection = self.connection_type(self, addr)
        if client:
            connection.counted_as = client
        self._connections.add(connection)
        self.counts.accepted += 1
        self.counts.open += 1
        return connection

    def date(self) -> bytes:
        """The Date field's value (RFC 9110 section 6.6.1), made four times a second at most, and the same object for a whole second."""
        tick = self.wheel.turned_to
        if tick != self._date_tick:
            self._date_tick = tick
            date = formatdate(self.wall(), usegmt=True).encode()
            if date != self._date:
                self._date = date
        return self._date

    def room(self) -> int:
        """How many more connections may be accepted now."""
        return self._max_connections - len(self._connections)

    def when_room(self, accept: Callable[[], None]) -> None:
        """Call ``accept`` once, when there is room again."""
        self.counts.paused_at_cap += 1
        self._waiting_for_room.append(accept)

    def out_of_means(self) -> None:
        """Called by a port that pauses accepting because there is no descriptor or memory for a connection."""
        self.counts.out_of_means += 1

    def connection_closed(self, connection: ServerConnection) -> None:
        """Called by a connection that is gone."""
        self._connections.discard(connection)
        self.counts.open -= 1
        client = connection.counted_as
        if client:
            left = self._clients[client] - 1
            if left:
                self._clients[client] = left
            else:
                del self._clients[client]
        waiting, self._waiting_for_room = self._waiting_for_room, []
        for accept in waiting:
            accept()
        if not self._connections:
            drained, self._drained = self._drained, []
            for waiter in drained:
                waiter.callback(None)

    def count(self, exchange: Exchange) -> None:
        """Called by a connection when an answer is complete."""
        counts = self.counts
        counts.answered += 1
        counts.sent_bytes += exchange.sent_bytes
        ended = self.ended
        if ended is not None:
            seconds = self.seconds
            ended(exchange, seconds() - exchange.began_s)

    def count_aborted(self, exchange: Exchange) -> None:
        """Called by a connection when an exchange ends without a complete answer."""
        counts = self.counts
        counts.aborted += 1
        counts.sent_bytes += exchange.sent_bytes
        if self.ended is not None:
            self.ended(exchange, self.clock.seconds() - exchange.began_s)

    def drain(self, grace_s: float) -> Deferred[None]:
        """Let requests in flight finish, at most ``grace_s`` seconds, then reset what is left; fires when no connection is open.

        From now on each answer says ``Connection: close``. An idle connection may send one more request within
        ``drain_idle_s``: it may be on its way already, and closing would lose it.
        """
        self.draining = True
        self.pause_ticks = self.drain_idle_ticks
        if not self._connections:
            return succeed(None)
        drained: Deferred[None] = Deferred()
        self._drained.append(drained)
        for connection in list(self._connections):
            connection.drain()
        limit = self.wheel.after(grace_s, self._abort_all)

        def done(result: None) -> None:
            limit.cancel()

        return drained.addCallback(done)

    def _abort_all(self) -> None:
        for connection in list(self._connections):
            connection.abort()
