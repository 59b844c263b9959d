"""When the next check is due, by the table of pace.py."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalability.upstream.health import State
from scalability.upstream.pace import Pace

PACE = Pace(interval_s=10, fast_s=2, down_s=40, jitter=0.1)
chances = st.floats(0, 1, exclude_max=True)


@pytest.mark.parametrize(
    ("before", "after", "delay_s"),
    [
        (State.UP, State.UP, 10),
        (State.UP, State.FALLING, 2),
        (State.FALLING, State.FALLING, 2),
        (State.FALLING, State.DOWN, 40),
        (State.DOWN, State.DOWN, 40),
        (State.DOWN, State.RISING, 2),
        (State.RISING, State.DOWN, 40),
        (State.UNCHECKED, State.UNCHECKED, 2),
        (State.UNCHECKED, State.WAITING, 40),
        (State.WAITING, State.WAITING, 40),
    ],
)
def test_each_state_has_its_interval(before: State, after: State, delay_s: float) -> None:
    assert PACE.next_s(before, after, 0.5) == delay_s


@given(st.sampled_from(State), st.sampled_from(State), chances)
def test_jitter_stays_within_its_share_either_way(before: State, after: State, chance: float) -> None:
    usual_s = PACE.next_s(before, after, 0.5)
    if after is State.UP and before is not State.UP:
        return
    assert usual_s * 0.9 <= PACE.next_s(before, after, chance) <= usual_s * 1.1


@pytest.mark.parametrize("before", [State.UNCHECKED, State.WAITING, State.FALLING, State.RISING])
def test_servers_that_come_up_together_are_spread_over_the_whole_interval(before: State) -> None:
    delays = sorted(PACE.next_s(before, State.UP, index / 100) for index in range(100))
    assert delays == [pytest.approx(index / 10) for index in range(100)]


@pytest.mark.parametrize(("interval_s", "latest_s"), [(2.0, 0.2), (0.05, 0.05)])
def test_the_first_check_comes_soon_and_within_one_interval(interval_s: float, latest_s: float) -> None:
    pace = Pace(interval_s)
    assert pace.first_s(0.0) == 0.0
    assert pace.first_s(0.5) == pytest.approx(latest_s / 2)


def test_without_jitter_there_is_none() -> None:
    assert {PACE._replace(jitter=0.0).next_s(State.UP, State.UP, chance) for chance in (0.0, 0.3, 0.99)} == {10}
