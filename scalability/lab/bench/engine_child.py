"""``python -m scalability.lab.bench.engine_child holds|memory|expiring``: what is measured of the cache's engine in a process of its own.

``holds``: how long a real reactor, which sweeps a real cache, cannot turn while a million entries are loaded, expire in one second,
and are cleared; collections of garbage included. ``memory``: what an entry costs beyond its key and value, when the cache has filled
up and after evictions. ``expiring``: what it costs while entries come, and expire after all sorts of times.
"""

import gc
import json
import os
import random
import sys
import time
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from scalability.lab.bench.cpu import resident_bytes
from scalability.lifecycle.garbage import BESIDE_MUCH_MEMORY, RareCollections
from scalability.ttlcache import OVERHEAD_BYTES, Sweeper, TTLCache

ENTRIES = 1_000_000
IN_TURN = 64
"""Writes in one turn of the reactor: some clients' pipelines."""
KEY_AND_VALUE = 16 + 32
"""Bytes."""
GARBAGE = 1
"""Cycles that each turn leaves behind, as a failed request may: so the collector has reason to look."""


class Leaping:
    """The reactor's time, that can be set forward. For what only waits."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self.ahead_s = 0.0
        self.callLater = reactor.callLater
        self.getDelayedCalls = reactor.getDelayedCalls

    def seconds(self) -> float:
        """See IReactorTime."""
        return float(self._reactor.seconds()) + self.ahead_s


class Pulse:
    """Notes how long the loop takes from turn to turn, in seconds of the clock on the wall and of this thread's CPU."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self.begin()
        reactor.callLater(0, self._beat)

    def begin(self) -> None:
        """Forget what was noted."""
        self.longest_s = self.longest_cpu_s = 0.0
        self._last, self._last_cpu = time.perf_counter(), time.thread_time()

    def longest(self) -> dict[str, float]:
        """The longest turns since ``begin``."""
        return {"wall_s": self.longest_s, "cpu_s": self.longest_cpu_s}

    def _beat(self) -> None:
        now, cpu = time.perf_counter(), time.thread_time()
        self.longest_s = max(self.longest_s, now - self._last)
        self.longest_cpu_s = max(self.longest_cpu_s, cpu - self._last_cpu)
        self._last, self._last_cpu = now, cpu
        for _ in range(GARBAGE):
            cycle: list[Any] = []
            cycle.append(cycle)
        self._reactor.callLater(0, self._beat)


async def holds(reactor: Any, entries: int = ENTRIES) -> dict[str, Any]:
    """The longest turns of the loop, by what the cache was doing."""
    clock = Leaping(reactor)
    cache: TTLCache[bytes, bytes] = TTLCache(max_bytes=entries * 1024)
    sweeper = Sweeper(clock, 0.1, cache)  # type: ignore[arg-type]  # it only waits
    rare = RareCollections(BESIDE_MUCH_MEMORY)
    sweeper.startService()
    rare.startService()
    pulse = Pulse(reactor)
    found: dict[str, Any] = {"entries": entries}
    await deferLater(reactor, 0.2)

    async def load() -> None:
        ends = float(int(clock.seconds()) + 1_000_000)
        for first in range(0, entries, IN_TURN):
            now = clock.seconds()
            for number in range(first, min(entries, first + IN_TURN)):
                cache.put(b"key:%012d" % number, b"value:%026d" % number, now, ends + number / entries, 48)
            await deferLater(reactor, 0)

    pulse.begin()
    await load()
    found["load"] = pulse.longest()
    began = time.perf_counter()
    gc.collect()
    found["collection_s"] = time.perf_counter() - began
    await deferLater(reactor, 0.2)
    pulse.begin()
    began = time.perf_counter()
    clock.ahead_s += 1_000_002.0
    while len(cache):
        await deferLater(reactor, 0.01)
    found["expire"] = pulse.longest() | {"took_s": time.perf_counter() - began}
    await load()
    pulse.begin()
    began = time.perf_counter()
    cache.clear()
    while cache.freeing:
        await deferLater(reactor, 0.01)
    found["clear"] = pulse.longest() | {"took_s": time.perf_counter() - began}
    await sweeper.stopService()
    rare.stopService()
    return found


def memory(entries: int = ENTRIES) -> dict[str, float]:
    """Resident bytes an entry beyond key and value: of a cache filled once, and after as many evictions, with ghosts."""
    bound = entries * (KEY_AND_VALUE + OVERHEAD_BYTES)
    before = resident_bytes(os.getpid())
    cache: TTLCache[bytes, bytes] = TTLCache(max_bytes=bound)

    def write(first: int, last: int) -> None:
        for number in range(first, last):
            cache.put(b"key:%012d" % number, b"value:%026d" % number, 0.0, 1_000.0 + number / entries, KEY_AND_VALUE)

    def each() -> float:
        gc.collect()
        return (resident_bytes(os.getpid()) - before) / len(cache) - KEY_AND_VALUE

    write(0, entries)
    filled = each()
    for number in range(0, entries, 2):
        for _ in range(2):
            cache.get(b"key:%012d" % number, 1.0)
    write(entries, 2 * entries)
    write(entries, 3 * entries // 2)  # those come back as ghosts
    churned = each()
    return {
        "entries": len(cache),
        "filled_bytes": filled,
        "churned_bytes": churned,
        "counted_bytes": OVERHEAD_BYTES,
        "resident_bytes": churned * len(cache) + KEY_AND_VALUE * len(cache),
        "max_bytes": bound,
        "evicted": cache.stats.evicted_bytes,
    }


def expiring(entries: int = ENTRIES, seconds: int = 150) -> dict[str, float]:
    """Resident bytes an entry beyond key and value: about as many live at once, each for 0 to 100 seconds of a clock that runs fast."""
    chance = random.Random(1).random
    before = resident_bytes(os.getpid())
    cache: TTLCache[bytes, bytes] = TTLCache(max_bytes=entries * 2 * (KEY_AND_VALUE + OVERHEAD_BYTES))
    in_second = entries // 50
    for second in range(seconds):
        for number in range(second * in_second, (second + 1) * in_second):
            key, value = b"key:%012d" % number, b"value:%026d" % number
            cache.put(key, value, float(second), second + chance() * 100, KEY_AND_VALUE)
        while cache.sweep(float(second), 10_000) == 10_000:
            pass
    gc.collect()
    return {"entries": len(cache), "bytes": (resident_bytes(os.getpid()) - before) / len(cache) - KEY_AND_VALUE}


def main(arguments: Sequence[str]) -> None:
    """Print what was measured as JSON."""
    entries = int(arguments[1]) if len(arguments) > 1 else ENTRIES
    if arguments[0] != "holds":
        _say(memory(entries) if arguments[0] == "memory" else expiring(entries))
        return
    from scalability.net.reactor import install

    reactor = install()
    failed: list[Any] = []
    measuring = Deferred.fromCoroutine(holds(reactor, entries))
    measuring.addCallbacks(_say, failed.append)
    measuring.addBoth(lambda _: reactor.stop())
    reactor.run()
    if failed:
        failed[0].raiseException()


def _say(found: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
