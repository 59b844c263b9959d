"""The table of health.py, row by row."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalability.upstream.health import TRANSITIONS, Health, State


def run(health: Health, results: str) -> list[str]:
    return [health.checked(result == "+").value for result in results]


def test_a_configured_server_takes_traffic_before_its_first_check() -> None:
    assert Health().state.usable
    assert not Health().state.proven


def test_one_failed_check_takes_an_unchecked_server_out() -> None:
    health = Health()
    assert run(health, "-") == ["waiting"]
    assert not health.state.usable


def test_one_passed_check_lets_a_server_in_that_was_never_up() -> None:
    assert run(Health(state=State.WAITING), "--+") == ["waiting", "waiting", "up"]


def test_a_server_is_down_after_three_failed_checks_and_not_before() -> None:
    assert run(Health(), "+---") == ["up", "falling", "falling", "down"]


def test_a_passed_check_between_makes_the_failures_count_anew() -> None:
    assert run(Health(), "+--+---") == ["up", "falling", "falling", "up", "falling", "falling", "down"]


def test_a_server_is_up_again_after_two_passed_checks_and_not_before() -> None:
    assert run(Health(), "+---+-++") == ["up", "falling", "falling", "down", "rising", "down", "rising", "up"]


def test_rise_1_and_fall_1_change_at_once() -> None:
    assert run(Health(rise=1, fall=1), "+-+-") == ["up", "down", "up", "down"]


def test_every_state_has_both_transitions() -> None:
    assert set(TRANSITIONS) == {(state, passed) for state in State for passed in (True, False)}


@pytest.mark.parametrize(("rise", "fall"), [(0, 3), (2, 0), (-1, 1)])
def test_rise_and_fall_below_1_are_refused(rise: int, fall: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Health(rise=rise, fall=fall)


@settings(deadline=None)
@given(st.integers(1, 5), st.integers(1, 5), st.lists(st.booleans(), max_size=60))
def test_going_out_takes_fall_failures_in_a_row_and_coming_back_rise_passes(rise: int, fall: int, results: list[bool]) -> None:
    health = Health(rise=rise, fall=fall)
    health.checked(True)
    usable, row = True, 0
    for passed in results:
        row = row + 1 if passed != usable else 0
        if row == (fall if usable else rise):
            usable, row = not usable, 0
        assert health.checked(passed).usable is usable
