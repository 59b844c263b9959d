"""Rate limits on a route: who is counted, what is charged, what is answered."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple, Protocol

from twisted.internet.defer import Deferred

from scalability.errors import TooManyRequests
from scalability.gateway.rate_limits.config import Per
from scalability.gateway.rate_limits.fields import PREFIXES, Limit, Older, policy_field, seconds, state_fields
from scalability.gateway.rate_limits.gcra import Verdict
from scalability.gateway.rate_limits.store import LimitStore
from scalability.http1.fields import Field
from scalability.net.http_server import client_of

MAX_NETWORKS = 4096
"""IPv6 addresses whose network is remembered: finding it costs as much as all the rest."""

_NS = 1_000_000_000


class Counted(Protocol):
    """What is looked at of a request, and added to its answer."""

    added: list[Field]
    client_host: bytes
    consumer: bytes

    @property
    def peer_host(self) -> bytes: ...


class CountedLimit(NamedTuple):
    """A limit, and whom it counts for."""

    limit: Limit
    per: Per


class RateLimits:
    """Admits requests by all ``limits`` at once; ``store`` has their cells in the same order. ``clock`` tells
    seconds and never goes back."""

    def __init__(self, limits: Sequence[CountedLimit], store: LimitStore, clock: Callable[[], float], older: Older = Older.NONE) -> None:
        self._limits = [one.limit for one in limits]
        self._keys = tuple(_KEYS[one.per] for one in limits)
        self._store = store
        self._seconds = clock
        self._prefix = PREFIXES.get(older)
        self._policy = policy_field(self._limits)
        self.admitted = 0
        self.refused = 0

    def admit(self, exchange: Counted) -> Deferred[None] | None:
        """Charge the request, or raise TooManyRequests, which costs nothing. Either way its answer tells what is left."""
        verdict = self._store.take([key_of(exchange) for key_of in self._keys], int(self._seconds() * _NS))
        if isinstance(verdict, Deferred):
            return verdict.addCallback(self._decided, exchange)
        self._decided(verdict, exchange)
        return None

    def _decided(self, verdict: Verdict, exchange: Counted) -> None:
        exchange.added.append(self._policy)
        exchange.added += state_fields(self._limits, verdict.standings, self._prefix)
        if verdict.admitted:
            self.admitted += 1
            return
        self.refused += 1
        wait_ns = max(left.wait_ns for left in verdict.standings)
        raise TooManyRequests("too many requests; try again later", retry_after_s=seconds(wait_ns))


def _client(exchange: Counted) -> bytes:
    host = exchange.client_host or exchange.peer_host
    return _network(host) if b":" in host else host


@lru_cache(MAX_NETWORKS)
def _network(host: bytes) -> bytes:
    """That of an IPv6 address."""
    try:
        return client_of(host.decode("ascii")).encode()
    except ValueError:
        return host  # what a trusted proxy calls its client


def _consumer(exchange: Counted) -> bytes:
    # no address has a slash
    return b"/" + exchange.consumer if exchange.consumer else _client(exchange)


def _route(_: Counted) -> bytes:
    return b""


_KEYS: dict[Per, Callable[[Counted], bytes]] = {Per.CLIENT: _client, Per.CONSUMER: _consumer, Per.ROUTE: _route}
