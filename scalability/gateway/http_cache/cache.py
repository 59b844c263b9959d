"""The shared HTTP cache in front of an application of the gateway: what a request is answered with, and by whom.

    a request --looked up--> a hit: answered from memory, at once (``hits`` for one that repeats)
              --no hit-----> a ``Fetch`` asks the application behind; requests for the same wait for it (collapsed forwarding)
              --another method, an upgrade--> passed to the application as it is; what it changes is validated before it is used again

The rules are the pure modules' of this package; here is what remembers, waits and sends.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from time import time
from typing import Any, Final

from scalability.errors import AnswerTimeout, BadMessage, NotInCache, ScalelabError
from scalability.gateway.exchange import CACHE_STATUS, GatewayExchange
from scalability.gateway.http_cache.answer import Answer, made
from scalability.gateway.http_cache.client import Client, add_field
from scalability.gateway.http_cache.counts import CacheCounts
from scalability.gateway.http_cache.directives import NOTHING_ASKED, RequestDirectives, request_directives
from scalability.gateway.http_cache.fetch import Fetch
from scalability.gateway.http_cache.hits import Known
from scalability.gateway.http_cache.invalidation import invalidated
from scalability.gateway.http_cache.key import primary_key, selecting_values
from scalability.gateway.http_cache.passing import PASSED_AFTER, surely_not_stored
from scalability.gateway.http_cache.pouring import PIECE_BYTES, Pouring
from scalability.gateway.http_cache.prepared import MAX_PREPARED_BYTES, Prepared
from scalability.gateway.http_cache.reuse import FRESH, LOOKED_UP, SAFE, Action, Decision, Forward, OnFailure, decide, on_failure
from scalability.gateway.http_cache.sending import whole_head
from scalability.gateway.http_cache.status import forwarded, of_decision
from scalability.gateway.http_cache.store import AnswerStore, Resource
from scalability.gateway.http_cache.stored import StoredAnswer
from scalability.gateway.http_cache.storing import DEFAULT_STORING, NotStored, Storing
from scalability.gateway.http_cache.validation import REPLACED, preconditions
from scalability.http1.fields import Field
from scalability.http1.forward import upgrades_asked
from scalability.http1.limits import DEFAULT_LIMITS, Limits
from scalability.http1.making import with_fields
from scalability.http1.request_head import RequestHead
from scalability.http1.response_head import ResponseHead, parse_response_head
from scalability.net.exchange import Application, Exchange
from scalability.proxy.inner import InnerConnection, InnerExchange

_ALONE: Final = (b"range", b"if-range", b"if-match", b"if-unmodified-since", b"authorization")
_NOT_STORED: Final = forwarded(Forward.METHOD, detail=NotStored.METHOD.value)
_UNCACHEABLE: Final = {
    why: forwarded(Forward.URI_MISS, detail=why.value)
    for why in (NotStored.USELESS, NotStored.NO_STORE, NotStored.PRIVATE, NotStored.UNREAD)
}
_PLAIN: Final = parse_response_head(b"HTTP/1.1 200 OK\r\n\r\n", DEFAULT_LIMITS)
"""Any answer that is no error, and names no other URI."""
_PRECONDITIONS: Final = (b"if-none-match", b"if-modified-since")


class HTTPCache:
    """Serves ``origin``'s answers, and remembers those that may be reused in ``store``, which several of these may share.

    ``seconds`` is the clock of the server in front, by which lives are measured: it need not know the date. ``wall`` tells that, the
    Unix time, which dates in fields are compared with. ``upgrades`` are the protocols, in lower case, that a request may switch to.
    With ``opt_in`` it stands before routes in code, most of which know nothing of caches: what is neither stored nor was is passed to
    them untouched, nobody waits for an answer that may not be for everybody, and Cache-Status stands only in what has to do with it.
    """

    def __init__(
        self,
        origin: Application,
        store: AnswerStore,
        *,
        seconds: Callable[[], float],
        wall: Callable[[], float] = time,
        options: Storing = DEFAULT_STORING,
        upgrades: frozenset[bytes] = frozenset(),
        limits: Limits = DEFAULT_LIMITS,
        stale_if_disconnected_s: float = 0.0,
        counts: CacheCounts | None = None,
        opt_in: bool = False,
    ) -> None:
        self.origin = origin
        self.opt_in = opt_in
        self.store = store
        self.now = seconds
        self.wall = wall
        self.options = options
        self.limits = limits
        self.counts = CacheCounts() if counts is None else counts
        self._upgrades = upgrades
        self._stale_if_disconnected_s = stale_if_disconnected_s
        self.open_fetches = 0
        """Requests to the origin whose answers have not come to their ends."""
        self._flights: dict[tuple[object, ...], Fetch] = {}

    def request_received(self, exchange: Exchange) -> None:
        """net's server has a request, or somebody in this process (a part of a composed route)."""
        head = exchange.head
        if isinstance(exchange, GatewayExchange):
            connection: Any = exchange.connection
            connection.serve(self)
            known: Known | None = connection.memory
            if known is not None and (known.head is head or known.repeated_by(head)) and not connection.factory.draining:
                now = exchange.began_s
                prepared = known.prepared
                if prepared.from_s <= now < prepared.until_s:
                    resource = self.store.resource(known.key, now)
                    if resource is not None and resource.version == known.version:
                        self.counts.hits += 1
                        exchange.reply(prepared.status, prepared.block, keep_alive=True)
                        return
        if head.upgrade is not None and upgrades_asked(head, self._upgrades):
            self.counts.bypassed += 1
            add_field(exchange, forwarded(Forward.BYPASS))
            self._pass(exchange)
        elif self.opt_in and self._is_no_business_of_ours(exchange, head):
            self._pass(exchange)
        else:
            self._look_up(exchange, head)

    def _pass(self, exchange: Exchange) -> None:
        """The application behind answers the client itself."""
        if isinstance(exchange, GatewayExchange):
            connection: Any = exchange.connection
            connection.serve(self.origin)
        self.origin.request_received(exchange)

    def _pass_changing(self, exchange: GatewayExchange, head: RequestHead) -> None:
        """What is neither looked up nor stored needs nobody in between, but for what it makes stale."""
        self.counts.bypassed += 1
        self.counts.fetches += 1
        add_field(exchange, _NOT_STORED)
        exchange.answering = partial(self._changed, head)
        self._pass(exchange)

    def _changed(self, head: RequestHead, status: int, block: bytes) -> None:
        """The answer to ``head``, which may change what it asked for, is about to be sent."""
        if head.method in SAFE or not 200 <= status < 400 or not (self.open_fetches or len(self.store.resources)):
            return
        end = block.index(b"\r\n\r\n") + 4
        elsewhere = b"\nlocation:" in (lower := block[:end].lower()) or b"\ncontent-location:" in lower
        try:
            answer = parse_response_head(block[:end], self.limits) if elsewhere else _PLAIN
        except BadMessage:
            answer = _PLAIN
        self.answered(head, answer, self.now())

    def _pass_uncacheable(self, exchange: GatewayExchange, key: bytes) -> None:
        """What was not stored time and again needs nobody in between, until a glance at an answer says that it may be."""
        self.counts.misses += 1
        self.counts.uncacheable += 1
        self.counts.fetches += 1
        add_field(exchange, _UNCACHEABLE[NotStored.USELESS])
        exchange.answering = partial(self._passed, exchange, key)
        self._pass(exchange)

    def _passed(self, exchange: GatewayExchange, key: bytes, status: int, block: bytes) -> None:
        """The answer to a request that passed by is about to be sent."""
        if exchange.trouble:
            return  # it says of what kind
        why = surely_not_stored(block[: block.index(b"\r\n\r\n") + 4])
        if why is None:
            self.store.perhaps_cacheable(key, self.now())
            why = NotStored.UNREAD
        if why is not NotStored.USELESS:
            value = _UNCACHEABLE[why]
            exchange.added[:] = [(name, value if name == CACHE_STATUS else said) for name, said in exchange.added]

    def _is_no_business_of_ours(self, exchange: Exchange, head: RequestHead) -> bool:
        """Of routes in code: whether nothing is to be looked up or stored. What an unsafe request may change is validated from now on."""
        key = primary_key(exchange.scheme, head.host, head.target)
        now = exchange.began_s
        if head.method not in LOOKED_UP or head.has_body:
            if head.method not in SAFE:
                self.store.counts.invalidated += self.store.invalidate(key, now)
            return True
        if head.cache_control is not None and request_directives(head).only_if_cached:
            return False  # 504 before and after it is known that nothing can be stored
        return self.store.is_uncacheable(key, now)

    # hits

    def _look_up(self, exchange: Exchange, head: RequestHead) -> None:
        now = exchange.began_s
        asked = request_directives(head)
        if head.method not in LOOKED_UP and isinstance(exchange, GatewayExchange):
            self._pass_changing(exchange, head)
            return
        if head.method not in LOOKED_UP or head.has_body:
            self._forward(Client(exchange, asked, Forward.METHOD if head.method not in LOOKED_UP else Forward.BYPASS), b"", [])
            return
        key = primary_key(exchange.scheme, head.host, head.target)
        resource = self.store.resource(key, now)
        stored = None if resource is None else resource.variants.chosen(head)
        decision = decide(head, asked, stored, now, missing=Forward.URI_MISS if resource is None else Forward.VARY_MISS)
        if decision.hit:
            assert resource is not None
            assert stored is not None
            self._hit(exchange, head, asked, resource, stored, decision, now)
        elif decision.action is Action.GATEWAY_TIMEOUT:
            self.counts.refused += 1
            add_field(exchange, of_decision(decision, stored, now))
            exchange.fail(NotInCache())
        elif (
            resource is None
            and head.method == b"GET"
            and self.store.uncacheable_times(key, now) >= PASSED_AFTER
            and isinstance(exchange, GatewayExchange)
        ):
            self._pass_uncacheable(exchange, key)
        else:
            client = Client(exchange, asked, decision.forward or Forward.MISS)
            validating = decision.action is Action.VALIDATE and resource is not None
            matching = resource.variants.matching(head) if validating and resource is not None else []
            nominated = [answer for answer in matching if answer.part is None]
            # what cannot be validated may still stand in for a failure (RFC 5861 section 4)
            stand_in = stored if validating and stored is not None and stored.part is None else None
            self._forward(client, key, [answer for answer in nominated if answer.validators], stand_in, nominated)

    def _hit(
        self,
        exchange: Exchange,
        head: RequestHead,
        asked: RequestDirectives,
        resource: Resource,
        stored: StoredAnswer,
        decision: Decision,
        now: float,
    ) -> None:
        keep_alive = exchange.keep_alive
        if decision is FRESH:
            self.counts.hits += 1
            plain = asked is NOTHING_ASKED or asked == NOTHING_ASKED
            if plain and keep_alive and head.minor and head.method == b"GET" and len(stored.body) <= MAX_PREPARED_BYTES:
                prepared = self._prepared(head, resource, stored, now)
                if isinstance(exchange, GatewayExchange):
                    exchange.connection.memory = Known(head, resource.key, resource.version, prepared)
                exchange.reply(prepared.status, prepared.block, keep_alive=True)
                return
        else:
            self.counts.stale += 1
        self.give(Client(exchange, asked, Forward.MISS), stored, of_decision(decision, stored, now), now=now)
        if decision.action is Action.STALE_WHILE_REVALIDATE:
            self._revalidate(exchange, head, resource, now)

    def _prepared(self, head: RequestHead, resource: Resource, stored: StoredAnswer, now: float) -> Prepared:
        """The bytes of the answer, for as long as its Age and what is left of its life are the same whole seconds."""
        plain = not any(name in head.index for name in (b"range", *_PRECONDITIONS))
        if plain:
            found = resource.prepared.get(id(stored))
            if found is not None and found.from_s <= now < found.until_s:
                return found
        answer = made(stored, head, now)
        block = whole_head(answer, status_line=of_decision(FRESH, stored, now), keep_alive=True, minor=1) + answer.body
        prepared = Prepared.of(answer.status, block, stored, now)
        if plain:
            resource.prepared[id(stored)] = prepared
        self.store.prepared.keep(prepared, now)
        return prepared

    def give(
        self,
        client: Client,
        stored: StoredAnswer,
        cache_status: bytes,
        *,
        validated: bool = False,
        once: Iterable[Field] = (),
        now: float | None = None,
    ) -> None:
        """Answer ``client`` from ``stored``; ``once`` are fields for nobody else."""
        client.fetch = None
        exchange = client.exchange
        request = client.request
        answer = made(stored, request, self.now() if now is None else now, validated=validated)
        if once:
            names = {name.lower() for name, _ in once}
            fields = [field for field in answer.fields if field[0].lower() not in names]
            answer = answer._replace(fields=[*fields, *once])
        keep_alive = exchange.keep_alive
        block = whole_head(answer, status_line=cache_status, keep_alive=keep_alive, minor=request.minor)
        if request.method != b"HEAD" and answer.status not in (204, 304):
            if len(answer.body) > PIECE_BYTES:
                self._pour(client, stored, answer, block)
                return
            block += answer.body
        exchange.reply(answer.status, block, keep_alive=keep_alive)

    def _pour(self, client: Client, stored: StoredAnswer, answer: Answer, block: bytes) -> None:
        """A large body, of which the client takes what it can; what it reads may be stored no more before it has all of it."""
        exchange = client.exchange
        request = client.request
        # several ranges are a copy; one is a part of what is stored
        body = stored.body if isinstance(answer.body, memoryview) else answer.body
        pin = self.store.pin(primary_key(exchange.scheme, request.host, request.target), body, self.now())
        pouring = Pouring(exchange, memoryview(answer.body), partial(self.store.pins.drop, pin))
        pouring.begin(answer.status, block, keep_alive=exchange.keep_alive)

    # the origin

    def forward(self, client: Client, key: bytes) -> None:
        """Ask the origin what ``client`` asks, with its own preconditions, for it alone."""
        self._send(client, key, [], None)

    def again(self, client: Client, *, alone: bool) -> None:
        """What it waited for is not for it: ``alone``, since such answers are not stored, or as if it had come now."""
        if not alone:
            self._look_up(client.exchange, client.request)
            return
        request = client.request
        self.forward(client, primary_key(client.exchange.scheme, request.host, request.target))

    def _forward(
        self,
        client: Client,
        key: bytes,
        candidates: list[StoredAnswer],
        stand_in: StoredAnswer | None = None,
        nominated: Sequence[StoredAnswer] = (),
    ) -> None:
        request = client.request
        flight = self._flight(client, key, candidates) if key else None
        while flight is not None:
            fetch = self._flights.get(flight)
            if fetch is None or self.store.changes.after(key, fetch.sent_s, client.exchange.began_s):
                break
            other = fetch.other_variant(request)
            if other is None:
                fetch.join(client)
                return
            flight = (*flight, *other)
        self._send(client, key, candidates, flight, stand_in, nominated)

    def _flight(self, client: Client, key: bytes, candidates: list[StoredAnswer]) -> tuple[object, ...] | None:
        """What makes two requests the same for the origin; None for one that must go by itself."""
        request = client.request
        asked = client.asked
        if request.method != b"GET" or asked.no_store or asked.no_cache or _is_somebodys(client.exchange):
            return None
        index = request.index
        if any(name in index for name in _ALONE) or (not candidates and any(name in index for name in _PRECONDITIONS)):
            return None
        now = client.exchange.began_s
        if self.store.is_uncacheable(key, now):
            return None
        resource = self.store.resource(key, now)
        if resource is None:
            return None if self.opt_in else (key, bool(candidates))
        names = resource.variants.answers[-1].vary
        return (key, bool(candidates), names, selecting_values(names, request))

    def _send(
        self,
        client: Client,
        key: bytes,
        candidates: list[StoredAnswer],
        flight: tuple[object, ...] | None,
        stand_in: StoredAnswer | None = None,
        nominated: Sequence[StoredAnswer] = (),
    ) -> None:
        exchange = client.exchange
        request = client.request
        sent = with_fields(request, preconditions(candidates), without=REPLACED, limits=self.limits) if candidates else request
        exchange.receiver = client
        fetch = Fetch(
            self,
            key or primary_key(exchange.scheme, request.host, request.target),
            client,
            request,
            sent,
            InnerConnection(exchange.connection.factory, exchange),
            candidates=candidates,
            nominated=nominated,
            stand_in=stand_in,
            authenticated=_is_somebodys(exchange),
            flight=flight,
        )
        if flight is not None:
            self._flights[flight] = fetch
        fetch.begin()

    def _revalidate(self, exchange: Exchange, head: RequestHead, resource: Resource, now: float) -> None:
        """Validate what was just served stale, once for all who are served it meanwhile."""
        flight = (resource.key, "behind", id(resource), resource.version)
        if flight in self._flights:
            return
        nominated = [answer for answer in resource.variants.matching(head) if answer.part is None]
        candidates = [answer for answer in nominated if answer.validators]
        plain = with_fields(head, preconditions(candidates), method=b"GET", without=REPLACED, limits=self.limits)
        fetch = Fetch(
            self,
            resource.key,
            None,
            with_fields(head, (), method=b"GET", without=REPLACED, limits=self.limits),
            plain,
            InnerConnection(exchange.connection.factory, exchange),
            candidates=candidates,
            nominated=nominated,
            authenticated=_is_somebodys(exchange),
            flight=flight,
        )
        self._flights[flight] = fetch
        fetch.begin()

    # what fetches tell

    def landed(self, flight: tuple[object, ...], fetch: Fetch) -> None:
        """Nobody is to wait for it any more."""
        if self._flights.get(flight) is fetch:
            del self._flights[flight]

    def answered(self, request: RequestHead, head: ResponseHead, now: float) -> None:
        """The origin has answered: an unsafe request makes what is stored of the URIs that it changed stale."""
        for key in invalidated(b"http", request, head):
            self.store.counts.invalidated += self.store.invalidate(key, now)
        for key in invalidated(b"https", request, head):
            self.store.counts.invalidated += self.store.invalidate(key, now)

    def stood_in(self, client: Client, stored: StoredAnswer | None, error: ScalelabError | None, status: int | None) -> bool:
        """Serve ``client`` a stale answer instead of a failure, or 504 where it must get that; False: tell it of the failure."""
        now = self.now()
        what = on_failure(client.asked, stored, now, status=status, stale_if_disconnected_s=self._stale_if_disconnected_s)
        if what is OnFailure.RELAY:
            return False
        exchange = client.exchange
        if what is OnFailure.GATEWAY_TIMEOUT:
            self.counts.refused += 1
            client.fetch = None
            add_field(exchange, forwarded(client.forward, detail="must-validate"))
            exchange.fail(AnswerTimeout("What is stored must not be used without the origin's word, and it does not answer."))
            return True
        assert stored is not None
        self.counts.stale += 1
        age = forwarded(client.forward, status=status, collapsed=client.collapsed, detail="stale-if-error" if status else "disconnected")
        self.give(client, stored, age)
        return True

    @staticmethod
    def without_name(answer: StoredAnswer) -> StoredAnswer:
        """A request's name is of no use to another's client."""
        return replace(answer, fields=tuple([field for field in answer.fields if field[0].lower() != b"x-request-id"]))


def _is_somebodys(exchange: Exchange) -> bool:
    """Whether the client has said who it is, to the gateway or to the origin: what it gets is for others only when the origin says so."""
    if isinstance(exchange, GatewayExchange) and (exchange.authenticated or b"authorization" in exchange.asked.index):
        return True
    if isinstance(exchange, InnerExchange) and exchange.authenticated:
        return True
    return b"authorization" in exchange.head.index
