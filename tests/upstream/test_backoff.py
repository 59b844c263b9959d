"""Full jitter."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalability.upstream.backoff import Backoff


def test_the_longest_wait_doubles_from_25_to_250_milliseconds() -> None:
    almost_1 = 1 - 2**-53
    assert [round(Backoff().delay_s(retry, almost_1), 6) for retry in range(1, 7)] == [0.025, 0.05, 0.1, 0.2, 0.25, 0.25]


def test_chance_spreads_it_from_nothing_to_all_of_that() -> None:
    assert [Backoff().delay_s(2, chance) for chance in (0.0, 0.5)] == [0.0, 0.025]


@given(st.integers(1, 10**9), st.floats(0, 1, exclude_max=True))
def test_no_wait_is_longer_than_the_longest_however_often_it_failed(retry: int, chance: float) -> None:
    assert 0 <= Backoff().delay_s(retry, chance) <= 0.25


@pytest.mark.parametrize(("base", "most"), [(-0.1, 1.0), (2.0, 1.0)])
def test_waits_without_sense_are_refused(base: float, most: float) -> None:
    with pytest.raises(ValueError, match="no longer than the longest"):
        Backoff(base, most)
