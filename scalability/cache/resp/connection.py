"""A client's connection: bytes in, requests run in their order, their replies out in one piece.

Requests that came together are answered together, unless running them takes long: after ``SLICE_S`` the others have their turn, and the
rest waits for the next one. What the client does not read is bounded: above the transport's watermark nothing
more of it is read or run, its requests wait; when it has taken nothing of that for ``patience_s``, or when messages that no request
asked for (tracking) reach ``MAX_PUSHED_BYTES``, the connection is cut.

What nearly all of a cache's traffic consists of, GET, and SET without options, takes a short way (``quick.py``): while requests need
only to be run, and at once, what comes is given to what answers requests like the last one.
"""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from scalability.cache.resp.commands import Request
from scalability.cache.resp.dispatch import Dispatch
from scalability.cache.resp.quick import LARGE, MAX_GET_BYTES, Quick, Received
from scalability.cache.resp.server import ServerState
from scalability.cache.resp.session import Session
from scalability.cache.resp.values import MAX_REPLY_BYTES
from scalability.lifecycle.deadlines import DeadlineWheel, MovingDeadline
from scalability.net.transport import LeanConnection
from scalability.net.untaken import untaken_bytes
from scalability.net.wire import ignore
from scalability.resp import replies
from scalability.resp.requests import MAX_ARGUMENTS, OrdinaryReader, ProtocolError, RequestParser

OUTPUT_AT_ONCE = 1 << 20
"""Bytes of large replies after which what is there is sent, before more requests are run."""

SLICE_S = 0.002
"""Running one client's requests holds the reactor so long at most, and for the last one of them."""

_LOOK = 256
"""Requests of the quick kind between two looks at the clock: 0.2 to 0.5 ms."""

MAX_PUSHED_BYTES = 8 << 20
"""Bytes of pushed messages that may wait for a client that does not read."""

MAX_UNSENT_BYTES = 2 * MAX_REPLY_BYTES
"""Of replies and pushed messages that wait for all clients that do not read, together."""

PATIENCE_S = 60.0
"""How long a client may read nothing of what waits for it, and send nothing more of a request that it has begun. It is looked at once in
so long: who stops reading is cut after that time to twice that time."""

UNKNOWN_ARGUMENTS = 10
UNKNOWN_BULK_BYTES = 16_384
"""What a client may send before it has given the password (Redis' figures)."""


