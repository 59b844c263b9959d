"""How old an answer is, and how long it stays fresh (RFC 9111 section 4.2). PURE.

Times that are only compared with each other, ``_s``, are seconds of a clock that never goes back. ``wall``, the time of receipt in Unix
seconds, is what dates are compared with.
"""

from typing import Final, NamedTuple

from scalability.gateway.http_cache.dates import parse_date
from scalability.gateway.http_cache.directives import MAX_DELTA_S, Fields, ResponseDirectives, delta_seconds

HEURISTICALLY_CACHEABLE: Final = frozenset([200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501])
"""Statuses that need no explicit lifetime to be stored and reused (RFC 9110 section 15.1)."""


class Heuristics(NamedTuple):
    """The lifetime of an answer that states none (RFC 9111 section 4.2.2)."""

    fraction: float = 0.1
    """Of the time since it was last modified; 0: no heuristics."""
    most_s: int = 86400
    """The longest lifetime that this may give, in seconds."""


DEFAULT_HEURISTICS: Final = Heuristics()


class Lifetime(NamedTuple):
    """How long an answer is fresh, from when its origin made it."""

    seconds: float
    explicit: bool
    """Stated by the origin, if only by a value that cannot be read (0 then)."""


def received_age(head: Fields) -> int:
    """The Age field: its first member, 0 when there is none or it is no number (RFC 9111 section 5.1)."""
    value = head.get(b"age")
    if value is None:
        return 0
    return delta_seconds(value.partition(b",")[0].strip(b" \t")) or 0


def date_of(head: Fields, wall: float) -> int:
    """The Date field; when it was received, if it has none that is valid (RFC 9110 section 6.6.1)."""
    value = head.get(b"date")
    date = None if value is None else parse_date(value, wall)
    return int(wall // 1) if date is None else date


def initial_age(head: Fields, request_time_s: float, response_time_s: float, wall: float) -> float:
    """``corrected_initial_age`` of RFC 9111 section 4.2.3: how old the answer was when it came, at most ``MAX_DELTA_S``.

    Date counts whole seconds, so the time of receipt does too where they are compared; else a second of fresh life would be lost.
    """
    apparent_age = max(0, int(wall // 1) - date_of(head, wall))
    response_delay = max(0.0, response_time_s - request_time_s)
    corrected_age = received_age(head) + response_delay
    return min(float(max(apparent_age, corrected_age)), float(MAX_DELTA_S))


def lifetime(
    status: int,
    head: Fields,
    directives: ResponseDirectives,
    wall: float,
    heuristics: Heuristics = DEFAULT_HEURISTICS,
) -> Lifetime:
    """The freshness lifetime: s-maxage, else max-age, else Expires less Date, else by heuristics (RFC 9111 section 4.2.1).

    With a targeted field Expires is ignored (RFC 9213 section 2.2). Several values of Expires that differ, and a value that is no date,
    mean that it has expired (RFC 9111 sections 4.2.1 and 5.3).
    """
    stated = directives.max_age if directives.s_maxage is None else directives.s_maxage
    if stated is not None:
        return Lifetime(stated, True)
    if not directives.target:
        expires = set(head.get_all(b"expires"))
        if expires:
            until = parse_date(expires.pop(), wall) if len(expires) == 1 else None
            left = 0 if until is None else until - date_of(head, wall)
            return Lifetime(min(max(0, left), MAX_DELTA_S), True)
    if status not in HEURISTICALLY_CACHEABLE and not directives.public:
        return Lifetime(0, False)
    value = head.get(b"last-modified")
    modified = None if value is None else parse_date(value, wall)
    if modified is None:
        return Lifetime(0, False)
    return Lifetime(min(max(0.0, (date_of(head, wall) - modified) * heuristics.fraction), float(heuristics.most_s)), False)
