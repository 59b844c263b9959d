"""Why requests went where they went: the last decisions, for people who ask.

Noting one costs a tuple in a ring; what it means is put into words only for whoever asks.
"""

from collections import deque
from typing import Any, NamedTuple

from scalability.upstream.servers import Server, Upstream

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

    def __init__(self, upstream: Upstream, kept: int) -> None:
        self._upstream = upstream
        self._ring: deque[Decision] = deque(maxlen=kept)

    def note(self, request_id: bytes, server: Server, reason: str, now: float) -> None:
        """``server`` was chosen for the request."""
        candidates = self._upstream.candidates
        active = tuple([candidate.active for candidate in candidates]) if len(candidates) <= SCORED else ()
        self._ring.append(Decision(request_id, now, server.name, reason, candidates, active))

    def explain(self, request_id: bytes) -> list[dict[str, Any]]:
        """All that is still known of the request, oldest first."""
        return [explained(decision) for decision in self._ring if decision.request_id == request_id]


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
