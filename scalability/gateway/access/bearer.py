"""Where a token stands in a request, and what a client without a good one is told (RFC 6750)."""

import re
from collections.abc import Sequence
from typing import Final

from scalability.errors import Forbidden, ScalelabError, Unauthorized

MAX_TOKEN_BYTES: Final = 8192
"""What nobody's token is longer than: browsers and servers allow about as much for all fields together."""

REALM: Final = b'Bearer realm="scalelab"'

_JWT: Final = re.compile(rb"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_NOT_DESCRIBABLE: Final = re.compile(r"[^ !#-\[\]-~]")


class NoToken(Unauthorized):
    """A token is needed: Authorization: Bearer <jwt>"""


class BadToken(Unauthorized):
    """The token is not valid."""


def token_of(authorization: Sequence[bytes]) -> bytes:
    """The token in the values of ``Authorization``: ``Bearer <jwt>``, or the bare ``<jwt>`` that the lab's reference takes.

    Raises NoToken when there is none, BadToken for what cannot be one.
    """
    if not authorization:
        raise NoToken
    if len(authorization) > 1:
        raise BadToken("there is more than one Authorization field")
    words = authorization[0].split()
    if len(words) == 2 and words[0].lower() == b"bearer":
        token = words[1]
    elif len(words) == 1 and words[0].count(b".") == 2:
        token = words[0]
    elif words and words[0].lower() == b"bearer":
        raise BadToken("there is no token behind Bearer, or more than one word")
    else:
        raise NoToken
    if len(token) > MAX_TOKEN_BYTES:
        raise BadToken("the token is too long")
    if _JWT.fullmatch(token) is None:
        raise BadToken
    return token


def challenge(error: ScalelabError, scope: str = "") -> bytes | None:
    """The WWW-Authenticate field that goes with ``error``, None where none does.

    A client that sent no token, or something that is none of ours, is told no error code (RFC 6750 section 3.1). ``scope``: what is needed.
    """
    if isinstance(error, BadToken):
        return b'%b, error="invalid_token", error_description="%b"' % (REALM, _described(error))
    if isinstance(error, Unauthorized):
        return REALM
    if isinstance(error, Forbidden):
        needed = b', scope="%b"' % _NOT_DESCRIBABLE.sub("?", scope).encode() if scope else b""
        return b'%b, error="insufficient_scope", error_description="%b"%b' % (REALM, _described(error), needed)
    return None


def _described(error: ScalelabError) -> bytes:
    return _NOT_DESCRIBABLE.sub("?", str(error)).encode()
