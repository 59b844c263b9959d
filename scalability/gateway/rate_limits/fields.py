"""What a client is told of its limits. PURE.

``RateLimit-Policy`` and ``RateLimit`` as in draft-ietf-httpapi-ratelimit-headers-11 (structured fields, RFC 9651): ``q`` requests in
``w`` seconds; ``r`` requests left, and ``t``: seconds until all of them are there again or, with none left, until the next one is. Before
there was a draft, and in its first versions, there were three fields with plain numbers, which many clients still look for.
"""

import re
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Final

from scalability.gateway.rate_limits.gcra import Rate, Standing

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
"""Of a limit: a string of structured fields that needs no escape."""

_NS: Final = 1_000_000_000

Field = tuple[bytes, bytes]


class Older(Enum):
    """Which of the older fields are sent too."""

    NONE = "none"
    X_RATELIMIT = "x-ratelimit"
    """``X-RateLimit-Limit``, ``-Remaining``, ``-Reset`` (seconds from now)."""
    RATELIMIT = "ratelimit"
    """``RateLimit-Limit``, ``-Remaining``, ``-Reset``: the draft's own up to its sixth version."""


PREFIXES: Final[Mapping[Older, bytes]] = {Older.X_RATELIMIT: b"X-RateLimit", Older.RATELIMIT: b"RateLimit"}
"""How the names of the older fields begin."""


class Limit:
    """A rate and the name that clients know it by, which must match ``NAME``."""

    __slots__ = ("name", "rate", "said")

    def __init__(self, name: str, rate: Rate) -> None:
        self.name: Final = name
        self.rate: Final = rate
        self.said: Final = name.encode()


def seconds(ns: int) -> int:
    """Whole seconds, rounded up: who waits for so long has waited long enough."""
    return -(-ns // _NS)


def policy_field(limits: Sequence[Limit]) -> Field:
    """The limits themselves; the same on every answer."""
    members = [f'"{limit.name}";q={limit.rate.requests};w={seconds(limit.rate.window_ns)}' for limit in limits]
    return b"RateLimit-Policy", ", ".join(members).encode()


def state_fields(limits: Sequence[Limit], standings: Sequence[Standing], older: bytes | None = None) -> list[Field]:
    """What is left of each of them now; ``standings`` in the same order.

    ``older``, of ``PREFIXES``, begins the older fields' names; they tell of the limit that is nearest its end.
    """
    members = b""
    for at, left in enumerate(standings):
        until_ns = left.full_ns if left.available else left.wait_ns
        members += b'%b"%b";r=%d;t=%d' % (b", " if at else b"", limits[at].said, left.available, -(-until_ns // _NS))
    fields = [(b"RateLimit", members)]
    if older is not None and limits:
        limit, left = min(zip(limits, standings, strict=True), key=lambda pair: (pair[1].available, -pair[1].wait_ns))
        fields += [
            (older + b"-Limit", b"%d" % limit.rate.requests),
            (older + b"-Remaining", b"%d" % left.available),
            (older + b"-Reset", b"%d" % seconds(left.full_ns if left.available else left.wait_ns)),
        ]
    return fields
