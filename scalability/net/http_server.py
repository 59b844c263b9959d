"""The HTTP/1.1 server of the whole suite: strict heads, streamed bodies, pipelining in order, deadlines, draining.

A connection is in one of these states:

    idle       nothing has come since the last answer (or since it was accepted); the idle deadline closes it
    heading    a head has begun; the head deadline answers 408
    serving    an ``Exchange`` is with the application; its request's body may still be arriving; pipelined requests wait
    tunnel     the application has answered 101: raw bytes both ways, each side's FIN for itself, no deadline of ours
    lingering  the last answer is sent and our side is closed; what the client still sends is thrown away, for a short while,
               so that it reads that answer instead of a reset
    closed

    idle --bytes--> heading --head--> serving --answer ended--> idle, or serving the next pipelined request
    heading, serving --refusal, Connection: close, draining--> lingering or closed; connection lost --> closed

The application is told once per request, and answers through the exchange: no Deferred, closure or delayed call is made
on this path. Both directions have 64 KiB watermarks. Refusals are JSON (``net.failures``).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from ipaddress import IPv6Address
from time import time
from typing import Any, Protocol

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IAddress, IHalfCloseableProtocol, IPushProducer, IReactorTime, ISSLTransport
from twisted.internet.protocol import Factory
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from scalability.errors import BadMessage, BodyTooLarge, ClientGone, RequestTimeout, ScalelabError
from scalability.http1.answer import simple_answer
from scalability.http1.body import BodyReader, ChunkedBody, CloseBody, request_body
from scalability.http1.head import Field, RequestHead, RequestHeadMemo, find_head_end
from scalability.http1.known_heads import KnownHeads
from scalability.http1.limits import DEFAULT_LIMITS, Limits
from scalability.http1.proxy_protocol import ProxyHeader
from scalability.lifecycle import DeadlineWheel, MovingDeadline
from scalability.net.failures import error_answer
from scalability.net.transport import HIGH_WATERMARK
from scalability.net.wire import ignore

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


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


class Receiver(Protocol):
    """Whoever serves an exchange: told about the rest of the request's body, and about the client."""

    def body_received(self, data: bytes, ended: bool) -> None:
        """More of the request's body, in order; ``ended``: that was all (``data`` may be empty then)."""

    def client_lost(self, error: ScalelabError) -> None:
        """The exchange is over without a complete answer: the client has gone, broke the framing, or was too slow. Send nothing more."""

    def client_full(self) -> None:
        """More than 64 KiB of the answer wait for the client: stop writing."""

    def client_ready(self) -> None:
        """All of it is sent: go on."""


class TunnelReceiver(Receiver, Protocol):
    """Whoever has a tunnel: ``body_received`` is given whatever the client sends, never ``ended``."""

    def client_finished(self) -> None:
        """The client has sent its FIN, and may still read."""


class Application(Protocol):
    """What a server serves."""

    def request_received(self, exchange: "Exchange") -> None:
        """Answer ``exchange``, now or later. If ``exchange.body_complete`` is False, ``exchange.receiver`` must be set before returning."""


