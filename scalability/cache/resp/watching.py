"""Which keys clients watch until EXEC, and whether one of them has changed. PURE.

A watch counts every change since WATCH: the client's own, those over HTTP, expiry, eviction and FLUSHALL. What nobody watches
costs nothing: the table observes the entries only while it holds a key.
"""

from typing import Any

from scalability.cache.entries import Entries
from scalability.cache.resp.commands import CommandError

MAX_KEYS = 10_000
MAX_KEY_BYTES = 1 << 20
"""What one client may watch."""


class Watches:
    """All clients' of one server."""

    def __init__(self, entries: Entries) -> None:
        self.entries = entries
        self._watching: dict[bytes, set[Watch]] = {}

    def __len__(self) -> int:
        """Keys that somebody watches."""
        return len(self._watching)

    def changed(self, key: bytes, by: Any) -> None:
        """Part of ``Observer``."""
        for watch in self._watching.get(key, ()):
            watch.dirty = True

    def cleared(self, by: Any) -> None:
        """Part of ``Observer``: a change of those keys only that were there."""
        for key, watching in self._watching.items():
            for watch in watching:
                if watch.existed[key]:
                    watch.dirty = True

    def add(self, key: bytes, watch: "Watch") -> None:
        """Called by a watch."""
        if not self._watching:
            self.entries.observe(self)
        self._watching.setdefault(key, set()).add(watch)

    def remove(self, key: bytes, watch: "Watch") -> None:
        """Called by a watch."""
        watching = self._watching[key]
        watching.discard(watch)
        if not watching:
            del self._watching[key]
            if not self._watching:
                self.entries.unobserve(self)


class Watch:
    """One client's, from its first WATCH to EXEC, DISCARD, UNWATCH or its end."""

    def __init__(self, table: Watches) -> None:
        self._table = table
        self._bytes = 0
        self.dirty = False
        """One of the keys has changed."""
        self.existed: dict[bytes, bool] = {}
        """The keys, and whether they were there at WATCH."""

    def add(self, keys: list[bytes], now: float) -> None:
        """Watch ``keys`` too. Raises CommandError when they are too many; none is added then."""
        new = dict.fromkeys(key for key in keys if key not in self.existed)
        size = self._bytes + sum(map(len, new))
        if len(self.existed) + len(new) > MAX_KEYS or size > MAX_KEY_BYTES:
            raise CommandError(f"ERR too many watched keys: {MAX_KEYS} of {MAX_KEY_BYTES} bytes together are allowed")
        self._bytes = size
        entries = self._table.entries
        for key in new:
            there = entries.cache.peek(key, now) is not None
            if not there:
                # an entry that has expired and is not removed yet goes now: later, its removal would look like a change
                entries.delete(key, now)
            self.existed[key] = there
            self._table.add(key, self)

    def broken(self, now: float) -> bool:
        """Whether a key has changed, or has expired and nobody has noticed yet."""
        if not self.dirty:
            peek = self._table.entries.cache.peek
            self.dirty = any(there and peek(key, now) is None for key, there in self.existed.items())
        return self.dirty

    def end(self) -> None:
        """Watch nothing any more."""
        for key in self.existed:
            self._table.remove(key, self)
        self.existed = {}
        self._bytes = 0
        self.dirty = False
