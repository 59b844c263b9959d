"""The raw client: one keep-alive connection, and the pool that a load's connections come from.

treq costs 170-214 us a request and Agent 107 us, so neither can drive a server that answers in 20. This costs 13-17 us: one
``send``, one ``recv``, a comparison with the answer before, and no Deferred, closure or delayed call per request.
"""

import contextlib
from collections import deque
from typing import Any, Protocol

from twisted.internet import error
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import ClientFactory
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.python import failure

from scalability.config import Address
from scalability.errors import BadMessage
from scalability.http1.body import BodyReader, response_body
from scalability.http1.head_end import find_head_end
from scalability.http1.head_memo import ResponseHeadMemo
from scalability.http1.limits import Limits
from scalability.lab.loadgen.recorder import Failure
from scalability.net.transport import connect_tcp

LIMITS = Limits(max_body_bytes=1 << 40)
"""Bodies are counted, not kept, so a long one is no danger."""


class User(Protocol):
    """Who sends a request. Exactly one of ``answered`` and ``failed`` follows each ``connected``, and ``failed`` may come instead of it."""

    def connected(self, connection: "Connection") -> None:
        """Here is a connection that nobody else uses: send."""

    def answered(self, status: int, size: int) -> None:
        """The answer is complete, with ``size`` bytes of body; the connection has gone back to its pool."""

    def failed(self, why: Failure) -> None:
        """There will be no complete answer, or no connection."""


class Connection(TwistedProtocol):
    """One connection; one request at a time."""

    transport: Any

    def __init__(self, pool: "Pool", user: User) -> None:
        self._pool = pool
        self._opening_for: User | None = user
        self._user: User | None = None
        self._method = b""
        self._memo = ResponseHeadMemo(LIMITS)
        self._reader: BodyReader | None = None
        self._held = b""
        self._status = 0
        self._size = 0
        self._keep = False
        self._same = b""
        self._same_method = b""
        self._same_outcome = (0, 0)

    def send(self, method: bytes, request: bytes, user: User) -> None:
        """Send a whole request; ``user`` hears of its end."""
        self._user = user
        self._method = method
        self.transport.write(request)

    def abort(self) -> None:
        """Close at once; nobody hears of it."""
        self._user = None
        self._pool.forget(self)
        self.transport.abortConnection()

    def close(self) -> None:
        """Close an idle connection."""
        self.transport.loseConnection()

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)
        user, self._opening_for = self._opening_for, None
        assert user is not None
        self._pool.opened(self, user)

    def dataReceived(self, data: bytes) -> None:
        user = self._user
        if user is None:
            self.abort()  # bytes that nobody asked for
            return
        # The same bytes as last time mean the same: a keep-alive answer that came whole in one read.
        if data == self._same and self._reader is None and not self._held and self._method == self._same_method:
            self._user = None
            self._pool.release(self)
            user.answered(*self._same_outcome)
            return
        try:
            self._read(data)
        except BadMessage:
            self._fail(Failure.BAD_ANSWER)

    def _read(self, data: bytes) -> None:
        reader = self._reader
        if reader is None:
            whole = data
            if self._held:
                data, self._held = self._held + data, b""
            while True:
                end = find_head_end(data, 0, LIMITS)
                if end < 0:
                    self._held = data
                    return
                head = self._memo.parse(data[:end])
                if head.status >= 200:
                    break
                if head.status == 101:
                    raise BadMessage("it switches protocols without being asked")
                data = data[end:]
            self._status, self._size, self._keep = head.status, 0, head.keep_alive
            reader = self._reader = response_body(head, self._method, LIMITS)
            payload, rest = reader.feed(data[end:]) if len(data) > end else (b"", b"")
        else:
            whole = b""
            payload, rest = reader.feed(data)
        self._size += len(payload)
        if reader.complete:
            if self._keep and not rest and whole and whole is data and self._pool.keep_alive:
                self._same, self._same_method, self._same_outcome = whole, self._method, (self._status, self._size)
            self._complete(reusable=self._keep and reader.reusable and not rest)

    def _complete(self, *, reusable: bool) -> None:
        user, self._user = self._user, None
        self._reader = None
        assert user is not None
        if reusable and self._pool.keep_alive:
            self._pool.release(self)
        else:
            self._pool.forget(self)
            self.transport.loseConnection()
        user.answered(self._status, self._size)

    def connectionLost(self, reason: failure.Failure = None) -> None:  # type: ignore[assignment]
        reader = self._reader
        clean = reason.check(ConnectionDone) is not None
        if self._user is not None and reader is not None and not reader.reusable and clean:
            self._complete(reusable=False)  # the end of the connection is the end of this body
            return
        if reader is not None or self._held:
            self._fail(Failure.TRUNCATED)
        else:
            self._fail(Failure.CLOSED if clean else Failure.RESET)

    def _fail(self, why: Failure) -> None:
        user = self._user
        self.abort()
        if user is not None:
            user.failed(why)