class Exchange:
    """One request and its answer.

    The answer is either complete, ``reply`` (bytes) or ``answer`` (parts), or ``begin``, any number of ``write``, ``finish``.
    When the client is lost, what is still written is dropped.
    """

    # slots, and no defaults in the class: with those CPython 3.11 gives up its fast ways to read and write an attribute
    __slots__ = (
        "__weakref__",
        "began_s",
        "begun",
        "body",
        "body_complete",
        "client_host",
        "connection",
        "head",
        "receiver",
        "request_id",
        "sent_bytes",
        "served_by",
        "status",
        "trailers",
        "trouble",
    )

    def __init__(self, connection: "ServerConnection", head: RequestHead, began_s: float) -> None:
        self.connection = connection
        """Its ``memory`` may hold what the application wants to know of the client's next request."""
        self.head = head
        self.began_s = began_s
        self.body = b""
        """The part of the request's body that came along with the head; the rest goes to ``receiver``."""
        self.body_complete = True
        """Whether all of the body has arrived (been given out)."""
        self.trailers: tuple[Field, ...] = ()
        """The trailer section of a chunked body, once complete."""
        self.receiver: Receiver | None = None
        self.begun = False
        """Whether the answer has."""
        self.status = 0
        """Of the answer, once begun."""
        self.sent_bytes = 0
        """Of the answer, head and framing included."""
        self.served_by = ""
        """The name of the server behind us that answered, for the access log."""
        self.client_host = b""
        """The client's address where a trusted proxy in front of us told it; else empty, and ``peer_host`` is the client."""
        self.request_id = b""
        """The request's name, if it has got one: every answer says it, as X-Request-Id."""
        self.trouble = ""
        """The code of the error that this exchange ended with, for the access log."""

    @property
    def peer_host(self) -> bytes:
        """The client's address, as text."""
        return self.connection.peer_host

    @property
    def scheme(self) -> bytes:
        """http or https, as the client connected."""
        return self.connection.scheme

    @property
    def keep_alive(self) -> bool:
        """Whether the answer's head, if it were sent now, may let the connection go on. Not while the request's body is still arriving."""
        return self.head.keep_alive and self.body_complete and not self.connection.factory.draining

    def send_continue(self) -> None:
        """Tell a client that waits for it (``Expect: 100-continue``) to send the body."""
        if self.head.expect_continue and not self.begun and not self.body_complete:
            self.connection.send(self, CONTINUE)

    def send_interim(self, block: bytes) -> None:
        """Send a complete 1xx head."""
        if not self.begun:
            self.connection.send(self, block)

    def begin(self, status: int, block: bytes, *, keep_alive: bool) -> None:
        """Send the answer's complete head, and perhaps the beginning of its body with it; ``keep_alive`` is what that head says."""
        self._start(status, keep_alive)
        self.sent_bytes = len(block)
        self.connection.send(self, block)

    def write(self, data: bytes) -> None:
        """Send more of the body, framed as the head says."""
        self.sent_bytes += len(data)
        self.connection.send(self, data)

    def finish(self, data: bytes = b"") -> None:
        """Send ``data``, the last bytes of the body if there are any; the exchange is over."""
        if data:
            self.sent_bytes += len(data)
            self.connection.send(self, data)
        self.connection.exchange_ended(self)

    def reply(self, status: int, block: bytes, keep_alive: bool) -> None:
        """``begin`` and ``finish`` in one write: ``block`` is head and body. The cheapest answer; without keywords even more so."""
        if self.begun:
            raise RuntimeError("this exchange is answered already")
        self.begun = True
        self.status = status
        self.sent_bytes = len(block)
        self.connection.replied(self, block, keep_alive)

    def switch(self, block: bytes, receiver: TunnelReceiver) -> None:
        """Answer with ``block``, a complete 101 head and perhaps the first bytes behind it; from now on the connection is a tunnel.

        Only for a request without a body. ``write``, ``half_close`` and ``finish`` are for the client; ``receiver`` keeps the idle limit.
        """
        if not self.body_complete:
            raise RuntimeError("a request whose body is still arriving cannot become a tunnel")
        self.begin(101, block, keep_alive=False)
        self.receiver = receiver
        self.connection.enter_tunnel(self, receiver)

    def half_close(self) -> bool:
        """In a tunnel: send what is queued, then a FIN, and read on. False where the transport (TLS) cannot: ``finish`` then."""
        return self.connection.half_close(self)

    def answer(self, status: int, body: bytes, content_type: bytes = b"application/json", fields: Sequence[Field] = ()) -> None:
        """A complete answer with a known body; framing, Connection and HEAD are taken care of."""
        keep_alive = self.keep_alive
        head = self.head
        fields = (*fields, (b"Date", self.connection.factory.date()))
        if self.request_id:
            fields = (*fields, (b"X-Request-Id", self.request_id))
        block = simple_answer(
            status, body, content_type, fields=fields, keep_alive=keep_alive, minor=head.minor, head_only=head.method == b"HEAD"
        )
        self.reply(status, block, keep_alive=keep_alive)

    def fail(self, error: ScalelabError) -> None:
        """Answer with ``error``; when an answer has begun already, cut the connection, so that nobody takes it for a complete one."""
        self.trouble = error.code
        if self.begun:
            self.abort()
            return
        keep_alive = self.keep_alive and not isinstance(error, BadMessage)
        head = self.head
        fields = [(b"Date", self.connection.factory.date())]
        if self.request_id:
            fields.append((b"X-Request-Id", self.request_id))
        block = error_answer(error, keep_alive=keep_alive, minor=head.minor, head_only=head.method == b"HEAD", fields=fields)
        self.reply(error.status, block, keep_alive=keep_alive)

    def refusal(self, error: ScalelabError, block: bytes) -> bytes:
        """What the server sends instead of ``block``, its answer with ``error`` to a request whose body it will not read to the end."""
        return block

    def abort(self) -> None:
        """Reset the connection: the client sees that the answer is broken. ``receiver`` hears nothing more."""
        self.connection.abort_exchange(self)

    def limit_body(self, max_bytes: int) -> None:
        """Take a body of no more than this; to be called before any of it is used. Raises BodyTooLarge when it is known to be larger.

        One that turns out to be larger later ends the exchange as a broken one does, with 413 unless the answer has begun.
        """
        if max(self.head.content_length or 0, len(self.body)) > max_bytes:
            raise BodyTooLarge(f"the body is larger than {max_bytes} bytes")
        if not self.body_complete and self.head.chunked:
            self.connection.limit_body(self, max_bytes)

    def pause_body(self) -> None:
        """Deliver no more of the request's body for now."""
        self.connection.pause_body(self)

    def resume_body(self) -> None:
        """Deliver on."""
        self.connection.resume_body(self)

    def _start(self, status: int, keep_alive: bool) -> None:
        if self.begun:
            raise RuntimeError("this exchange is answered already")
        self.begun = True
        self.status = status
        if not keep_alive:
            self.connection.close_after_answer()


