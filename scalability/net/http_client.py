"""HTTP/1.1 towards a server behind us: one connection, and a pool of them that are kept alive.

A ``ClientConnection`` is in one of these states:

    idle      nothing is expected; it lies in its pool, where one received byte or the idle deadline closes it
    asked     a request was begun, no answer head has come yet
    answering the head of a final answer was handed out, its body follows
    tunnel    a 101 that was asked for (``may_switch``) was handed out: raw bytes both ways, each side's FIN for itself

    idle --send--> asked --head--> answering --end of body--> idle (reusable) or closed
                     '--head with the whole body--> idle or closed; connection lost, bad bytes, deadline --> closed

No Deferred, closure or delayed call is made per request: whoever asks is called back through ``AnswerReceiver``.
A connection goes back to its pool by itself, and only if the message framing ended cleanly on both sides and not a byte is left
(rules 39, 40); otherwise it is closed.
"""

import socket
from collections import deque
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any, Protocol, cast

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IAddress,
    IHalfCloseableProtocol,
    IHandshakeListener,
    IHostResolution,
    IPushProducer,
    IResolutionReceiver,
    ISSLTransport,
)
from twisted.internet.protocol import ClientFactory
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.python.failure import Failure
from zope.interface import alsoProvides, implementer

from scalability.config import Address
from scalability.errors import (
    AnswerTimeout,
    BadAnswer,
    BadMessage,
    BrokenAnswer,
    ConnectError,
    ConnectTimeout,
    NoAnswer,
    TLSFailed,
    TunnelTimeout,
    UpstreamError,
)
from scalability.http1.body import BodyReader, CloseBody, response_body
from scalability.http1.head import ResponseHead, ResponseHeadMemo, find_head_end
from scalability.http1.limits import DEFAULT_LIMITS, Limits
from scalability.lifecycle import Deadline, DeadlineWheel, MovingDeadline
from scalability.net.transport import connect_tcp

PEEK_AFTER_IDLE_TICKS = 4
"""A connection that lay idle this long (about a second) is looked at before it is used again: its FIN may not have been read yet."""

SURPLUS_S = 1.0
"""How long idle connections beyond ``max_idle`` are kept, in seconds."""


Secure = Callable[["SecureConnection"], Any]
"""Wraps a connection into TLS: the protocol to give to the transport."""


class AnswerReceiver(Protocol):
    """Whoever sent a request. The calls come in this order, and none after one with ``ended`` true or ``answer_failed``."""

    def answer_interim(self, head: ResponseHead) -> None:
        """A 1xx answer came; the final one is still expected."""

    def answer_received(self, head: ResponseHead, data: bytes, ended: bool) -> None:
        """The final answer's head, with as much of the body as came along; ``ended``: that was all of it."""

    def answer_data(self, data: bytes, ended: bool) -> None:
        """More of the body; ``data`` may be empty when ``ended``."""

    def answer_failed(self, error: UpstreamError) -> None:
        """There will be no (complete) answer. The connection is closed."""

    def upload_paused(self) -> None:
        """More than 64 KiB of the request wait to be sent: stop writing."""

    def upload_resumed(self) -> None:
        """All of it is sent: go on."""


class SwitchReceiver(AnswerReceiver, Protocol):
    """Whoever sent a request that may switch protocols."""

    def answer_switched(self, head: ResponseHead, data: bytes) -> None:
        """101 came, for a protocol that was asked for, and ``data`` behind it; call ``ClientConnection.enter_tunnel``."""

    def server_finished(self) -> None:
        """In a tunnel: the server has sent its FIN, and may still read."""


class ConnectReceiver(Protocol):
    """Whoever waits for a new connection."""

    def connected(self, connection: "ClientConnection") -> None: ...

    def connect_failed(self, error: ConnectError | ConnectTimeout) -> None: ...


