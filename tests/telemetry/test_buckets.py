"""Buckets beside a full histogram: what Prometheus is shown must be the same."""

from hypothesis import given
from hypothesis import strategies as st

from scalability.telemetry.buckets import Buckets
from scalability.telemetry.histogram import BOUNDARIES_S, Histogram

DURATIONS = st.lists(
    st.one_of(st.floats(-1.0, 100.0), st.sampled_from(BOUNDARIES_S), st.sampled_from(BOUNDARIES_S).map(lambda s: s * 1.01)), max_size=300
)


def filled(kind: type[Histogram], durations: list[float]) -> Histogram:
    made = kind()
    for seconds in durations:
        made.record(seconds)
    return made


@given(DURATIONS)
def test_buckets_show_what_a_histogram_shows(durations: list[float]) -> None:
    buckets, histogram = filled(Buckets, durations), filled(Histogram, durations)
    assert buckets.cumulative() == histogram.cumulative()
    assert buckets.count == len(durations)
    assert abs(buckets.sum_s - histogram.sum_s) < 1e-6
    assert buckets.max_s == histogram.max_s


@given(DURATIONS, DURATIONS)
def test_buckets_merge_as_histograms_do_also_from_another_process(some: list[float], others: list[float]) -> None:
    merged = Histogram.of(filled(Buckets, some).state())
    merged.merge(filled(Buckets, others))
    assert merged.cumulative() == filled(Histogram, some + others).cumulative()
    assert merged.count == len(some) + len(others)


def test_a_quantile_is_as_fine_as_the_boundaries_are() -> None:
    buckets = filled(Buckets, [0.003] * 99 + [3.0])
    assert 0.0025 < buckets.quantile(0.5) <= 0.005
    assert buckets.quantile(1.0) == 3.0