class RESPConnection(Protocol):
    """One client's."""

    transport: Any

    def __init__(self, factory: "RESPFactory", address: str) -> None:
        self.factory: RESPFactory = factory
        self._parser = RequestParser(factory.reader, max_bulk_bytes=factory.max_bulk_bytes, max_request_bytes=factory.max_request_bytes)
        self._seconds = factory.seconds
        self._counts = factory.state.counts
        self._session: Session = factory.state.open(address, self.push)
        self._quick = Quick(self._session)
        self._shape = self._parser.shape
        self._plain = self._session.plain
        """Whether requests may be run without a look at the session."""
        self._take: Received = self._take_apart
        self._answer: Received = self._quick.answering(self._shape, self._take, self._send)
        """To GET, and SET of that shape."""
        self._received: Received = self._take
        """What comes is given to: ``_answer`` or ``_take``."""
        self._expected_bytes = MAX_GET_BYTES
        """No more comes at once, probably; 0: nobody knows."""
        self._deadline = MovingDeadline(factory.wheel, self._stalled)
        self._write: Callable[[bytes], None]
        self._full = False
        self._waiting: list[Request] = []
        """Requests that came before the client's answers filled its buffers, or before others had their turn."""
        self._pausing = False
        """Others have their turn now."""
        self._draining = False
        self._running = False
        self._pushed: list[bytes] = []
        """Messages of the request that is being run, which follow its reply."""
        self._pushed_bytes = 0
        """Of messages since the client stopped reading."""
        self._held_bytes = 0
        """What ``factory.held_bytes`` has of this connection's."""
        self.unsent_bytes = 0
        """What was written since the client stopped reading."""
        self._taken_bytes = 0
        """What of that it had taken, when that was looked at last. It may begin below 0: only the differences mean something."""
        self._cut_off = False
        if not self._session.authenticated:
            self._parser.max_arguments, self._parser.max_bulk_bytes = UNKNOWN_ARGUMENTS, UNKNOWN_BULK_BYTES

    @property
    def id(self) -> int:
        """The session's."""
        return self._session.id

    # the transport's side

    def connectionMade(self) -> None:
        transport = self.transport
        self._write = transport.write
        transport.setTcpNoDelay(True)
        transport.setTcpKeepAlive(True)
        transport.registerProducer(self, True)
        self.factory.opened(self)
        self._receive()

    def dataReceived(self, data: bytes) -> None:
        # of a transport that is no lean connection, or as long as it has been given nothing else
        reply = self._received(data)
        if reply is not None:
            self._send([reply])

    def _receive(self) -> None:
        """Give what comes to what may have it now: never to ``_answer`` what may belong to a request that has begun."""
        begun = self._parser.begun
        if begun:
            self._expected_bytes = 0  # or what a client sends together would be read in two pieces again and again
        quick = self._plain and not self._full and not self._pausing and not begun
        received = self._answer if quick else self._take
        if received is not self._received:
            self._received = received
            # of another transport that wraps one, as TLS does, the wrapped one's is none of ours
            if isinstance(self.transport, LeanConnection):
                self.transport.receive_with(received, self._expected_bytes if quick else 0)

    def _take_apart(self, data: bytes) -> None:
        """Any bytes."""
        parser = self._parser
        requests = parser.feed(data)
        if parser.shape is not self._shape:
            self._shape = parser.shape
            self._answer = self._quick.answering(parser.shape, self._take, self._send)
            self._expected_bytes = max(parser.shape.length, MAX_GET_BYTES)
        self._receive()
        if self._session.closing or self._draining:
            return
        if self._full or self._pausing:
            self._waiting += requests
        elif requests:
            self._run(requests)
        held = parser.held_bytes
        if held:
            self._deadline.move(self.factory.patience_ticks)
        elif self._held_bytes:
            self._deadline.stop()
        if held != self._held_bytes:
            self.factory.held_bytes += held - self._held_bytes
            self._held_bytes = held
            if held and self.factory.held_bytes > self.factory.max_held_bytes:
                self._parser.fail(ProtocolError("too much of requests that are not complete; try again later"))
                self._forget_held()
        if self._parser.failed is not None and not self._waiting:
            self._refuse()

    def connectionLost(self, reason: Failure = None) -> None:  # type: ignore[assignment]
        self._deadline.cancel()
        self._session.closing = True
        # what refers to itself only the garbage collector would find
        self._take = self._answer = self._received = ignore
        self._waiting = []
        self._forget_held()
        self._forget_unsent()
        self.factory.state.close(self._session)
        self.factory.closed(self)

    # the transport's producer: replies

    def pauseProducing(self) -> None:
        self._full = True
        self._receive()
        self.transport.pauseProducing()
        self._deadline.move(self.factory.patience_ticks)

    def resumeProducing(self) -> None:
        self._full = False
        self._pushed_bytes = 0
        self._forget_unsent()
        if self._held_bytes:
            self._deadline.move(self.factory.patience_ticks)
        else:
            self._deadline.stop()
        if not self._pausing:
            self._go_on()

    def stopProducing(self) -> None:
        """connectionLost follows and does what is to be done."""

    # the session's side

    def push(self, message: bytes) -> None:
        """Send what no request asked for: at once, or after the reply to the request that is being run."""
        if self._session.closing:
            return
        if self._running:
            self._pushed.append(message)
            return
        if not self._session.resp3:
            return
        if self._full:
            self._pushed_bytes += len(message)
            if self._pushed_bytes > MAX_PUSHED_BYTES:
                # some of them may have been taken
                self._pushed_bytes = min(self._pushed_bytes, untaken_bytes(self.transport) or self._pushed_bytes)
                if self._pushed_bytes > MAX_PUSHED_BYTES:
                    self.cut()
                    return
        self._write(message)
        if self._full:
            self._hold_back(len(message))

    def end(self) -> None:
        """Close the connection, once what is written has been sent."""
        if self._cut_off:
            return
        self._session.closing = True
        self._run_carefully()
        self._deadline.move(self.factory.patience_ticks)
        self._taken_bytes = self._taken()
        self.transport.unregisterProducer()
        self.transport.loseConnection()

    def drain(self) -> None:
        """Answer what has come, and close."""
        self._draining = True
        self._run_carefully()
        if not self._waiting:
            self.end()

    def abort(self) -> None:
        """Close at once."""
        self.transport.abortConnection()

    def _pause(self) -> None:
        """Let others have their turn; nothing is read meanwhile."""
        self._pausing = True
        self._receive()
        self.transport.pauseProducing()
        self.factory.state.later(self._paused)

    def _paused(self) -> None:
        self._pausing = False
        if not self._full and not self._session.closing:
            self._go_on()

    def _go_on(self) -> None:
        """Run what waits, and read on when nothing does."""
        self._receive()
        requests, self._waiting = self._waiting, []
        if requests:
            self._run(requests)
        if self._full or self._pausing or self._session.closing:
            return
        if self._parser.failed is not None:
            self._refuse()
        elif self._draining:
            self.end()
        else:
            self.transport.resumeProducing()

    def _run(self, requests: list[Request]) -> None:
        session, now, quick = self._session, self._seconds(), self._quick.reply
        session.now = now
        several = len(requests) > 1
        unlooked = 0
        self._counts.commands += len(requests)
        self._running = True
        plain = self._plain
        written = 0
        out: list[bytes] = []
        rest = iter(requests)
        for request in rest:
            reply = quick(request, now) if plain else None
            if reply is None:
                reply = self._execute(request)
                plain = self._plain
                unlooked = _LOOK
            else:
                unlooked += 1
            out.append(reply)
            if self._pushed:
                if session.resp3:
                    out += self._pushed
                self._pushed = []
            if len(reply) >= LARGE:
                written += len(reply)
                if written >= OUTPUT_AT_ONCE:
                    written = 0
                    self._send(out)
                    out = []
                    if self._full:
                        self._waiting = [*rest, *self._waiting]
                        break
            if session.closing:
                break
            if unlooked >= _LOOK and several:
                unlooked = 0
                if not 0 <= self._seconds() - now < SLICE_S:
                    self._waiting = [*rest, *self._waiting]
                    break
        self._running = False
        if out:
            self._send(out)
        if self._waiting:
            self._counts.commands -= len(self._waiting)
            if not self._full:
                self._pause()
        elif session.closing:
            self.end()

    def _send(self, parts: list[bytes]) -> None:
        data = b"".join(parts)
        self._write(data)
        if self._full:
            self._hold_back(len(data))

    def _hold_back(self, size: int) -> None:
        self.unsent_bytes += size
        if self.unsent_bytes == size:
            self._taken_bytes = self._taken()
        self.factory.held_back(size)

    def _taken(self) -> int:
        untaken = untaken_bytes(self.transport)
        return 0 if untaken is None else self.unsent_bytes - untaken

    def _forget_unsent(self) -> None:
        self.factory.unsent_bytes -= self.unsent_bytes
        self.unsent_bytes = 0

    def _execute(self, request: Request) -> bytes:
        """Any request, in any state."""
        session = self._session
        known = session.authenticated
        reply = self.factory.dispatch.run(session, request)
        plain = session.plain and not self._draining
        if plain is not self._plain:
            self._plain = plain
            self._receive()
        if session.authenticated is not known:
            self._limit(session.authenticated)
        return reply

    def _run_carefully(self) -> None:
        """Look at the session before each request."""
        self._plain = False
        self._receive()

    def _forget_held(self) -> None:
        self.factory.held_bytes -= self._held_bytes
        self._held_bytes = 0

    def _limit(self, known: bool) -> None:
        self._parser.max_arguments = MAX_ARGUMENTS if known else UNKNOWN_ARGUMENTS
        self._parser.max_bulk_bytes = self.factory.max_bulk_bytes if known else UNKNOWN_BULK_BYTES

    def _refuse(self) -> None:
        """What came is no request, and nothing that follows can be read."""
        if not self._session.closing:
            self.factory.state.counts.protocol_errors += 1
            self._write(replies.error(f"ERR Protocol error: {self._parser.failed}".encode()))
            self.end()

    def _stalled(self) -> None:
        """The client may not read; or it does not send the rest of a request, which takes memory that others could have."""
        if self._full or self._session.closing:
            before, self._taken_bytes = self._taken_bytes, self._taken()
            if self._taken_bytes > before:
                self._deadline.move(self.factory.patience_ticks)
            else:
                self.cut()
        else:
            self._parser.fail(ProtocolError("the rest of a request did not come in time"))
            self._forget_held()
            if not self._waiting:
                self._refuse()

    def cut(self) -> None:
        """Close at once, as the client does not read."""
        self._cut_off = self._session.closing = True
        self._waiting = []
        self._forget_unsent()
        self._run_carefully()
        self._counts.slow_readers += 1
        self.transport.abortConnection()


