"""Retries: what is retried, and how many at the same time."""

import pytest
from twisted.internet.task import Clock

from scalability.errors import QueueTimeout, ScalelabError
from scalability.proxy.retrying import USUAL, Retries, RetryPolicy, statuses
from scalability.upstream.retry_budget import RetryBudget

POLICY = RetryPolicy()


class Request:
    """A request that wants to be sent once more; ``then`` happens at its turn."""

    def __init__(self, retries: Retries, *, over_at_once: bool = False) -> None:
        self.turns = 0
        self.error: ScalelabError | None = None
        self._retries = retries
        self._over_at_once = over_at_once

    def retry_now(self) -> None:
        self.turns += 1
        if self._over_at_once:
            self._retries.done(0)

    def fail(self, error: ScalelabError) -> None:
        self.error = error


def retries_of(clock: Clock, **more: int) -> Retries:
    """At most two at the same time."""
    budget = RetryBudget(percent=0, min_concurrent=2)
    return Retries(clock, policy=POLICY, budget=budget, random=lambda: 0.5, timeout_s=5.0, **more)


def asking(retries: Retries, count: int, *, over_at_once: bool = False) -> list[Request]:
    requests = [Request(retries, over_at_once=over_at_once) for _ in range(count)]
    for request in requests:
        retries.ask(request, 0)
    return requests


@pytest.mark.parametrize(
    ("reasons", "retried", "left"),
    [
        (USUAL, {502, 503, 504}, {500, 501, 505, 599}),
        ({"server_error"}, {500, 501, 502, 599}, {499, 600}),
        ({"server_error", "gateway_error"}, {500, 502}, {404}),
        ({"no_answer"}, set(), {500, 502, 503, 504}),
        (set(), set(), {500, 502, 503, 504}),
    ],
)
def test_reasons_name_statuses(reasons: set[str], retried: set[int], left: set[int]) -> None:
    assert retried <= statuses(reasons)
    assert not left & statuses(reasons)


def test_within_the_budget_it_is_a_request_s_turn_at_once_and_beyond_in_the_order_in_which_they_came() -> None:
    retries = retries_of(Clock())
    requests = asking(retries, 5)
    assert [request.turns for request in requests] == [1, 1, 0, 0, 0]
    retries.done(0)
    assert [request.turns for request in requests] == [1, 1, 1, 0, 0]
    assert retries.budget.in_use == 2
    for _ in range(4):
        retries.done(0)
    assert [request.turns for request in requests] == [1] * 5
    assert retries.budget.in_use == 0


def test_nobody_overtakes_those_who_wait() -> None:
    retries = retries_of(Clock())
    asking(retries, 3)
    retries.budget.min_concurrent = 10
    (late,) = asking(retries, 1)
    assert late.turns == 0


def test_who_has_waited_too_long_fails_and_takes_no_place() -> None:
    clock = Clock()
    retries = retries_of(clock)
    _, _, first = asking(retries, 3)
    clock.advance(2)
    (second,) = asking(retries, 1)
    clock.advance(3)
    assert isinstance(first.error, QueueTimeout)
    assert second.error is None
    clock.advance(2)
    assert isinstance(second.error, QueueTimeout)
    assert (first.turns, second.turns, retries.budget.in_use) == (0, 0, 2)
    assert clock.getDelayedCalls() == []


def test_only_so_many_may_wait() -> None:
    retries = retries_of(Clock(), max_waiting=1)
    _, _, waits, refused = asking(retries, 4)
    assert waits.error is None
    assert isinstance(refused.error, QueueTimeout)


def test_one_that_wants_no_turn_any_more_gets_none() -> None:
    retries = retries_of(Clock())
    _, _, leaving, staying = asking(retries, 4)
    retries.leave(leaving)
    retries.done(0)
    assert (leaving.turns, staying.turns) == (0, 1)


def test_thousands_that_are_over_at_their_turn_are_over_one_after_the_other() -> None:
    retries = Retries(Clock(), policy=POLICY, budget=RetryBudget(percent=0, min_concurrent=1), random=lambda: 0.0, max_waiting=5000)
    asking(retries, 1)
    requests = asking(retries, 5000, over_at_once=True)
    retries.done(0)
    assert {request.turns for request in requests} == {1}
    assert retries.budget.in_use == 0


def test_the_pause_before_a_retry_is_a_part_of_the_longest_by_chance() -> None:
    clock = Clock()
    retries = retries_of(clock)
    went: list[float] = []
    retries.later(2, lambda: went.append(clock.seconds()))
    clock.pump([0.005] * 10)
    assert [round(at, 3) for at in went] == [0.025]
