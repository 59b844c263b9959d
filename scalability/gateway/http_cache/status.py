"""Cache-Status (RFC 9211): what the cache did with a request, in one field. PURE."""

from typing import Final

from scalability.gateway.http_cache.reuse import Decision, Forward
from scalability.gateway.http_cache.stored import StoredAnswer

NAME: Final = b"scalelab"
"""How this cache is called in the field."""


def hit(stored: StoredAnswer, now: float, *, name: bytes = NAME) -> bytes:
    """For an answer from what is stored. ``ttl`` is negative when it is stale (RFC 9211 section 2.4)."""
    return b"%b; hit; ttl=%d" % (name, _ttl(stored, now))


def forwarded(
    forward: Forward,
    *,
    name: bytes = NAME,
    status: int | None = None,
    stored: StoredAnswer | None = None,
    now: float = 0.0,
    collapsed: bool = False,
    detail: str = "",
) -> bytes:
    """For an answer for which the origin was asked.

    ``status`` is the origin's, where it is not that of the answer (304 for one that was validated); ``stored`` what was kept of it;
    ``collapsed``: the request waited for another one's; ``detail``, a token, says more (why it was not stored).
    """
    parts = [b"%b; fwd=%b" % (name, forward.value.encode())]
    if status is not None:
        parts.append(b"fwd-status=%d" % status)
    if stored is not None:
        parts.append(b"stored; ttl=%d" % _ttl(stored, now))
    if collapsed:
        parts.append(b"collapsed")
    if detail:
        parts.append(b"detail=" + detail.encode())
    return b"; ".join(parts)


def of_decision(decision: Decision, stored: StoredAnswer | None, now: float, *, name: bytes = NAME) -> bytes:
    """For an answer that the cache makes at once: a hit, or 504 because the client wanted nothing else."""
    if decision.hit:
        assert stored is not None
        return hit(stored, now, name=name)
    return b"%b; fwd=%b; detail=only-if-cached" % (name, (decision.forward or Forward.MISS).value.encode())


def _ttl(stored: StoredAnswer, now: float) -> int:
    return int((stored.lifetime_s - stored.age_s(now)) // 1)