@implementer(IPushProducer)
class ClientConnection(TwistedProtocol):
    """One connection to a server; one request at a time. Made by ``ConnectionPool`` only."""

    transport: Any
    _write: Callable[[bytes], object]
    """The transport's ``write``, found once."""
    preface = b""
    """What the connection began with, before TLS even: a PROXY protocol header."""
    _switch_request = 0
    """The number of the request that may switch protocols."""
    _switch_protocols: tuple[bytes, ...] = ()
    _tunnelled = False
    _ending = False

    def __init__(self, pool: "ConnectionPool", opening: "Opening") -> None:
        self._pool = pool
        self._opening: Opening | None = opening
        self._memo = ResponseHeadMemo(pool.limits)
        self._deadline = MovingDeadline(pool.wheel, self._expired)
        self._receiver: AnswerReceiver | None = None
        self._reader: BodyReader | None = None
        self._method = b""
        self._held = b""
        self._keep = False
        self._uploaded = True
        self._paused = False
        self._idle_ticks = pool.answer_ticks
        self._wheel = pool.wheel
        self._due = 0
        """The tick by which the next byte must have come. ``_deadline``, which is always running, may be earlier: then it looks again."""
        self.trailers: tuple[tuple[bytes, bytes], ...] = ()
        """The trailer section of the answer that ended last."""
        self.memory: Any = None
        """Whatever its user wants to remember from one answer to the next."""
        self.requests = 0
        """How many were sent here."""
        self.idle_since_tick = 0
        self.retired = False
        """Whether it takes no other request."""
        self.lost = False

    # requests

    def send(self, head: bytes, method: bytes, receiver: AnswerReceiver, ended: bool = True) -> None:
        """Begin a request: ``head`` is its complete head, and its whole body too when ``ended``; else ``write_body`` follows.

        The pool's ``answer_s`` bounds the wait for the first byte of the answer, and each pause within it.
        """
        self.requests += 1
        self._receiver = receiver
        self._method = method
        self._uploaded = ended
        self._due = self._wheel.turned_to + self._idle_ticks
        write = self._write
        write(head)

    @property
    def awaiting(self) -> AnswerReceiver | None:
        """Whoever waits for the first byte of an answer, if somebody does."""
        return self._receiver if self._reader is None and not self._held and not self._tunnelled else None

    def may_switch(self, protocols: tuple[bytes, ...]) -> None:
        """The next request that is sent asks for one of ``protocols``; its receiver is a SwitchReceiver."""
        self._switch_request = self.requests + 1
        self._switch_protocols = protocols

    def enter_tunnel(self, receiver: SwitchReceiver, idle_ticks: int) -> None:
        """From ``answer_switched``: what comes is given to ``receiver`` as ``answer_data``, what it has for the server to ``write_body``.

        When nothing passes in either direction for ``idle_ticks``, it hears of it as ``answer_failed(TunnelTimeout)``.
        """
        self._receiver = receiver
        self._tunnelled = True
        self._idle_ticks = idle_ticks
        self._put_off()
        self._uploaded = False
        alsoProvides(self, IHalfCloseableProtocol)  # other connections are of no use when the server has finished

    def half_close(self) -> None:
        """In a tunnel: send what is queued, then a FIN, and read on. TLS ends both directions."""
        self._uploaded = True
        self.transport.unregisterProducer()
        if ISSLTransport.providedBy(self.transport):
            self.transport.loseConnection()
        else:
            self.transport.loseWriteConnection()

    def end(self) -> None:
        """The tunnel is over: close when what is queued is sent. Nobody is called back any more."""
        self._receiver = None
        self._close()
        if not self.lost:
            self._ending = True
            self._deadline.move(self._pool.answer_ticks)

    def wait_as_the_pool_says(self) -> None:
        """Called by the pool when its timeout for answers has changed. A tunnel has its own."""
        if self._tunnelled:
            return
        before, self._idle_ticks = self._idle_ticks, self._pool.answer_ticks
        if self._idle_ticks < before:
            if self._receiver is None:
                self._deadline.move(self._idle_ticks)
            else:
                self.retired = True  # its deadline, which stays for this request, would come too late for the next one

    def write_body(self, data: bytes, ended: bool) -> None:
        """Send more of the request's body, framed as its head says; nothing happens when the connection is gone already."""
        if self._receiver is None or self._uploaded:
            return
        if data:
            self._put_off()
            self.transport.write(data)
        if ended:
            self._uploaded = True

    def hand_over(self, receiver: AnswerReceiver) -> None:
        """From within ``answer_received``: the rest of the answer goes to ``receiver``; nothing happens when that was all."""
        if self._receiver is not None:
            self._receiver = receiver

    def pause(self) -> None:
        """Read no more of the answer for now. No deadline runs meanwhile."""
        if not self._paused and not self.lost:
            self._paused = True
            if not self._tunnelled:
                self._deadline.stop()
            self.transport.pauseProducing()

    def resume(self) -> None:
        """Read on."""
        if self._paused and not self.lost:
            self._paused = False
            self._put_off()
            self.transport.resumeProducing()

    def abort(self) -> None:
        """Close at once, with a reset where a request was begun: that cancels it, whereas a FIN may pass for a half-close.

        Nobody is called back any more.
        """
        self._receiver = None
        self._close(reset=True)

    def close(self) -> None:
        """Close an idle connection."""
        self._close()

    def stale(self) -> bool:
        """True when the server has closed the idle connection, or sent bytes unasked, and the loop has not read that yet."""
        handle = getattr(self._socket_transport(), "getHandle", None)
        if handle is None:
            return False
        try:
            handle().recv(1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            return True
        return True  # a byte or the end: neither is good

    def _socket_transport(self) -> Any:
        return self.transport

    def _begin(self) -> None:
        if self.preface:
            self.transport.write(self.preface)

    # bytes

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)
        self.transport.registerProducer(self, True)
        self._write = self.transport.write
        self._deadline.move(self._idle_ticks)
        self._begin()
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.established(self)

    def dataReceived(self, data: bytes) -> None:
        receiver = self._receiver
        if receiver is None:
            self._close()  # nothing was asked (rule 40)
            return
        reader = self._reader
        memo = self._memo
        if len(data) == memo.whole_bytes and data.startswith(memo.block) and reader is None and not self._held and self._method != b"HEAD":
            # the usual answer: whole, with the head of the one before
            head = memo.head
            assert head is not None
            self._receiver = None
            self.trailers = ()
            if head.keep_alive and self._uploaded and not self._paused:
                self._pool.put(self)
            else:
                self._close(reset=not self._uploaded)
            receiver.answer_received(head, data[memo.block_bytes :], True)
            return
        try:
            if reader is not None:
                payload, rest = reader.feed(data)
                if reader.complete:
                    self._end(reader, rest)
                    receiver.answer_data(payload, True)
                else:
                    self._put_off()
                    if payload:
                        receiver.answer_data(payload, False)
                return
            held = len(self._held)
            if held:
                data = self._held + data
            while True:
                end = memo.find(data)
                if end:
                    head = memo.head
                    assert head is not None
                else:
                    end = find_head_end(data, 0, self._pool.limits, scanned=held)
                    if end < 0:
                        self._held = data
                        return
                    head = memo.parse(data[:end])
                if head.status >= 200:
                    break
                if head.status == 101:
                    self._switch(receiver, head, data[end:])
                    return
                self._put_off()
                receiver.answer_interim(head)
                if self._receiver is not receiver:
                    return
                data = data[end:]
                held = 0
                if not data:
                    self._held = b""
                    return
            if held:
                self._held = b""
            self._keep = head.keep_alive
            payload = data[end:]
            reader = response_body(head, self._method, self._pool.limits)
            payload, rest = reader.feed(payload) if payload else (b"", b"")
        except BadMessage as error:
            self._fail(BadAnswer() if self._reader is None else BrokenAnswer(), error)
            return
        if reader.complete:
            self._end(reader, rest)
            receiver.answer_received(head, payload, True)
        else:
            self._reader = reader
            self._put_off()
            receiver.answer_received(head, payload, False)

    def _switch(self, receiver: AnswerReceiver, head: ResponseHead, data: bytes) -> None:
        protocol = head.upgrade
        if self._switch_request != self.requests or protocol is None:
            raise BadMessage("it switches protocols without being asked")
        if protocol.lower() not in [asked.lower() for asked in self._switch_protocols]:
            raise BadMessage("it switches to another protocol than was asked for")
        self._held = b""
        self._keep = False
        self._reader = CloseBody()
        cast(SwitchReceiver, receiver).answer_switched(head, data)

    def readConnectionLost(self) -> None:
        """In a tunnel only (see ``enter_tunnel``): the server's FIN."""
        if self._receiver is not None:
            cast(SwitchReceiver, self._receiver).server_finished()

    def writeConnectionLost(self) -> None:
        """Our own FIN has been sent."""

    def connectionLost(self, reason: Failure = None) -> None:  # type: ignore[assignment]
        self.lost = True
        self._deadline.cancel()
        self._pool.forget(self)
        receiver, self._receiver = self._receiver, None
        if receiver is None:
            return
        reader = self._reader
        error: UpstreamError
        if reader is None:
            error = BadAnswer("A server behind this one closed the connection within the head of its answer.") if self._held else NoAnswer()
        else:
            if not reader.reusable and reason.check(ConnectionDone):
                # the end of the connection is the end of this body; a reset is not
                receiver.answer_data(b"", True)
                return
            error = BrokenAnswer()
        error.__cause__ = reason.value
        receiver.answer_failed(error)

    # the transport's producer: the request's body

    def pauseProducing(self) -> None:
        if self._receiver is not None and not self._uploaded:
            self._receiver.upload_paused()

    def resumeProducing(self) -> None:
        if self._receiver is not None and not self._uploaded:
            self._put_off()
            self._receiver.upload_resumed()

    def stopProducing(self) -> None:
        """connectionLost follows and does what is to be done."""

    # endings

    def _end(self, reader: BodyReader, rest: bytes) -> None:
        """The answer is complete: back to the pool, before the receiver hears of it, so that its next request finds it there."""
        self._receiver = None
        self._reader = None
        self.trailers = reader.trailers
        if self._keep and reader.reusable and self._uploaded and not rest and not self._paused:
            self._pool.put(self)
        else:
            self._close(reset=not self._uploaded)

    def _fail(self, error: UpstreamError, cause: BaseException | None) -> None:
        receiver, self._receiver = self._receiver, None
        self._close(reset=True)
        if receiver is not None:
            error.__cause__ = cause
            receiver.answer_failed(error)

    def _put_off(self) -> None:
        """Something has come, or gone: from now on the next piece may take as long."""
        self._due = self._wheel.turned_to + self._idle_ticks
        self._deadline.move(self._idle_ticks)

    def _expired(self) -> None:
        left = self._due - self._wheel.turned_to
        if self._receiver is None:
            if self._ending:
                self._close(reset=True)
            else:
                self._deadline.move(self._idle_ticks)  # it is idle, and the pool knows for how long
        elif left > 0:
            self._deadline.move(left)
        elif self._reader is None:
            self._fail(AnswerTimeout(), None)
        elif self._tunnelled:
            self._fail(TunnelTimeout(), None)
        else:
            self._fail(BrokenAnswer("A server behind this one stopped in the middle of its answer."), None)

    def _close(self, *, reset: bool = False) -> None:
        if self.lost:
            return
        self._deadline.stop()
        self._pool.forget(self)
        self.transport.unregisterProducer()
        if reset:
            self.transport.abortConnection()
        else:
            self.transport.loseConnection()


