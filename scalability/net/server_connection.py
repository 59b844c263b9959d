"""One client's connection to an HTTP/1.1 server: strict heads, streamed bodies, pipelining in order, deadlines.

It is in one of these states:

    idle       nothing has come since the last answer (or since it was accepted); the idle deadline closes it
    heading    a head has begun; the head deadline answers 408
    serving    an ``Exchange`` is with the application; its request's body may still be arriving; pipelined requests wait
    tunnel     the application has answered 101: raw bytes both ways, each side's FIN for itself, no deadline of ours
    lingering  the last answer is sent and our side is closed; what the client still sends is thrown away, for a short while,
               so that it reads that answer instead of a reset
    closed

    idle --bytes--> heading --head--> serving --answer ended--> idle, or serving the next pipelined request
    heading, serving --refusal, Connection: close, draining--> lingering or closed; connection lost --> closed

Both directions have 64 KiB watermarks. Refusals are JSON (``net.failures``).
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IAddress, IHalfCloseableProtocol, IPushProducer, ISSLTransport
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from scalability.errors import BadMessage, BodyTooLarge, ClientGone, RequestTimeout, ScalelabError
from scalability.http1.body import BodyReader, ChunkedBody, CloseBody, request_body
from scalability.http1.head_end import find_head_end
from scalability.http1.head_memo import RequestHeadMemo
from scalability.http1.proxy_protocol import ProxyHeader
from scalability.http1.request_head import RequestHead
from scalability.lifecycle import MovingDeadline
from scalability.net.exchange import Exchange, TunnelReceiver
from scalability.net.failures import error_answer
from scalability.net.transport import HIGH_WATERMARK
from scalability.net.wire import ignore

if TYPE_CHECKING:
    from scalability.net.http_server import HTTPServerFactory


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
