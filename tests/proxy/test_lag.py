"""How late the event loop is, as a clock of the test's shows it."""

from twisted.internet.task import Clock

from scalability.proxy.lag import SAMPLE_S, LagSampler
from scalability.upstream.shedding import Shedding, SheddingPolicy


class LateClock(Clock):
    """A loop whose calls come ``late_s`` late, as they do when each turn is long."""

    def __init__(self) -> None:
        super().__init__()
        self.late_s = 0.0

    def turn(self, turns: int) -> None:
        for _ in range(turns):
            self.advance(SAMPLE_S + self.late_s)


def test_a_loop_that_is_late_all_the_time_has_requests_turned_away_until_it_keeps_up() -> None:
    clock = LateClock()
    shedding = Shedding(SheddingPolicy(target_s=0.1))
    sampler = LagSampler(clock, shedding)
    sampler.startService()
    clock.turn(30)
    assert (shedding.fraction, round(shedding.lag_s, 6)) == (0, 0)
    clock.late_s = 0.3
    clock.turn(30)
    assert shedding.fraction > 0
    assert round(shedding.lag_s, 6) == 0.3
    clock.late_s = 0.0
    clock.turn(200)
    assert shedding.fraction == 0
    sampler.stopService()


def test_one_long_pause_changes_nothing() -> None:
    clock = LateClock()
    shedding = Shedding(SheddingPolicy(target_s=0.1))
    sampler = LagSampler(clock, shedding)
    sampler.startService()
    clock.turn(5)
    clock.advance(30)
    clock.turn(20)
    assert shedding.fraction == 0
    sampler.stopService()


def test_nothing_is_sampled_before_the_start_or_after_the_stop() -> None:
    clock = LateClock()
    sampler = LagSampler(clock, Shedding(SheddingPolicy()))
    assert clock.getDelayedCalls() == []
    sampler.startService()
    assert len(clock.getDelayedCalls()) == 1
    sampler.stopService()
    sampler.stopService()
    assert clock.getDelayedCalls() == []
