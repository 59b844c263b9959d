"""The cache itself: bounded in bytes and entries, every entry with its own time to live. PURE.

Time is an argument of each call, in seconds of any clock that the caller sticks to. An entry is readable
while ``now < expires_at``; one that is found expired by a read is removed there, the others by ``sweep``.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import Enum
from math import inf
from typing import Generic, TypeVar

from scalability.ttlcache.eviction import MAX_VISITS, S3FIFO, Entry
from scalability.ttlcache.expiry import ExpiryBuckets

K = TypeVar("K")
V = TypeVar("V")

OVERHEAD_BYTES = 350
"""What an entry costs beside its key's and value's own bytes: the entry, its places in the index, a queue and
a bucket, its ghost, and the headers of two ``bytes`` (measured: 341). It is counted, so that ``max_bytes`` means memory."""


class Outcome(Enum):
    """What became of a ``set``."""

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

    def as_dict(self) -> dict[str, int]:
        """The counts by name, for an answer or an exposition."""
        return asdict(self)


class TTLCache(Generic[K, V]):
    """A mapping that forgets.

    ``max_bytes`` bounds the sizes of all entries, each with ``OVERHEAD_BYTES`` added; ``max_entries`` their
    number (0: no bound); ``max_object_bytes`` one entry, without the overhead (None: only by ``max_bytes``).
    Not safe for threads: it lives in the reactor's.
    """

    def __init__(self, *, max_bytes: int, max_entries: int = 0, max_object_bytes: int | None = None) -> None:
        if max_bytes < 1 or max_entries < 0:
            raise ValueError("max_bytes must be positive, max_entries not negative")
        self.max_bytes = max_bytes
        self.max_entries = max_entries
        self.max_object_bytes = max_bytes if max_object_bytes is None else max_object_bytes
        self.bytes = 0
        """The sizes of all entries, overhead included, expired ones not yet swept too."""
        self.stats = Statistics()
        self._index: dict[K, Entry] = {}
        self._policy = S3FIFO(max_bytes, max_entries)
        self._expiry = ExpiryBuckets()

    def __len__(self) -> int:
        """The number of entries, expired ones not yet swept included."""
        return len(self._index)

    def __iter__(self) -> Iterator[K]:
        """The keys, those of expired entries not yet swept included. The cache must not be changed meanwhile."""
        return iter(self._index)

    def get(self, key: K, now: float) -> V | None:
        """The value of ``key``, or None."""
        entry = self._index.get(key)
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

    def expires_at(self, key: K, now: float) -> float | None:
        """When ``key`` ends (``inf``: never), or None without one. Counts neither as a hit nor as a miss."""
        entry = self._index.get(key)
        return entry.expires_at if entry is not None and now < entry.expires_at else None

    def set(self, key: K, value: V, now: float, ttl_s: float | None, *, size_bytes: int, if_absent: bool = False) -> Outcome:
        """Keep ``value`` for ``ttl_s`` seconds (None: until evicted). ``size_bytes`` is the size of key and value.

        A ``ttl_s`` of 0 or less stores what is expired already. Raises ValueError when it is not a number.
        """
        if ttl_s is not None and ttl_s != ttl_s:
            raise ValueError("the time to live is not a number")
        entry = self._index.get(key)
        if entry is not None and now >= entry.expires_at:
            self._expire(entry)
            entry = None
        if if_absent and entry is not None:
            return Outcome.EXISTS
        size = size_bytes + OVERHEAD_BYTES
        if size_bytes > self.max_object_bytes or size > self.max_bytes:
            if entry is not None:
                self._remove(entry)
            self.stats.too_large += 1
            return Outcome.TOO_LARGE
        expires_at = inf if ttl_s is None else now + ttl_s
        if entry is None:
            self._make_room(size, now)
            self._policy.admit(self._insert(key, value, expires_at, size))
            self.stats.stored += 1
            return Outcome.STORED
        self.stats.replaced += 1
        if self.bytes + size - entry.size > self.max_bytes:
            # Out while room is made, so that it is not its own victim; a new object, as its hole still names the old one.
            self._remove(entry)
            self._make_room(size, now)
            self._policy.readmit(self._insert(key, value, expires_at, size))
            return Outcome.STORED
        self._expiry.remove(entry)
        if size != entry.size:
            self.bytes += size - entry.size
            self._policy.resize(entry, size)
        entry.value = value
        entry.expires_at = expires_at
        self._expiry.add(entry)
        return Outcome.STORED

    def delete(self, key: K, now: float) -> bool:
        """Remove ``key``; True when it was there and not expired."""
        entry = self._index.get(key)
        if entry is None:
            return False
        if now >= entry.expires_at:
            self._expire(entry)
            return False
        self._remove(entry)
        self.stats.deleted += 1
        return True

    def sweep(self, now: float, limit: int) -> int:
        """Remove at most ``limit`` entries that expired in seconds before ``now``'s; how many. Fewer than ``limit``: none is left."""
        due = self._expiry.due(now, limit)
        for entry in due:
            del self._index[entry.key]
            self._policy.forget(entry)
            self.bytes -= entry.size
            entry.key = entry.value = None
        self.stats.expired += len(due)
        return len(due)

    def clear(self) -> None:
        """Forget every entry. Statistics stay."""
        self._index.clear()
        self._policy = S3FIFO(self.max_bytes, self.max_entries)
        self._expiry = ExpiryBuckets()
        self.bytes = 0

    def _insert(self, key: K, value: V, expires_at: float, size: int) -> Entry:
        entry = self._index[key] = Entry(key, value, expires_at, size)
        self.bytes += size
        self._expiry.add(entry)
        return entry

    def _make_room(self, size: int, now: float) -> None:
        """Evict until one more entry of ``size`` bytes fits."""
        while self.bytes + size > self.max_bytes:
            if self._evict(now, by_bytes=True):
                self.stats.evicted_bytes += 1
        while self.max_entries and len(self._index) >= self.max_entries:
            if self._evict(now, by_bytes=False):
                self.stats.evicted_entries += 1

    def _evict(self, now: float, *, by_bytes: bool) -> bool:
        """Take one entry out; False when it had expired anyway."""
        victim = self._policy.victim(by_bytes=by_bytes)
        self._expiry.remove(victim)
        del self._index[victim.key]
        self.bytes -= victim.size
        if now >= victim.expires_at:
            self.stats.expired += 1
            return False
        return True

    def _expire(self, entry: Entry) -> None:
        self._remove(entry)
        self.stats.expired += 1

    def _remove(self, entry: Entry) -> None:
        self._expiry.remove(entry)
        del self._index[entry.key]
        self._policy.forget(entry)
        self.bytes -= entry.size
        # Its place in a queue may outlive it for a while: it must not keep the value alive.
        entry.key = entry.value = None
