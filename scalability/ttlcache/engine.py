"""The cache itself: bounded in bytes and entries, every entry with its own time to live. PURE.

Time is an argument of each call, in seconds of any clock that the caller sticks to. An entry is readable
while ``now < expires_at``; one that is found expired by a read is removed there, the others by ``sweep``.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from enum import Enum
from math import inf
from typing import Generic, TypeVar

from scalability.ttlcache.eviction import MAX_VISITS, S3FIFO, Entry
from scalability.ttlcache.expiry import ExpiryBuckets
from scalability.ttlcache.index import Index
from scalability.ttlcache.leavings import Leavings

K = TypeVar("K")
V = TypeVar("V")

OVERHEAD_BYTES = 320
"""What an entry costs beside its key's and value's own bytes: the entry, its expiry, its places in the index and a queue, its ghost,
and the headers of two ``bytes``. It is counted, so that ``max_bytes`` means memory. Measured with a million entries: 242 when the cache
has filled up, 292 after a million and a half of evictions, which leave air in the index, and 324 while entries come and expire after
all sorts of times, which leaves holes in the queues too (``tools/bench.py engine``)."""

LOOKS = 16
"""A sweep may look at so many entries that stay for one that it removes: together they take half as long as a removal."""

SHARD_LOOKS = 8
"""What finding a shard costs, in looks."""


class Outcome(Enum):
    """What became of a ``set`` or ``put``."""

    STORED = "stored"
    EXISTS = "exists"
    """``if_absent`` was asked for and the key is there; nothing was changed."""
    TOO_LARGE = "too_large"
    """Larger than one entry may be. What the key held before is gone, so that nobody reads an outdated value."""


@dataclass(slots=True)
class Statistics:
    """Counts since the start. A read of an expired entry is a miss; the entry counts as expired too."""

    hits: int = 0
    misses: int = 0
    stored: int = 0
    """Entries that were new."""
    replaced: int = 0
    deleted: int = 0
    expired: int = 0
    evicted_bytes: int = 0
    """Entries evicted because the bytes were at their bound."""
    evicted_entries: int = 0
    """Entries evicted because their number was at its bound."""
    too_large: int = 0
    retimed: int = 0
    """Entries whose expiry alone was changed."""
    cleared: int = 0
    """Entries that ``clear`` made forgotten."""

    def as_dict(self) -> dict[str, int]:
        """The counts by name, for an answer or an exposition."""
        return asdict(self)


NOT_A_NUMBER = "the time to live is not a number"

_STORED = Outcome.STORED  # a member of a class is looked up for 30 ns


class TTLCache(Generic[K, V]):
    """A mapping that forgets.

    ``max_bytes`` bounds the sizes of all entries, each with ``OVERHEAD_BYTES`` added; ``max_entries`` their
    number (0: no bound); ``max_object_bytes`` one entry, without the overhead (None: only by ``max_bytes``).
    Not safe for threads: it lives in the reactor's. A value must not refer to the cache (see ``Entry``).
    """

    def __init__(self, *, max_bytes: int, max_entries: int = 0, max_object_bytes: int | None = None) -> None:
        if max_bytes < 1 or max_entries < 0:
            raise ValueError("max_bytes must be positive, max_entries not negative")
        self.max_bytes = max_bytes
        self.max_entries = max_entries
        self.max_object_bytes = max_bytes if max_object_bytes is None else max_object_bytes
        self.bytes = 0
        """The sizes of all entries, overhead included, expired ones not yet swept too."""
        self.ending = 0
        """How many entries have an end, expired ones not yet swept included."""
        self.stats = Statistics()
        self.on_removed: Callable[[K], None] | None = None
        """Told the key of each entry that leaves by itself, when it has left: expired (found by a read, a write or the sweep) or
        evicted; never of what ``delete``, ``put`` and ``clear`` are asked to remove. It must not change the cache."""
        most = max_bytes // OVERHEAD_BYTES
        self._index: Index[K, Entry] = Index(min(most, max_entries) if max_entries else most)
        # The index's own, and its buckets': a call, or a look through the index, costs a quarter of a read.
        self._shards = self._index.shards
        self._mask = self._index.mask
        self._expiry = ExpiryBuckets(len(self._shards))
        self._earliest = self._expiry.earliest
        self._policy = S3FIFO(max_bytes, max_entries, overhead_bytes=OVERHEAD_BYTES)
        self._leavings: Leavings | None = None
        """What ``clear`` left to be freed; None when all of that is done."""

    def __len__(self) -> int:
        """The number of entries, expired ones not yet swept included."""
        return self._policy.live()

    @property
    def freeing(self) -> bool:
        """Whether something that ``clear`` left is still to be freed."""
        return self._leavings is not None

    def __iter__(self) -> Iterator[K]:
        """The keys, those of expired entries not yet swept included. The cache must not be changed meanwhile."""
        return iter(self._index)

    def get(self, key: K, now: float) -> V | None:
        """The value of ``key``, or None."""
        entry = self._shards[hash(key) & self._mask].get(key)
        if entry is not None:
            if now < entry.expires_at:
                self.stats.hits += 1
                if entry.visits < MAX_VISITS:
                    entry.visits += 1
                value: V = entry.value
                return value
            self._expire(entry)
        self.stats.misses += 1
        return None

    def peek(self, key: K, now: float) -> V | None:
        """The value of ``key``, or None. Counts neither as a hit nor as a miss, and makes the entry no safer."""
        entry = self._shards[hash(key) & self._mask].get(key)
        if entry is None or now >= entry.expires_at:
            return None
        value: V = entry.value
        return value

    def expires_at(self, key: K, now: float) -> float | None:
        """When ``key`` ends (``inf``: never), or None without one. Counts neither as a hit nor as a miss."""
        entry = self._shards[hash(key) & self._mask].get(key)
        return entry.expires_at if entry is not None and now < entry.expires_at else None

    def scan(self, cursor: int, count: int) -> tuple[int, list[K]]:
        """Keys in pieces, those of expired entries not yet swept included; see ``Index.scan``."""
        return self._index.scan(cursor, count)

    def random_key(self, draw: Callable[[], float]) -> K | None:
        """Any key, perhaps of an expired entry not yet swept, or None in an empty cache. ``draw``: like ``random.random``."""
        return self._index.random_key(draw)

    def set(self, key: K, value: V, now: float, ttl_s: float | None, *, size_bytes: int, if_absent: bool = False) -> Outcome:
        """Keep ``value`` for ``ttl_s`` seconds (None: until evicted). ``size_bytes`` is the size of key and value.

        A ``ttl_s`` of 0 or less stores what is expired already. Raises ValueError when it is not a number.
        """
        if if_absent and self.expires_at(key, now) is not None:
            if ttl_s is not None and ttl_s != ttl_s:
                raise ValueError(NOT_A_NUMBER)
            return Outcome.EXISTS
        return self.put(key, value, now, inf if ttl_s is None else now + ttl_s, size_bytes)

    def put(self, key: K, value: V, now: float, expires_at: float, size_bytes: int) -> Outcome:
        """Keep ``value`` until ``expires_at`` (``inf``: until evicted). ``size_bytes`` is the size of key and value.

        What ends at ``now`` or before is stored nevertheless, as expired. Raises ValueError when ``expires_at`` is not a number.
        """
        number = hash(key) & self._mask
        entry = self._shards[number].get(key)
        if entry is None or now >= entry.expires_at or size_bytes != entry.size:
            return self._put(number, entry, key, value, now, expires_at, size_bytes)
        if expires_at != entry.expires_at:
            if not expires_at >= self._earliest[number]:
                self._expiry.note(number, expires_at)
            self._retime(entry, expires_at)
        entry.value = value
        self.stats.replaced += 1
        return _STORED

    def expire(self, key: K, now: float, expires_at: float) -> bool:
        """Let ``key`` end at ``expires_at`` (``inf``: never); True when it was there. Raises ValueError when that is not a number."""
        number = hash(key) & self._mask
        entry = self._shards[number].get(key)
        if entry is None or now >= entry.expires_at:
            return False
        self._expiry.note(number, expires_at)
        self._retime(entry, expires_at)
        self.stats.retimed += 1
        return True

    def delete(self, key: K, now: float) -> bool:
        """Remove ``key``; True when it was there and not expired."""
        entry = self._shards[hash(key) & self._mask].get(key)
        if entry is None:
            return False
        if now >= entry.expires_at:
            self._expire(entry)
            return False
        self._remove(entry)
        self.stats.deleted += 1
        return True

    def sweep(self, now: float, limit: int) -> int:
        """Remove at most ``limit`` entries that expired in seconds before ``now``'s; how many steps it took.

        A removal is a step, a look at ``LOOKS`` entries that stay too. Fewer than ``limit``: nothing is left to do.
        """
        steps = self._free(limit) if self._leavings is not None else 0
        removed = looked = 0
        while steps + removed + looked // LOOKS < limit:
            number = self._expiry.due(now)
            if number is None:
                break
            here, stay = self._sweep_shard(number, now, limit - steps - removed)
            removed += here
            looked += stay + SHARD_LOOKS
        return min(limit, steps + removed + looked // LOOKS)

    def clear(self) -> None:
        """Forget every entry. Statistics go on. The memory is freed bit by bit, by writes of new keys and by ``sweep``."""
        self.stats.cleared += len(self)
        if self._leavings is None:
            self._leavings = Leavings()
        # A clear soon after one of few entries finds the queues' other places empty (FIFO.clear).
        self._leavings.free(1_000)
        self._leavings.add(self._index.clear(), self._policy.clear())
        self._shards = self._index.shards
        self._expiry = ExpiryBuckets(len(self._shards))
        self._earliest = self._expiry.earliest
        self.bytes = self.ending = 0

    def _put(self, number: int, entry: Entry | None, key: K, value: V, now: float, expires_at: float, size: int) -> Outcome:
        """``put`` where more changes than a value. ``entry`` is the one in the index."""
        if expires_at != expires_at:
            raise ValueError(NOT_A_NUMBER)
        if entry is not None and now >= entry.expires_at:
            self._expire(entry)
            entry = None
        cost = size + OVERHEAD_BYTES
        if size > self.max_object_bytes or cost > self.max_bytes:
            if entry is not None:
                self._remove(entry)
            self.stats.too_large += 1
            return Outcome.TOO_LARGE
        if entry is None:
            self.stats.stored += 1
            while self.bytes + cost > self.max_bytes:
                self._evict(now, True)
            if self.max_entries and self._policy.live() >= self.max_entries:
                self._evict(now, False)
            self._policy.admit(self._insert(number, key, value, expires_at, size))
            return _STORED
        self.stats.replaced += 1
        if self.bytes + size - entry.size > self.max_bytes:
            # Out while room is made, so that it is not its own victim; a new object, as its hole still names the old one.
            self._remove(entry)
            while self.bytes + cost > self.max_bytes:
                self._evict(now, True)
            self._policy.readmit(self._insert(number, key, value, expires_at, size))
            return _STORED
        if expires_at < self._earliest[number]:
            self._expiry.note(number, expires_at)
        self.bytes += size - entry.size
        self._policy.resize(entry, size)
        entry.value = value
        self._retime(entry, expires_at)
        return _STORED

    def _insert(self, number: int, key: K, value: V, expires_at: float, size: int) -> Entry:
        entry = self._shards[number][key] = Entry(key, value, expires_at, size)
        self.bytes += size + OVERHEAD_BYTES
        if expires_at != inf:
            self.ending += 1
            if expires_at < self._earliest[number]:
                self._expiry.note(number, expires_at)
        if self._leavings is not None:
            self._free(4)
        return entry

    def _retime(self, entry: Entry, expires_at: float) -> None:
        """Let it end at ``expires_at``, of which ``_expiry`` knows."""
        self.ending += (expires_at != inf) - (entry.expires_at != inf)
        entry.expires_at = expires_at

    def _evict(self, now: float, by_bytes: bool) -> None:
        """Take out the entry that should go; ``by_bytes`` says which bound asks for it."""
        victim = self._policy.victim(by_bytes)
        key = victim.key
        del self._shards[hash(key) & self._mask][key]
        self.bytes -= victim.size + OVERHEAD_BYTES
        if victim.expires_at != inf:
            self.ending -= 1
        if now >= victim.expires_at:
            self.stats.expired += 1
        elif by_bytes:
            self.stats.evicted_bytes += 1
        else:
            self.stats.evicted_entries += 1
        if self.on_removed is not None:
            self.on_removed(key)

    def _expire(self, entry: Entry) -> None:
        key = entry.key
        self._remove(entry)
        self.stats.expired += 1
        if self.on_removed is not None:
            self.on_removed(key)

    def _remove(self, entry: Entry) -> None:
        del self._shards[hash(entry.key) & self._mask][entry.key]
        self._policy.forget(entry)
        self.bytes -= entry.size + OVERHEAD_BYTES
        if entry.expires_at != inf:
            self.ending -= 1
        # Its place in a queue may outlive it for a while: it must not keep the value alive.
        entry.key = entry.value = None

    def _sweep_shard(self, number: int, now: float, limit: int) -> tuple[int, int]:
        """Remove at most ``limit`` expired entries of one shard and note when it is due again; how many went and stayed."""
        shard = self._shards[number]
        earliest = inf
        due: list[Entry] = []
        for entry in shard.values():
            expires_at = entry.expires_at
            if expires_at <= now:
                due.append(entry)
            elif expires_at < earliest:
                earliest = expires_at
        if len(due) > limit:
            earliest = due[limit].expires_at
            del due[limit:]
        for entry in due:
            self._expire(entry)
        if earliest != inf:
            self._expiry.note(number, earliest)
        return len(due), len(shard)

    def _free(self, steps: int) -> int:
        """Free some of what ``clear`` left behind, in about so many steps; how many it were."""
        assert self._leavings is not None
        done = self._leavings.free(steps)
        if not self._leavings:
            self._leavings = None
        return done