class _Opening(ClientFactory):
    """One attempt to connect."""

    noisy = False

    def __init__(self, pool: "Pool", user: User) -> None:
        self.pool = pool
        self.user = user
        self.connector: Any = None

    def stop(self) -> None:
        """Try no longer; the pool has forgotten this attempt already."""
        with contextlib.suppress(error.NotConnectingError):
            self.connector.stopConnecting()

    def buildProtocol(self, addr: IAddress | None) -> Connection:
        return Connection(self.pool, self.user)

    def clientConnectionFailed(self, connector: Any, reason: failure.Failure) -> None:
        refused = reason.check(error.ConnectionRefusedError) is not None
        self.pool.not_opened(self.user, Failure.REFUSED if refused else Failure.NOT_CONNECTED)


class Pool:
    """At most ``size`` connections to ``address`` (whose host is an IP address), for users who wait their turn in order.

    Without ``keep_alive`` each connection serves one request.
    """

    def __init__(self, reactor: Any, address: Address, *, size: int, keep_alive: bool) -> None:
        self.keep_alive = keep_alive
        self.opened_total = 0
        """Connections that were opened."""
        self._reactor = reactor
        self._address = address
        self._size = size
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()
        self._opening: dict[User, _Opening] = {}
        self._waiting: deque[User] = deque()

    @property
    def open_connections(self) -> int:
        return len(self._open)

    def acquire(self, user: User) -> None:
        """``user.connected`` is called with a connection, at once or later, or ``user.failed``."""
        if self._idle:
            user.connected(self._idle.pop())
        elif len(self._open) + len(self._opening) < self._size:
            self._begin(user)
        else:
            self._waiting.append(user)

    def leave(self, user: User) -> None:
        """The user waits no longer for the connection that it asked for."""
        opening = self._opening.pop(user, None)
        if opening is not None:
            opening.stop()
            self._serve_the_next()
        elif user in self._waiting:
            self._waiting.remove(user)

    def release(self, connection: Connection) -> None:
        """The connection is free."""
        self._idle.append(connection)
        if self._waiting:
            self._waiting.popleft().connected(self._idle.pop())

    def forget(self, connection: Connection) -> None:
        """The connection is closed, or will be: there is room for another."""
        if connection not in self._open:
            return
        self._open.remove(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._serve_the_next()

    def opened(self, connection: Connection, user: User) -> None:
        """An attempt to connect succeeded."""
        self.opened_total += 1
        if self._opening.pop(user, None) is None:
            connection.transport.abortConnection()  # its user left
            return
        self._open.add(connection)
        user.connected(connection)

    def not_opened(self, user: User, why: Failure) -> None:
        """An attempt to connect failed."""
        if self._opening.pop(user, None) is None:
            return
        self._serve_the_next()
        user.failed(why)

    def close(self) -> None:
        """Close every connection and forget every user; nobody is called back."""
        self._waiting.clear()
        opening, self._opening = self._opening, {}
        for attempt in opening.values():
            attempt.stop()
        for connection in list(self._open):
            if connection in self._idle:
                connection.close()
            else:
                connection.abort()

    def _begin(self, user: User) -> None:
        opening = self._opening[user] = _Opening(self, user)
        opening.connector = connect_tcp(self._reactor, self._address.host, self._address.port, opening)

    def _serve_the_next(self) -> None:
        if self._waiting and len(self._open) + len(self._opening) < self._size:
            self._begin(self._waiting.popleft())
