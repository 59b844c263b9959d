"""What was purged or changed of late: an answer to a request that was sent before that may be what was there before. PURE, bounded."""

from typing import Final

from scalability.ttlcache import TTLCache

MAX_CHANGES: Final = 10_000
"""URIs that are remembered; of more, the least used are forgotten first."""
KEPT_S: Final = 120.0
"""For how long: no fetch is to take longer."""


class Changes:
    """When keys were changed. Times are the caller's clock's, in seconds."""

    def __init__(self) -> None:
        self._changed: TTLCache[bytes, float] = TTLCache(max_bytes=MAX_CHANGES * 1000, max_entries=MAX_CHANGES)
        self._all_s = float("-inf")

    def note(self, key: bytes, now: float) -> None:
        """``key`` has just changed."""
        self._changed.set(key, now, now, KEPT_S, size_bytes=len(key) + 8)

    def note_all(self, now: float) -> None:
        """Any key may have changed just now."""
        self._all_s = max(self._all_s, now)

    def after(self, key: bytes, sent_s: float, now: float) -> bool:
        """Whether ``key`` has changed after ``sent_s``, as far as is known."""
        if sent_s < self._all_s:
            return True
        if not len(self._changed):
            return False
        changed_s = self._changed.get(key, now)
        return changed_s is not None and sent_s < changed_s

    def sweep(self, now: float, limit: int) -> None:
        """As ``TTLCache.sweep``."""
        self._changed.sweep(now, limit)
