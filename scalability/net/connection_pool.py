"""Connections to one server, kept alive to be used again."""

from collections import deque
from typing import Any

from scalability.config import Address
from scalability.errors import ConnectError
from scalability.http1.limits import DEFAULT_LIMITS, Limits
from scalability.lifecycle import DeadlineWheel, MovingDeadline
from scalability.net.answer_receiver import AnswerReceiver
from scalability.net.client_connection import ClientConnection
from scalability.net.connection_attempt import ConnectReceiver, Opening, Secure

PEEK_AFTER_IDLE_TICKS = 4
"""A connection that lay idle this long (about a second) is looked at before it is used again: its FIN may not have been read yet."""

SURPLUS_S = 1.0
"""How long idle connections beyond ``max_idle`` are kept, in seconds."""


class ConnectionPool:
    """Connections to one server: idle ones to reuse, last in first out, so that a quiet time closes those that are too many.

    ``idle_s`` stays below the five seconds after which many servers (Node's) close theirs; beyond ``max_idle`` connections are kept
    for a second only. A connection is closed after ``max_requests``. ``answer_s`` is the wait for an answer's first byte, and for
    each next one. Host names are resolved anew for each connection. ``wheel`` must be
    running: it is the only clock of all deadlines here. With ``secure`` (``net.tls.ServerTLS.wrap``) connections speak TLS;
    the handshake counts in the connect timeout, and one that fails is a connection that could not be made (TLSFailed).
    """

    def __init__(
        self,
        reactor: Any,
        address: Address,
        wheel: DeadlineWheel,
        *,
        connect_timeout_s: float = 3.0,
        answer_s: float = 60.0,
        idle_s: float = 4.0,
        max_idle: int = 32,
        max_requests: int = 1000,
        limits: Limits = DEFAULT_LIMITS,
        secure: Secure | None = None,
        preface: bytes = b"",
    ) -> None:
        self.address = address
        self.preface = preface
        self.secure = secure
        self.wheel = wheel
        self.limits = limits
        self.connect_timeout_s = connect_timeout_s
        self.answer_ticks = wheel.ticks(answer_s)
        self._idle_ticks = wheel.ticks(idle_s)
        self._surplus_ticks = wheel.ticks(min(SURPLUS_S, idle_s))
        self._reactor = reactor
        self._max_idle = max_idle
        self._max_requests = max_requests
        self._idle: deque[ClientConnection] = deque()
        self._next_look = MovingDeadline(wheel, self._look)
        self._looking = False
        self._open: set[ClientConnection] = set()
        self._opening: set[Opening] = set()
        self.closed = False
        self.connects = 0
        """Connections that were made since the start."""

    def configure(self, *, connect_timeout_s: float, answer_s: float, limits: Limits) -> None:
        """Go by these from now on. A request's deadline stays until its next byte, and the ``limits`` of an open connection stay."""
        self.connect_timeout_s = connect_timeout_s
        self.answer_ticks = self.wheel.ticks(answer_s)
        self.limits = limits
        for connection in self._open:
            connection.wait_as_the_pool_says()

    @property
    def idle_connections(self) -> int:
        return len(self._idle)

    @property
    def open_connections(self) -> int:
        return len(self._open)

    def take(self, preface: bytes = b"") -> ClientConnection | None:
        """An idle connection that is very likely alive, or None: ``open`` one then. The caller sends a request on it at once."""
        idle = self._idle
        while idle:
            connection = idle.pop()
            if self.wheel.turned_to - connection.idle_since_tick >= PEEK_AFTER_IDLE_TICKS and connection.stale():
                connection.close()
                continue
            return connection
        return None

    def open(self, receiver: ConnectReceiver, preface: bytes = b"") -> Opening:
        """Connect, and begin with ``preface`` (the pool's own unless given).

        ``receiver`` is called back later, never from within this call; ``cancel`` what is returned to forget about it.
        """
        opening = Opening(self, receiver, preface or self.preface)
        self._opening.add(opening)
        opening.begin(self._reactor)
        return opening

    def put(self, connection: ClientConnection) -> None:
        """Called by a connection that has finished a request and can take another."""
        if connection.requests >= self._max_requests or connection.retired:
            connection.close()
            return
        connection.idle_since_tick = self.wheel.turned_to
        self._idle.append(connection)
        if not self._looking:
            self._looking = True
            self._next_look.move(self._surplus_ticks)

    def _look(self) -> None:
        """Close what has lain idle for long enough: those at the left have the longest.

        Turns on many servers are uneven from moment to moment, so what is beyond ``max_idle`` has a second too: closing it at once
        would mean to open it again at once.
        """
        idle = self._idle
        now = self.wheel.turned_to
        while idle:
            limit = self._idle_ticks if len(idle) <= self._max_idle else self._surplus_ticks
            left = idle[0].idle_since_tick + limit - now
            if left > 0:
                self._next_look.move(min(left, self._surplus_ticks))
                return
            idle.popleft().close()
        self._looking = False

    def receivers_without_answer(self) -> list[AnswerReceiver | ConnectReceiver]:
        """Whoever waits for a connection that is being made, or has sent a request here and got no byte of its answer yet."""
        opening = [attempt.receiver for attempt in self._opening if attempt.receiver is not None]
        return [*opening, *(receiver for connection in self._open if (receiver := connection.awaiting) is not None)]

    def forget(self, connection: ClientConnection) -> None:
        """Called by a connection that is closed."""
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    def close(self) -> None:
        """Close idle connections and connection attempts; one that is in use is closed when its answer has ended."""
        self.closed = True
        self._max_requests = 0  # none comes back
        for opening in list(self._opening):
            opening.fail(ConnectError())
        for connection in list(self._idle):
            connection.close()
        self._next_look.cancel()

    def opened(self, opening: Opening, connection: ClientConnection) -> None:
        """Called by an attempt that succeeded."""
        self._opening.discard(opening)
        self.connects += 1
        self._open.add(connection)

    def not_opened(self, opening: Opening) -> None:
        """Called by an attempt that is over."""
        self._opening.discard(opening)


class PrefacedPool(ConnectionPool):
    """Connections that tell for whom they are: one is used again only for the same preface, that is for the same client's connection."""

    def take(self, preface: bytes = b"") -> ClientConnection | None:
        """As ``ConnectionPool.take``, of those that began with ``preface``."""
        for connection in reversed(self._idle):
            if connection.preface == preface:
                self._idle.remove(connection)
                if connection.stale():
                    connection.close()
                    return None
                return connection
        return None
