"""Envoy's slow start."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalability.upstream.selection.slow_start import share


def test_it_rises_in_a_line_from_a_tenth_to_the_whole() -> None:
    assert [share(elapsed, 60.0) for elapsed in (0.0, 3.0, 30.0, 45.0, 60.0, 1e9)] == [0.1, 0.1, 0.5, 0.75, 1.0, 1.0]


def test_aggression_bends_the_line() -> None:
    assert share(15.0, 60.0, aggression=2.0) == 0.5
    assert share(30.0, 60.0, aggression=0.5) == 0.25


def test_without_a_window_there_is_no_slow_start() -> None:
    assert share(0.0, 0.0) == 1.0


def test_a_clock_that_was_set_back_means_the_start() -> None:
    assert share(-5.0, 60.0) == 0.1


def test_numbers_without_a_meaning_are_refused() -> None:
    with pytest.raises(ValueError, match="aggression"):
        share(1.0, 60.0, aggression=0.0)
    for least in (0.0, 1.5):
        with pytest.raises(ValueError, match="least share"):
            share(1.0, 60.0, least=least)


@given(st.floats(0, 100), st.floats(0, 100), st.floats(0.1, 10))
def test_it_never_falls(earlier: float, later: float, aggression: float) -> None:
    earlier, later = sorted((earlier, later))
    assert 0.1 <= share(earlier, 60.0, aggression) <= share(later, 60.0, aggression) <= 1.0
