"""The metrics of several processes as those of one: exact sums that never fall."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from scalability.telemetry import Histogram, MetricSet
from scalability.telemetry.buckets import Buckets
from scalability.telemetry.merge import MergedMetrics, ToldMetric, told
from scalability.telemetry.metrics import Kind

DURATIONS = st.lists(st.floats(min_value=0, max_value=1000), max_size=300)


def process(requests: int, active: int, durations: list[float]) -> MetricSet:
    metrics = MetricSet()
    metrics.counters("requests_total", "Requests.", ("server",)).labelled("a").value += requests
    metrics.gauge("active", "Active.").value = active
    histogram = metrics.histograms("took_seconds", "Time.", ("method",)).labelled("GET")
    for duration in durations:
        histogram.record(duration)
    return metrics


def values(metrics: MetricSet) -> dict[str, dict[tuple[str, ...], object]]:
    return {m.name: {r.labels: r.value.count if isinstance(r.value, Histogram) else r.value for r in m.read()} for m in metrics}


def travelled(metrics: MetricSet) -> list[ToldMetric]:
    return msgspec.json.decode(msgspec.json.encode(told(metrics)), type=list[ToldMetric])


def test_counters_gauges_and_histograms_are_added_up() -> None:
    merged = MergedMetrics()
    merged.tell(1, travelled(process(3, 1, [0.1])))
    merged.tell(2, travelled(process(4, 2, [0.2, 0.3])))
    assert values(merged) == {"requests_total": {("a",): 7}, "active": {(): 3}, "took_seconds": {("GET",): 3}}


def test_what_a_process_tells_again_replaces_what_it_told_before() -> None:
    merged = MergedMetrics()
    merged.tell(1, travelled(process(3, 1, [0.1])))
    merged.tell(1, travelled(process(5, 0, [0.1, 0.1])))
    assert values(merged) == {"requests_total": {("a",): 5}, "active": {(): 0}, "took_seconds": {("GET",): 2}}


def test_what_an_ended_process_counted_stays_and_its_gauges_go() -> None:
    merged = MergedMetrics()
    for number in (1, 2):
        merged.tell(number, travelled(process(3, 1, [0.1])))
        merged.ended(number)
    assert values(merged) == {"requests_total": {("a",): 6}, "took_seconds": {("GET",): 2}}
    merged.tell(3, travelled(process(1, 1, [0.1])))
    assert values(merged) == {"requests_total": {("a",): 7}, "active": {(): 1}, "took_seconds": {("GET",): 3}}
    assert [metric.kind for metric in merged].count(Kind.GAUGE) == 1


def test_the_end_of_a_process_that_told_nothing_changes_nothing() -> None:
    merged = MergedMetrics()
    merged.ended(1)
    assert list(merged) == []


def test_the_past_of_a_server_that_is_gone_is_forgotten() -> None:
    merged = MergedMetrics()
    merged.tell(1, travelled(process(3, 1, [0.1])))
    merged.ended(1)
    merged.forget("server", {"a"})
    assert values(merged)["requests_total"] == {("a",): 3}
    merged.forget("server", set())
    assert values(merged)["requests_total"] == {}
    assert values(merged)["took_seconds"] == {("GET",): 1}


@given(st.lists(DURATIONS, min_size=1, max_size=4))
def test_merged_histograms_are_as_if_one_process_had_seen_it_all(processes: list[list[float]]) -> None:
    merged = MergedMetrics()
    whole = Buckets()
    for number, durations in enumerate(processes):
        merged.tell(number, travelled(process(0, 0, durations)))
        if number % 2:
            merged.ended(number)
        for duration in durations:
            whole.record(duration)
    (histogram,) = [r.value for m in merged if m.kind is Kind.HISTOGRAM for r in m.read()]
    assert isinstance(histogram, Histogram)
    assert histogram.cumulative() == whole.cumulative()
    assert list(histogram.cells()) == list(whole.cells())
    assert histogram.max_s == whole.max_s
    assert abs(histogram.sum_s - whole.sum_s) <= 1e-9 * max(1.0, whole.sum_s)


def test_it_is_exposed_like_any_other_set() -> None:
    merged = MergedMetrics()
    merged.tell(1, travelled(process(3, 1, [0.1])))
    families = {family.name: family for family in merged.collect()}
    assert families["requests"].samples[0].value == 3
    assert families["took_seconds"].samples[-1].value == 0.1


def test_times_and_shares_are_no_sums_but_seconds_that_are_counted_are() -> None:
    merged = MergedMetrics()
    for number, (expiry, part, busy) in enumerate(((2e9, 0.25, 3), (1e9, 0.5, 4))):
        metrics = MetricSet()
        metrics.gauge("expiry_timestamp_seconds", "When.").value = expiry
        metrics.gauge("part_ratio", "How much.").value = part
        metrics.counter("busy_seconds_total", "How long.").value = busy
        merged.tell(number, travelled(metrics))
    assert values(merged) == {"expiry_timestamp_seconds": {(): 2e9}, "part_ratio": {(): 0.5}, "busy_seconds_total": {(): 7}}
