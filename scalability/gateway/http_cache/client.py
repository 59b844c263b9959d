"""One client of the HTTP cache whose request a fetch is to answer.

    waiting    for the head of an answer that somebody else asked for, or that it asked for itself
    answered   the answer is sent as it comes; its pieces are the fetch's, shared by all its clients
    over

A client that reads slowly takes the pieces when it can: nobody else waits for it while the answer is being stored.
"""

from typing import TYPE_CHECKING

from scalability.errors import ScalelabError
from scalability.gateway.exchange import CACHE_STATUS, GatewayExchange
from scalability.gateway.http_cache.directives import RequestDirectives
from scalability.gateway.http_cache.reuse import Forward
from scalability.gateway.http_cache.sending import bodiless, head_block, passed_on
from scalability.http1.fields import Field
from scalability.http1.forward import chunk, end_of_chunks
from scalability.http1.request_head import RequestHead
from scalability.http1.response_head import ResponseHead
from scalability.net.exchange import Exchange

if TYPE_CHECKING:
    from scalability.gateway.http_cache.fetch import Fetch


class Client:
    """``exchange`` and what its request asked of caches. Its receiver as long as a fetch serves it."""

    __slots__ = ("_chunked", "_full", "asked", "at", "collapsed", "exchange", "fetch", "forward", "request")

    def __init__(self, exchange: Exchange, asked: RequestDirectives, forward: Forward) -> None:
        self.exchange = exchange
        self.request: RequestHead = exchange.head
        self.asked = asked
        self.forward = forward
        """Why its request goes to the origin."""
        self.fetch: Fetch | None = None
        self.at = 0
        """The number of the fetch's piece that is to be sent next."""
        self.collapsed = False
        """Whether it waited for an answer that another client's request is for."""
        self._chunked = False
        self._full = False

    # net.exchange.Receiver

    def body_received(self, data: bytes, ended: bool) -> None:
        if self.fetch is not None:
            self.fetch.upload(self, data, ended)

    def client_lost(self, error: ScalelabError) -> None:
        fetch, self.fetch = self.fetch, None
        if fetch is not None:
            fetch.left(self)

    def client_full(self) -> None:
        self._full = True
        if self.fetch is not None:
            self.fetch.slowed()

    def client_ready(self) -> None:
        self._full = False
        if self.fetch is not None:
            self.fetch.serve(self)

    # the fetch

    @property
    def full(self) -> bool:
        """Whether it has as much to read as it can take."""
        return self._full

    def interim(self, head: ResponseHead) -> None:
        """Pass on a 1xx, to a client that knows of them; 100 to one that waits for it before it sends its request's body."""
        if self.request.minor and (head.status != 100 or self.request.expect_continue):
            self.exchange.send_interim(
                head_block(head.status, head.reason, head.fields, length=None, chunked=False, keep_alive=True, minor=1)
            )

    def begin(self, head: ResponseHead, cache_status: bytes | None, without: frozenset[bytes] = frozenset()) -> None:
        """Send the head of the answer that is coming, but for the fields ``without`` (in lower case).

        ``cache_status`` is the value of that field, None without one.
        """
        exchange = self.exchange
        request = self.request
        ends_here = bodiless(head.status, request.method)
        length = head.content_length
        self._chunked = not ends_here and length is None and bool(request.minor)
        keep_alive = exchange.keep_alive and (ends_here or length is not None or self._chunked)
        fields = passed_on(head)
        if without:
            fields = [field for field in fields if field[0].lower() not in without]
        if cache_status is not None:
            fields.append((b"Cache-Status", cache_status))
        block = head_block(
            head.status,
            head.reason,
            fields,
            length=None if head.status in (204, 304) else length,
            chunked=self._chunked,
            keep_alive=keep_alive,
            minor=request.minor,
        )
        exchange.begin(head.status, block, keep_alive=keep_alive)

    def write(self, data: bytes) -> None:
        """Send more of its body."""
        self.exchange.write(chunk(data) if self._chunked else data)

    def finish(self, trailers: tuple[Field, ...]) -> None:
        """That was all."""
        self.fetch = None
        self.exchange.finish(end_of_chunks(trailers) if self._chunked else b"")

    def fail(self, error: ScalelabError) -> None:
        """There is no (complete) answer."""
        self.fetch = None
        self.exchange.fail(error)


def add_field(exchange: Exchange, cache_status: bytes) -> None:
    """Cache-Status for an answer that somebody else makes."""
    if isinstance(exchange, GatewayExchange):
        exchange.added.append((CACHE_STATUS, cache_status))