class ServerCounts:
    """What a server has done, in plain numbers, read when metrics are asked for."""

    __slots__ = (
        "aborted",
        "accepted",
        "answered",
        "begun",
        "open",
        "out_of_means",
        "paused_at_cap",
        "refused",
        "rejected",
        "sent_bytes",
    )

    def __init__(self) -> None:
        self.accepted = 0
        """Connections, ever."""
        self.open = 0
        """Connections, now."""
        self.begun = 0
        """Requests, ever."""
        self.answered = 0
        """Requests whose answer was sent completely."""
        self.aborted = 0
        """Requests whose answer was not sent completely: the client left, or the server behind us broke off."""
        self.refused = 0
        """Connections that ended with a message that is not proper HTTP, or came too late."""
        self.rejected = 0
        """Connections that were closed at once, because their client had as many as one client may have."""
        self.paused_at_cap = 0
        """How often accepting paused because there were as many connections as there may be."""
        self.out_of_means = 0
        """How often accepting paused because the process had no descriptor or memory left."""
        self.sent_bytes = 0
        """Of answers to requests."""

    @property
    def active(self) -> int:
        """Requests in flight."""
        return self.begun - self.answered - self.aborted


@implementer(IHalfCloseableProtocol, IPushProducer)
class ServerConnection(TwistedProtocol):
    """One client's connection. Made by ``HTTPServerFactory`` only."""

    log = Logger()
    transport: Any
    factory: "HTTPServerFactory"
    _tunnel: TunnelReceiver | None = None
    counted_as = ""
    """The client that the factory counts this connection for, while it limits how many each may have."""
    _body_due = 0
    """The tick by which the body that is arriving must have brought more, in units of a tick's least bytes; see ``_body_ticks``."""
    _body_paused_at = 0

    announced: ProxyHeader | None = None
    """The PROXY protocol header that the connection began with, if any: its addresses are the client's."""

    def __init__(self, factory: "HTTPServerFactory", peer: IAddress | None) -> None:
        # what each request needs stands together, in two lines of the processor's cache
        self.factory = factory
        self._write: Callable[[bytes], object] = ignore
        """The transport's ``write``, found once: a transport has too many attributes to be looked into each time."""
        self._exchange: Exchange | None = None
        self._memo = RequestHeadMemo(factory.limits, factory.known_heads)
        self.memory: Any = None
        """Whatever the application wants to remember between this client's requests."""
        self._idle_until = 0
        """The tick until which the connection may be idle, where ``_deadline`` was not moved for it."""
        self._usual = False
        """Nothing but whole requests without bodies and whole answers has come since the connection was idle: no byte is held, neither
        side has been paused, half-closed or is closing, the memo has a head, and ``_deadline`` is running. One question instead of nine."""
        self.peer_host: bytes = getattr(peer, "host", "unknown").encode()
        self.scheme = b"http"
        self._reader: BodyReader | None = None
        self._deadline = MovingDeadline(factory.wheel, self._expired)
        self._held = b""
        self._scanned = 0
        self._serving = False
        self._close_after = False
        self._paused = False
        self._body_paused = False
        self._full = False
        self._half_closed = False
        self._linger_bytes = 0
        self._closing = False
        self.lost = False
        self.abort_on_close = factory.abort_on_close
        """Whether a FIN ends the exchange (rule 42); whoever serves it may change that while it waits."""

    def ends(self) -> tuple[tuple[str, int], tuple[str, int]]:
        """The address and port of the client, and those that it connected to, as far as they are known."""
        announced = self.announced
        if announced is not None and announced.source is not None and announced.destination is not None:
            return announced.source, announced.destination
        peer, host = self.transport.getPeer(), self.transport.getHost()
        return (peer.host, peer.port), (host.host, host.port)

    # the transport's side

    def connectionMade(self) -> None:
        transport = self.transport
        transport.setTcpNoDelay(True)
        transport.registerProducer(self, True)
        self._write = transport.write
        if ISSLTransport.providedBy(transport):
            self.scheme = b"https"
        self._deadline.move(self.factory.drain_idle_ticks if self.factory.draining else self.factory.head_ticks)

    def dataReceived(self, data: bytes) -> None:
        exchange = self._exchange
        if exchange is None:
            if self._usual:
                memo = self._memo
                try:
                    whole = data == memo.block or 0 < memo.find(data) == len(data)
                except BadMessage as error:
                    self._refuse(error)
                    return
                if whole and not memo.head.has_body:
                    # the usual request: whole, alone, with the field lines of the one before, and without a body
                    factory = self.factory
                    make, seconds = factory.make_exchange, factory.seconds
                    exchange = self._exchange = make(self, memo.head, seconds())
                    factory.counts.begun += 1
                    try:
                        factory.application.request_received(exchange)
                    except Exception:
                        self._application_failed(exchange)
                    return
                self._serve(data)
            elif self._closing:
                self._discard(data)
            elif self._full:
                self._hold(data)  # answers wait for the client: none is made that would have to wait behind them
            else:
                self._serve(self._held + data)
        elif self._reader is None:
            self._hold(data)
        elif self._body_paused:
            # a transport that still had some when it was paused
            self._held += data
        else:
            self._feed(exchange, self._reader, data)

    def readConnectionLost(self) -> None:
        """The client sent a FIN: a half-close, after which it may still wait for its answer (rule 42)."""
        self._usual = False
        self._half_closed = True
        exchange = self._exchange
        if self._closing:
            self._close()
        elif self._tunnel is not None:
            self._tunnel.client_finished()
        elif exchange is None:
            if not self._held or not self._full:
                self._close()
        elif self._reader is not None or self.abort_on_close:
            self._lose(exchange, ClientGone())
            self._close(reset=True)

    def writeConnectionLost(self) -> None:
        """Our own half-close has been sent."""

    def connectionLost(self, reason: Failure = None) -> None:  # type: ignore[assignment]
        self.lost = True
        self._deadline.cancel()
        exchange = self._exchange
        if exchange is not None:
            self._lose(exchange, ClientGone())
        self.factory.connection_closed(self)

    # the transport's producer: the answer

    def pauseProducing(self) -> None:
        self._usual = False
        self._full = True
        if self._tunnel is None:
            self._deadline.move(self.factory.body_ticks)
        exchange = self._exchange
        if exchange is not None and exchange.receiver is not None:
            exchange.receiver.client_full()

    def resumeProducing(self) -> None:
        self._full = False
        exchange = self._exchange
        if exchange is None:
            if not self._closing:
                self._next()
            return
        self._watch_body()
        if exchange.receiver is not None:
            exchange.receiver.client_ready()

    def stopProducing(self) -> None:
        """connectionLost follows and does what is to be done."""

    # the exchange's side

    def send(self, exchange: Exchange, data: bytes) -> None:
        if exchange is self._exchange:
            self.transport.write(data)

    def enter_tunnel(self, exchange: Exchange, receiver: TunnelReceiver) -> None:
        if exchange is not self._exchange:
            return
        self._usual = False
        self._tunnel = receiver
        self._reader = CloseBody()
        self._deadline.stop()
        # bytes that came behind the request: they belong to the new protocol
        held, self._held = self._held, b""
        if held:
            receiver.body_received(held, False)
        if self._half_closed:
            receiver.client_finished()
        elif not self._body_paused:
            self._resume()

    def half_close(self, exchange: Exchange) -> bool:
        if exchange is not self._exchange or self.scheme == b"https":
            return False
        self.transport.unregisterProducer()
        self.transport.loseWriteConnection()
        return True

    def close_after_answer(self) -> None:
        self._usual = False
        self._close_after = True

    def replied(self, exchange: Exchange, block: bytes, keep_alive: bool) -> None:
        if exchange is not self._exchange:
            return
        write = self._write
        write(block)
        if keep_alive and self._usual:
            # the usual end: the client has sent nothing more, and is waited for
            factory = self.factory
            self._exchange = None
            exchange.receiver = None
            counts = factory.counts
            counts.answered += 1
            counts.sent_bytes += exchange.sent_bytes
            ended, seconds = factory.ended, factory.seconds
            if ended is not None:
                ended(exchange, seconds() - exchange.began_s)
            self._idle_until = factory.wheel.turned_to + factory.pause_ticks
            return
        if not keep_alive:
            self.close_after_answer()
        self.exchange_ended(exchange)

    def exchange_ended(self, exchange: Exchange) -> None:
        if exchange is not self._exchange:
            return
        self._exchange = None
        exchange.receiver = None  # who most likely knows the exchange: no work for the garbage collector
        self.factory.count(exchange)
        if self._close_after or self._reader is not None:
            self._finish_connection()
        elif not self._serving:
            self._next()

    def abort_exchange(self, exchange: Exchange) -> None:
        if exchange is self._exchange:
            self._exchange = None
            exchange.receiver = None
            self.factory.count_aborted(exchange)
            self._close(reset=True)

    def limit_body(self, exchange: Exchange, max_bytes: int) -> None:
        reader = self._reader
        if exchange is not self._exchange or not isinstance(reader, ChunkedBody):
            return
        try:
            reader.limit(max_bytes)
        except BadMessage as error:
            raise BodyTooLarge(f"the body is larger than {max_bytes} bytes") from error

    def pause_body(self, exchange: Exchange) -> None:
        if exchange is self._exchange and not self._body_paused and self._reader is not None:
            self._body_paused = True
            self._body_paused_at = self.factory.wheel.turned_to
            self._pause()
            self._watch_body()

    def resume_body(self, exchange: Exchange) -> None:
        if exchange is not self._exchange or not self._body_paused:
            return
        self._body_paused = False
        factory = self.factory
        self._body_due += (factory.wheel.turned_to - self._body_paused_at) * factory.body_bytes_per_tick
        reader, held = self._reader, self._held
        self._watch_body()
        if held and reader is not None:
            self._held = b""
            self._feed(exchange, reader, held)
        if not self._body_paused:
            self._resume()

    # requests

    def _serve(self, data: bytes) -> None:
        """Serve whatever ``data`` holds, up to the first request that is not answered at once."""
        factory = self.factory
        memo = self._memo
        self._usual = False
        self._serving = True
        try:
            while data:
                end = memo.find(data)
                if end:
                    head = memo.head
                else:
                    end = find_head_end(data, 0, factory.limits, scanned=self._scanned)
                    if end < 0:
                        if not self._scanned:
                            # from the first byte on; later ones do not put it off
                            self._deadline.move(factory.head_ticks)
                        self._scanned = len(data)
                        break
                    head = memo.parse(data[:end])
                self._scanned = 0
                exchange = factory.make_exchange(self, head, factory.seconds())
                if head.content_length or head.chunked:
                    reader = request_body(head, factory.limits)
                    payload, data = reader.feed(data[end:])
                    exchange.body = payload
                    if not reader.complete:
                        exchange.body_complete = False
                        self._reader = reader
                        self._begin_body(head, payload)
                    elif reader.trailers:
                        exchange.trailers = reader.trailers
                else:
                    data = data[end:]
                if self._half_closed and not exchange.body_complete:
                    # the FIN came while an earlier request was served: this one will never be whole (rule 42)
                    factory.counts.begun += 1
                    self._lose(exchange, ClientGone())
                    self._close(reset=True)
                    return
                # without a body to come no deadline is needed, and none is stopped: _expired knows
                self._held = data
                self._exchange = exchange
                factory.counts.begun += 1
                try:
                    factory.application.request_received(exchange)
                except Exception:
                    self._application_failed(exchange)
                if self._exchange is not None or self._closing:
                    return
                data = self._held
                if self._full:
                    return
            self._held = data
        except BadMessage as error:
            self._refuse(error)
            return
        finally:
            self._serving = False
        if not data:
            self._wait()
        if self._half_closed:
            self._close()
        elif self._paused:
            self._resume()

    def _application_failed(self, exchange: Exchange) -> None:
        self.log.failure("the application failed on a request")
        if self._exchange is exchange:
            exchange.fail(ScalelabError("this server made a mistake; its log says more"))

    def _feed(self, exchange: Exchange, reader: BodyReader, data: bytes) -> None:
        try:
            payload, rest = reader.feed(data)
        except BadMessage as error:
            begun = exchange.begun
            self._lose(exchange, error)
            if begun:
                self._close(reset=True)
            else:
                self._refuse(error, exchange)
            return
        receiver = exchange.receiver
        assert receiver is not None
        if reader.complete:
            self._reader = None
            exchange.body_complete = True
            exchange.trailers = reader.trailers
            self._watch_body()
            if rest:
                self._hold(rest)
            receiver.body_received(payload, True)
        else:
            if payload:
                self._body_came(payload)
            self._watch_body()
            if payload:
                receiver.body_received(payload, False)

    def _hold(self, data: bytes) -> None:
        """Keep pipelined bytes until their turn comes; the client waits when they are many."""
        self._usual = False
        self._held += data
        if len(self._held) > HIGH_WATERMARK:
            self._pause()

    def _next(self) -> None:
        """The answer is sent: on to what the client has sent meanwhile, or wait for it."""
        if self._full:
            return  # resumeProducing comes here again
        held = self._held
        if held:
            self._serve(held)
        elif self._half_closed:
            self._close()
        else:
            self._wait()
            if self._paused:
                self._resume()

    def _wait(self) -> None:
        """All that came is answered: wait for the next request."""
        self._idle_until = 0
        self._deadline.move(self.factory.pause_ticks)
        unusual = self._full or self._half_closed or self._paused or self._closing or self._close_after
        self._usual = len(self._memo.block) > 0 and not unusual

    def _begin_body(self, head: RequestHead, payload: bytes) -> None:
        """Not all of the body came with its head: from now on it has a deadline, and a least rate (rule 47)."""
        factory = self.factory
        # who waits for 100 (Continue) waits for us, and not we for it
        ticks = factory.body_ticks if head.expect_continue else factory.body_start_ticks
        self._body_due = (factory.wheel.turned_to + ticks) * factory.body_bytes_per_tick
        if payload:
            self._body_came(payload)
        self._deadline.move(self._body_ticks())

    def _body_came(self, payload: bytes) -> None:
        """Bytes buy time, one tick for each ``body_bytes_per_tick``, but no more than the longest pause there may be."""
        factory = self.factory
        limit = (factory.wheel.turned_to + factory.body_ticks) * factory.body_bytes_per_tick
        self._body_due = min(limit, self._body_due + len(payload))

    def body_rate_changed(self, before: int) -> None:
        """The factory wants another rate; ``before`` were ``body_bytes_per_tick``. A body that is arriving keeps the time it has bought."""
        factory = self.factory
        least = factory.body_bytes_per_tick
        due_at = self._body_due // before if before else factory.wheel.turned_to + factory.body_start_ticks
        self._body_due = due_at * least

    def _body_ticks(self) -> int:
        """How long the next piece of the body may take."""
        factory = self.factory
        least = factory.body_bytes_per_tick
        if not least:
            return factory.body_ticks
        return min(factory.body_ticks, self._body_due // least - factory.wheel.turned_to)

    def _watch_body(self) -> None:
        """Start the right deadline for the state of an exchange: for the next piece of the body, for a slow reader, or none."""
        if self._tunnel is not None:
            return
        if self._full:
            self._deadline.move(self.factory.body_ticks)
        elif self._reader is not None and not self._body_paused:
            self._deadline.move(self._body_ticks())
        else:
            self._deadline.stop()

    def _expired(self) -> None:
        """A deadline has passed: which, the state says. An idle time's may end within an exchange, or too early for a later one."""
        exchange = self._exchange
        if self._closing:
            self._close(reset=True)
        elif self._full:
            if exchange is not None:
                self._lose(exchange, ClientGone("The client does not read its answer."))
            self._close(reset=True)
        elif exchange is None:
            left = self._idle_until - self.factory.wheel.turned_to
            if self._held:
                self._refuse(RequestTimeout())
            elif left > 0:
                self._deadline.move(left)
            else:
                self._close()
        elif self._usual:
            self._deadline.move(self.factory.pause_ticks)
        elif self._reader is not None and not self._body_paused:
            timeout = RequestTimeout()
            begun = exchange.begun
            self._lose(exchange, timeout)
            if begun:
                self._close(reset=True)
            else:
                self._refuse(timeout, exchange)

    def _lose(self, exchange: Exchange, error: ScalelabError) -> None:
        self._exchange = None
        self._reader = None
        exchange.trouble = exchange.trouble or error.code
        if not exchange.begun and isinstance(error, BadMessage | RequestTimeout):
            exchange.status = error.status  # what _refuse is about to answer
        self.factory.count_aborted(exchange)
        receiver, exchange.receiver = exchange.receiver, None
        if receiver is not None:
            receiver.client_lost(error)

    # endings

    def _refuse(self, error: ScalelabError, exchange: Exchange | None = None) -> None:
        """Answer what is no request, or no whole one (``exchange``), with ``error``, and end the connection (rule 41)."""
        self._exchange = None
        self._reader = None
        self.factory.counts.refused += 1
        minor = 1 if exchange is None else exchange.head.minor
        head_only = exchange is not None and exchange.head.method == b"HEAD"
        fields = [(b"Date", self.factory.date())]
        if exchange is not None and exchange.request_id:
            fields.append((b"X-Request-Id", exchange.request_id))
        block = error_answer(error, keep_alive=False, minor=minor, head_only=head_only, fields=fields)
        self.transport.write(block if exchange is None else exchange.refusal(error, block))
        self._linger()

    def _finish_connection(self) -> None:
        if self._reader is not None or self._held or self._paused:
            self._reader = None
            self._linger()
        else:
            self._closing = True
            self._usual = False
            self._held = b""
            self._deadline.move(self.factory.body_ticks)
            self.transport.unregisterProducer()
            self.transport.loseConnection()

    def _linger(self) -> None:
        """Close our side, and read on for a while: closing with unread bytes would reset, and destroy the answer on its way."""
        if self._closing:
            return
        self._closing = True
        self._usual = False
        self._held = b""
        transport = self.transport
        transport.unregisterProducer()
        self._linger_bytes = self.factory.linger_bytes
        if self._half_closed or self.scheme == b"https":
            # TLS ends both directions at once, and reads on by itself until the client has agreed
            self._deadline.move(self.factory.body_ticks)
            transport.loseConnection()
        else:
            self._deadline.move(self.factory.linger_ticks)
            transport.loseWriteConnection()
        if self._paused:
            self._resume()

    def _discard(self, data: bytes) -> None:
        self._linger_bytes -= len(data)
        if self._linger_bytes < 0:
            self._close(reset=True)

    def _close(self, *, reset: bool = False) -> None:
        if self.lost:
            return
        self._closing = True
        self._usual = False
        self._held = b""
        self._reader = None
        transport = self.transport
        transport.unregisterProducer()
        if reset:
            transport.abortConnection()
        else:
            self._deadline.move(self.factory.body_ticks)
            transport.loseConnection()

    def drain(self) -> None:
        """Take at most one more request, and that soon."""
        self.be_careful()
        if self._exchange is None and not self._held and not self._closing:
            self._idle_until = 0
            self._deadline.move(self.factory.drain_idle_ticks)

    def be_careful(self) -> None:
        """Something has changed: the next request, or the end of this one, goes the slow way, which asks for everything."""
        self._usual = False

    def abort(self) -> None:
        """The grace is over."""
        exchange = self._exchange
        if exchange is not None:
            self._lose(exchange, ClientGone("The server stops."))
        self._close(reset=True)

    def _pause(self) -> None:
        if not self._paused:
            self._paused = True
            self.transport.pauseProducing()

    def _resume(self) -> None:
        if self._paused:
            self._paused = False
            self.transport.resumeProducing()


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
