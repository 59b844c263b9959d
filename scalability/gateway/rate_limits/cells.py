"""The cells of one rate, by key, in bounded memory. PURE: the time is an argument.

A cell whose TAT has passed says nothing: it is dropped. When the table is full, the cell with the earliest TAT makes room: of all
clients this one has the most of its burst left, so that forgetting it gives away least. Whoever sends more than he may has the latest
TATs, and stays, however many addresses pass by.

A heap finds the earliest TAT. Each cell has one entry in it, made when the cell was; a TAT only grows, so that an entry is a lower
bound, and one that comes to the top and is too low is put back at its right place. Admitting costs a dictionary look-up.
"""

from heapq import heapify, heappop, heappush, heapreplace

from scalability.gateway.rate_limits.gcra import Rate, ahead_of

DROPPED_AT_ONCE = 2
"""Cells that have passed, dropped for each new one: the table shrinks while clients change."""

SET_BACK_NS = 1_000_000_000
"""A clock that goes back by more than this was set; by less, a few clients wait for as much longer."""


class Cells:
    """At most ``max_cells`` of them."""

    __slots__ = ("_heap", "_latest_ns", "_tats", "evicted", "max_cells", "most_ahead", "rate")

    def __init__(self, rate: Rate, max_cells: int) -> None:
        if max_cells < 1:
            raise ValueError("at least one cell")
        self.rate = rate
        self.most_ahead = rate.depth - rate.window_ns
        self.max_cells = max_cells
        self.evicted = 0
        """Cells that still said something, and had to make room."""
        self._tats: dict[bytes, int] = {}
        self._heap: list[tuple[int, bytes]] = []
        self._latest_ns = 0

    def __len__(self) -> int:
        return len(self._tats)

    def __contains__(self, key: bytes) -> bool:
        return key in self._tats

    def ahead(self, key: bytes, now_ns: int) -> int:
        """How far the TAT of ``key`` is ahead of now, in parts; a request is admitted up to ``most_ahead``."""
        if now_ns > self._latest_ns:
            self._latest_ns = now_ns
        elif now_ns < self._latest_ns - SET_BACK_NS:
            self._set_back(now_ns)
        tat = self._tats.get(key)
        return 0 if tat is None else ahead_of(self.rate, tat, now_ns)

    def charge(self, key: bytes, now_ns: int, ahead: int) -> int:
        """Admit one request of ``key``, which is ``ahead``, for which there is room; how far ahead it is after that."""
        rate = self.rate
        ahead += rate.window_ns
        tat = now_ns * rate.requests + ahead
        tats = self._tats
        if key not in tats:
            self._make_room(now_ns)
            heappush(self._heap, (tat, key))
        tats[key] = tat
        return ahead

    def sweep(self, now_ns: int, at_most: int) -> int:
        """Drop cells that have passed, ``at_most`` so many; how many were dropped."""
        dropped = 0
        while dropped < at_most and self._earliest_has_passed(now_ns):
            self._drop_earliest()
            dropped += 1
        return dropped

    def _make_room(self, now_ns: int) -> None:
        self.sweep(now_ns, DROPPED_AT_ONCE)
        if len(self._tats) >= self.max_cells:
            self._settle()
            self._drop_earliest()
            self.evicted += 1

    def _earliest_has_passed(self, now_ns: int) -> bool:
        """Whether the earliest TAT of all is over."""
        heap = self._heap
        now = now_ns * self.rate.requests
        if not heap or heap[0][0] > now:
            return False
        self._settle()
        return heap[0][0] <= now

    def _settle(self) -> None:
        """Bring the entry with the earliest TAT to the top."""
        heap, tats = self._heap, self._tats
        while heap:
            entry, key = heap[0]
            tat = tats[key]
            if tat == entry:
                return
            heapreplace(heap, (tat, key))

    def _drop_earliest(self) -> None:
        _, key = heappop(self._heap)
        del self._tats[key]

    def _set_back(self, now_ns: int) -> None:
        """The clock was: nobody waits for longer than he ever could have had to. Costs a look at every cell."""
        self._latest_ns = now_ns
        latest = now_ns * self.rate.requests + self.rate.depth
        self._tats = {key: min(tat, latest) for key, tat in self._tats.items()}
        self._heap = [(tat, key) for key, tat in self._tats.items()]
        heapify(self._heap)
