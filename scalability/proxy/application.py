"""The proxy as an application of the HTTP server: it makes of each request one on its way to a server."""

import random as chance
from collections.abc import Callable

from scalability.errors import (
    BadMessage,
    MethodNotAllowed,
    Overloaded,
)
from scalability.http1.forward import ForwardingRules, RequestForwarder, ResponseForwarder, forwards_left
from scalability.http1.proxy_protocol import proxy_header
from scalability.http1.request_head import METHODS, RequestHead
from scalability.http1.trace import Identifiers
from scalability.http1.trust import NOBODY, Networks
from scalability.net.exchange import Exchange
from scalability.proxy import hedging
from scalability.proxy.decisions import Decisions
from scalability.proxy.forwarding import Forwarding
from scalability.proxy.retrying import Retries
from scalability.proxy.total_limit import TotalLimit
from scalability.proxy.tunnel import TunnelCounts
from scalability.upstream.server import Mode, Server
from scalability.upstream.servers import Upstream
from scalability.upstream.shedding import Shedding
from scalability.upstream.stickiness import Stickiness


class ProxyApplication:
    """Forwards every request to a server that ``servers`` chooses.

    ``via`` is this proxy's pseudonym in Via: requests that carry it already are answered 508.
    ``trusted`` are the networks whose X-Forwarded-*, Forwarded, X-Real-IP and request names are believed; ``forwarded`` adds Forwarded.
    ``send_proxy`` is the version of the PROXY protocol header that connections to servers, ``PrefacedPool``s, begin with; 0: none.
    ``identifiers`` name each request (X-Request-Id, traceparent), to the server, the client and the access log.
    ``forwarding`` replaces ``Forwarding``: see ``proxy.timed_forwarding``. ``upgrades``
    are the protocols, in lower case, that a request may switch to; then the connection is a tunnel until nothing has passed for
    ``tunnel_ticks`` ticks of that wheel. ``stickiness`` binds clients to servers by a cookie, ``key_of`` says what a request is hashed by,
    ``shedding`` what to turn away, ``decisions`` remembers why requests went where they went. After ``hedge_s`` without an answer a
    second server is asked, too; 0: never. ``total`` limits whole exchanges. ``own`` may answer a request itself, and says whether it
    does; it is not asked again of a head that was forwarded last.
    """

    def __init__(
        self,
        servers: Upstream,
        *,
        via: bytes,
        retries: Retries,
        default_host: bytes = b"localhost",
        trusted: Networks = NOBODY,
        forwarded: bool = False,
        identifiers: Identifiers | None = None,
        send_proxy: int = 0,
        forwarding: "Callable[[ProxyApplication, Exchange, bytes], Forwarding] | None" = None,
        upgrades: frozenset[bytes] = frozenset(),
        tunnel_ticks: int = 4 * 3600,
        stickiness: Stickiness[Server] | None = None,
        key_of: "Callable[[Exchange], bytes | None] | None" = None,
        shedding: Shedding | None = None,
        random: Callable[[], float] = chance.random,
        decisions: Decisions | None = None,
        hedge_s: float = 0.0,
        total: TotalLimit | None = None,
        own: Callable[[Exchange], bool] | None = None,
    ) -> None:
        self.servers = servers
        self.via = via
        self.upgrades = upgrades
        self.tunnel_ticks = tunnel_ticks
        self.tunnels = TunnelCounts()
        self.retries = retries
        self.stickiness = stickiness
        self.decisions = decisions
        self.answer_without = frozenset([b"x-request-id"]) if identifiers is not None else frozenset()
        """Fields of answers that are not passed on."""
        self._forwarding = Forwarding if forwarding is None else forwarding
        self._rules = ForwardingRules(
            via=via, trusted=trusted, forwarded=forwarded, identifiers=identifiers, default_host=default_host, upgrades=upgrades
        )
        self._identifiers = identifiers
        self._send_proxy = send_proxy
        self._key_of = key_of
        self._total: TotalLimit | None = None
        self.hedge_s = hedge_s
        self._prepares = False
        self.configure(total, hedge_s)
        self._own = own
        self._shedding = shedding
        self._random = random
        if stickiness is not None:
            servers.when_changed(self._bind)
            self._bind()

    def request_received(self, exchange: Exchange) -> None:
        connection = exchange.connection
        forwarder: RequestForwarder | None = connection.memory
        if forwarder is None:
            forwarder = connection.memory = RequestForwarder(self._rules, exchange.peer_host, exchange.scheme)
        head = exchange.head
        if head is not forwarder.head and self._answers(exchange, head):
            return
        shedding = self._shedding
        if shedding is not None and shedding.fraction and shedding.sheds(self._random()):
            exchange.fail(Overloaded("This server has more to do than it can; try again later."))
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
        if self._prepares:
            self._prepare(forwarding, exchange)
        forwarding.choose()

    def configure(self, total: TotalLimit | None, hedge_s: float) -> None:
        """From now on limit whole exchanges so, and ask a second server after that, or neither."""
        self._total = total
        self.hedge_s = hedge_s
        always = bool(self._send_proxy) or self._key_of is not None or self.stickiness is not None
        self._prepares = always or total is not None or hedge_s > 0

    def _answers(self, exchange: Exchange, head: RequestHead) -> bool:
        """Whether a request that is not the last one once more ends here, answered already."""
        if self._own is not None and self._own(exchange):
            return True
        if head.max_forwards is not None and forwards_left(head) == 0:
            self._answer_here(exchange)
            return True
        return False

    def _prepare(self, forwarding: "Forwarding", exchange: Exchange) -> None:
        """What only some configurations ask for."""
        head = exchange.head
        if self._total is not None:
            self._total.begin(exchange.connection, forwarding)
        if self._send_proxy:
            forwarding.preface = proxy_header(self._send_proxy, *exchange.connection.ends())
        if self._key_of is not None:
            forwarding.key = self._key_of(exchange)
        if self.stickiness is not None and b"cookie" in head.index:
            forwarding.bound_by = self.stickiness.find(head.get_all(b"cookie"))
        if self.hedge_s and head.method in hedging.METHODS and not head.has_body and head.upgrade is None:
            forwarding.hedge(self.hedge_s)

    def _bind(self) -> None:
        """The servers have changed: clients may be bound to these."""
        assert self.stickiness is not None
        self.stickiness.replace([server for server in self.servers if server.mode is not Mode.MAINT])

    def response_forwarder(self) -> ResponseForwarder:
        """What a connection to a server remembers of its answers."""
        return ResponseForwarder(via=self.via, without=self.answer_without, named=self._identifiers is not None)

    def _answer_here(self, exchange: Exchange) -> None:
        """Max-Forwards ends at this proxy (RFC 9110 section 7.6.2)."""
        if exchange.head.method == b"OPTIONS":
            exchange.answer(200, b"", b"", [(b"Allow", ", ".join(METHODS).encode())])
        else:
            exchange.fail(MethodNotAllowed("TRACE is not answered by this proxy.", allow=METHODS))
