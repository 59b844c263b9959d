"""Where cells are kept. In the process; a store that gateways share fits the same interface."""

from collections.abc import Sequence
from typing import Protocol

from twisted.internet.defer import Deferred

from scalability.gateway.rate_limits.cells import Cells
from scalability.gateway.rate_limits.gcra import Rate, Verdict, standing_of


class LimitStore(Protocol):
    """Keeps cells for a fixed sequence of rates."""

    def take(self, keys: Sequence[bytes], now_ns: int) -> Verdict | Deferred[Verdict]:
        """One request, which ``keys`` (one for each rate) count for: all of them are charged, or, where one of them has nothing left, none.

        Nothing comes between looking and charging. A store that is far away answers with a Deferred, which fails with a ScalelabError.
        """


class MemoryLimits:
    """This process's own cells: new ones for ``rates``, at most ``max_cells`` each, behind those that are ``shared`` with other stores."""

    def __init__(self, rates: Sequence[Rate], max_cells: int, shared: Sequence[Cells] = ()) -> None:
        self.cells = (*shared, *(Cells(rate, max_cells) for rate in rates))

    def take(self, keys: Sequence[bytes], now_ns: int) -> Verdict:
        """See ``LimitStore``."""
        every = self.cells
        if len(keys) != len(every):
            raise ValueError("a key for each rate is needed")
        # loops and not comprehensions: they cost CPython 3.11 a third of all this
        aheads = []
        admitted = True
        for cells, key in zip(every, keys, strict=False):
            ahead = cells.ahead(key, now_ns)
            aheads.append(ahead)
            if ahead > cells.most_ahead:
                admitted = False
        standings = []
        for at, cells in enumerate(every):
            ahead = aheads[at]
            if admitted:
                ahead = cells.charge(keys[at], now_ns, ahead)
            standings.append(standing_of(cells.rate, ahead))
        return Verdict(admitted, standings)

    def sweep(self, now_ns: int, at_most: int) -> int:
        """Drop cells that have passed, ``at_most`` so many of each rate; how many were dropped."""
        return sum(own.sweep(now_ns, at_most) for own in self.cells)

    def __len__(self) -> int:
        return sum(map(len, self.cells))

    @property
    def evicted(self) -> int:
        """Cells that had to make room."""
        return sum(own.evicted for own in self.cells)
