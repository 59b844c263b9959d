"""What a table ``rate_limit`` may say."""

from collections.abc import Sequence
from enum import Enum
from typing import Annotated

import msgspec
from msgspec import Meta

from scalability.gateway.rate_limits.fields import NAME, Limit, Older
from scalability.gateway.rate_limits.gcra import Rate

FOR_ALL = "gateway"
"""The name of a limit for all requests that has none of its own."""
OF_A_ROUTE = "default"
"""Likewise, of a route's."""

MAX_LIMITS = 8
"""At once, on one request."""

_NS = 1_000_000_000


class Per(Enum):
    """Whom a limit counts for."""

    CLIENT = "client"
    """An IPv4 address, or an IPv6 network of 64 bits: behind trusted proxies the one that they name."""
    CONSUMER = "consumer"
    """Whoever has the API key, or the token's subject; where there is neither, the client."""
    ROUTE = "route"
    """Everybody together."""


class LimitOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"window_s": "window"}):
    """``requests`` in a ``window`` of seconds, and ``burst`` of them at once: as many as ``requests`` unless it says otherwise."""

    requests: Annotated[int, Meta(ge=1, le=1_000_000_000)]
    window_s: Annotated[float, Meta(ge=0.001, le=31_536_000)]
    burst: Annotated[int, Meta(ge=0, le=1_000_000_000)] = 0
    per: Per = Per.CLIENT
    name: str = ""
    """What clients know it by, in RateLimit-Policy."""

    def __post_init__(self) -> None:
        if self.name and NAME.fullmatch(self.name) is None:
            raise ValueError(f"name: {self.name!r} has other characters than letters, digits and _ . -, or more than 64")

    def rate(self) -> Rate:
        """The same for GCRA."""
        return Rate(self.requests, round(self.window_s * _NS), self.burst)


class RateLimitOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``limits`` hold all at once: a request is admitted by all of them, or charged to none."""

    limits: tuple[LimitOptions, ...]
    older_fields: Older = Older.NONE
    """Send X-RateLimit-Limit and the like too (``x-ratelimit``), or the first drafts' RateLimit-Limit (``ratelimit``)."""
    max_clients: Annotated[int, Meta(ge=1, le=10_000_000)] = 100_000
    """Cells of each limit: about 200 bytes each. When there are more clients, those who have used least of theirs are forgotten."""

    def __post_init__(self) -> None:
        if not 1 <= len(self.limits) <= MAX_LIMITS:
            raise ValueError(f"limits: there are 1 to {MAX_LIMITS}")
        names = [limit.name for limit in self.limits]
        if len(set(names)) != len(names):
            raise ValueError("limits: each of several has a name of its own")

    def names(self, default: str) -> set[str]:
        """What clients know the limits by."""
        return {limit.name or default for limit in self.limits}

    def named(self, default: str) -> Sequence[Limit]:
        """The limits, that without a name as ``default``."""
        return [Limit(limit.name or default, limit.rate()) for limit in self.limits]
