"""The gateway's exchanges: what policies learned of a request, and the fields that they add to whatever it is answered.

A field that a policy adds takes the place of one that the answer has already (an origin's own Access-Control-Allow-Origin next to ours
would make browsers refuse both), unless it is a list that everybody on the way may add to.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from twisted.internet.defer import Deferred

from scalability.errors import ScalelabError
from scalability.http1.fields import Field
from scalability.http1.request_head import RequestHead
from scalability.net.exchange import Exchange
from scalability.net.http_server import HTTPServerFactory
from scalability.net.server_connection import ServerConnection

LISTS: Final = frozenset([b"vary", b"cache-status", b"server-timing", b"set-cookie", b"warning", b"www-authenticate", b"link"])
"""Fields that stay as they are, with another line of ours behind them (RFC 9211 section 2: the nearest cache stands last)."""

CACHE_STATUS: Final = b"Cache-Status"


class GatewayExchange(Exchange):
    """One request. ``head`` may be replaced by whoever takes something out of it or adds something before it is forwarded."""

    __slots__ = ("added", "answering", "asked", "authenticated", "consumer", "route")

    connection: "GatewayConnection"

    def __init__(self, connection: ServerConnection, head: RequestHead, began_s: float) -> None:
        super().__init__(connection, head, began_s)
        self.added: list[Field] = []
        """Fields of the final answer, whoever makes it; names as they are sent. Not for 1xx."""
        self.answering: Callable[[int, bytes], None] | None = None
        """Told the status and the head (and perhaps some of the body) of an answer to which something is added, before it is sent."""
        self.asked: RequestHead = head
        """The head as the client sent it."""
        self.authenticated = False
        """Whether a policy has checked who asks."""
        self.consumer = b""
        """Who asks, as far as a policy could tell: a key's owner, a token's subject."""
        self.route = ""
        """The prefix of the route that serves it; empty for the gateway's own paths."""

    def begin(self, status: int, block: bytes, *, keep_alive: bool) -> None:
        super().begin(status, self._dressed(status, block) if self.added else block, keep_alive=keep_alive)

    def reply(self, status: int, block: bytes, keep_alive: bool) -> None:
        super().reply(status, self._dressed(status, block) if self.added else block, keep_alive=keep_alive)

    def answer(self, status: int, body: bytes, content_type: bytes = b"application/json", fields: Sequence[Field] = ()) -> None:
        self._name_cache("")
        super().answer(status, body, content_type, fields)

    def fail(self, error: ScalelabError) -> None:
        self._name_cache(error.code)
        super().fail(error)

    def refusal(self, error: ScalelabError, block: bytes) -> bytes:
        self._name_cache(error.code)
        return with_added(block, self.added) if self.added else block

    def _dressed(self, status: int, block: bytes) -> bytes:
        answering, self.answering = self.answering, None
        if answering is not None:
            answering(status, block)
        return with_added(block, self.added)

    def _name_cache(self, detail: str) -> None:
        """On a route with a cache every answer says what that did (RFC 9211), also one that is made in front of it."""
        for index, (name, value) in enumerate(self.added):
            if name == CACHE_STATUS:
                if detail and self.answering is not None:  # it was passed on, and what was said is what became of it so far
                    self.added[index] = (name, value.rpartition(b"detail=")[0] + b"detail=" + detail.encode())
                return
        connection: Any = self.connection
        if self.route and self.route in connection.factory.cached_routes:
            self.added.append((CACHE_STATUS, b"scalelab; detail=" + (detail.encode() or b"not-asked")))


class Policy(Protocol):
    """What a request must pass before a route looks anything up or sends anything. Called for each, so that what it costs counts."""

    def admit(self, exchange: GatewayExchange) -> Deferred[None] | None:
        """Return when ``exchange`` may go on, or has been answered here (``begun``); or a Deferred that fires with None then.

        It may append to ``exchange.added`` and replace ``exchange.head``. Raises, or fails with, a ScalelabError to refuse.
        """


def with_added(block: bytes, added: list[Field]) -> bytes:
    """``block``, a complete head and perhaps some of its body, with ``added`` at the end of that head."""
    end = block.index(b"\r\n\r\n") + 2
    head = block[:end]
    lower = head.lower()
    replaced = tuple({b"\r\n%b:" % name.lower() for name, _ in added if name.lower() not in LISTS})
    if any(start in lower for start in replaced):
        lines = head.split(b"\r\n")[:-1]
        starts = tuple(start[2:] for start in replaced)
        head = b"".join([b"%b\r\n" % line for line in lines if not line.lower().startswith(starts)])
    return b"".join((head, *[b"%b: %b\r\n" % field for field in added], block[end:]))


class GatewayConnection(ServerConnection):
    """A client's connection, whose requests may go to several applications: each has a memory of its own."""

    _served: Any = None
    _memories: dict[Any, Any] | None = None

    def serve(self, application: Any) -> None:
        """From now on ``memory`` is what ``application`` left there."""
        if self._served is application:
            return
        if self._memories is None:
            self._memories = {}
        if self._served is not None:
            self._memories[self._served] = self.memory
        self._served = application
        self.memory = self._memories.pop(application, None)


class GatewayFactory(HTTPServerFactory):
    """Serves the gateway's front."""

    connection_type = GatewayConnection
    exchange_type = GatewayExchange
    cached_routes: frozenset[str] = frozenset()
    """Prefixes of routes whose answers all say what their HTTP cache did."""
