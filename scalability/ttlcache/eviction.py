"""Which entry goes when the cache is full: S3-FIFO. PURE.

Three first-in-first-out queues (Yang, Zhang, Qiu, Yue, Vigfusson: "FIFO queues are all you need for
cache eviction", SOSP 2023). A new entry joins *small*, a tenth of the cache. One that was read more than
once before it reaches small's end moves to *main*; the others leave, and their keys are remembered as
*ghosts*: a key that comes back while it is a ghost joins main at once. Main gives an entry that was read
since another round (at most three), else it leaves. A hit only counts up ``Entry.visits``: nothing moves.

Life of an entry: ``GONE`` (new) -> ``SMALL`` or ``MAIN`` (``admit``) -> ``MAIN`` (promoted) -> ``GONE``
(``victim`` or ``forget``); an entry that is gone never comes back, a new ``Entry`` does.
"""

from array import array
from collections import deque
from typing import Any

from msgspec import Struct

GONE, SMALL, MAIN = 0, 1, 2

MAX_VISITS = 3
"""Reads beyond these make an entry no safer (the paper's two bits)."""

SMALL_SHARE = 10
"""Small is one part in ten of the cache."""

SEGMENT_BITS = 12
"""The ghosts' table is made in pieces of so many places, when they are needed: 16 MiB at once would hold the reactor for 5 ms."""

SEGMENT_MASK = (1 << SEGMENT_BITS) - 1

PATIENCE = 512
"""Steps of one search for a victim. Without a limit a main queue of a million busy entries is walked up
to three times before one leaves, in one turn of the reactor."""


class Entry(Struct, gc=False, eq=False):
    """One resident value. ``size`` is that of key and value; ``expires_at`` in seconds of the cache's clock, or ``inf``.

    The garbage collector does not know it, nor the dicts of the index for its sake: a million entries add nothing to a collection
    (with slots it stops 200 ms), and each is 16 bytes smaller. The price is that a value must not refer to its own cache. ``size``
    is without the overhead because integers below 257 cost no memory.
    """

    key: Any
    value: Any
    expires_at: float
    size: int
    visits: int = 0
    home: int = GONE


class FIFO:
    """A queue of entries from whose middle one can leave.

    Who leaves leaves a hole, which keeps the entry's 64 bytes. Holes are closed a few at a time, so that no call walks the whole
    queue, and never number more than about half of the entries.
    """

    __slots__ = ("_back", "_front", "_holes", "_others", "live", "name", "size")

    def __init__(self, name: int) -> None:
        self.name = name
        self.live = 0
        self.size = 0
        self._front: deque[Entry] = deque()  # those already looked through by _close_holes
        self._back: deque[Entry] = deque()
        self._others: tuple[deque[Entry], deque[Entry]] = (deque(), deque())  # to take turns with in clear
        self._holes = 0

    def push(self, entry: Entry) -> None:
        entry.home = self.name
        self.live += 1
        self.size += entry.size
        self._back.append(entry)

    def pop(self) -> Entry:
        """Take out the oldest. Raises IndexError when there is none."""
        while True:
            entry = (self._front or self._back).popleft()
            if entry.home == self.name:
                entry.home = GONE
                self.live -= 1
                self.size -= entry.size
                return entry
            self._holes -= 1

    def remove(self, entry: Entry) -> None:
        entry.home = GONE
        self.live -= 1
        self.size -= entry.size
        self._holes += 1
        if self._holes > (self.live >> 2) + 64:
            self._close_holes()

    def clear(self) -> list[deque[Entry]]:
        """Forget all; the old places, for the caller to empty.

        When that is done they are used again at the next clear, instead of new ones that the garbage collector would walk
        through: those from the start are frozen (lifecycle/garbage.py).
        """
        old = self._front, self._back
        fresh = (deque[Entry](), deque[Entry]()) if any(self._others) else self._others
        (self._front, self._back), self._others = fresh, old
        self.live = self.size = self._holes = 0
        return list(old)

    def places(self) -> int:
        """Entries and holes: what the queue costs in memory."""
        return len(self._front) + len(self._back)

    def _close_holes(self) -> None:
        back, name = self._back, self.name
        keep = self._front.append
        for _ in range(6):
            if not back:
                self._back, self._front = self._front, back
                return
            entry = back.popleft()
            if entry.home == name:
                keep(entry)
            else:
                self._holes -= 1


