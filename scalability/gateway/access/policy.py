"""What a request must pass before anything is looked up or sent: origin, size, key, token, limits, in this order.

Whoever has no good key or token is counted as the client that he is, so that trying keys out runs into the limits too; who has is counted
after that. A preflight has no credentials and is answered here.
"""

from typing import Final, Protocol

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from scalability.errors import Forbidden, ScalelabError, Unauthorized
from scalability.gateway.access.cors import Cors
from scalability.gateway.access.key_check import KeyCheck
from scalability.gateway.access.token_check import TokenCheck
from scalability.gateway.rate_limits.policy import RateLimits
from scalability.http1.fields import Field
from scalability.http1.request_head import RequestHead
from scalability.http1.trust import NOBODY, Networks, client_of

MAX_PEERS: Final = 1000
"""Addresses that are remembered as trusted or not."""


class Admitted(Protocol):
    """A request, as far as it is looked at here: the gateway's exchange."""

    added: list[Field]
    authenticated: bool
    begun: bool
    client_host: bytes
    consumer: bytes
    head: RequestHead

    @property
    def peer_host(self) -> bytes: ...

    def limit_body(self, max_bytes: int) -> None: ...

    def answer(self, status: int, body: bytes) -> None: ...


class AccessPolicy:
    """Everything that one route asks for; what it does not ask for is None."""

    __slots__ = ("_trusted", "_trusts", "cors", "keys", "limits", "max_body_bytes", "refused", "tokens")

    def __init__(
        self,
        *,
        cors: Cors | None = None,
        max_body_bytes: int | None = None,
        keys: KeyCheck | None = None,
        tokens: TokenCheck | None = None,
        limits: RateLimits | None = None,
        trusted: Networks = NOBODY,
    ) -> None:
        """``trusted``: proxies whose word about the client counts."""
        self.refused: dict[str, int] = {}
        """Requests, by the code of their error."""
        self._trusted = trusted
        self._trusts: dict[bytes, bool] = {}
        self.cors = cors
        self.max_body_bytes = max_body_bytes
        self.keys = keys
        self.tokens = tokens
        self.limits = limits

    def __bool__(self) -> bool:
        return any(part is not None for part in (self.cors, self.max_body_bytes, self.keys, self.tokens, self.limits))

    @property
    def asks_who(self) -> bool:
        """Whether only those may pass who have a key or a token."""
        return self.keys is not None or self.tokens is not None

    def covers(self, other: "AccessPolicy") -> bool:
        """Whether whoever has passed here has the keys and tokens that ``other`` asks for."""
        if other.keys is not None and (self.keys is None or not self.keys.covers(other.keys)):
            return False
        return other.tokens is None or (self.tokens is not None and self.tokens.covers(other.tokens))

    def admit(self, exchange: Admitted) -> Deferred[None] | None:
        """Return when ``exchange`` may go on, or was answered already (``begun``). Raises, or fails with, a ScalelabError to refuse it."""
        try:
            waiting = self._admit(exchange)
        except ScalelabError as error:
            self._refusing(error)
            raise
        return None if waiting is None else waiting.addErrback(self._refusing_late)

    def _refusing(self, error: ScalelabError) -> None:
        self.refused[error.code] = self.refused.get(error.code, 0) + 1

    def _refusing_late(self, failure: Failure) -> Failure:
        if isinstance(failure.value, ScalelabError):
            self._refusing(failure.value)
        return failure

    def _admit(self, exchange: Admitted) -> Deferred[None] | None:
        if self._trusted and self._trusts_peer(exchange.peer_host):
            exchange.client_host = client_of(exchange.peer_host, exchange.head, self._trusted)
        cors = self.cors
        if cors is not None:
            if cors.is_preflight(exchange.head):
                exchange.added += cors.preflight(exchange.head)
                exchange.answer(204, b"")
                return None
            exchange.added += cors.simple(exchange.head)
        if self.max_body_bytes is not None:
            exchange.limit_body(self.max_body_bytes)
        try:
            if self.keys is not None:
                self.keys.admit(exchange)
            waiting = None if self.tokens is None else self.tokens.admit(exchange)
        except (Unauthorized, Forbidden) as error:
            return self._refused(exchange, error)
        if waiting is not None:
            return waiting.addCallbacks(lambda _: self._count(exchange), lambda failure: self._failed(exchange, failure.value))
        return self._count(exchange)

    def _count(self, exchange: Admitted) -> Deferred[None] | None:
        return None if self.limits is None else self.limits.admit(exchange)

    def _failed(self, exchange: Admitted, error: Exception) -> Deferred[None] | None:
        if isinstance(error, Unauthorized | Forbidden):
            return self._refused(exchange, error)
        raise error

    def _refused(self, exchange: Admitted, error: Unauthorized | Forbidden) -> Deferred[None] | None:
        """Count a stranger's attempt; too many of them are told that instead."""
        exchange.consumer = b""
        waiting = self._count(exchange)
        if waiting is not None:
            return waiting.addCallback(lambda _: self._raise(error))
        raise error

    def _trusts_peer(self, host: bytes) -> bool:
        known = self._trusts.get(host)
        if known is None:
            if len(self._trusts) >= MAX_PEERS:
                self._trusts.clear()
            known = self._trusts[host] = host in self._trusted
        return known

    @staticmethod
    def _raise(error: Exception) -> None:
        raise error
