"""One request to the origin, for one client or for many, whose answer is passed on and stored at once.

    asking      the request is sent; those who want the same wait
    answering   the head came: whoever it may serve is sent it, and every piece of the body when he can take it
    over        ended, failed, or given up since nobody is left who wants it

    asking --304 to a validation--> over: everybody is served from the store
    asking --failure, or 5xx, and a stale answer may stand in--> over for those whom it may serve
    asking --head--> answering;  answering --end--> over, and stored if it may be;  answering --failure--> over, and nothing is stored

While the answer is being stored its pieces stay, up to the limit of an object, and no client's slowness holds the origin up: each takes
them when it can. What is not stored is held back like any proxied answer, by the slowest of its clients. An answer that turns out too
large is not stored; who had begun to receive it receives it to its end.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from scalability.errors import ScalelabError
from scalability.gateway.http_cache.client import Client, add_field
from scalability.gateway.http_cache.conditions import not_modified
from scalability.gateway.http_cache.directives import request_directives
from scalability.gateway.http_cache.key import selecting_values
from scalability.gateway.http_cache.ranges import absorbed
from scalability.gateway.http_cache.status import forwarded
from scalability.gateway.http_cache.statuses import says_what_there_is
from scalability.gateway.http_cache.stored import StoredAnswer
from scalability.gateway.http_cache.storing import NotStored, store
from scalability.gateway.http_cache.validation import Freshened, freshened, freshened_by_head
from scalability.http1.fields import Field
from scalability.http1.request_head import RequestHead
from scalability.http1.response_head import ResponseHead
from scalability.proxy.inner import InnerConnection, InnerExchange

if TYPE_CHECKING:
    from scalability.gateway.http_cache.cache import HTTPCache

LASTING = frozenset(
    [NotStored.NO_STORE, NotStored.PRIVATE, NotStored.SET_COOKIE, NotStored.VARY, NotStored.NOT_CACHEABLE, NotStored.USELESS]
)
"""Reasons that most likely hold for the URI's next answer, too: nobody waits for that."""

FOR_EVERYBODY = frozenset([NotStored.VARY, NotStored.NOT_CACHEABLE, NotStored.USELESS, NotStored.TOO_LARGE, NotStored.CROWDED])
"""Reasons that say nothing of who asked: such an answer takes the place of a stored one for everybody, though it is not kept itself."""


