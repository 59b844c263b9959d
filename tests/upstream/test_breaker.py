"""The table of breaker.py, its window, and the limits."""

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalability.upstream.breaker import BUCKETS, TRANSITIONS, Breaker, BreakerPolicy, Event, State


def send(breaker: Breaker, results: str, now: float = 0.0) -> list[bool]:
    """One request after the other; ``+`` succeeds, ``-`` fails. Whether each changed the state."""
    changed = []
    for result in results:
        epoch = breaker.started()
        changed.append(breaker.succeeded(epoch, now) if result == "+" else breaker.failed(epoch, now))
    return changed


def opened(policy: BreakerPolicy | None = None) -> Breaker:
    breaker = Breaker(policy or BreakerPolicy())
    send(breaker, "-" * breaker.policy.min_requests)
    assert breaker.state is State.OPEN
    return breaker


def half_open(policy: BreakerPolicy | None = None) -> Breaker:
    breaker = opened(policy)
    assert breaker.cooled(breaker.open_until_s)
    assert breaker.state is State.HALF_OPEN
    return breaker


def test_every_state_is_left_and_reached() -> None:
    assert {before for before, _ in TRANSITIONS} == set(State) == set(TRANSITIONS.values())
    assert [event for _, event in TRANSITIONS] == list(Event)


# closed


def test_it_opens_when_half_of_twenty_requests_have_failed_and_not_before() -> None:
    breaker = Breaker(BreakerPolicy())
    assert not any(send(breaker, "+-" * 9 + "+"))
    assert breaker.admits
    assert send(breaker, "-") == [True]
    assert breaker.state is State.OPEN
    assert not breaker.admits
    assert breaker.opened == 1


def test_fewer_than_twenty_requests_do_not_open_it_though_all_fail() -> None:
    breaker = Breaker(BreakerPolicy())
    assert not any(send(breaker, "-" * 19))
    assert (breaker.requests, breaker.failures) == (19, 19)
    assert send(breaker, "-") == [True]


def test_a_smaller_share_of_failures_does_not_open_it_however_many_they_are() -> None:
    breaker = Breaker(BreakerPolicy())
    assert not any(send(breaker, "++-" * 1000))


def test_another_share_may_be_chosen_and_0_never_opens_it() -> None:
    assert send(Breaker(BreakerPolicy(failure_percent=5)), "+" * 19 + "-")[-1]
    assert not any(send(Breaker(BreakerPolicy(failure_percent=0)), "-" * 100))
    assert not any(send(Breaker(BreakerPolicy(failure_percent=100)), "+" + "-" * 100))


def test_failures_of_more_than_ten_seconds_ago_are_forgotten() -> None:
    breaker = Breaker(BreakerPolicy())
    send(breaker, "-" * 19, now=100.0)
    send(breaker, "+", now=110.1)
    assert (breaker.requests, breaker.failures) == (1, 0)
    assert not any(send(breaker, "-" * 18, now=110.1))
    assert send(breaker, "-", now=110.1) == [True]


def test_failures_of_nine_seconds_ago_are_not() -> None:
    breaker = Breaker(BreakerPolicy())
    send(breaker, "-" * 19, now=100.0)
    assert send(breaker, "-", now=108.9) == [True]


def test_a_long_silence_empties_the_window() -> None:
    breaker = Breaker(BreakerPolicy())
    send(breaker, "-" * 19, now=100.0)
    send(breaker, "-", now=1e9)
    assert (breaker.requests, breaker.failures) == (1, 1)


def test_a_client_that_leaves_counts_for_nothing() -> None:
    breaker = Breaker(BreakerPolicy())
    for _ in range(100):
        breaker.abandoned(breaker.started())
    assert breaker.requests == 0


@given(st.lists(st.tuples(st.floats(0, 3), st.booleans()), max_size=150))
def test_the_window_holds_all_of_nine_seconds_and_nothing_older_than_ten(results: list[tuple[float, bool]]) -> None:
    breaker = Breaker(BreakerPolicy(min_requests=10**6))
    now = 50.0
    past: deque[tuple[float, bool]] = deque()
    for wait_s, success in results:
        now += wait_s
        past.append((now, success))
        if success:
            breaker.succeeded(breaker.started(), now)
        else:
            breaker.failed(breaker.started(), now)
        for counted, outcomes in ((breaker.requests, (True, False)), (breaker.failures, (False,))):
            young = sum(at > now - 10.0 * (BUCKETS - 1) / BUCKETS + 1e-6 for at, kind in past if kind in outcomes)
            all_of_them = sum(at > now - 10.0 - 1e-6 for at, kind in past if kind in outcomes)
            assert young <= counted <= all_of_them


# open


def test_it_stays_open_for_ten_seconds() -> None:
    breaker = Breaker(BreakerPolicy())
    send(breaker, "-" * 20, now=100.0)
    assert breaker.open_until_s == 110.0
    assert not breaker.cooled(109.9)
    assert breaker.cooled(110.0)
    assert breaker.state is State.HALF_OPEN
    assert not breaker.cooled(200.0), "it is open no more"


