"""A log-linear histogram: every value within 0.1 %, exact to merge, exact at the boundaries that Prometheus is shown.

The idea is HdrHistogram's: each power of two is cut into equally wide cells, so that the relative width is the same
everywhere. A float is such a number already: its exponent and the first 9 bits of its mantissa, read as an integer, are
the number of its cell. So nothing is computed for one value alone: ``record`` appends to a short list, and every 128th
call has C code sort the list into cells (0.6 of the time of computing an index from ``bit_length`` and counting it in a dictionary).
"""

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import repeat
from operator import mul, rshift
from struct import pack, unpack
from typing import NamedTuple, Self

BOUNDARIES_S = (
    0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0,
)  # fmt: skip
"""Upper bounds, in seconds, of the buckets that Prometheus is shown; ``+Inf`` follows."""

# The unit is 0.25 ms, so that each of the boundaries above (1, 2, 4, 10 ... 160,000 units) is a number of at most 9 bits times
# a power of two and falls between two cells: what is exported is a count, never an interpolation. Cells hold (above, up to]:
# the factor is a few rounding errors short of 4,000, which keeps a value of exactly 0.0025 s in the bucket le="0.0025".
_UNITS_PER_S = 4000.0 * (1.0 - 2.0**-50)
_DROPPED_BITS = 52 - 9
_BATCH = 128
_SHORTEST_S = 1e-9
"""Anything shorter counts as 0, so that rounding errors cannot make cells without end."""


class HistogramState(NamedTuple):
    """A histogram's content: ``(cell's number, count)``, the sum and the largest value, in seconds."""

    cells: list[tuple[int, int]]
    sum_s: float
    max_s: float


class Histogram:
    """Counts of durations. ``record`` is the only part on the path of a request; everything else is for whoever reads.

    It holds one dictionary entry for each cell that was ever met: a few kilobytes for latencies that resemble each other,
    about 1 MB at worst, for latencies of every size from microseconds to minutes.
    """

    __slots__ = ("_cells", "_max_s", "_recent", "_sum_s")

    def __init__(self) -> None:
        self._cells: Counter[int] = Counter()
        self._recent: list[float] = []
        self._sum_s = 0.0
        self._max_s = 0.0

    def record(self, seconds: float) -> None:
        """Count one duration. A negative one (the machine's clock was set back) counts as 0. Must be finite."""
        recent = self._recent
        recent.append(seconds)
        if len(recent) >= _BATCH:
            self._settle()

    def _settle(self) -> None:
        recent = self._recent
        if not recent:
            return
        if min(recent) < _SHORTEST_S:
            recent = [0.0 if value < _SHORTEST_S else value for value in recent]
        units = memoryview(array("d", map(mul, recent, repeat(_UNITS_PER_S)))).cast("B").cast("q")
        self._cells.update(map(rshift, units, repeat(_DROPPED_BITS)))
        self._sum_s += sum(recent)
        self._max_s = max(self._max_s, max(recent))  # noqa: PLW3301 - one argument is a list
        self._recent.clear()

    @property
    def count(self) -> int:
        """How many values were recorded."""
        return self._cells.total() + len(self._recent)

    @property
    def sum_s(self) -> float:
        """The sum of all recorded values, in seconds."""
        self._settle()
        return self._sum_s

    @property
    def max_s(self) -> float:
        """The largest recorded value, exactly; 0 before the first."""
        self._settle()
        return self._max_s

    @property
    def mean_s(self) -> float:
        """The exact mean, in seconds; 0 when there is nothing."""
        count = self.count
        return self.sum_s / count if count else 0.0

    def quantile(self, q: float) -> float:
        """The smallest recorded value, in seconds, that at least the fraction ``q`` of all does not exceed; 0 when there is nothing.

        At most 0.1 % off, and never above ``max_s``. Raises ValueError when ``q`` is outside 0..1.
        """
        return self.quantiles((q,))[0]

    def quantiles(self, wanted: Iterable[float]) -> list[float]:
        """Several quantiles at the cost of one, in the order asked for."""
        asked = list(wanted)
        if not all(0.0 <= q <= 1.0 for q in asked):
            raise ValueError(f"quantiles lie between 0 and 1: {asked}")
        self._settle()
        cells = sorted(self._cells)
        ends: list[int] = []
        running = 0
        for cell in cells:
            running += self._cells[cell]
            ends.append(running)
        answers = []
        for q in asked:
            if not cells or q == 1.0:
                answers.append(self._max_s)
                continue
            # the ceiling of q * count, forgiving what binary makes of 0.9999
            rank = max(1, -int(-(q * running - 1e-12 * running) // 1))
            above, up_to = _bounds(cells[bisect_left(ends, rank)])
            answers.append(min((above + up_to) / 2, self._max_s))
        return answers

    def cells(self) -> Iterator[tuple[float, float, int]]:
        """``(above_s, up_to_s, count)`` for each cell that is not empty, ascending: for charts, exports and tests."""
        self._settle()
        for cell, count in sorted(self._cells.items()):
            yield *_bounds(cell), count

    def cumulative(self, boundaries_s: Iterable[float] = BOUNDARIES_S) -> list[tuple[float, int]]:
        """``(boundary, how many are at most that)`` for ascending boundaries; exact for those of ``BOUNDARIES_S``."""
        self._settle()
        answers = []
        running = 0
        ahead = iter(sorted(self._cells.items()))
        following = next(ahead, None)
        for boundary in boundaries_s:
            # the last cell that lies wholly below: the one of the boundary itself, when that ends a cell
            last = cell_of(boundary)
            if _bounds(last)[1] > boundary * (1 + 1e-12):
                last -= 1
            while following is not None and following[0] <= last:
                running += following[1]
                following = next(ahead, None)
            answers.append((boundary, running))
        return answers

    def merge(self, other: "Histogram") -> None:
        """Add everything that ``other`` counted. Exact: as if one histogram had seen it all."""
        other._settle()
        self._settle()
        self._cells.update(other._cells)
        self._sum_s += other._sum_s
        self._max_s = max(self._max_s, other._max_s)

    def state(self) -> "HistogramState":
        """Everything that it counted, as plain numbers that can travel to another process."""
        self._settle()
        return HistogramState(list(self._cells.items()), self._sum_s, self._max_s)

    @classmethod
    def of(cls, state: "HistogramState") -> Self:
        """The histogram that told this ``state``."""
        histogram = cls()
        histogram._cells.update(dict(state.cells))
        histogram._sum_s = state.sum_s
        histogram._max_s = state.max_s
        return histogram

    def copy(self) -> Self:
        """An independent histogram with the same content."""
        twin = type(self)()
        twin.merge(self)
        return twin

    def clear(self) -> None:
        """Forget everything."""
        self._cells.clear()
        self._recent.clear()
        self._sum_s = self._max_s = 0.0


def cell_of(seconds: float) -> int:
    (bits,) = unpack("=q", pack("=d", seconds * _UNITS_PER_S))
    return int(bits) >> _DROPPED_BITS


def _bounds(cell: int) -> tuple[float, float]:
    if cell == 0:
        return 0.0, 0.0
    above, up_to = unpack("=2d", pack("=2q", cell << _DROPPED_BITS, (cell + 1) << _DROPPED_BITS))
    return above / 4000.0, up_to / 4000.0
