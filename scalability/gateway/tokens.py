"""JSON Web Tokens: HS256 with one secret. The algorithm is pinned, the time is an argument. Checking is PyJWT's."""

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import jwt
from jwt.warnings import InsecureKeyLengthWarning

from scalability.errors import Forbidden, Unauthorized
from scalability.gateway.config import RequiredClaim

MIN_SECRET_BYTES = 32
"""RFC 7518 section 3.2: a key as long as the hash, or longer."""


class Tokens:
    """Checks what stands in ``Authorization``: ``Bearer <jwt>`` (RFC 6750) or, as the lab's reference takes it, the bare ``<jwt>``."""

    def __init__(self, secret: bytes, required: Sequence[RequiredClaim] = ()) -> None:
        self._secret = secret
        self._required = tuple(required)
        self._names_audience = any(required.claim == "aud" for required in self._required)
        # Said once, at the start, by whoever makes this; PyJWT would say it for every token.
        warnings.filterwarnings("ignore", category=InsecureKeyLengthWarning)

    def check(self, authorization: Sequence[str], now: float) -> dict[str, Any]:
        """The claims of the token. ``authorization`` has the field's values; ``now`` is in unix seconds.

        Raises Unauthorized without a token that is valid now, Forbidden when it lacks a required claim.
        """
        claims = self._claims(_token(authorization))
        _check_time(claims, now)
        if "aud" in claims and not self._names_audience:
            # RFC 7519 section 4.1.3: whoever does not find itself in the audience must refuse the token
            raise Unauthorized("the token is for another audience")
        for claim, value in self._required:
            if not _carries(claims, claim, value):
                raise Forbidden(f"the token does not carry the claim {claim} that is needed here")
        return claims

    def _claims(self, token: str) -> dict[str, Any]:
        # Times and audience are checked by us: PyJWT reads the wall clock and lets NaN pass.
        options: Any = {"verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False}
        try:
            claims: dict[str, Any] = jwt.decode(token, self._secret, algorithms=["HS256"], options=options)
        except (jwt.PyJWTError, ValueError, RecursionError) as error:
            raise Unauthorized("the token is not valid") from error
        return claims


def challenge(error: Unauthorized | Forbidden, *, given: bool) -> bytes:
    """The WWW-Authenticate field that goes with ``error``; ``given``: the request had an Authorization field (RFC 6750 section 3)."""
    if isinstance(error, Forbidden):
        return b'Bearer realm="scalelab", error="insufficient_scope"'
    return b'Bearer realm="scalelab", error="invalid_token"' if given else b'Bearer realm="scalelab"'


def _token(authorization: Sequence[str]) -> str:
    if not authorization:
        raise Unauthorized("a token is needed: Authorization: Bearer <jwt>")
    if len(authorization) > 1:
        raise Unauthorized("there is more than one Authorization field")
    words = authorization[0].split()
    if len(words) == 2 and words[0].lower() == "bearer":
        return words[1]
    if len(words) == 1 and words[0].count(".") == 2:
        return words[0]
    raise Unauthorized("a token is needed: Authorization: Bearer <jwt>")


def _check_time(claims: Mapping[str, Any], now: float) -> None:
    for name in ("exp", "nbf"):
        if name in claims and not _is_date(claims[name]):
            raise Unauthorized(f"the token's {name} is not a number of seconds")
    if now >= claims.get("exp", math.inf):
        raise Unauthorized("the token has expired")
    if now < claims.get("nbf", -math.inf):
        raise Unauthorized("the token is not valid yet")


def _is_date(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _carries(claims: Mapping[str, Any], claim: str, value: str) -> bool:
    found = claims.get(claim)
    if claim == "scope" and isinstance(found, str):
        found = found.split()  # RFC 8693 section 4.2
    many = found if isinstance(found, list) else [found]
    return any(_text(one) == value for one in many)


def _text(value: object) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else None
