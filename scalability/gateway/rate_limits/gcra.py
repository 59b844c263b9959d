"""The generic cell rate algorithm (ITU-T I.371, "virtual scheduling"): one number a client. PURE: the time is an argument.

A cell holds the theoretical arrival time (TAT): when everything that was admitted so far would have come at the steady rate. A request
conforms while the TAT is no further than ``burst`` emission intervals ahead of now. It is the token bucket of size ``burst`` that
refills continuously, in one integer instead of two numbers, and with no moment at which a whole new quota starts.

Times are integers, in parts of a nanosecond of which each has ``requests``: then the emission interval, window / requests, is whole for
every rate, nothing is ever rounded, and no request more or less is admitted however long it goes on.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

NO_TAT: Final = 0
"""The cell of somebody who has sent nothing: the distant past."""


class Rate:
    """``requests`` in each ``window_ns`` nanoseconds on average, and ``burst`` of them at once at most.

    In any ``t`` nanoseconds at most ``burst + t * requests / window_ns`` are admitted. Raises ValueError for numbers below 1.
    """

    __slots__ = ("burst", "depth", "requests", "window_ns")

    def __init__(self, requests: int, window_ns: int, burst: int = 0) -> None:
        """``burst`` 0: as many as ``requests``."""
        if requests < 1 or window_ns < 1 or burst < 0:
            raise ValueError("a rate needs at least one request in at least one nanosecond")
        self.requests: Final = requests
        self.window_ns: Final = window_ns
        """Also the emission interval, in parts."""
        self.burst: Final = burst or requests
        self.depth: Final = self.burst * window_ns
        """How far ahead of now a TAT may be, in parts."""

    def __repr__(self) -> str:
        return f"Rate({self.requests}, {self.window_ns}, {self.burst})"


class Standing(NamedTuple):
    """What somebody has left of a quota."""

    available: int
    """Requests that would be admitted now, one after the other."""
    wait_ns: int
    """Until the next is admitted; 0 when one is available."""
    full_ns: int
    """Until all of the burst is available again, rounded up."""


class Verdict(NamedTuple):
    """Whether a request was admitted, and what is left of each rate afterwards, in their order."""

    admitted: bool
    standings: Sequence[Standing]


def ahead_of(rate: Rate, tat: int, now_ns: int) -> int:
    """How far ``tat`` is ahead of now, in parts: never further than it was when it was made, unless the clock was set back."""
    ahead = tat - now_ns * rate.requests
    return 0 if ahead < 0 else min(rate.depth, ahead)


def standing_of(rate: Rate, ahead: int) -> Standing:
    """What a cell has left whose TAT is so far ahead of now."""
    interval, requests = rate.window_ns, rate.requests
    available = (rate.depth - ahead) // interval
    return Standing(available, 0 if available else -((rate.depth - ahead - interval) // requests), -(-ahead // requests))


def standing(rate: Rate, tat: int, now_ns: int) -> Standing:
    """What a cell with ``tat`` has left at ``now_ns``."""
    return standing_of(rate, ahead_of(rate, tat, now_ns))


def charged(rate: Rate, tat: int, now_ns: int) -> int:
    """The cell's next TAT when one request is admitted at ``now_ns``; only for whom one is available."""
    return now_ns * rate.requests + ahead_of(rate, tat, now_ns) + rate.window_ns
