"""Why requests went where they went: the last decisions, for people who ask.

Noting one costs a tuple of names and numbers in a ring, which keeps no server alive; what it means is put into words only for whoever asks.
"""

from collections import deque
from collections.abc import Callable
from math import exp
from time import time
from typing import Any, NamedTuple

from scalability.upstream.selection.algorithm import Drawn
from scalability.upstream.selection.ewma import DECAY_S
from scalability.upstream.server import Server
from scalability.upstream.servers import Upstream

DRAWING = frozenset(("least_request", "peak_ewma"))
"""Algorithms that compare two servers, which are noted with what was compared."""
COUNTING = frozenset(("least_connections", "maglev"))
"""Those that look at the requests in flight of all: they are noted of the candidates that are named."""


class Decision(NamedTuple):
    """One request was given to one server."""

    request_id: bytes
    at_s: float
    """On the upstream's clock."""
    server: str
    reason: str
    candidates: tuple[tuple[str, int], ...]
    """Names and weights of the first 16."""
    candidates_in_all: int
    scores: Drawn | None
    """Of an algorithm that draws two: what it had before it. Of one that counts: the requests in flight of each candidate. Else nothing.
    The request that is decided about is left out."""


class Decisions:
    """Remembers the last ``kept``; ``algorithm`` is the name of the one by which servers are chosen. ``wall`` tells the Unix time.

    They are noted with times of the upstream's clock, and told with dates.
    """

    def __init__(self, upstream: Upstream, kept: int, *, algorithm: str = "round_robin", wall: Callable[[], float] = time) -> None:
        self._upstream = upstream
        self._wall = wall
        self._algorithm = algorithm
        self._draws = algorithm in DRAWING
        self._scores = self._draws or algorithm in COUNTING
        self._ring: deque[tuple[bytes, float, str, str, tuple[tuple[str, int], ...], int, Drawn | None]] = deque(maxlen=kept)

    def note(self, request_id: bytes, server: Server, reason: str, now: float) -> None:
        """``server`` was chosen for the request just now, and has not been told of it yet."""
        upstream = self._upstream
        scores: Drawn | None = None
        if self._scores:
            scores = upstream.drawn if self._draws else tuple([candidate.active for candidate in upstream.named])
        # a plain tuple: a named one takes four times as long to make
        self._ring.append((request_id, now, server.name, reason, upstream.names, upstream.candidate_count, scores))

    def explain(self, request_id: bytes) -> list[dict[str, Any]]:
        """All that is still known of the request, oldest first."""
        told: list[dict[str, Any]] = []
        ahead_s = self._wall() - self._upstream.seconds()
        for noted in self._ring:
            if noted[0] == request_id:
                told.append(explained(Decision._make(noted), self._algorithm, ahead_s, [each["server"] for each in told]))
        return told


def explained(decision: Decision, algorithm: str, ahead_s: float, tried: list[str]) -> dict[str, Any]:
    """``decision`` as JSON shows it; ``tried`` are the servers that the request was at before.

    ``ahead_s`` is how many seconds Unix time is ahead of the upstream's clock.
    """
    scores = decision.scores
    active = scores if scores is not None and algorithm in COUNTING and len(scores) == len(decision.candidates) else ()
    told: dict[str, Any] = {
        "at": round(decision.at_s + ahead_s, 6),
        "server": decision.server,
        "reason": decision.reason,
        "algorithm": algorithm,
        "tried": tried,
        "candidates": [
            {"server": name, "weight": weight} | ({"active": active[index]} if active else {})
            for index, (name, weight) in enumerate(decision.candidates)
        ],
        "candidates_in_all": decision.candidates_in_all,
    }
    # the server that a cookie names was not drawn
    if scores is not None and algorithm in DRAWING and decision.reason != "bound" and decision.server in (scores[0][0], scores[1][0]):
        told["drawn"] = drawn_scores(scores, decision.at_s)
    return told


def drawn_scores(scores: Drawn, at_s: float) -> list[dict[str, Any]]:
    """The two that were drawn, in that order, once if there was only one. The lower ``score`` won.

        By ``least_request`` that is the requests in flight, by ``peak_ewma`` the seconds that an answer is expected to take, ``ewma_s``,
    times the requests that there would be in flight; both for the weight that counts.
    """
    drawn = []
    (_, weight, share), (_, its_weight, its_share), *_ = scores
    for place, others in ((0, its_weight * its_share), (1, weight * share)):
        name, weight, share = scores[place]
        active = scores[2 + place]
        counted = weight * share
        told = {"server": name, "weight": weight, "share": round(share, 3), "active": active}
        if len(scores) == 4:
            told["score"] = round(active / counted, 6)
        else:
            # each cost is as of its stamp, and where weights differ multiplied by the other's weight
            cost = scores[4 + place] / (1.0 if scores[8] else others) * exp(min(scores[6 + place] - at_s, 0.0) / DECAY_S)
            told["score"] = float(f"{cost / counted:.6g}")
            told["ewma_s"] = float(f"{cost / (active + 1):.6g}")
        drawn.append(told)
    return drawn[:1] if scores[0] is scores[1] else drawn
