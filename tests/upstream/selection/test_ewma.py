"""The peak-sensitive average: quick to rise, slow to fall, and never a trap."""

from math import exp

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalability.upstream.selection.ewma import DECAY_S, LEAST_S, OWED_S, UNKNOWN_S, Ewma


def observed(*seconds: float, at: float = 0.0) -> Ewma:
    ewma = Ewma()
    for each in seconds:
        ewma.observe(each, at)
    return ewma


def test_a_peak_counts_at_once() -> None:
    ewma = observed(0.01, at=100.0)
    ewma.observe(2.0, 100.001)
    assert ewma.cost(100.001, 0) == 2.0


def test_what_is_better_counts_by_the_time_that_has_passed() -> None:
    ewma = observed(2.0, at=100.0)
    ewma.observe(1.0, 100.0)
    assert ewma.cost(100.0, 0) == 2.0
    ewma.observe(1.0, 100.0 + DECAY_S)
    assert ewma.cost(100.0 + DECAY_S, 0) == pytest.approx(1.0 + exp(-1))


def test_what_was_bad_is_forgotten_while_nothing_is_observed() -> None:
    ewma = observed(2.0)
    assert ewma.cost(DECAY_S, 0) == pytest.approx(2.0 * exp(-1))
    assert ewma.cost(100 * DECAY_S, 0) < 1e-40


def test_requests_in_flight_multiply_the_cost() -> None:
    assert observed(0.5).cost(0.0, 3) == 2.0


def test_a_server_that_was_never_asked_costs_nothing_and_then_much_until_it_answers() -> None:
    ewma = Ewma()
    assert ewma.cost(5.0, 0) == 0.0
    ewma.asked(5.0, 0)
    assert ewma.cost(5.0, 1) == 2 * UNKNOWN_S
    ewma.observe(0.01, 5.01)
    assert ewma.cost(5.01, 0) == 0.01


def test_a_first_request_that_was_given_up_is_no_verdict_for_ever() -> None:
    ewma = Ewma()
    ewma.asked(0.0, 0)
    assert ewma.cost(90.0, 0) < 0.01


def test_an_answer_that_is_owed_counts_when_more_is_asked_for() -> None:
    ewma = observed(0.01, at=100.0)
    ewma.asked(100.0, 0)
    ewma.asked(103.0, 1)
    assert ewma.cost(103.0, 0) == 3.0
    ewma.asked(100.0 + 2 * OWED_S, 2)
    assert ewma.cost(100.0 + 2 * OWED_S, 0) == OWED_S


def test_what_is_owed_for_a_moment_changes_nothing() -> None:
    ewma = observed(0.5)
    ewma.asked(0.0, 0)
    ewma.asked(0.1, 1)
    assert ewma.cost(0.1, 0) == pytest.approx(0.5 * exp(-0.1 / DECAY_S))


def test_nothing_is_owed_when_nothing_is_in_flight_or_after_an_answer() -> None:
    ewma = observed(0.01, at=100.0)
    ewma.asked(100.0, 0)
    ewma.asked(150.0, 0)
    assert ewma.cost(150.0, 0) < 0.01
    ewma.observe(0.01, 150.01)
    ewma.asked(170.0, 1)
    assert ewma.cost(170.0, 0) < 0.01


def test_a_clock_that_is_set_back_pauses_the_decay() -> None:
    ewma = observed(2.0, at=1e9)
    assert ewma.cost(0.0, 0) == 2.0
    ewma.asked(0.0, 1)
    ewma.asked(0.5, 2)
    ewma.observe(1.0, 1.0)
    assert ewma.cost(1.0, 0) == 2.0


def test_an_answer_without_delay_is_an_observation_too() -> None:
    assert observed(0.0).cost(0.0, 0) == LEAST_S


@pytest.mark.parametrize("decay_s", [0.0, -1.0, float("nan")])
def test_a_decay_that_is_no_time_is_refused(decay_s: float) -> None:
    with pytest.raises(ValueError, match="cannot decay"):
        Ewma(decay_s)


@given(st.lists(st.tuples(st.floats(0.0, 100.0), st.floats(0.0, 1000.0)), min_size=1, max_size=20))
def test_the_average_lies_between_the_least_and_the_greatest_observation(observations: list[tuple[float, float]]) -> None:
    ewma = Ewma()
    now = 0.0
    for seconds, later in observations:
        now += later
        ewma.observe(seconds, now)
    every = [max(seconds, LEAST_S) for seconds, _ in observations]
    assert min(every) * 0.999 <= ewma.cost(now, 0) <= max(every) * 1.001
