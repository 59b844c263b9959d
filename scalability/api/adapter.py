"""Klein on net's server: each exchange gives ``twisted.web.server.Request`` the channel that it needs, as Twisted's own HTTP/2 stream does.

So strict heads, limits, deadlines, pipelining and draining are those of every other listener of the suite, and twisted.web's
channel, which accepts malformed heads and costs more than Klein itself, is not involved.

An exchange is in one of these states:

    reading    its body is still arriving; at most ``max_body_bytes`` of it are kept
    answering  the request is with its route; a route that streams (``api.streaming``) comes here with its body still arriving
    over       answered, refused, or the client is gone
"""

import re
import secrets
from collections.abc import Callable, Iterable
from io import BytesIO
from time import time
from typing import Any, AnyStr

from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import RESPONSES, datetimeToString
from twisted.web.http_headers import Headers
from twisted.web.resource import Resource
from twisted.web.server import Session

from scalability.api.forms import arguments, form_fields
from scalability.api.request import APIRequest
from scalability.api.streaming import Body
from scalability.errors import BodyTooLarge, BrokenAnswer, Overloaded, ScalelabError
from scalability.http1.answer import REASONS
from scalability.http1.request_head import RequestHead
from scalability.lifecycle import DeadlineWheel
from scalability.net.exchange import Exchange
from scalability.net.http_server import HTTPServerFactory
from scalability.net.server_connection import ServerConnection
from scalability.telemetry import MetricSet
from scalability.telemetry.http_metrics import HTTPServerMetrics

MAX_ARRIVING_BYTES = 64 << 20
"""Bytes of bodies that have arrived in part, of all clients together: 10,000 slow uploads of 1 MiB would be 10 GiB."""

MAX_SESSIONS = 10_000
"""Of twisted.web's sessions, for routes that use them: each is kept for 15 minutes after its last use."""

UNKNOWN_STATUS = b"Unknown Status"
"""What twisted.web says of a status that it does not know."""

_REASON = re.compile(rb"[\t -~\x80-\xff]*")


