"""What ``tools/bench.py snapshot`` runs in a process of its own: a filled cache, written, read and purged under a running reactor."""

import gc
import json
import os
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from scalability.cache.http_purge import purged
from scalability.cache.snapshots import Snapshots
from scalability.net.reactor import install
from scalability.ttlcache import TTLCache

VALUE_BYTES = 100
PURGED = b"gone:"


class Held(NamedTuple):
    """A piece of work, and how long it held the reactor at a time."""

    took_s: float
    hold_ms: float
    """The longest time between two turns."""
    cpu_hold_ms: float
    """The most CPU of the reactor's thread between two turns: what the machine's other programs did is not in it."""
    resident_mb: float
    """By how much the process grew."""


class Turns:
    """Comes in every turn of ``reactor`` until ``stop``."""

    def __init__(self, reactor: Any) -> None:
        self.hold_s = self.cpu_hold_s = 0.0
        self._reactor = reactor
        self._last, self._last_cpu = time.perf_counter(), time.thread_time()
        self._call = reactor.callLater(0, self._turn)

    def _turn(self) -> None:
        now, cpu = time.perf_counter(), time.thread_time()
        self.hold_s = max(self.hold_s, now - self._last)
        self.cpu_hold_s = max(self.cpu_hold_s, cpu - self._last_cpu)
        self._last, self._last_cpu = now, cpu
        self._call = self._reactor.callLater(0, self._turn)

    def stop(self) -> None:
        """No more."""
        self._call.cancel()


async def held(reactor: Any, work: Coroutine[Any, Any, Any]) -> Held:
    """Do ``work``."""
    turns = Turns(reactor)
    before, began = resident_mb(), time.perf_counter()
    await work
    took_s = time.perf_counter() - began
    await deferLater(reactor, 0)
    turns.stop()
    return Held(took_s, turns.hold_s * 1000, turns.cpu_hold_s * 1000, resident_mb() - before)


def resident_mb() -> float:
    """Of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def filled(entries: int, now: float) -> TTLCache[bytes, bytes]:
    """A cache with so many entries, the keys of every tenth of which begin with ``PURGED``."""
    cache: TTLCache[bytes, bytes] = TTLCache(max_bytes=entries * 1000 + (1 << 20))
    for number in range(entries):
        key = (b"key:%012d" if number % 10 else PURGED + b"%012d") % number
        cache.put(key, os.urandom(VALUE_BYTES), now, now + 3600, len(key) + VALUE_BYTES)
    return cache


async def figures(reactor: Any, file: Path, entries: int) -> dict[str, Any]:
    """Write, read, purge a tenth."""
    cache = filled(entries, time.time())
    gc.collect()
    gc.freeze()  # as a server's entries are after a while
    writing = Snapshots(reactor, cache, file, 3600.0, changes=lambda: 1)
    writing.startService()
    write = await held(reactor, writing.save())
    await writing.stopService()
    again: TTLCache[bytes, bytes] = TTLCache(max_bytes=cache.max_bytes)
    reading = Snapshots(reactor, again, file, 3600.0, changes=lambda: 0)
    began = time.perf_counter()
    reading.startService()
    load_s = time.perf_counter() - began
    await reading.stopService()
    purge = await held(reactor, purged(cache, PURGED, reactor, time.time))
    return {
        "entries": len(again),
        "bytes": writing.bytes,
        "write": write._asdict(),
        "load_s": load_s,
        "purge": purge._asdict(),
        "purged": entries - len(cache),
    }


def main(arguments: list[str]) -> None:
    """``FOLDER ENTRIES``; prints the figures as JSON."""
    reactor: Any = install()
    folder, entries = arguments

    def begin() -> None:
        asked = Deferred.fromCoroutine(figures(reactor, Path(folder) / "snapshot", int(entries)))
        asked.addCallback(lambda told: sys.stdout.write(json.dumps(told) + "\n"))
        asked.addErrback(lambda failure: failure.printTraceback())
        asked.addBoth(lambda _: reactor.stop())

    reactor.callWhenRunning(begin)
    reactor.run()


if __name__ == "__main__":
    main(sys.argv[1:])
