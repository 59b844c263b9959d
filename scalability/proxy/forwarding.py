"""One proxied request: choose a server, connect, forward both bodies as they come, try again where that is safe, account.

    choosing    a server is asked for; none: 503
    connecting  its pool had no idle connection; the request's body waits
    asked       the head, and what had come of the body, is sent; the rest of the body follows as it comes
    answering   the head of the answer is on its way to the client; each side's slowness pauses the other

    choosing --server--> connecting or asked;  connecting --connected--> asked
    connecting --refused, timed out--> choosing (another server): nothing was sent, so any method may go elsewhere
    asked --connection dies before a byte of the answer--> choosing, once, for idempotent methods whose body is still at hand
    asked --answer--> answering --its end--> over
    asked --101 that was asked for--> a ``Tunnel`` takes over
    asked --anything else--> 502 or 504 as JSON;  answering --broken--> the client's connection is reset
    any --client lost--> the upstream connection is reset, which cancels the request there

Nothing here creates a Deferred, a closure or a delayed call.
"""

from collections.abc import Callable, Container
from contextlib import suppress
from typing import Protocol

from scalability.errors import (
    BadMessage,
    ConnectError,
    ConnectTimeout,
    MethodNotAllowed,
    NoAnswer,
    NoServer,
    ScalelabError,
    UpstreamError,
)
from scalability.http1.forward import (
    END_OF_NAME,
    Framing,
    RequestForwarder,
    ResponseForwarder,
    chunk,
    end_of_chunks,
    forward_response,
    forward_switch,
    forwards_left,
    upgrades_asked,
)
from scalability.http1.head import METHODS, ResponseHead
from scalability.http1.proxy_protocol import proxy_header
from scalability.http1.trace import Identifiers
from scalability.http1.trust import NOBODY, Networks
from scalability.net.http_client import ClientConnection, Opening
from scalability.net.http_server import Exchange
from scalability.net.service_client import IDEMPOTENT
from scalability.proxy.tunnel import Tunnel, TunnelCounts
from scalability.upstream.servers import Server

_NONE, _CHUNKED = Framing.NONE, Framing.CHUNKED  # an enumeration's member costs ten times a global name

SLOW_ATTEMPTS = 3
"""Servers that one request may wait for in vain (connect timeouts, dead connections). Refusals cost no time and are not counted."""


class Chooser(Protocol):
    """Who knows the servers: ``upstream.servers.Upstream``."""

    def choose(self, tried: Container[Server] = ()) -> Server:
        """The server for the next attempt, none of ``tried``. Raises NoServer."""


class ProxyApplication:
    """Forwards every request to a server that ``servers`` chooses.

    ``via`` is this proxy's pseudonym in Via: requests that carry it already are answered 508.
    ``trusted`` are the networks whose X-Forwarded-*, Forwarded, X-Real-IP and request names are believed; ``forwarded`` adds Forwarded.
    ``send_proxy`` is the version of the PROXY protocol header that connections to servers, ``PrefacedPool``s, begin with; 0: none.
    ``identifiers`` name each request (X-Request-Id, traceparent), to the server, the client and the access log.
    ``forwarding`` replaces ``Forwarding``: see ``proxy.timed_forwarding``. ``upgrades``
    are the protocols, in lower case, that a request may switch to; then the connection is a tunnel until nothing has passed for
    ``tunnel_ticks`` ticks of that wheel.
    """

    def __init__(
        self,
        servers: Chooser,
        *,
        via: bytes,
        default_host: bytes = b"localhost",
        trusted: Networks = NOBODY,
        forwarded: bool = False,
        identifiers: Identifiers | None = None,
        send_proxy: int = 0,
        forwarding: "Callable[[ProxyApplication, Exchange, bytes], Forwarding] | None" = None,
        upgrades: frozenset[bytes] = frozenset(),
        tunnel_ticks: int = 4 * 3600,
    ) -> None:
        self.servers = servers
        self.via = via
        self.upgrades = upgrades
        self.tunnel_ticks = tunnel_ticks
        self.tunnels = TunnelCounts()
        self.retries = 0
        """Attempts beyond the first, for metrics."""
        self.answer_without = frozenset([b"x-request-id"]) if identifiers is not None else frozenset()
        """Fields of answers that are not passed on."""
        self._forwarding = Forwarding if forwarding is None else forwarding
        self._default_host = default_host
        self._trusted = trusted
        self._forwarded = forwarded
        self._identifiers = identifiers
        self._send_proxy = send_proxy

    def request_received(self, exchange: Exchange) -> None:
        connection = exchange.connection
        forwarder: RequestForwarder | None = connection.memory
        if forwarder is None:
            forwarder = connection.memory = RequestForwarder(
                peer_host=exchange.peer_host,
                scheme=exchange.scheme,
                via=self.via,
                trusted=self._trusted,
                forwarded=self._forwarded,
                identifiers=self._identifiers,
                default_host=self._default_host,
                upgrades=self.upgrades,
            )
        head = exchange.head
        if head.shared.max_forwards is not None and forwards_left(head) == 0:
            self._answer_here(exchange)
            return
        try:
            if self._identifiers is None:
                block = forwarder.forward(head)
            else:
                block, exchange.request_id = forwarder.forward_named(head)
        except BadMessage as error:
            if self._identifiers is not None:
                exchange.request_id, _ = self._identifiers.fresh()
            exchange.fail(error)
            return
        if forwarder.trusted:
            exchange.client_host = forwarder.client_host
        make = self._forwarding
        forwarding = make(self, exchange, block)
        if self._send_proxy:
            forwarding.preface = proxy_header(self._send_proxy, *connection.ends())
        forwarding.choose()

    def response_forwarder(self) -> ResponseForwarder:
        """What a connection to a server remembers of its answers."""
        return ResponseForwarder(via=self.via, without=self.answer_without, named=self._identifiers is not None)

    def _answer_here(self, exchange: Exchange) -> None:
        """Max-Forwards ends at this proxy (RFC 9110 section 7.6.2)."""
        if exchange.head.method == b"OPTIONS":
            exchange.answer(200, b"", b"", [(b"Allow", ", ".join(METHODS).encode())])
        else:
            exchange.fail(MethodNotAllowed("TRACE is not answered by this proxy.", allow=METHODS))