class APIFactory(HTTPServerFactory):
    """Serves a resource. Its wheel turns while it listens or has connections, so that nobody else need start it.

    A client's FIN is its end: a handler that works for nobody is cancelled (where the balancer, which cannot know, waits).
    ``metrics`` is what it counted. ``wall`` tells the Unix time.
    """

    def __init__(self, resource: Resource, clock: IReactorTime, max_body_bytes: int, *, wall: Callable[[], float] = time) -> None:
        super().__init__(self, clock=clock, wheel=DeadlineWheel(clock), abort_on_close=True, wall=wall)
        self.resource = resource
        self.max_body_bytes = max_body_bytes
        self.arriving_bytes = 0
        """Of bodies that are not complete yet."""
        self.sessions: dict[bytes, Session] = {}
        self._streams: Callable[[RequestHead], int | None] = getattr(resource, "streams_body_up_to", lambda head: None)
        self.metrics = MetricSet()
        self.http = HTTPServerMetrics(self.metrics)
        counts = self.counts
        self.metrics.gauge_from("scalelab_http_connections_open", "Client connections, now.", lambda: counts.open)
        self.metrics.counter_from("scalelab_http_connections_total", "Client connections, ever.", lambda: counts.accepted)
        self.metrics.counter_from(
            "scalelab_http_refused_total",
            "Connections that ended with a message that is no HTTP, or came too late.",
            lambda: counts.refused,
        )
        self.metrics.gauge_from(
            "scalelab_http_arriving_bytes", "Bytes of request bodies that have arrived in part.", lambda: self.arriving_bytes
        )
        self._listening = False
        self._date_s = -1
        self._date = b""

    def startFactory(self) -> None:  # noqa: N802 - Twisted's name
        self._listening = True
        self.wheel.startService()

    def stopFactory(self) -> None:  # noqa: N802 - Twisted's name
        self._listening = False
        self._rest()

    def connection_closed(self, connection: ServerConnection) -> None:
        super().connection_closed(connection)
        self._rest()

    def _rest(self) -> None:
        if not self._listening and not self.counts.open and self.wheel.running:
            self.wheel.stopService()

    def request_received(self, exchange: Exchange) -> None:
        """net's server has a request."""
        if exchange.body_complete and len(exchange.body) <= self.max_body_bytes:
            channel = exchange.receiver = _Channel(self, exchange)
            channel.start(exchange.body)
            return
        limit = self._streams(exchange.head)
        length = max(exchange.head.content_length or 0, len(exchange.body))
        if limit is not None:
            if length > limit:
                self.refuse(exchange, self.too_large(limit))
            else:
                channel = exchange.receiver = _Channel(self, exchange)
                channel.stream(limit)
        elif length > self.max_body_bytes:
            self.refuse(exchange, self.too_large(self.max_body_bytes))
        else:
            channel = exchange.receiver = _Channel(self, exchange)
            if channel.keep(exchange.body):
                exchange.send_continue()

    def account(self, held_bytes: int) -> bool:
        """A streamed body holds so many bytes more, or less; answers whether all bodies together are too many, and it should hold back."""
        self.arriving_bytes += held_bytes
        return self.arriving_bytes > MAX_ARRIVING_BYTES

    def too_large(self, limit: int) -> BodyTooLarge:
        """What a body above the limit is answered."""
        return BodyTooLarge(f"the body is larger than {limit} bytes")

    # twisted.web's sessions

    def makeSession(self) -> Session:  # noqa: N802 - Twisted's name
        """A new session for ``request.getSession``; it ends after 15 minutes without use. Raises Overloaded when there are too many."""
        if len(self.sessions) >= MAX_SESSIONS:
            raise Overloaded("there are too many sessions; try again later")
        uid = secrets.token_hex(16).encode()
        session = self.sessions[uid] = Session(self, uid, reactor=self.clock)
        session.startCheckingExpiration()
        return session

    def getSession(self, uid: bytes) -> Session:  # noqa: N802 - Twisted's name
        """The session of that id. Raises KeyError."""
        return self.sessions[uid]

    def refuse(self, exchange: Exchange, error: ScalelabError) -> None:
        """Answer ``error`` now, and read on only as long as the client needs to see it."""
        exchange.fail(error)
        self.answered_before_routing(exchange)

    def answered_before_routing(self, exchange: Exchange) -> None:
        """Count an answer that no route has given."""
        self.http.record(exchange.head.method, "", exchange.status, self.clock.seconds() - exchange.began_s)

    def date(self) -> bytes:
        """The Date field's value (RFC 9110 section 6.6.1), made once a second."""
        now = int(self.wall())
        if now != self._date_s:
            self._date_s = now
            self._date = datetimeToString(now)
        return self._date


class AdaptedRequest(APIRequest):
    """A request made from a head that is parsed already. Fields become twisted.web's ``Headers`` only when somebody asks for them so."""

    def __init__(self, channel: "_Channel", head: RequestHead) -> None:
        self._head = head
        self._headers: Headers | None = None
        self._cookies: dict[bytes, bytes] | None = None
        self._args: dict[bytes, list[bytes]] | None = None
        super().__init__(channel, parsePOSTFormSubmission=False)

    def received(self, body: bytes | None) -> None:
        """What ``requestReceived`` of twisted.web does, without reading the head again. ``body`` is None when it is in ``stream``."""
        head = self._head
        if body is not None:
            self.content = BytesIO(body)
        self.method = head.method
        self.uri = head.target
        self.clientproto = b"HTTP/1.1" if head.minor else b"HTTP/1.0"
        self.path = head.target.partition(b"?")[0]
        self.process()

    @property
    def args(self) -> dict[bytes, list[bytes]]:
        """The query's arguments, and those of a form that was sent by POST. Raises ClientError (400) for a form that cannot be read."""
        args = self._args
        if args is None:
            query = self._head.target.partition(b"?")[2]
            args = arguments(query) if query else {}
            if self.method == b"POST" and b"content-type" in self._head.index and self.content is not None:
                content = self.content
                at = content.tell()
                content.seek(0)
                args.update(form_fields(self._head.index[b"content-type"], content.read()))
                content.seek(at)
            self._args = args
        return args

    @args.setter
    def args(self, args: dict[bytes, list[bytes]]) -> None:
        """A route may put others there."""
        self._args = args

    @property
    def requestHeaders(self) -> Headers:  # noqa: N802 - Twisted's name
        headers = self._headers
        if headers is None:
            headers = self._headers = Headers()
            for name, value in self._head.fields:
                headers.addRawHeader(name, value)
        return headers

    @requestHeaders.setter
    def requestHeaders(self, headers: Headers) -> None:  # noqa: N802 - Twisted's name
        """Ignored: ``Request.__init__`` assigns an empty one."""

    @property
    def received_cookies(self) -> dict[bytes, bytes]:
        cookies = self._cookies
        if cookies is None:
            cookies = self._cookies = {}
            for field in self._head.get_all(b"cookie"):
                for pair in field.split(b";"):
                    name, equals, value = pair.lstrip().partition(b"=")
                    if equals:
                        cookies[name] = value
        return cookies

    @received_cookies.setter
    def received_cookies(self, cookies: dict[bytes, bytes]) -> None:
        """Ignored, likewise."""

    @property
    def asked_host(self) -> bytes:
        return self._head.host  # of an absolute target its own, whatever Host says (rule 31)

    def getHeader(self, key: AnyStr) -> AnyStr | None:  # noqa: N802 - Twisted's name
        """The last value of the field ``key``, as text when ``key`` is text, or None."""
        if isinstance(key, str):
            value = self._last(key.lower().encode("latin-1", "replace"))
            return None if value is None else value.decode("utf-8", "surrogateescape")
        return self._last(key.lower())

    def _last(self, name: bytes) -> bytes | None:
        head = self._head
        return head.get(name) if head.repeats is None else next(iter(head.get_all(name)[-1:]), None)