def test_requests_from_before_it_opened_change_nothing_when_they_end_at_last() -> None:
    breaker = Breaker(BreakerPolicy())
    early = [breaker.started() for _ in range(10)]
    send(breaker, "-" * 20)
    assert not any(breaker.failed(epoch, 1.0) for epoch in early[:3])
    breaker.cooled(10.0)
    assert not any(breaker.failed(epoch, 11.0) for epoch in early[3:6])
    assert not any(breaker.succeeded(epoch, 11.0) for epoch in early[6:9])
    breaker.abandoned(early[9])
    assert breaker.state is State.HALF_OPEN
    assert send(breaker, "+++", 11.0) == [False, False, True]
    assert breaker.requests == 0


def test_a_request_that_is_sent_all_the_same_counts_for_nothing() -> None:
    breaker = opened()
    assert send(breaker, "+-") == [False, False]
    breaker.abandoned(breaker.started())
    assert breaker.state is State.OPEN
    assert not breaker.admits


# half-open


def test_three_requests_are_let_through_to_try() -> None:
    breaker = half_open()
    for _ in range(3):
        assert breaker.admits
        assert breaker.started()
    assert not breaker.admits
    assert not breaker.started()


def test_it_closes_when_all_trials_succeed() -> None:
    breaker = half_open()
    assert send(breaker, "+++", 11.0) == [False, False, True]
    assert breaker.state is State.CLOSED
    assert breaker.admits
    assert (breaker.requests, breaker.failures) == (0, 0), "the failures from before are forgotten"


def test_one_failed_trial_opens_it_again_for_twice_as_long_up_to_a_minute() -> None:
    breaker = Breaker(BreakerPolicy())
    now = 100.0
    send(breaker, "-" * 20, now)
    lasted = []
    for _ in range(5):
        lasted.append(breaker.open_until_s - now)
        now = breaker.open_until_s
        assert breaker.cooled(now)
        assert send(breaker, "+-", now) == [False, True]
        assert not breaker.admits
    assert lasted == [10.0, 20.0, 40.0, 60.0, 60.0]
    assert breaker.opened == 6


def test_once_it_has_closed_it_opens_for_ten_seconds_again() -> None:
    breaker = half_open()
    send(breaker, "-", 10.0)
    breaker.cooled(30.0)
    send(breaker, "+++", 30.0)
    send(breaker, "-" * 20, 40.0)
    assert breaker.open_until_s == 50.0


def test_a_changed_policy_holds_from_the_next_change_of_state() -> None:
    breaker = Breaker(BreakerPolicy())
    breaker.policy = BreakerPolicy(min_requests=2, open_s=1.0, max_open_s=3.0, trials=1)
    send(breaker, "--", 100.0)
    assert breaker.open_until_s == 101.0
    lasted = []
    for _ in range(100):
        now = breaker.open_until_s
        breaker.cooled(now)
        send(breaker, "-", now)
        lasted.append(breaker.open_until_s - now)
    assert lasted == [2.0, *[3.0] * 99]


def test_a_trial_whose_client_left_is_made_again() -> None:
    breaker = half_open(BreakerPolicy(trials=1))
    epoch = breaker.started()
    assert not breaker.admits
    breaker.abandoned(epoch)
    assert breaker.admits
    assert send(breaker, "+", 11.0) == [True]


def test_of_trials_that_all_fail_only_the_first_opens_it() -> None:
    breaker = half_open()
    epochs = [breaker.started() for _ in range(3)]
    assert [breaker.failed(epoch, 11.0) for epoch in epochs] == [True, False, False]
    assert breaker.open_until_s == 31.0


@given(st.lists(st.tuples(st.sampled_from("sssfffac"), st.integers(0, 30), st.integers(0, 5)), max_size=200))
def test_never_are_more_trials_out_than_its_policy_says(steps: list[tuple[str, int, int]]) -> None:
    breaker = Breaker(BreakerPolicy(min_requests=3))
    now = 0.0
    sent: list[int] = []
    for what, which, wait_s in steps:
        now += wait_s
        if what == "c":
            breaker.cooled(now)
        elif which > 10 and breaker.admits:
            sent.append(breaker.started())
            assert sent[-1]
        elif sent:
            epoch = sent.pop(which % len(sent))
            before = breaker.state
            if what == "a":
                breaker.abandoned(epoch)
                changed = False
            else:
                changed = breaker.succeeded(epoch, now) if what == "s" else breaker.failed(epoch, now)
            assert changed is (breaker.state is not before)
        if breaker.state is State.HALF_OPEN:
            assert sent.count(breaker.epoch) <= 3
        assert breaker.admits or breaker.state is not State.CLOSED


@pytest.mark.parametrize(
    "wrong",
    [
        {"failure_percent": -1},
        {"failure_percent": 101},
        {"window_s": 0.0},
        {"min_requests": 0},
        {"trials": 0},
        {"open_s": 0.0},
        {"open_s": 61.0},
    ],
)
def test_a_policy_without_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=" "):
        BreakerPolicy(**wrong)  # type: ignore[arg-type]


def test_it_says_what_it_counts() -> None:
    breaker = Breaker(BreakerPolicy())
    send(breaker, "+-")
    assert repr(breaker) == "<Breaker closed, 1 of 2 failed>"


# limits


def test_successes_may_be_told_in_batches_and_count_as_if_told_one_by_one() -> None:
    breaker = Breaker(BreakerPolicy(failure_percent=50, min_requests=20))
    breaker.count(30, 1.0)
    assert [breaker.failed(breaker.epoch, 1.5) for _ in range(29)] == [False] * 29
    assert breaker.failed(breaker.epoch, 1.6)
    breaker.count(100, 1.7)
    assert breaker.state is State.OPEN
    assert breaker.requests == 60
