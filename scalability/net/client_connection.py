"""One HTTP/1.1 connection to a server behind us.

It is in one of these states:

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
from collections.abc import Callable
from typing import Any, Protocol, cast

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer, ISSLTransport
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.python.failure import Failure
from zope.interface import alsoProvides, implementer

from scalability.errors import AnswerTimeout, BadAnswer, BadMessage, BrokenAnswer, NoAnswer, TunnelTimeout, UpstreamError
from scalability.http1.body import BodyReader, CloseBody, response_body
from scalability.http1.head_end import find_head_end
from scalability.http1.head_memo import ResponseHeadMemo
from scalability.http1.limits import Limits
from scalability.http1.response_head import ResponseHead
from scalability.lifecycle import DeadlineWheel, MovingDeadline
from scalability.net.answer_receiver import AnswerReceiver, SwitchReceiver


class OwningPool(Protocol):
    """What a connection needs of the pool that it belongs to."""

    wheel: DeadlineWheel
    limits: Limits
    answer_ticks: int
    """How long the first byte of an answer, and each next one, may take, in ticks of ``wheel``."""

    def put(self, connection: "ClientConnection") -> None:
        """It has finished a request and can take another."""

    def forget(self, connection: "ClientConnection") -> None:
        """It is closed."""


class Attempt(Protocol):
    """The attempt to connect that a connection comes from: told once how it went."""

    def established(self, connection: "ClientConnection") -> None:
        """The connection stands."""

    def handshake_failed(self, reason: Failure) -> None:
        """It ended before it stood, where TLS comes first."""


@implementer(IPushProducer)
class ClientConnection(TwistedProtocol):
    """One connection to a server; one request at a time. Made by a pool's attempts to connect only."""

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

    def __init__(self, pool: OwningPool, opening: Attempt) -> None:
        self._pool = pool
        self._opening: Attempt | None = opening
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
