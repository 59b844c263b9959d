"""A fifth of what is in flight, and three."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalability.upstream.retry_budget import RetryBudget


@pytest.mark.parametrize(("active", "retries"), [(0, 3), (1, 3), (15, 3), (19, 3), (20, 4), (24, 4), (25, 5), (1000, 200)])
def test_a_fifth_of_the_active_requests_may_be_retries_and_three_always(active: int, retries: int) -> None:
    budget = RetryBudget()
    assert [budget.take(active) for _ in range(retries + 1)] == [True] * retries + [False]
    assert (budget.in_use, budget.allowed, budget.denied) == (retries, retries, 1)


def test_what_is_given_back_may_be_taken_again() -> None:
    budget = RetryBudget(percent=0, min_concurrent=1)
    assert budget.take(1000)
    assert not budget.take(1000)
    budget.give_back()
    assert budget.take(1000)
    assert (budget.in_use, budget.allowed, budget.denied) == (1, 2, 1)


def test_a_budget_of_nothing_allows_no_retry() -> None:
    assert not RetryBudget(percent=0, min_concurrent=0).take(1000)


def test_giving_back_what_was_not_taken_is_an_error() -> None:
    with pytest.raises(ValueError, match="no retry is in flight"):
        RetryBudget().give_back()


@pytest.mark.parametrize(("percent", "least"), [(-1, 3), (101, 3), (20, -1)])
def test_a_budget_without_sense_is_refused(percent: int, least: int) -> None:
    with pytest.raises(ValueError, match="a retry budget is"):
        RetryBudget(percent=percent, min_concurrent=least)


@given(st.integers(0, 100), st.integers(0, 5), st.lists(st.tuples(st.booleans(), st.integers(0, 500)), max_size=200))
def test_a_retry_begins_below_the_bound_and_never_above_it(percent: int, least: int, steps: list[tuple[bool, int]]) -> None:
    budget = RetryBudget(percent=percent, min_concurrent=least)
    in_flight = 0
    for takes, active in steps:
        if takes:
            allowed = in_flight < max(least, active * percent // 100)
            assert budget.take(active) is allowed
            in_flight += allowed
        elif in_flight:
            budget.give_back()
            in_flight -= 1
        assert budget.in_use == in_flight
    assert budget.allowed + budget.denied == sum(takes for takes, _ in steps)