class Fetch:
    """A request for ``key``. ``leader`` is the client whose request it is; None when the cache validates behind the clients' backs.

    ``request`` is what a client asked; ``sent`` what is sent, with the preconditions of ``candidates`` where those are validated.
    ``nominated`` is what is stored that ``request`` could have selected: a whole answer takes its place (RFC 9111 section 4.3.3).
    ``stand_in`` is what is stored and may be served when the origin fails. ``flight`` is what others who want the same find it by;
    None: nobody is to wait for it.
    """

    def __init__(
        self,
        cache: "HTTPCache",
        key: bytes,
        leader: Client | None,
        request: RequestHead,
        sent: RequestHead,
        connection: InnerConnection,
        *,
        candidates: list[StoredAnswer],
        nominated: Sequence[StoredAnswer] = (),
        stand_in: StoredAnswer | None = None,
        authenticated: bool = False,
        flight: tuple[object, ...] | None = None,
    ) -> None:
        self._cache = cache
        self._outside = cache.store.outside
        self._key = key
        self._leader = leader
        self._request = request
        self._candidates = candidates
        self._nominated = nominated
        self._stand_in = stand_in
        self._authenticated = authenticated
        self._flight = flight
        self.sent_s = cache.now()
        self._head: ResponseHead | None = None
        self._plan: StoredAnswer | None = None
        self._for_the_first: frozenset[bytes] = frozenset()
        self._pieces: list[bytes] = []
        self._dropped = 0
        self._bytes = 0
        self._held = 0
        self._over = False
        self._ended = False
        self._trailers: tuple[Field, ...] = ()
        self._clients: dict[Client, None] = {}
        if leader is not None:
            leader.fetch = self
            self._clients[leader] = None
        exchange = None if leader is None else leader.exchange
        body = b"" if exchange is None else exchange.body
        uploading = None if exchange is None or exchange.body_complete else exchange
        self._inner = InnerExchange(sent, self, connection, body=body, uploading=uploading, limits=cache.limits)
        if uploading is None and exchange is not None:
            self._inner.trailers = exchange.trailers

    def begin(self) -> None:
        """Send it."""
        self._cache.counts.fetches += 1
        self._cache.open_fetches += 1
        self._inner.ask(self._cache.origin)

    def other_variant(self, request: RequestHead) -> tuple[object, ...] | None:
        """What makes ``request`` one for another variant than the one that is arriving; None: it is the same, as far as is known."""
        plan = self._plan
        if plan is None or not plan.vary:
            return None
        values = selecting_values(plan.vary, request)
        return None if values == plan.selecting else (plan.vary, values)

    def join(self, client: Client) -> None:
        """Wait for this one's answer; who comes while it is arriving gets it from its beginning."""
        client.collapsed = True
        client.fetch = self
        client.exchange.receiver = client
        if self._head is None:
            self._clients[client] = None
        else:
            assert self._plan is not None, "what is not stored is not found any more"
            self._welcome(client, self._head, self._plan)
            self._after_joining()

    # its clients

    def upload(self, client: Client, data: bytes, ended: bool) -> None:
        """More of the request's body."""
        if client is self._leader:
            self._inner.feed(data, ended, client.exchange.trailers)

    def left(self, client: Client) -> None:
        """It has gone. What is being stored is fetched to its end all the same."""
        self._clients.pop(client, None)
        if not self._clients and self._plan is None and not self._over:
            self._finished()
            self._inner.cancel()
        else:
            self._flow()
        self._let_go()

    def slowed(self) -> None:
        """One of them has enough to read."""
        self._flow()

    def serve(self, client: Client) -> None:
        """It can take more."""
        self._pump(client)
        self._flow()

    # proxy.inner.AnswerReader

    def interim_received(self, head: ResponseHead) -> None:
        if self._leader is not None and self._leader in self._clients:
            self._leader.interim(head)

    def head_received(self, head: ResponseHead) -> None:
        cache = self._cache
        now = cache.now()
        leader = self._leader
        if leader is not None:
            leader.exchange.request_id = self._inner.request_id
            leader.exchange.served_by = self._inner.served_by
        if self._candidates and head.status == 304 and self._validated(head, now):
            return
        if self._stand_in is not None and head.status >= 500 and self._stood_in_for(None, head.status):
            self._finished()
            self._inner.cancel()
            return
        self._head = head
        cache.answered(self._request, head, now)
        if self._request.method == b"HEAD" and head.status == 200:
            self._update_by_head(head, now)
        plan = self._planned(head, now)
        waiting = [client for client in self._clients if client is not leader]
        self._clients = {} if leader is None or leader.fetch is not self else {leader: None}
        if isinstance(plan, StoredAnswer):
            self._plan = plan
            self._for_the_first = plan.directives.private_fields | plan.directives.no_cache_fields
        else:
            self._land()
            if plan in FOR_EVERYBODY and not self._authenticated and says_what_there_is(head.status):
                for old in self._nominated:
                    cache.store.replace(self._key, old, replace(old, must_validate=True) if old.validators else None, now)
            if self._request.method == b"GET":
                cache.counts.uncacheable += 1
                if plan in LASTING:
                    cache.store.note_uncacheable(self._key, now)
        if leader is not None and leader in self._clients:
            self._answer(leader, head, plan, now)
        for client in waiting:
            client.fetch = None
            if self._plan is not None and selecting_values(self._plan.vary, client.request) == self._plan.selecting:
                client.fetch = self
                self._welcome(client, head, self._plan)
            else:
                cache.again(client, alone=self._plan is None)
        self._after_joining()

    def body_received(self, data: bytes) -> None:
        self._pieces.append(data)
        if self._plan is not None:
            self._bytes += len(data)
            outside = self._outside
            outside.arriving_bytes += len(data)
            if self._bytes > self._cache.store.max_object_bytes or outside.arriving_bytes > outside.share_bytes:
                self._give_up_storing()
        for client in list(self._clients):
            self._pump(client)
        self._flow()

    def answer_ended(self, trailers: tuple[Field, ...]) -> None:
        if self._over:
            return
        self._ended = True
        self._trailers = trailers
        plan = self._plan
        arrived = self._arrived()
        if plan is not None:
            self._store(replace(plan, body=b"".join(self._pieces)))
        self._hold(arrived)
        self._finished()
        for client in list(self._clients):
            self._pump(client)
        self._let_go()

    def answer_failed(self, error: ScalelabError) -> None:
        if self._over:
            return
        begun = self._head is not None
        if self._plan is not None:
            self._cache.counts.abandoned += 1
        leader = self._leader
        if leader is not None:
            leader.exchange.request_id = self._inner.request_id
        self._finished()
        self._plan = None
        if not begun and self._stood_in_for(error, None):
            return
        clients, self._clients = self._clients, {}
        for client in clients:
            self._cache.counts.misses += 1
            if not (client.exchange.begun or self._cache.opt_in):
                add_field(client.exchange, forwarded(client.forward, collapsed=client.collapsed, detail=error.code))
            client.fail(error)
        self._let_go()

    # the head

    def _planned(self, head: ResponseHead, now: float) -> StoredAnswer | NotStored:
        """What is to be stored, its body apart, or why nothing is."""
        cache = self._cache
        leader = self._leader
        asked = None if leader is None else leader.asked
        planned = store(
            self._request,
            head,
            b"",
            request_time_s=self.sent_s,
            response_time_s=now,
            wall=cache.wall(),
            options=cache.options,
            asked=asked,
        )
        if isinstance(planned, NotStored):
            return planned
        if self._authenticated and not planned.directives.shared_with_authorization:
            return NotStored.AUTHORIZATION
        if (head.content_length or 0) > cache.store.max_object_bytes:
            cache.store.note_uncacheable(self._key, now, forbidden=False)
            return NotStored.TOO_LARGE
        if not cache.store.has_room(head.content_length or 0):
            cache.store.counts.crowded += 1
            return NotStored.CROWDED
        # an interim object of ours: names of requests are each request's own
        return cache.without_name(planned) if b"x-request-id" in head.index else planned

    def _answer(self, client: Client, head: ResponseHead, plan: StoredAnswer | NotStored, now: float) -> None:
        stored = plan if isinstance(plan, StoredAnswer) else None
        status = forwarded(
            client.forward,
            stored=stored,
            now=now,
            collapsed=client.collapsed,
            detail="" if isinstance(plan, StoredAnswer) else plan.value,
            status=head.status if self._candidates or client.forward.value == "stale" else None,
        )
        if client.request.method in (b"GET", b"HEAD"):
            self._cache.counts.misses += 1
        else:
            self._cache.counts.bypassed += 1
        if stored is not None and stored.part is None and self._candidates and not_modified(stored, client.request):
            # its preconditions were not sent, since ours were: they are evaluated on what came (RFC 9111 section 4.3.2)
            self._clients.pop(client, None)
            self._cache.give(client, stored, status, validated=client is self._leader)
            return
        client.begin(head, None if stored is None and self._cache.opt_in else status, self._withheld(client))

    def _withheld(self, client: Client) -> frozenset[bytes]:
        """Fields that are for the first client only: what ``private`` and ``no-cache`` name (RFC 9111 sections 5.2.2.4 and 5.2.2.7)."""
        return frozenset() if client is self._leader else self._for_the_first

    def _welcome(self, client: Client, head: ResponseHead, plan: StoredAnswer) -> None:
        self._clients[client] = None
        client.at = 0
        self._cache.counts.collapsed += 1
        self._answer(client, head, plan, self._cache.now())

    def _after_joining(self) -> None:
        for client in list(self._clients):
            self._pump(client)

    def _validated(self, head: ResponseHead, now: float) -> bool:
        """Whether the 304 was about something that is stored, and everybody is served."""
        cache = self._cache
        updates = freshened(
            self._candidates,
            self._request,
            head,
            request_time_s=self.sent_s,
            response_time_s=now,
            wall=cache.wall(),
            options=cache.options,
        )
        if not updates:
            # it is about something else: without preconditions the answer will be whole
            self._finished()
            self._inner.cancel()
            clients, self._clients = self._clients, {}
            for client in clients:
                client.fetch = None
                cache.forward(client, self._key)
            return True
        for update in updates:
            self._update(update, now)
        self._finished()
        new = updates[0].new
        kept = updates[0].keep and self._may_keep(updates[0])
        clients, self._clients = self._clients, {}
        for client in clients:
            if client is not self._leader and not (kept and selecting_values(new.vary, client.request) == new.selecting):
                # the 304 is private now, or about another variant: what it says is for the one who asked
                client.fetch = None
                cache.again(client, alone=not kept)
                continue
            cache.counts.revalidated += 1
            if client.collapsed:
                cache.counts.collapsed += 1
            status = forwarded(client.forward, status=304, stored=new if kept else None, now=now, collapsed=client.collapsed)
            once = updates[0].once if client is self._leader else ()
            cache.give(client, new, status, validated=client is self._leader, once=once)
        return True

    def _update_by_head(self, head: ResponseHead, now: float) -> None:
        cache = self._cache
        resource = cache.store.resource(self._key, now)
        if resource is None:
            return
        for update in freshened_by_head(
            resource.variants.matching(self._request),
            self._request,
            head,
            request_time_s=self.sent_s,
            response_time_s=now,
            wall=cache.wall(),
            options=cache.options,
        ):
            self._update(update, now)

    def _update(self, update: Freshened, now: float) -> None:
        """Store what a 304 or a HEAD makes of a stored answer; what must not be stored of it changes nothing for others."""
        if update.new.must_validate or not update.keep or self._may_keep(update):
            new = self._cache.without_name(update.new) if update.keep else None
            self._cache.store.replace(self._key, update.old, new, now)

    def _may_keep(self, update: Freshened) -> bool:
        """Whether fields of this answer may be stored: no-store of the request, and Authorization, forbid it as they forbid the whole."""
        asked = request_directives(self._request) if self._leader is None else self._leader.asked
        return not asked.no_store and (not self._authenticated or update.new.directives.shared_with_authorization)

    def _stood_in_for(self, error: ScalelabError | None, status: int | None) -> bool:
        """Serve whoever may be served with a stale answer instead; whether nobody is left."""
        for client in list(self._clients):
            if self._cache.stood_in(client, self._stand_in, error, status):
                del self._clients[client]
        return not self._clients

    # the body

    def _pump(self, client: Client) -> None:
        """Give it what it can take."""
        while client.at < self._dropped + len(self._pieces) and not client.full and client.fetch is self:
            data = self._pieces[client.at - self._dropped]
            client.at += 1
            client.write(data)
        if self._ended and client.fetch is self and client.at == self._dropped + len(self._pieces):
            self._clients.pop(client, None)
            withheld = self._withheld(client)
            client.finish(tuple([field for field in self._trailers if field[0].lower() not in withheld]))
            self._let_go()

    def _flow(self) -> None:
        """Forget the pieces that everybody has, and hold the origin up when somebody cannot take more."""
        if self._over:
            return
        if self._plan is not None and self._outside.held_bytes <= self._outside.share_bytes:
            self._inner.resume()  # it may have been held up when more was waiting
            return
        if self._clients and self._plan is None:
            least = min(client.at for client in self._clients)
            if least > self._dropped:
                gone = self._pieces[: least - self._dropped]
                del self._pieces[: len(gone)]
                self._dropped = least
                if self._held:
                    self._release(sum(map(len, gone)))
        if any(client.full for client in self._clients):
            self._inner.pause()
        else:
            self._inner.resume()

    # the end

    def _store(self, answer: StoredAnswer) -> None:
        cache = self._cache
        now = cache.now()
        if cache.store.changes.after(self._key, self.sent_s, now):
            if not answer.validators:
                return
            answer = replace(answer, must_validate=True)  # it may be what was there before
        resource = cache.store.resource(self._key, now)
        if resource is not None:
            for old in resource.variants.answers:
                if (old.vary, old.selecting) == (answer.vary, answer.selecting):
                    answer = absorbed(old, answer)
        if answer.part is None and says_what_there_is(answer.status):
            for old in self._nominated:
                if (old.vary, old.selecting) != (answer.vary, answer.selecting):
                    cache.store.replace(self._key, old, None, now)
        if cache.store.put(self._key, answer, now):
            cache.counts.stored += 1

    def _give_up_storing(self) -> None:
        self._plan = None
        self._cache.counts.uncacheable += 1
        if self._bytes > self._cache.store.max_object_bytes:  # else there was only too much of others at that moment
            self._cache.store.note_uncacheable(self._key, self._cache.now(), forbidden=False)
        self._hold(self._arrived())
        self._land()
        if not self._clients:
            self._finished()
            self._inner.cancel()

    def _land(self) -> None:
        """Nobody is to find it any more, and what it holds is no part of what is arriving for the store."""
        self._arrived()
        if self._flight is not None:
            self._cache.landed(self._flight, self)
            self._flight = None

    def _finished(self) -> None:
        if not self._over:
            self._over = True
            self._cache.open_fetches -= 1
        self._land()
        self._let_go()

    def _let_go(self) -> None:
        """Forget the pieces when nobody needs them any more: this and its clients refer to each other, and are not freed at once."""
        if self._over and not self._clients and self._pieces:
            self._dropped += len(self._pieces)
            self._pieces = []
            self._release(self._held)

    def _arrived(self) -> int:
        """What it has received is not arriving any more; how much that is."""
        arrived, self._bytes = self._bytes, 0
        self._outside.arriving_bytes -= arrived
        return arrived

    def _hold(self, count: int) -> None:
        """What has arrived for the store stays until the slowest client has it."""
        self._held += count
        self._outside.held_bytes += count

    def _release(self, count: int) -> None:
        count = min(count, self._held)
        self._held -= count
        self._outside.held_bytes -= count
