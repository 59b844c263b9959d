"""The near cache: values in the process, in front of the cache that all gateways share. PURE.

A value is here for a second or so, or for as long as in the shared cache where that tells of changes, and never longer. So a busy key
costs the shared cache one read a second and gateway at most, however many requests there are, and a hit costs a fraction of a
microsecond instead of a round trip.
"""

from math import inf

from scalability.ttlcache.engine import TTLCache


class NearEntry:
    """A value (JSON text) as it is known here. ``expires_at`` is when it ends in the shared cache, ``refresh_at`` when to read it anew."""

    __slots__ = ("expires_at", "refresh_at", "value")

    def __init__(self, value: bytes, expires_at: float, refresh_at: float) -> None:
        self.value = value
        self.expires_at = expires_at
        self.refresh_at = refresh_at

    def due(self, now: float) -> bool:
        """Whether to read it anew: True once, so that one refresh is started, not one a request."""
        if now < self.refresh_at:
            return False
        self.refresh_at = inf
        return True


class NearCache:
    """Bounded in entries and bytes; what is least useful goes first (S3-FIFO). Times are the caller's clock's, in seconds."""

    def __init__(self, *, max_entries: int, max_bytes: int) -> None:
        self.entries: TTLCache[str, NearEntry] = TTLCache(max_bytes=max_bytes, max_entries=max_entries)
        self.get = self.entries.get
        """``get(key, now)``: the NearEntry of ``key``, or None."""

    def put(self, key: str, entry: NearEntry, now: float, life_s: float) -> None:
        """Keep ``entry`` for ``life_s`` seconds; 0 only forgets what was here before."""
        if life_s > 0:
            self.entries.set(key, entry, now, life_s, size_bytes=len(key) + len(entry.value))
        else:
            self.entries.delete(key, now)

    def forget(self, key: str, now: float) -> None:
        """Forget ``key``."""
        self.entries.delete(key, now)

    def clear(self) -> None:
        """Forget everything."""
        self.entries.clear()
