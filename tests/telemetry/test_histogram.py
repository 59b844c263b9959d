"""The histogram: accuracy, exact buckets, exact merge."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalability.telemetry.histogram import BOUNDARIES_S, Histogram

durations = st.lists(st.floats(min_value=0.0, max_value=5000.0, allow_subnormal=False), max_size=400)


def filled(values: list[float]) -> Histogram:
    histogram = Histogram()
    for value in values:
        histogram.record(value)
    return histogram


def nearest_rank(values: list[float], q: float) -> float:
    ordered = sorted(values)
    return ordered[max(0, math.ceil(round(q * len(ordered), 9)) - 1)]


def test_an_empty_histogram_answers_zero_everywhere() -> None:
    histogram = Histogram()
    assert (histogram.count, histogram.sum_s, histogram.max_s, histogram.mean_s) == (0, 0.0, 0.0, 0.0)
    assert histogram.quantiles((0.0, 0.5, 1.0)) == [0.0, 0.0, 0.0]
    assert list(histogram.cells()) == []
    assert histogram.cumulative() == [(boundary, 0) for boundary in BOUNDARIES_S]


@pytest.mark.parametrize("boundary", BOUNDARIES_S)
def test_a_value_on_a_boundary_is_inside_its_bucket_and_one_just_above_is_not(boundary: float) -> None:
    at = dict(filled([boundary]).cumulative())
    assert at[boundary] == 1
    assert all(count == 0 for bound, count in at.items() if bound < boundary)
    assert dict(filled([boundary * 1.000001]).cumulative())[boundary] == 0
    assert dict(filled([boundary * 0.999999]).cumulative())[boundary] == 1


@given(durations)
def test_every_bucket_counts_exactly_what_is_at_most_its_boundary(values: list[float]) -> None:
    assert filled(values).cumulative() == [(b, sum(v <= b for v in values)) for b in BOUNDARIES_S]


@given(durations, st.floats(min_value=0.0, max_value=1.0))
def test_a_quantile_is_within_a_tenth_of_a_percent_and_never_above_the_maximum(values: list[float], q: float) -> None:
    answer = filled(values).quantile(q)
    if not values:
        assert answer == 0.0
        return
    # binary rounding may put the rank on either side when q * n is whole; both neighbours are then right
    ranks = {math.ceil(q * len(values) * (1 - 2e-12)), math.ceil(q * len(values) * (1 + 2e-12))}
    wanted = [sorted(values)[min(len(values), max(1, rank)) - 1] for rank in ranks]
    assert any(abs(answer - value) <= value * 0.001 + 1e-9 for value in wanted)
    assert answer <= max(values)


def test_quantiles_of_a_long_run_agree_with_the_sorted_values() -> None:
    source = random.Random(7)
    values = [source.lognormvariate(-6.0, 1.0) for _ in range(20_000)]
    histogram = filled(values)
    for q in (0.5, 0.9, 0.95, 0.99, 0.999, 0.9999, 1.0):
        assert histogram.quantile(q) == pytest.approx(nearest_rank(values, q), rel=0.001)
    assert histogram.count == len(values)
    assert histogram.sum_s == pytest.approx(math.fsum(values))
    assert histogram.mean_s == pytest.approx(math.fsum(values) / len(values))
    assert histogram.max_s == max(values)


def test_a_quantile_outside_zero_to_one_is_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        Histogram().quantile(99.0)


def test_quantiles_come_in_the_order_asked_for() -> None:
    histogram = filled([0.001, 0.002, 0.003])
    high, low = histogram.quantiles((1.0, 0.0))
    assert high > low


@given(durations, durations)
def test_merged_histograms_equal_one_that_saw_everything(left: list[float], right: list[float]) -> None:
    merged = filled(left)
    merged.merge(filled(right))
    whole = filled(left + right)
    assert list(merged.cells()) == list(whole.cells())
    assert merged.count == whole.count
    assert merged.max_s == whole.max_s
    assert merged.sum_s == pytest.approx(whole.sum_s)


def test_a_copy_is_independent() -> None:
    histogram = filled([0.1])
    twin = histogram.copy()
    histogram.record(0.2)
    assert (twin.count, histogram.count) == (1, 2)


def test_a_negative_duration_counts_as_zero_and_spoils_nothing() -> None:
    histogram = filled([-5.0, 0.0, 1e-15])
    assert (histogram.count, histogram.sum_s, histogram.max_s) == (3, 0.0, 0.0)
    assert list(histogram.cells()) == [(0.0, 0.0, 3)]
    assert histogram.cumulative()[0] == (0.00025, 3)


def test_clear_forgets_everything_even_what_is_not_yet_sorted_in() -> None:
    histogram = filled([1.0] * 130)
    histogram.clear()
    assert (histogram.count, histogram.max_s, histogram.quantile(0.5)) == (0, 0.0, 0.0)


@given(durations)
def test_cells_hold_every_value_and_are_at_most_a_five_hundredth_wide(values: list[float]) -> None:
    cells = list(filled(values).cells())
    assert sum(count for _, _, count in cells) == len(values)
    assert all(up_to - above <= above / 500 for above, up_to, _ in cells if above)
    assert [above for above, _, _ in cells] == sorted(above for above, _, _ in cells)


def test_a_boundary_inside_a_cell_counts_only_the_cells_below_it() -> None:
    assert filled([0.00100001]).cumulative([0.00100002]) == [(0.00100002, 0)]
