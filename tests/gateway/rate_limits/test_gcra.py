"""Who is admitted, and how many at most."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalability.gateway.rate_limits.gcra import NO_TAT, Rate, charged, standing

S = 1_000_000_000
START = 1_700_000_000 * S

rates = st.builds(
    Rate,
    st.integers(1, 1000),
    st.one_of(st.integers(1, 100), st.integers(1, 86_400).map(lambda s: s * S), st.integers(1, 10**14)),
    st.integers(0, 50),
)


def admitted(rate: Rate, times: list[int]) -> list[int]:
    """Those of ``times`` at which a request is admitted."""
    tat, passed = NO_TAT, []
    for now in times:
        if standing(rate, tat, now).available:
            tat = charged(rate, tat, now)
            passed.append(now)
    return passed


def arrivals(rate: Rate, steps: list[int]) -> list[int]:
    """Times, cut into sixteenths of the emission interval of ``rate``, so that the borders are met."""
    now, times = START, []
    for step in steps:
        now += step * rate.window_ns // (16 * rate.requests)
        times.append(now)
    return times


@given(rates, st.lists(st.integers(0, 40), min_size=1, max_size=150))
def test_no_window_ever_admits_more_than_the_burst_and_the_rate(rate: Rate, steps: list[int]) -> None:
    passed = admitted(rate, arrivals(rate, steps))
    for first, began in enumerate(passed):
        for count, ended in enumerate(passed[first:], 1):
            assert count <= rate.burst + Fraction((ended - began) * rate.requests, rate.window_ns)


@given(rates, st.lists(st.integers(0, 40), min_size=1, max_size=150))
def test_whoever_stays_within_burst_and_rate_is_always_admitted(rate: Rate, steps: list[int]) -> None:
    """Every request that is refused would have broken the bound above for some window."""
    passed: list[int] = []
    for now in arrivals(rate, steps):
        within = all(
            count + 1 <= rate.burst + Fraction((now - began) * rate.requests, rate.window_ns)
            for count, began in enumerate(reversed(passed), 1)
        )
        assert (now in admitted(rate, [*passed, now])[len(passed) :]) == within
        if within:
            passed.append(now)


@given(rates, st.lists(st.integers(0, 40), max_size=60))
def test_the_wait_is_exact(rate: Rate, steps: list[int]) -> None:
    tat = NO_TAT
    for now in arrivals(rate, steps):
        left = standing(rate, tat, now)
        assert (left.wait_ns == 0) == (left.available > 0)
        assert 0 <= left.available <= rate.burst
        if left.wait_ns:
            assert standing(rate, tat, now + left.wait_ns).available == 1
            assert standing(rate, tat, now + left.wait_ns - 1).available == 0
        else:
            tat = charged(rate, tat, now)
            assert standing(rate, tat, now).available == left.available - 1


@given(rates, st.lists(st.integers(0, 40), max_size=60))
def test_after_full_ns_the_cell_says_no_more_than_none_would(rate: Rate, steps: list[int]) -> None:
    times = arrivals(rate, steps)
    tat = NO_TAT
    for now in times:
        if standing(rate, tat, now).available:
            tat = charged(rate, tat, now)
    now = times[-1] if times else START
    full = now + standing(rate, tat, now).full_ns
    assert standing(rate, tat, full) == standing(rate, NO_TAT, full) == (rate.burst, 0, 0)


def test_a_burst_then_the_steady_rate() -> None:
    times = [START] * 4 + [START + n * S for n in range(1, 13)]
    assert [(time - START) // S for time in admitted(Rate(3, 9 * S, 2), times)] == [0, 0, 3, 6, 9, 12]


def test_a_rate_that_is_no_rate_is_refused() -> None:
    for requests, window, burst in ((0, 1, 0), (1, 0, 0), (1, 1, -1)):
        with pytest.raises(ValueError, match="a rate needs"):
            Rate(requests, window, burst)
    assert repr(Rate(5, 10)) == "Rate(5, 10, 5)"
