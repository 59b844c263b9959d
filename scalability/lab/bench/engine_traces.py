"""Generated traces, and how often a cache finds what they ask for. Chance is an argument."""

import random
from collections.abc import Callable, Sequence
from typing import Any

from scalability.ttlcache import TTLCache

KEYS = 20_000
"""Distinct keys of a trace that come back."""
ACCESSES = 200_000
SHARES = (0.01, 0.1)
"""The cache's size, as a share of the distinct keys."""

Trace = Sequence[bytes]


def zipf(chance: random.Random) -> list[bytes]:
    """Popular keys and rare ones: the one of rank ``r`` comes with ``r ** -0.9``."""
    weights = [rank**-0.9 for rank in range(1, KEYS + 1)]
    return [b"%d" % key for key in chance.choices(range(KEYS), weights=weights, k=ACCESSES)]


def scan(chance: random.Random) -> list[bytes]:
    """The same, and every 40,000 accesses someone reads 10,000 keys once, in a row, that never come back."""
    trace: list[bytes] = []
    for number, key in enumerate(zipf(chance)):
        if number % 40_000 == 20_000:
            trace += [b"scan %d" % (number + each) for each in range(10_000)]
        trace.append(key)
    return trace


def loop(chance: random.Random) -> list[bytes]:
    """Half of the accesses go round and round through a tenth of the keys and a bit more, the others are the first trace's."""
    circle = KEYS // 10 + KEYS // 50
    trace = zipf(chance)
    trace[::2] = [b"loop %d" % (number % circle) for number in range(len(trace[::2]))]
    return trace


TRACES: dict[str, Callable[[random.Random], list[bytes]]] = {"zipf": zipf, "scan": scan, "loop": loop}


def ours(entries: int, trace: Trace) -> float:
    """The share of ``trace`` that a TTLCache of so many entries finds; what it does not find is stored."""
    cache: TTLCache[bytes, bytes] = TTLCache(max_bytes=entries << 20, max_entries=entries)
    for key in trace:
        if cache.get(key, 0.0) is None:
            cache.put(key, key, 0.0, 1.0, 16)
    return cache.stats.hits / len(trace)


def mapping(cache: Any, trace: Trace) -> float:
    """The same of a cache that is a mapping."""
    hits = 0
    for key in trace:
        if cache.get(key) is None:
            cache[key] = key
        else:
            hits += 1
    return hits / len(trace)


def hit_ratios(lru: Callable[[int], Any], seed: int = 1) -> dict[str, dict[str, list[float]]]:
    """By trace, ours and plain LRU's share of hits for each of ``SHARES``. ``lru`` makes a mapping of so many entries."""
    found: dict[str, dict[str, list[float]]] = {}
    for name, make in TRACES.items():
        trace = make(random.Random(seed))
        distinct = len(set(trace))
        sizes = [max(1, int(distinct * share)) for share in SHARES]
        found[name] = {"s3fifo": [ours(size, trace) for size in sizes], "lru": [mapping(lru(size), trace) for size in sizes]}
    return found