class _Channel:
    """What a Request takes for its channel and its transport, and what the exchange takes for its receiver."""

    __slots__ = (
        "_body",
        "_expected_bytes",
        "_full",
        "_head",
        "_keep_alive",
        "_producer",
        "_request",
        "_sent_bytes",
        "_status",
        "_stream",
        "exchange",
        "site",
    )

    log = Logger()
    factory = None  # twisted.web would have it write an access log

    def __init__(self, site: APIFactory, exchange: Exchange) -> None:
        self.site = site
        self.exchange = exchange
        self._body = bytearray()
        self._request: AdaptedRequest | None = None
        self._stream: Body | None = None
        self._head: bytes | None = None
        self._status = 0
        self._keep_alive = False
        self._expected_bytes: int | None = None
        self._sent_bytes = 0
        self._producer: Any = None
        self._full = False

    @property
    def transport(self) -> "_Channel":
        return self

    def start(self, body: bytes) -> None:
        """All of the body is here."""
        self._request = request = AdaptedRequest(self, self.exchange.head)
        request.received(body)

    def stream(self, limit: int) -> None:
        """The body is here in part, and its route wants it so."""
        exchange = self.exchange
        self._stream = body = Body(exchange, limit, None if exchange.head.chunked else exchange.head.content_length, self.site.account)
        body.received(exchange.body, exchange.body_complete)
        self._request = request = AdaptedRequest(self, exchange.head)
        request.stream = body
        request.received(None)

    def keep(self, data: bytes) -> bool:
        """Keep a part of the body, unless it is too large or there is too much of all bodies: then the answer says so."""
        site = self.site
        self._body += data
        site.arriving_bytes += len(data)
        if len(self._body) > site.max_body_bytes:
            error: ScalelabError = site.too_large(site.max_body_bytes)
        elif site.arriving_bytes > MAX_ARRIVING_BYTES:
            error = Overloaded("too many bodies are arriving at once; try again later")
        else:
            return True
        self._take_body()
        site.refuse(self.exchange, error)
        return False

    def _take_body(self) -> bytes:
        body, self._body = self._body, bytearray()
        self.site.arriving_bytes -= len(body)
        return bytes(body)

    # the exchange's receiver

    def body_received(self, data: bytes, ended: bool) -> None:
        if self._stream is not None:
            self._stream.received(data, ended)
        elif self.keep(data) and ended:
            self.start(self._take_body())

    def client_lost(self, error: ScalelabError) -> None:
        self._take_body()
        request, self._request = self._request, None
        if request is not None:
            producer, self._producer = self._producer, None
            if producer is not None:
                producer.stopProducing()
            request.connectionLost(Failure(error))
        if self._stream is not None:
            self._stream.fail(error)

    def client_full(self) -> None:
        self._full = True
        if self._producer is not None:
            self._producer.pauseProducing()

    def client_ready(self) -> None:
        self._full = False
        if self._producer is not None:
            self._producer.resumeProducing()

    # the request's channel

    def writeHeaders(self, version: bytes, code: bytes, reason: bytes, headers: Headers) -> None:
        """Make the head. It goes out together with the first bytes of the body, or with the end of the answer."""
        exchange = self.exchange
        status = int(code)
        bodiless = status == 204 or status == 304 or exchange.head.method == b"HEAD"
        keep_alive = exchange.keep_alive
        framed = bodiless
        if reason == RESPONSES.get(status, UNKNOWN_STATUS) or _REASON.fullmatch(reason) is None:
            reason = REASONS.get(status, b"Unknown")  # twisted.web's own are those of an older RFC
        parts = [b"HTTP/1.1 %d %s\r\nDate: %s\r\n" % (status, reason, self.site.date())]
        for name, values in headers.getAllRawHeaders():
            if name == b"Connection":
                keep_alive = keep_alive and b"close" not in values
                continue
            if name == b"Content-Length":
                if status == 204:
                    continue  # RFC 9110 section 8.6
                framed = True
                if not bodiless:
                    self._expected_bytes = int(values[-1])
            elif name == b"Transfer-Encoding":
                framed = True
            parts += [b"%s: %s\r\n" % (name, value) for value in values]
        if not framed:
            keep_alive = False  # to an HTTP/1.0 client only the end of the connection can say where the body ends
        if not keep_alive:
            parts.append(b"Connection: close\r\n")
        elif not exchange.head.minor:
            parts.append(b"Connection: keep-alive\r\n")
        parts.append(b"\r\n")
        self._status = status
        self._keep_alive = keep_alive
        self._head = b"".join(parts)

    def write(self, data: bytes) -> None:
        self._sent_bytes += len(data)
        head, self._head = self._head, None
        if head is None:
            self.exchange.write(data)
        else:
            self.exchange.begin(self._status, head + data, keep_alive=self._keep_alive)

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        self.write(b"".join(iovec))

    def requestDone(self, request: AdaptedRequest) -> None:
        self._request = None
        if self._stream is not None:
            self._stream.over()
        if self._expected_bytes is not None and self._expected_bytes != self._sent_bytes:
            # Whatever came next on this connection would be read as part of this answer, or the other way round.
            self.log.error(
                "{uri}: the answer has {sent} bytes and said {expected}",
                uri=request.path,
                sent=self._sent_bytes,
                expected=self._expected_bytes,
            )
            self.exchange.abort()
            return
        head, self._head = self._head, None
        if head is None:
            self.exchange.finish()
        else:
            self.exchange.reply(self._status, head, keep_alive=self._keep_alive)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        self._producer = producer if streaming else _Pulled(producer, self.site.clock)
        if self._full:
            self._producer.pauseProducing()
        elif not streaming:
            self._producer.resumeProducing()

    def unregisterProducer(self) -> None:
        producer, self._producer = self._producer, None
        if isinstance(producer, _Pulled):
            producer.pauseProducing()

    def abortConnection(self) -> None:
        """Reset the connection; the request hears of it as if the client had gone."""
        self.exchange.abort()
        self.client_lost(BrokenAnswer("This answer was broken off."))

    loseConnection = abortConnection  # only the end of the answer ends a connection properly

    def getPeer(self) -> IAddress:
        return self._addresses()[0]

    def getHost(self) -> IAddress:
        return self._addresses()[1]

    def isSecure(self) -> bool:
        return self.exchange.scheme == b"https"

    def _addresses(self) -> tuple[IAddress, IAddress]:
        connection = self.exchange.connection
        addresses: tuple[IAddress, IAddress] | None = connection.memory
        if addresses is None:
            transport = connection.transport
            addresses = connection.memory = (transport.getPeer(), transport.getHost())
        return addresses


class _Pulled:
    """Turns a pull producer into a push producer: it is asked once a turn of the reactor, as long as the client keeps up."""

    def __init__(self, producer: Any, clock: IReactorTime) -> None:
        self._producer = producer
        self._clock = clock
        self._next: IDelayedCall | None = None

    def resumeProducing(self) -> None:
        if self._next is None:
            self._next = self._clock.callLater(0, self._pull)

    def _pull(self) -> None:
        self._next = None
        self.resumeProducing()
        self._producer.resumeProducing()

    def pauseProducing(self) -> None:
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def stopProducing(self) -> None:
        self.pauseProducing()
        self._producer.stopProducing()
