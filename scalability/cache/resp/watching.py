"""Which keys clients watch until EXEC, and whether one of them has changed. PURE.

A watch counts every change since WATCH: the client's own, those over HTTP, expiry, eviction and FLUSHALL. What nobody watches
costs nothing: the table observes the entries only while it holds a key.
"""

from typing import Any

from scalability.cache.entries import Entries
from scalability.cache.resp.commands import CommandError

MAX_KEYS = 10_000
"""Keys that one client may watch."""

MAX_BYTES = 64 << 20
"""Of memory for the watched keys of all clients together, about: their own bytes, and ``KEY_BYTES`` for each."""

KEY_BYTES = 400
"""What it costs to watch a key, beside the key itself: a set, and places in three tables."""


class Watches:
    """All clients' of one server."""

    def __init__(self, entries: Entries) -> None:
        self.entries = entries
        self.bytes = 0
        """What all watched keys take, as ``MAX_BYTES`` counts it."""
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
        self.bytes += len(key) + KEY_BYTES

    def remove(self, key: bytes, watch: "Watch") -> None:
        """Called by a watch."""
        watching = self._watching[key]
        watching.discard(watch)
        self.bytes -= len(key) + KEY_BYTES
        if not watching:
            del self._watching[key]
            if not self._watching:
                self.entries.unobserve(self)


class Watch:
    """One client's, from its first WATCH to EXEC, DISCARD, UNWATCH or its end."""

    def __init__(self, table: Watches) -> None:
        self._table = table
        self.dirty = False
        """One of the keys has changed."""
        self.existed: dict[bytes, bool] = {}
        """The keys, and whether they were there at WATCH."""

    def add(self, keys: list[bytes], now: float) -> None:
        """Watch ``keys`` too. Raises CommandError when they are too many; none is added then."""
        new = dict.fromkeys(key for key in keys if key not in self.existed)
        if len(self.existed) + len(new) > MAX_KEYS:
            raise CommandError(f"ERR too many watched keys: {MAX_KEYS} are allowed")
        if self._table.bytes + sum(map(len, new)) + KEY_BYTES * len(new) > MAX_BYTES:
            raise CommandError(f"ERR the watched keys of all clients take {MAX_BYTES} bytes, which is the most; try again later")
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
        self.dirty = False