class Ghosts:
    """The keys evicted last, as 31 bits of their hashes in a table of fixed places: 4 bytes each.

    A place that is needed again forgets the key that had it. So a ghost lives until about as many others have come as there are
    places: those are one to two times the ``window``, the number of ghosts that are wanted. The bits begin above the least number of
    places, so that integers, whose hash is themselves, are told apart; among a million ghosts one key in 32,768 is taken for another.
    """

    __slots__ = ("_table", "any", "mask")

    def __init__(self) -> None:
        self.mask = 15
        """How many places there are, less one."""
        self.any = False
        """Whether there ever was one."""
        self._table: list[array[int] | None] = [None]

    def add(self, key: Any) -> None:
        number = hash(key)
        place = number & self.mask
        segment = self._table[place >> SEGMENT_BITS] or self._segment(place >> SEGMENT_BITS)
        segment[place & SEGMENT_MASK] = number >> 4 & 0x7FFFFFFF | 0x80000000

    def take(self, key: Any) -> bool:
        """True when ``key`` is a ghost; it is none after that."""
        number = hash(key)
        place = number & self.mask
        segment = self._table[place >> SEGMENT_BITS]
        if segment is None or segment[place & SEGMENT_MASK] != number >> 4 & 0x7FFFFFFF | 0x80000000:
            return False
        segment[place & SEGMENT_MASK] = 0
        return True

    def grow(self, window: int) -> None:
        """Have one to two places for each of ``window``. It forgets all: cheaper than moving a million keys in one turn."""
        while window > self.mask:
            self.mask = self.mask * 2 + 1
        self._table = [None] * ((self.mask >> SEGMENT_BITS) + 1)

    def _segment(self, number: int) -> "array[int]":
        segment = self._table[number] = array("I", bytes(4 * min(self.mask + 1, SEGMENT_MASK + 1)))
        self.any = True
        return segment


class S3FIFO:
    """The policy. ``max_bytes`` and ``max_entries`` are the cache's bounds; 0 entries means no bound.

    An entry counts with its size and ``overhead_bytes``.
    """

    def __init__(self, max_bytes: int, max_entries: int = 0, *, overhead_bytes: int = 0) -> None:
        self._overhead = overhead_bytes
        self._small_bytes = max_bytes // SMALL_SHARE
        self._small_entries = max_entries // SMALL_SHARE
        self.small = FIFO(SMALL)
        self.main = FIFO(MAIN)
        self._ghosts = Ghosts()

    def admit(self, entry: Entry) -> None:
        """Take in a new entry.

        There are as many ghosts as main holds entries (the paper's number), or small: a cache that has just filled up for the first
        time has nothing in main yet and would never learn.
        """
        if self._ghosts.any and self._ghosts.take(entry.key):
            self.main.push(entry)
        else:
            self.small.push(entry)

    def readmit(self, entry: Entry) -> None:
        """Take in an entry whose key was here a moment ago, with a smaller value: it is known, so it goes to main."""
        self.main.push(entry)

    def resize(self, entry: Entry, size: int) -> None:
        """``entry`` grew or shrank to ``size`` bytes where it stands."""
        queue = self.small if entry.home == SMALL else self.main
        queue.size += size - entry.size
        entry.size = size

    def forget(self, entry: Entry) -> None:
        """Take out an entry that was deleted or has expired."""
        (self.small if entry.home == SMALL else self.main).remove(entry)

    def victim(self, by_bytes: bool) -> Entry:
        """Take out the entry that should go; ``by_bytes`` says which bound asks for it. Raises IndexError when empty."""
        small, main = self.small, self.main
        for _ in range(PATIENCE):
            live = small.live
            if live and (
                (small.size + live * self._overhead > self._small_bytes if by_bytes else live > self._small_entries) or not main.live
            ):
                entry = small.pop()
                if entry.visits > 1:
                    entry.visits = 0
                    main.push(entry)
                    continue
                ghosts = self._ghosts
                if live > ghosts.mask or main.live > ghosts.mask:
                    ghosts.grow(max(live, main.live))
                ghosts.add(entry.key)
                return entry
            entry = main.pop()
            if not entry.visits:
                return entry
            entry.visits -= 1
            main.push(entry)
        return main.pop()

    def live(self) -> int:
        """The number of entries."""
        return self.small.live + self.main.live

    def clear(self) -> list[deque[Entry]]:
        """Forget all entries, and the ghosts; the old places, for the caller to empty."""
        self._ghosts = Ghosts()
        return self.small.clear() + self.main.clear()

    def places(self) -> int:
        """Entries and holes in both queues."""
        return self.small.places() + self.main.places()
