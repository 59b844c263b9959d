"""Why requests went where they went: the last decisions, for people who ask.

Noting one costs a tuple in a ring; what it means is put into words only for whoever asks.
"""

from collections import deque
from typing import Any, NamedTuple

from scalability.upstream.server import Server
from scalability.upstream.servers import Upstream

SCORED = 16
"""Of no more candidates the requests in flight are noted."""


class Decision(NamedTuple):
    """One request was given to one server."""

    request_id: bytes
    at_s: float
    server: str
    reason: str
    candidates: tuple[Server, ...]
    active: tuple[int, ...]
    """Requests in flight at each candidate, the one that is decided about left out; empty when they are many."""


class Decisions:
    """Remembers the last ``kept``."""

    def __init__(self, upstream: Upstream, kept: int, *, scored: bool = True) -> None:
        """``scored``: the algorithm looks at the requests in flight, so they are noted too."""
        self._upstream = upstream
        self._scored = scored
        self._ring: deque[tuple[bytes, float, str, str, tuple[Server, ...], tuple[int, ...]]] = deque(maxlen=kept)

    def note(self, request_id: bytes, server: Server, reason: str, now: float) -> None:
        """``server`` was chosen for the request."""
        candidates = self._upstream.candidates
        active: tuple[int, ...] = ()
        if self._scored and len(candidates) <= SCORED:
            active = tuple([candidate.active for candidate in candidates])
        # a plain tuple: a named one takes four times as long to make
        self._ring.append((request_id, now, server.name, reason, candidates, active))

    def explain(self, request_id: bytes) -> list[dict[str, Any]]:
        """All that is still known of the request, oldest first."""
        return [explained(Decision._make(noted)) for noted in self._ring if noted[0] == request_id]


def explained(decision: Decision) -> dict[str, Any]:
    """``decision`` as JSON shows it."""
    scores = decision.active or (None,) * len(decision.candidates)
    return {
        "at": decision.at_s,
        "server": decision.server,
        "reason": decision.reason,
        "candidates": [
            {"server": candidate.name, "weight": candidate.weight} | ({} if active is None else {"active": active})
            for candidate, active in zip(decision.candidates[:100], scores, strict=False)
        ],
        "candidates_in_all": len(decision.candidates),
    }
