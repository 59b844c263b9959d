"""What a read and a write of the cache's engine cost beside those of other caches in memory."""

import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

from scalability.ttlcache import TTLCache

ENTRIES = 10_000
OPERATIONS = ("get, a hit", "get, a miss", "set, the key is there", "set, evicts another")

Rivals = dict[str, Callable[[int], Any]]
"""By name: makes a cache of so many entries that is a mapping."""


def rivals() -> Rivals:
    """Those that are installed for benchmarks: LRU without and with a time to live (one for all, or one each)."""
    import cachebox
    import cachetools

    return {
        "cachetools LRUCache": cachetools.LRUCache,
        "cachetools TTLCache": lambda entries: cachetools.TTLCache(entries, 3600.0),
        "cachebox LRUCache": cachebox.LRUCache,
        "cachebox VTTLCache": _Timed,
    }


class _Timed:
    """cachebox's cache with a time to live for each entry, written as ours is."""

    def __init__(self, entries: int) -> None:
        import cachebox

        self._cache: Any = cachebox.VTTLCache(entries)
        self.get = self._cache.get

    def __setitem__(self, key: bytes, value: bytes) -> None:
        self._cache.insert(key, value, 3600.0)


class _Ours:
    """Ours, written as the RESP server writes it."""

    def __init__(self, entries: int) -> None:
        self._cache: TTLCache[bytes, bytes] = TTLCache(max_bytes=1 << 30, max_entries=entries)

    def read(self, keys: Sequence[bytes]) -> None:
        get = self._cache.get
        for key in keys:
            get(key, 1.0)

    def write(self, keys: Sequence[bytes], value: bytes) -> None:
        put = self._cache.put
        for key in keys:
            put(key, value, 1.0, 1.0 + 3600.0, 116)


class _Mapping:
    """A cache that is a mapping."""

    def __init__(self, cache: Any) -> None:
        self._cache = cache

    def read(self, keys: Sequence[bytes]) -> None:
        get = self._cache.get
        for key in keys:
            get(key)

    def write(self, keys: Sequence[bytes], value: bytes) -> None:
        cache = self._cache
        for key in keys:
            cache[key] = value


def once(make: Callable[[int], _Ours | _Mapping], entries: int = ENTRIES) -> list[float]:
    """Nanoseconds of each of ``OPERATIONS``, on average of one pass with keys that are new objects every time."""
    cache = make(entries)
    value = b"x" * 100

    def keys(kind: bytes) -> list[bytes]:
        return [b"%b:%012d" % (kind, number) for number in range(entries)]

    cache.write(keys(b"key"), value)
    passes: list[tuple[Callable[..., None], tuple[Any, ...]]] = [
        (cache.read, (keys(b"key"),)),
        (cache.read, (keys(b"none"),)),
        (cache.write, (keys(b"key"), value)),
        (cache.write, (keys(b"new"), value)),
    ]
    found = []
    for run, arguments in passes:
        began = time.perf_counter()
        run(*arguments)
        found.append((time.perf_counter() - began) / entries * 1e9)
    return found


def costs(rounds: int, others: Rivals, entries: int = ENTRIES) -> dict[str, list[float]]:
    """By cache, nanoseconds of each of ``OPERATIONS``: medians of so many rounds, in turns."""

    def mapping(make: Callable[[int], Any]) -> Callable[[int], _Ours | _Mapping]:
        return lambda size: _Mapping(make(size))

    arms: dict[str, Callable[[int], _Ours | _Mapping]] = {"scalelab TTLCache": _Ours} | {
        name: mapping(make) for name, make in others.items()
    }
    taken: dict[str, list[list[float]]] = {name: [] for name in arms}
    for _ in range(rounds):
        for name, make in arms.items():
            taken[name].append(once(make, entries))
    return {name: [median(column) for column in zip(*samples, strict=True)] for name, samples in taken.items()}