class RESPFactory(Factory):
    """Connections of one server. ``wheel`` must be running.

    A value may have ``max_bulk_bytes``; a request that comes in pieces ``max_request_bytes`` in all, and all of these together
    ``max_held_bytes``: beyond that, who sends more of one is refused. What waits for clients that do not read is bounded by
    ``max_unsent_bytes`` for all together: beyond that, the one with the most is cut.
    """

    noisy = False
    _log = Logger()

    def __init__(
        self,
        state: ServerState,
        wheel: DeadlineWheel,
        *,
        max_bulk_bytes: int,
        max_request_bytes: int,
        max_held_bytes: int,
        max_unsent_bytes: int = MAX_UNSENT_BYTES,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self.state = state
        self.wheel = wheel
        self.seconds = state.entries.now
        self.reader = OrdinaryReader()
        self.dispatch = Dispatch(state.commands)
        self.max_bulk_bytes = max_bulk_bytes
        self.max_request_bytes = max_request_bytes
        self.max_held_bytes = max_held_bytes
        self.held_bytes = 0
        """Of requests that have not come as a whole."""
        self.max_unsent_bytes = max_unsent_bytes
        self.unsent_bytes = 0
        """Of replies to clients that do not read them."""
        self.patience_ticks = wheel.ticks(patience_s)
        self._connections: dict[int, RESPConnection] = {}
        self._drained: list[Deferred[None]] = []
        state.end = self._end
        state.command_failed = self._command_failed

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        if len(self.state.sessions) >= self.state.max_clients:
            self.state.counts.rejected_connections += 1
            return _Refused()
        host, port = getattr(addr, "host", ""), getattr(addr, "port", 0)
        return RESPConnection(self, f"[{host}]:{port}" if ":" in host else f"{host}:{port}")

    def opened(self, connection: RESPConnection) -> None:
        """Called by a connection."""
        self._connections[connection.id] = connection

    def closed(self, connection: RESPConnection) -> None:
        """Called by a connection."""
        self._connections.pop(connection.id, None)
        if not self._connections:
            drained, self._drained = self._drained, []
            for waiting in drained:
                waiting.callback(None)

    def held_back(self, size: int) -> None:
        """Called by a connection: so many bytes more wait for a client. Where that is too much, who lets the most wait is cut."""
        self.unsent_bytes += size
        if self.unsent_bytes > self.max_unsent_bytes:
            max(self._connections.values(), key=lambda one: one.unsent_bytes).cut()

    def drain(self, grace_s: float) -> Deferred[None]:
        """Close all connections, each when it has answered what has come; fires when none is open, after ``grace_s`` at the latest."""
        if not self._connections:
            return succeed(None)
        drained: Deferred[None] = Deferred()
        self._drained.append(drained)
        limit = self.wheel.after(grace_s, self._abort_all)
        for connection in list(self._connections.values()):
            connection.drain()
        return drained.addCallback(lambda _: limit.cancel())

    def _abort_all(self) -> None:
        for connection in list(self._connections.values()):
            connection.abort()

    def _command_failed(self, name: str) -> None:
        self._log.failure("the command {name} failed", name=name)

    def _end(self, session: Session) -> None:
        connection = self._connections.get(session.id)
        if connection is not None:
            connection.end()


class _Refused(Protocol):
    """A client beyond the number that may be connected."""

    transport: Any

    def connectionMade(self) -> None:
        self.transport.write(b"-ERR max number of clients reached\r\n")
        self.transport.loseConnection()
