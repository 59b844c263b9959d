"""When a loop that cannot keep up turns requests away, and when it stops."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalability.upstream.shedding import Shedding, SheddingPolicy

TICK_S = 0.05


class Loop:
    """Calls a tick so late as it is told."""

    def __init__(self, policy: SheddingPolicy | None = None) -> None:
        self.now = 1000.0
        self.shedding = Shedding(policy or SheddingPolicy())

    def run(self, seconds: float, *lags_s: float) -> list[float]:
        """With these lags in turn; the fractions that it came to, with the first one."""
        end = self.now + seconds
        fractions = [self.shedding.fraction]
        count = 0
        while self.now < end:
            lag_s = lags_s[count % len(lags_s)]
            count += 1
            self.now += TICK_S + lag_s
            before = self.shedding.fraction
            changed = self.shedding.sampled(lag_s, self.now)
            assert changed is ((before > 0) is not (self.shedding.fraction > 0))
            if self.shedding.fraction != before:
                fractions.append(self.shedding.fraction)
        return [round(fraction, 6) for fraction in fractions]


def test_a_loop_that_keeps_up_sheds_nothing() -> None:
    loop = Loop()
    assert loop.run(100.0, 0.001, 0.09) == [0.0]
    assert loop.shedding.lag_s == 0.001


def test_a_lag_above_the_target_for_a_whole_interval_sheds_and_then_more_and_more() -> None:
    loop = Loop()
    assert loop.run(0.9, 0.15) == [0.0]
    assert loop.run(60.0, 0.15) == [0.0, 0.15, 0.3, 0.45, 0.6, 0.75, 0.9]
    assert loop.shedding.lag_s == 0.15


def test_a_lag_far_above_the_target_sheds_faster() -> None:
    assert Loop().run(60.0, 0.8) == [0.0, 0.4, 0.8, 0.9]


def test_bursts_shed_nothing_as_long_as_the_queue_empties_between_them() -> None:
    assert Loop().run(60.0, *[0.5] * 2, 0.02) == [0.0]


@pytest.mark.parametrize("pause_s", [1.0, 30.0, 86400.0])
def test_one_long_pause_sheds_nothing(pause_s: float) -> None:
    loop = Loop()
    loop.run(10.0, 0.001)
    loop.run(pause_s, pause_s)
    assert loop.shedding.fraction == 0
    assert loop.run(60.0, 0.001) == [0.0]


def test_it_recovers_step_by_step_once_the_lag_is_below_half_the_target() -> None:
    loop = Loop()
    loop.run(4.0, 0.4)
    assert loop.shedding.fraction == pytest.approx(0.8)
    assert loop.run(60.0, 0.01) == [0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0]


def test_between_half_the_target_and_the_target_it_stays_as_it_is() -> None:
    loop = Loop()
    loop.run(2.0, 0.15)
    shed = loop.shedding.fraction
    assert shed > 0
    assert loop.run(60.0, 0.07) == [shed]


def test_a_target_of_0_sheds_nothing_ever() -> None:
    assert Loop(SheddingPolicy(target_s=0.0)).run(60.0, 5.0) == [0.0]


def test_chance_decides_which_requests_are_shed() -> None:
    shedding = Shedding(SheddingPolicy())
    assert not shedding.sheds(0.0)
    shedding.fraction = 0.25
    assert [shedding.sheds(chance) for chance in (0.0, 0.2499, 0.25, 0.99)] == [True, True, False, False]
    assert shedding.shed == 2


@pytest.mark.parametrize("overload", [1.2, 1.5, 2.0, 4.0])
def test_a_constant_overload_is_shed_until_the_queue_is_short_again(overload: float) -> None:
    # a loop that does a second's work in a second; what it does not get done waits, and is the lag
    loop = Loop()
    lags, fractions = [], []
    waiting_s = 0.0
    for _ in range(4000):
        admitted = overload * (1 - loop.shedding.fraction)
        waiting_s = max(0.0, waiting_s + (admitted - 1) * TICK_S)
        loop.now += TICK_S
        loop.shedding.sampled(waiting_s, loop.now)
        lags.append(waiting_s)
        fractions.append(loop.shedding.fraction)
    late = lags[len(lags) // 2 :]
    assert sum(late) / len(late) < 0.3
    assert max(late) < 1.0
    mean = sum(fractions[len(fractions) // 2 :]) / (len(fractions) / 2)
    assert mean == pytest.approx(1 - 1 / overload, abs=0.1), "as much as is too much"


@given(st.lists(st.floats(0, 1e4), max_size=300))
def test_some_are_always_let_in_and_a_good_minute_ends_all_shedding(lags_s: list[float]) -> None:
    loop = Loop()
    for lag_s in lags_s:
        loop.now += TICK_S + lag_s
        loop.shedding.sampled(lag_s, loop.now)
        assert 0 <= loop.shedding.fraction <= 0.9
    loop.run(60.0, 0.001)
    assert loop.shedding.fraction == 0


@pytest.mark.parametrize(
    "wrong", [{"target_s": -1.0}, {"interval_s": 0.0}, {"step": 0.0}, {"step": 1.5}, {"max_fraction": 1.0}, {"max_fraction": 0.0}]
)
def test_a_policy_without_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=" "):
        SheddingPolicy(**wrong)
