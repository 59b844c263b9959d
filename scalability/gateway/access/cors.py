"""Cross-origin requests of browsers (the Fetch standard's "HTTP-CORS protocol"): who may read an answer, and what may be asked. PURE.

What is answered depends on the request's Origin, unless every origin may read; ``Vary`` says so, on answers to origins that
may not read too, and to requests without one: a cache that kept one of those for everybody would lock the others out.
"""

import re
from collections.abc import Sequence
from typing import Final

from scalability.http1.fields import Field
from scalability.http1.request_head import RequestHead

ANY: Final = "*"
NULL: Final = "null"
"""The origin of local files and sandboxed frames. Anybody can have it, so that it is to be named like every other."""

ANSWERS: Final = frozenset(
    (
        b"access-control-allow-origin",
        b"access-control-allow-credentials",
        b"access-control-allow-methods",
        b"access-control-allow-headers",
        b"access-control-expose-headers",
        b"access-control-max-age",
    )
)
"""What an upstream must not say besides: two values of the first are an error to every browser."""

ORIGIN: Final = re.compile(r"[a-z][a-z0-9+.-]*://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")
"""As browsers write it: lower case, no path, no default port."""

_TOKENS: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?:[ \t]*,[ \t]*[!#$%&'*+\-.^_`|~0-9A-Za-z]+)*")
_MAX_ASKED_BYTES: Final = 2048

_VARY_ORIGIN: Final = (b"Vary", b"Origin")
_VARY_PREFLIGHT: Final = (b"Vary", b"Origin, Access-Control-Request-Method, Access-Control-Request-Headers")
_ALLOW_ANY: Final = (b"Access-Control-Allow-Origin", b"*")


class Cors:
    """What one route allows. ``origins`` and ``headers`` may be ``("*",)``.

    Raises ValueError for credentials with any origin: every page on the web could read what the client's cookies open.
    """

    def __init__(
        self,
        origins: Sequence[str],
        *,
        methods: Sequence[str] = (),
        headers: Sequence[str] = (),
        expose: Sequence[str] = (),
        credentials: bool = False,
        max_age_s: int = 600,
    ) -> None:
        self._any = ANY in origins
        if self._any and credentials:
            raise ValueError("credentials cannot go with any origin (*): name the origins")
        self._origins = frozenset(origin.encode() for origin in origins)
        self._any_header = ANY in headers
        self._credentials: tuple[Field, ...] = ((b"Access-Control-Allow-Credentials", b"true"),) if credentials else ()
        self._expose: tuple[Field, ...] = ((b"Access-Control-Expose-Headers", ", ".join(expose).encode()),) if expose else ()
        self._allow: tuple[Field, ...] = (
            (b"Access-Control-Allow-Methods", ", ".join(methods).encode()),
            *(((b"Access-Control-Allow-Headers", ", ".join(headers).encode()),) if headers and not self._any_header else ()),
            (b"Access-Control-Max-Age", b"%d" % max_age_s),
        )
        self._to_any: tuple[Field, ...] = (_ALLOW_ANY, *self._expose)
        self._to_none: tuple[Field, ...] = (_VARY_ORIGIN,)

    @staticmethod
    def is_preflight(head: RequestHead) -> bool:
        """Whether a browser asks what it may ask. Such a request has no credentials, and is answered without them."""
        return head.method == b"OPTIONS" and b"origin" in head.index and b"access-control-request-method" in head.index

    def preflight(self, head: RequestHead) -> tuple[Field, ...]:
        """The fields of the answer, 204. An origin that may not read is told no more than that."""
        asked = head.get(b"access-control-request-headers")
        allowed = self._origin(head)
        if allowed is None:
            return (_VARY_PREFLIGHT,)
        headers: tuple[Field, ...] = ()
        if self._any_header and asked is not None and len(asked) <= _MAX_ASKED_BYTES and _TOKENS.fullmatch(asked) is not None:
            # with credentials a star would be a name like any other, and Authorization it never covers
            headers = ((b"Access-Control-Allow-Headers", asked),)
        return (allowed, *self._credentials, *self._allow, *headers, _VARY_PREFLIGHT)

    def simple(self, head: RequestHead) -> tuple[Field, ...]:
        """The fields that any other answer gets besides its own."""
        if self._any:
            return self._to_any
        allowed = self._origin(head)
        if allowed is None:
            return self._to_none
        return (allowed, *self._credentials, *self._expose, _VARY_ORIGIN)

    def _origin(self, head: RequestHead) -> Field | None:
        if self._any:
            return _ALLOW_ANY
        index = head.index
        origin = index.get(b"origin")
        if origin is None or origin not in self._origins or (head.repeats is not None and b"origin" in head.repeats):
            return None
        return b"Access-Control-Allow-Origin", origin
