"""What a process remembers of a key beyond its value's life: the last good value, what loading took, whether its source hangs. PURE."""

from scalability.ttlcache.engine import TTLCache


class _Memory:
    __slots__ = ("hangs", "load_s", "seen_s", "value")

    def __init__(self) -> None:
        self.value: bytes | None = None
        self.seen_s = 0.0
        self.load_s = 0.0
        self.hangs = False


class LastGood:
    """By key; bounded in entries and bytes. A value counts for ``stale_ttl_s`` seconds after it was last seen good."""

    def __init__(self, *, stale_ttl_s: float, life_s: float, max_entries: int, max_bytes: int) -> None:
        self.entries: TTLCache[str, _Memory] = TTLCache(max_bytes=max_bytes, max_entries=max_entries)
        self._stale_ttl_s = stale_ttl_s
        self._life_s = life_s

    def seen(self, key: str, value: bytes, now: float, *, load_s: float | None = None) -> None:
        """``value`` is good at ``now``; to load it took ``load_s`` seconds, if it was loaded."""
        memory = self.entries.get(key, now) or _Memory()
        memory.value, memory.seen_s, memory.hangs = value, now, False
        if load_s is not None:
            memory.load_s = load_s
        self.entries.set(key, memory, now, self._life_s, size_bytes=len(key) + len(value))

    def load_s(self, key: str, now: float) -> float:
        """What the last load took; 0 when none is remembered."""
        memory = self.entries.get(key, now)
        return 0.0 if memory is None else memory.load_s

    def stale(self, key: str, now: float) -> bytes | None:
        """The last good value, if it is young enough to stand in."""
        memory = self.entries.get(key, now)
        if memory is None or now - memory.seen_s >= self._stale_ttl_s:
            return None
        return memory.value

    def failed(self, key: str, now: float, *, slowly: bool) -> None:
        """A load has failed; ``slowly``: whoever waits for the next one waits for long."""
        memory = self.entries.get(key, now)
        if memory is not None:
            memory.hangs = slowly

    def stale_while_hanging(self, key: str, now: float) -> bytes | None:
        """``stale``, while the last load failed slowly: nobody need wait for the next."""
        memory = self.entries.get(key, now)
        return self.stale(key, now) if memory is not None and memory.hangs else None

    def forget(self, key: str, now: float) -> None:
        """Forget ``key``."""
        self.entries.delete(key, now)