class Forwarding:
    """A request on its way: the server's Receiver on one side, the client's AnswerReceiver and ConnectReceiver on the other."""

    __slots__ = (
        "_application",
        "_block",
        "_body",
        "_connection",
        "_exchange",
        "_framing",
        "_nominated",
        "_opening",
        "_replayable",
        "_reused",
        "_server",
        "_slow_attempts",
        "_tried",
        "preface",
    )

    def __init__(self, application: ProxyApplication, exchange: Exchange, block: bytes) -> None:
        self._application = application
        self._exchange = exchange
        self._block = block
        self.preface = b""
        """What connections to servers begin with, for this client."""
        self._body = b""
        self._connection: ClientConnection | None = None
        self._opening: Opening | None = None
        self._server: Server | None = None
        self._framing = _NONE
        self._nominated: frozenset[bytes] = frozenset()
        self._replayable = True
        self._reused = False
        self._slow_attempts = 0
        self._tried: tuple[Server, ...] = ()
        exchange.receiver = self
        if exchange.head.chunked or exchange.body:
            self._body = self._framed(exchange.body, exchange.body_complete)

    def choose(self) -> None:
        """Begin."""
        try:
            server = self._application.servers.choose()
        except NoServer as error:
            self._exchange.fail(error)
        else:
            self._attempt(server)

    def _attempt(self, server: Server, *, fresh: bool = False) -> None:
        self._server = server
        server.started()
        connection = None if fresh else server.pool.take(self.preface)
        if connection is not None:
            self._reused = True
            self._send(connection)
            return
        self._reused = False
        if not self._exchange.body_complete:
            self._exchange.pause_body()
        self._opening = server.pool.open(self, self.preface)

    def _send(self, connection: ClientConnection) -> None:
        self._connection = connection
        exchange = self._exchange
        if exchange.head.upgrade is not None and (protocols := upgrades_asked(exchange.head, self._application.upgrades)):
            connection.may_switch(protocols)
        connection.send(self._block + self._body if self._body else self._block, exchange.head.method, self, exchange.body_complete)

    def _framed(self, data: bytes, ended: bool) -> bytes:
        if not self._exchange.head.chunked:
            return data
        if not ended:
            return chunk(data)
        return chunk(data) + end_of_chunks(self._exchange.trailers, self._exchange.head.connection_options)

    # ConnectReceiver

    def connected(self, connection: ClientConnection) -> None:
        self._opening = None
        self._send(connection)
        if not self._exchange.body_complete:
            self._exchange.resume_body()

    def connect_failed(self, error: ConnectError | ConnectTimeout) -> None:
        self._opening = None
        self._give_up_server(error)
        if isinstance(error, ConnectTimeout):
            self._slow_attempts += 1
        self._elsewhere(error)

    # AnswerReceiver

    def answer_interim(self, head: ResponseHead) -> None:
        self._replayable = False
        exchange = self._exchange
        block = forward_response(
            head,
            client_minor=exchange.head.minor,
            client_keep_alive=True,
            request_method=exchange.head.method,
            via=self._application.via,
        ).head
        if block:
            exchange.send_interim(block)

    def answer_switched(self, head: ResponseHead, data: bytes) -> None:
        connection, self._connection = self._connection, None
        server, self._server = self._server, None
        assert connection is not None
        assert server is not None
        application = self._application
        exchange = self._exchange
        exchange.served_by = server.name
        tunnel = Tunnel(exchange, connection, server, application.tunnels, (head.upgrade or b"").decode("ascii").lower())
        connection.enter_tunnel(tunnel, application.tunnel_ticks)
        extra = [(b"X-Request-Id", exchange.request_id)] if exchange.request_id else ()
        exchange.switch(forward_switch(head, via=application.via, without=application.answer_without, extra=extra), tunnel)
        if data:
            tunnel.answer_data(data, False)

    def server_finished(self) -> None:
        """A tunnel's end, not this one's."""

    def answer_received(self, head: ResponseHead, data: bytes, ended: bool) -> None:
        connection = self._connection
        server = self._server
        assert connection is not None
        assert server is not None
        forwarder: ResponseForwarder | None = connection.memory
        if forwarder is None:
            forwarder = connection.memory = self._application.response_forwarder()
        exchange = self._exchange
        request = exchange.head
        factory = exchange.connection.factory
        block, framing, keep_alive = forwarder.forward(
            head,
            request.minor,
            request.keep_alive and exchange.body_complete and not factory.draining,
            request.method,
            b"" if head.dated else factory.date(),
        )
        exchange.served_by = server.name
        if framing is _CHUNKED:
            data = chunk(data)
            if ended:
                data += end_of_chunks(connection.trailers, head.connection_options)
            else:
                self._nominated = head.connection_options
        if exchange.request_id:
            block = b"".join((block, exchange.request_id, END_OF_NAME, data))
        elif data:
            block += data
        if ended:
            self._connection = None
            server.succeeded()
            exchange.reply(head.status, block, keep_alive=keep_alive)
        else:
            self._framing = framing
            exchange.begin(head.status, block, keep_alive=keep_alive)

    def answer_data(self, data: bytes, ended: bool) -> None:
        connection = self._connection
        assert connection is not None
        if self._framing is _CHUNKED:
            data = chunk(data)
            if ended:
                data += end_of_chunks(connection.trailers, self._nominated)
        if ended:
            assert self._server is not None
            self._connection = None
            self._server.succeeded()
            self._exchange.finish(data)
        else:
            self._exchange.write(data)

    def answer_failed(self, error: UpstreamError) -> None:
        self._connection = None
        server = self._server
        self._give_up_server(error)
        if self._exchange.begun or not isinstance(error, NoAnswer) or not self._may_replay():
            self._exchange.fail(error)
            return
        self._slow_attempts += 1
        # Once only, and on a fresh connection: another kept-alive one may be as dead as this one was, for servers of one kind close
        # theirs at the same time. Another server is asked; without another the same one, which most likely only closed its connection.
        self._replayable = False
        if self._reused and server is not None:
            with suppress(NoServer):
                server = self._application.servers.choose(self._tried)
            self._retry(server, fresh=True)
        else:
            self._elsewhere(error, fresh=True)

    def upload_paused(self) -> None:
        self._exchange.pause_body()

    def upload_resumed(self) -> None:
        self._exchange.resume_body()

    # Receiver

    def body_received(self, data: bytes, ended: bool) -> None:
        if data or ended:
            self._replayable = False
            connection = self._connection
            if connection is not None:
                connection.write_body(self._framed(data, ended), ended)

    def client_lost(self, error: ScalelabError) -> None:
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.cancel()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort()
        if self._server is not None:
            self._give_up_server(error)

    def client_full(self) -> None:
        if self._connection is not None:
            self._connection.pause()

    def client_ready(self) -> None:
        if self._connection is not None:
            self._connection.resume()

    # attempts

    def _may_replay(self) -> bool:
        return self._replayable and self._exchange.head.method in IDEMPOTENT

    def _give_up_server(self, error: ScalelabError) -> None:
        server, self._server = self._server, None
        if server is not None:
            self._tried = (*self._tried, server)
            server.failed(error)

    def _elsewhere(self, error: ScalelabError, *, fresh: bool = False) -> None:
        if self._slow_attempts >= SLOW_ATTEMPTS:
            self._exchange.fail(error)
            return
        try:
            server = self._application.servers.choose(self._tried)
        except NoServer:
            self._exchange.fail(error)
            return
        self._retry(server, fresh=fresh)

    def _retry(self, server: Server, *, fresh: bool = False) -> None:
        self._application.retries += 1
        self._attempt(server, fresh=fresh)
