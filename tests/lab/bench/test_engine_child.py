"""What is measured in a process of its own, with few entries: that it works, not how fast."""

import pytest

from scalability.lab.bench.engine import child
from scalability.lab.bench.engine_child import Leaping, Pulse, expiring, memory
from scalability.ttlcache import OVERHEAD_BYTES


def test_the_loop_is_watched_while_entries_are_loaded_expire_and_are_cleared() -> None:
    found = child("holds", 3_000)
    assert found["entries"] == 3_000
    for phase in ("load", "expire", "clear"):
        assert 0 < found[phase]["cpu_s"] < 1
        assert 0 < found[phase]["wall_s"] < 60
    assert found["collection_s"] > 0


def test_memory_is_measured_after_filling_and_after_evictions() -> None:
    found = memory(20_000)
    assert found["entries"] == pytest.approx(20_000, abs=1)
    assert found["counted_bytes"] == OVERHEAD_BYTES
    assert found["evicted"] > 20_000
    assert found["max_bytes"] == 20_000 * (48 + OVERHEAD_BYTES)


def test_memory_is_measured_while_entries_come_and_expire() -> None:
    assert expiring(5_000, seconds=120)["entries"] == pytest.approx(5_000, rel=0.1)
    assert child("expiring", 20_000)["bytes"] > 50


class Reactor:
    def __init__(self) -> None:
        self.now = 5.0
        self.called: list[object] = []

    def seconds(self) -> float:
        return self.now

    def callLater(self, delay_s: float, call: object) -> None:
        self.called.append(call)

    def getDelayedCalls(self) -> list[object]:  # noqa: N802 - Twisted's name
        return self.called


def test_time_can_leap() -> None:
    clock = Leaping(Reactor())
    clock.ahead_s += 100.0
    assert clock.seconds() == 105.0


def test_each_turn_is_noted_and_the_longest_kept() -> None:
    reactor = Reactor()
    pulse = Pulse(reactor)
    pulse._beat()
    longest = pulse.longest()
    assert longest["wall_s"] > 0
    assert len(reactor.called) == 2
    pulse.begin()
    assert pulse.longest() == {"wall_s": 0.0, "cpu_s": 0.0}