@implementer(IHandshakeListener)
class SecureConnection(ClientConnection):
    """A connection under TLS: it stands once the handshake is done and the server is the one that was meant."""

    def connectionMade(self) -> None:
        """The handshake comes first; and before it the preface."""
        if self.preface:
            self.transport.transport.write(self.preface)

    def _begin(self) -> None:
        """Done already."""

    def handshakeCompleted(self) -> None:
        super().connectionMade()

    def connectionLost(self, reason: Failure = None) -> None:  # type: ignore[assignment]
        opening, self._opening = self._opening, None
        super().connectionLost(reason)
        if opening is not None:
            opening.handshake_failed(reason)

    def give_up_handshake(self) -> None:
        """The attempt is over, without a word to it."""
        self._opening = None
        self.transport.abortConnection()

    def _socket_transport(self) -> Any:
        return self.transport.transport


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

    def open(self, receiver: ConnectReceiver, preface: bytes = b"") -> "Opening":
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

    def opened(self, opening: "Opening", connection: ClientConnection) -> None:
        """Called by an attempt that succeeded."""
        self._opening.discard(opening)
        self.connects += 1
        self._open.add(connection)

    def not_opened(self, opening: "Opening") -> None:
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


@implementer(IResolutionReceiver)
class Opening(ClientFactory):
    """One attempt to connect: a look-up if there is a name, then each address in turn, all of it within the connect timeout."""

    noisy = False

    def __init__(self, pool: ConnectionPool, receiver: ConnectReceiver, preface: bytes = b"") -> None:
        self._pool = pool
        self._preface = preface
        self.receiver: ConnectReceiver | None = receiver
        """Who waits; None when the attempt is over."""
        self._reactor: Any = None
        self._hosts: list[str] = []
        self._connector: Any = None
        self._handshaking: SecureConnection | None = None
        self._secured = False
        self._resolution: IHostResolution | None = None
        self._error: BaseException | None = None
        self._deadline: Deadline = pool.wheel.after(pool.connect_timeout_s, self._timed_out)

    def begin(self, reactor: Any) -> None:
        self._reactor = reactor
        host = self._pool.address.host
        if _is_ip(host):
            self._hosts = [host]
            self._next()
        else:
            reactor.nameResolver.resolveHostName(self, host, self._pool.address.port)

    def cancel(self) -> None:
        """Stop trying; nobody is called back."""
        self.receiver = None
        self._stop()

    def fail(self, error: ConnectError | ConnectTimeout) -> None:
        receiver, self.receiver = self.receiver, None
        self._stop()
        if receiver is not None:
            error.__cause__ = self._error
            receiver.connect_failed(error)

    # IResolutionReceiver

    def resolutionBegan(self, resolution: IHostResolution) -> None:
        self._resolution = resolution

    def addressResolved(self, address: IAddress) -> None:
        self._hosts.append(address.host)  # type: ignore[attr-defined]

    def resolutionComplete(self) -> None:
        self._resolution = None
        self._next()

    # ClientFactory

    def buildProtocol(self, addr: IAddress | None) -> Any:  # a ClientConnection, perhaps within TLS
        secure = self._pool.secure
        if secure is None:
            connection = ClientConnection(self._pool, self)
            if self._preface:
                connection.preface = self._preface
            return connection
        self._secured = True
        self._handshaking = SecureConnection(self._pool, self)
        self._handshaking.preface = self._preface
        return secure(self._handshaking)

    def clientConnectionFailed(self, connector: Any, reason: Failure) -> None:
        self._connector = None
        if self.receiver is not None:
            self._error = reason.value
            self._next()

    def established(self, connection: ClientConnection) -> None:
        """Called by the connection when it stands."""
        self._handshaking = None
        self._deadline.cancel()
        self._pool.opened(self, connection)
        receiver, self.receiver = self.receiver, None
        if receiver is None:
            connection.abort()
        else:
            receiver.connected(connection)

    def handshake_failed(self, reason: Failure) -> None:
        """Called by the connection when it ends before it stands."""
        self._handshaking = None
        self._connector = None
        self._error = reason.value
        self._next()

    def _next(self) -> None:
        if self.receiver is None:
            return
        if not self._hosts:
            self.fail(TLSFailed() if self._secured else ConnectError())
            return
        self._secured = False
        self._connector = connect_tcp(self._reactor, self._hosts.pop(0), self._pool.address.port, self)

    def _timed_out(self) -> None:
        self.fail(ConnectTimeout())

    def _stop(self) -> None:
        self._deadline.cancel()
        self._pool.not_opened(self)
        if self._resolution is not None:
            # Twisted's getaddrinfo runs on a thread and cannot be stopped; what it finds is ignored
            self._resolution = None
        handshaking, self._handshaking = self._handshaking, None
        if handshaking is not None:
            handshaking.give_up_handshake()
        connector, self._connector = self._connector, None
        if connector is not None and connector.state == "connecting":
            connector.stopConnecting()


def _is_ip(host: str) -> bool:
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
