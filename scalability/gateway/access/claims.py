"""What a token must say besides being signed (RFC 7519 section 4.1). PURE: the time is an argument."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from scalability.errors import Forbidden
from scalability.gateway.access.bearer import BadToken

_PLAIN: Final = "".join(map(chr, range(33, 127))).replace("%", "")

LATEST_S: Final = 1 << 53
"""A date beyond this is none: it is not even a whole number of seconds in every reader of JSON."""


MAX_SUBJECT: Final = 256
"""Characters of who a token speaks for: OpenID Connect allows 255."""


class Verified(NamedTuple):
    """A good token."""

    subject: bytes
    """Whom it speaks for (``sub``), as a field's value: what is not plain is percent-encoded. May be empty."""
    good_from: float
    good_until: float
    """Unix seconds, leeway included; it is no longer good at that very moment."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What is asked of every token."""

    required: Sequence[tuple[str, str]] = ()
    """Claims and the value that each must have; without it the token is good, and permits nothing here."""
    audiences: frozenset[str] = frozenset()
    """Names of ours, one of which ``aud`` must hold. Without any, a token for an audience is refused, unless ``required`` names one."""
    issuers: frozenset[str] = frozenset()
    """Who may have issued it; anybody whose key we have, when there is none."""
    leeway_s: float = 0.0
    """How far the clocks of the issuer and ours may be apart, in seconds."""

    def covers(self, other: "Rules") -> bool:
        """Whether a token that satisfies these satisfies ``other``."""
        mine, others = (self.audiences, self.issuers, self.leeway_s), (other.audiences, other.issuers, other.leeway_s)
        # a required aud changes what a token without audiences of ours means
        return mine == others and set(other.required) <= set(self.required) and _names_aud(self) is _names_aud(other)

    def check(self, claims: Mapping[str, Any], now: float) -> Verified:
        """Raises BadToken, and Forbidden when only a required claim is missing. ``now`` is in unix seconds."""
        good_until = _date(claims, "exp", math.inf) + self.leeway_s
        good_from = _date(claims, "nbf", -math.inf) - self.leeway_s
        if now >= good_until:
            raise BadToken("the token has expired")
        if now < good_from:
            raise BadToken("the token is not valid yet")
        if self.issuers and not _is_one_of(claims.get("iss"), self.issuers):
            raise BadToken("the token is of another issuer")
        self._check_audience(claims.get("aud"))
        subject = claims.get("sub", "")
        if not isinstance(subject, str) or len(subject) > MAX_SUBJECT:
            raise BadToken(f"the token's subject is not text of {MAX_SUBJECT} characters at most")
        for claim, value in self.required:
            if not _carries(claims, claim, value):
                raise Forbidden(f"the token does not carry the claim {claim} that is needed here")
        return Verified(quote(subject, safe=_PLAIN).encode(), good_from, good_until)

    def _check_audience(self, audience: object) -> None:
        # RFC 7519 section 4.1.3: whoever does not find itself in the audience must refuse the token
        named = audience if isinstance(audience, list) else [] if audience is None else [audience]
        if self.audiences:
            if not any(_is_one_of(one, self.audiences) for one in named):
                raise BadToken("the token is for another audience")
        elif audience is not None and not any(claim == "aud" for claim, _ in self.required):
            raise BadToken("the token is for another audience")


def _names_aud(rules: Rules) -> bool:
    return any(claim == "aud" for claim, _ in rules.required)


def _is_one_of(value: object, names: frozenset[str]) -> bool:
    return isinstance(value, str) and value in names


def _date(claims: Mapping[str, Any], name: str, default: float) -> float:
    if name not in claims:
        return default
    value = claims[name]
    if not isinstance(value, int | float) or isinstance(value, bool) or not -LATEST_S < value < LATEST_S:
        raise BadToken(f"the token's {name} is not a number of seconds")
    return float(value)


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
