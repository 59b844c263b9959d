"""The sweeper on a clock of its own."""

from typing import Any

from twisted.internet.task import Clock

from scalability.ttlcache import Sweeper, TTLCache
from scalability.ttlcache.sweeper import LEAST_BATCH, PAUSE_S


def filled(entries: int) -> TTLCache[int, str]:
    cache: TTLCache[int, str] = TTLCache(max_bytes=1 << 30)
    for number in range(entries):
        cache.set(number, "x", 0.0, 1.0, size_bytes=0)
    return cache


def test_expired_entries_are_gone_after_the_interval_without_any_read() -> None:
    clock, cache = Clock(), filled(10)
    sweeper = Sweeper(clock, 1.0, cache)
    sweeper.startService()
    clock.advance(1.0)
    assert len(cache) == 10
    clock.advance(1.0)
    assert (len(cache), cache.stats.expired) == (0, 10)
    sweeper.stopService()
    assert clock.getDelayedCalls() == []


def test_entries_may_end_by_another_clock_than_the_one_that_calls() -> None:
    clock, cache = Clock(), filled(10)
    wall = 1.0
    sweeper = Sweeper(clock, 1.0, cache, now=lambda: wall)
    sweeper.startService()
    clock.advance(5.0)
    assert len(cache) == 10, "entries are removed a second after their end at most"
    wall = 2.0
    clock.advance(1.0)
    assert len(cache) == 0
    sweeper.stopService()


def test_a_large_sweep_lets_the_reactor_turn_between_batches() -> None:
    clock, cache = Clock(), filled(25)
    sweeper = Sweeper(clock, 5.0, cache, batch=10)
    sweeper.startService()
    seen: list[int] = []
    clock.advance(5.0)
    while len(cache):
        seen.append(len(cache))
        clock.advance(0.001)
    assert len(seen) >= 2
    assert all(before - after <= 10 for before, after in zip([25, *seen], [*seen, 0], strict=True))
    cache.set(1, "x", clock.seconds(), 1.0, size_bytes=0)
    clock.advance(5.0)
    assert len(cache) == 0
    sweeper.stopService()


def test_stopping_in_the_middle_of_a_sweep_waits_for_its_end() -> None:
    clock, cache = Clock(), filled(25)
    sweeper = Sweeper(clock, 5.0, cache, batch=10)
    sweeper.startService()
    clock.advance(5.0)
    stopped: list[Any] = []
    sweeper.stopService().addCallback(stopped.append)
    assert stopped == []
    clock.pump([0.001] * 10)
    assert (stopped, len(cache)) == ([None], 0)
    assert clock.getDelayedCalls() == []


class Slow:
    """Takes a time for each entry, and never has enough."""

    def __init__(self, entry_s: float, batches: int) -> None:
        self.took_s = 0.0
        self.entry_s = entry_s
        self.left = batches
        self.batches: list[int] = []

    def sweep(self, now: float, limit: int) -> int:
        self.batches.append(limit)
        self.took_s += limit * self.entry_s
        self.left -= 1
        return limit if self.left else 0


def batches(entry_s: float, count: int, **more: Any) -> list[int]:
    clock = Clock()
    slow = Slow(entry_s, count)
    sweeper = Sweeper(clock, 1.0, slow, cpu_s=lambda: slow.took_s, **more)
    sweeper.sweep()
    while len(slow.batches) < count:
        clock.advance(PAUSE_S)
    return slow.batches


def test_batches_are_as_large_as_their_time_allows() -> None:
    assert batches(1e-6, 4) == [50, 100, 100, 100]
    assert batches(9e-6, 4) == [50, 50, 50, 50]
    assert batches(9e-6, 4, batch=500) == [250, 125, 62, 62]
    assert batches(1e-6, 4, batch=1_000) == [500, 500, 500, 500]


def test_batches_are_never_too_small_to_come_to_an_end() -> None:
    assert batches(1.0, 4) == [50, LEAST_BATCH, LEAST_BATCH, LEAST_BATCH]
    assert batches(1.0, 3, batch=10) == [10, 10, 10]
