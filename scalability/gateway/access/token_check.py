"""A route that asks for a JSON Web Token."""

from collections.abc import Callable
from typing import Protocol

from twisted.internet.defer import Deferred

from scalability.errors import Forbidden, Unauthorized
from scalability.gateway.access.bearer import challenge, token_of
from scalability.gateway.access.claims import Verified
from scalability.gateway.access.jwks import RemoteKeys
from scalability.gateway.access.tokens import Tokens, UnknownKey
from scalability.http1.edit import HeadEditor
from scalability.http1.fields import Field
from scalability.http1.limits import DEFAULT_LIMITS
from scalability.http1.request_head import RequestHead


class Asking(Protocol):
    """What is looked at, and changed, of a request."""

    added: list[Field]
    authenticated: bool
    consumer: bytes
    head: RequestHead


class TokenCheck:
    """Admits requests with a good token; tells the servers behind, in ``subject_field``, whose it is.

    The token itself goes no further, unless ``forward``. ``remote`` are those keys of ``tokens`` that are fetched. ``wall`` tells the Unix
    time, of which exp, nbf and iat are.
    """

    def __init__(
        self,
        tokens: Tokens,
        wall: Callable[[], float],
        remote: RemoteKeys | None = None,
        *,
        scope: str = "",
        subject_field: str = "",
        forward: bool = False,
    ) -> None:
        self._tokens = tokens
        self._wall = wall
        self._remote = remote
        self._scope = scope
        self._subject_field = subject_field.encode()
        without = {self._subject_field.lower()} if subject_field else set()
        self._editor = HeadEditor(frozenset(without if forward else {*without, b"authorization"}), DEFAULT_LIMITS)

    def covers(self, other: "TokenCheck") -> bool:
        """Whether who passes here passes ``other``, and servers are told of him in the same field."""
        return self._subject_field.lower() == other._subject_field.lower() and self._tokens.covers(other._tokens)

    def admit(self, exchange: Asking) -> Deferred[None] | None:
        """Raise Unauthorized or Forbidden, with the challenge added; the Deferred waits for a key.

        Raises DependencyDown, or fails with it, when the key cannot be fetched.
        """
        if self._remote is not None:
            self._remote.look()
        try:
            self._check(exchange)
        except UnknownKey as error:
            waiting = None if self._remote is None else self._remote.missing()
            if waiting is not None:
                return waiting.addCallback(lambda _: self._check_told(exchange))
            self._tell(exchange, error)
            raise
        except (Unauthorized, Forbidden) as error:
            self._tell(exchange, error)
            raise
        return None

    def _check_told(self, exchange: Asking) -> None:
        try:
            self._check(exchange)
        except (Unauthorized, Forbidden) as error:
            self._tell(exchange, error)
            raise

    def _tell(self, exchange: Asking, error: Unauthorized | Forbidden) -> None:
        said = challenge(error, self._scope)
        if said is not None:
            exchange.added.append((b"WWW-Authenticate", said))

    def _check(self, exchange: Asking) -> None:
        head = exchange.head
        verified: Verified = self._tokens.check(token_of(head.get_all(b"authorization")), self._wall())
        exchange.authenticated = True
        added: tuple[Field, ...] = ()
        if verified.subject:
            exchange.consumer = exchange.consumer or verified.subject
            if self._subject_field:
                added = ((self._subject_field, verified.subject),)
        exchange.head = self._editor.edit(head, added)
