"""Several requests decided together, on cells that were read from somewhere and are to be written back. PURE: the time is an argument."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from scalability.gateway.rate_limits.gcra import NO_TAT, Rate, Verdict, ahead_of, standing_of

MAX_DIGITS: Final = 64
"""Of a TAT: of the highest rates in the year 3000 it has 29."""

_NS_IN_MS: Final = 1_000_000


class Question(NamedTuple):
    """One request: for each of ``rates`` the cell that counts it. A cell belongs to one rate, whoever names it."""

    cells: Sequence[bytes]
    rates: Sequence[Rate]


class Decided(NamedTuple):
    """What became of a batch."""

    verdicts: list[Verdict]
    """In the order of the questions."""
    tats: dict[bytes, int]
    """The cells that were charged, as they are now."""
    live_ms: dict[bytes, int]
    """How long each of these says anything, rounded up: after that it is as good as none."""


def decide(questions: Iterable[Question], tats: Mapping[bytes, int], now_ns: int) -> Decided:
    """Charge the questions one after the other, each to all of its cells or to none. A cell that is not in ``tats`` was never charged."""
    decided = Decided([], {}, {})
    charged, live_ms = decided.tats, decided.live_ms
    for cells, rates in questions:
        aheads = []
        admitted = True
        for cell, rate in zip(cells, rates, strict=True):
            tat = charged.get(cell)
            ahead = ahead_of(rate, tats.get(cell, NO_TAT) if tat is None else tat, now_ns)
            aheads.append(ahead)
            if ahead > rate.depth - rate.window_ns:
                admitted = False
        standings = []
        for cell, rate, before in zip(cells, rates, aheads, strict=True):
            ahead = before
            if admitted:
                ahead += rate.window_ns
                charged[cell] = now_ns * rate.requests + ahead
                live_ms[cell] = -(-ahead // (rate.requests * _NS_IN_MS))
            standings.append(standing_of(rate, ahead))
        decided.verdicts.append(Verdict(admitted, standings))
    return decided


def tat_of(text: object) -> int:
    """The TAT that a store gave as text; what is none, somebody else's value say, counts as never charged."""
    if isinstance(text, bytes) and len(text) <= MAX_DIGITS and text.isdigit():
        return int(text)
    return NO_TAT
