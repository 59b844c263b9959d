"""What a process tells of itself."""

import pytest
from twisted.internet.task import Clock

from scalability.telemetry.exposition import exposition
from scalability.telemetry.metrics import MetricSet
from scalability.telemetry.process import LoopLag, process_collectors


class LateClock(Clock):
    """A clock whose calls are made late."""

    def stall(self, seconds: float) -> None:
        self.rightNow += seconds


def test_cpu_memory_and_descriptors_of_the_process_are_shown() -> None:
    body = exposition(process_collectors()).body
    for name in (b"process_cpu_seconds_total", b"process_resident_memory_bytes", b"process_open_fds", b"process_max_fds", b"python_info"):
        assert b"\n" + name in body


def test_a_loop_in_time_has_no_lag() -> None:
    clock, metrics = LateClock(), MetricSet()
    lag = LoopLag(clock, metrics, interval_s=0.5)
    lag.startService()
    clock.pump([0.5, 0.5, 0.5])
    assert (lag.histogram.count, lag.histogram.max_s) == (3, 0.0)
    lag.stopService()
    assert not clock.getDelayedCalls()


def test_a_blocked_loop_shows_as_lag_once() -> None:
    clock, metrics = LateClock(), MetricSet()
    lag = LoopLag(clock, metrics, interval_s=0.5)
    lag.startService()
    clock.advance(0.5)
    clock.stall(1.7)  # something blocks: the call due at 1.0 is made at 2.2
    clock.advance(0)
    clock.advance(0.3)  # due at 2.5, in time
    assert lag.histogram.count == 3
    assert lag.histogram.max_s == pytest.approx(1.2)
    assert lag.histogram.sum_s == pytest.approx(1.2)
    lag.stopService()
