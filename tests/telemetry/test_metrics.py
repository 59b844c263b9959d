"""Metrics: counting, bounded labels, names, and what a scrape reads."""

from typing import Any

import pytest
from prometheus_client.core import Metric as PrometheusMetric

from scalability.telemetry.histogram import Histogram
from scalability.telemetry.metrics import OTHER, Kind, MetricSet


def samples(metrics: MetricSet) -> dict[str, float]:
    def key(name: str, labels: dict[str, str]) -> str:
        return name + ("{" + ",".join(f"{k}={v}" for k, v in labels.items()) + "}" if labels else "")

    return {key(s.name, s.labels): s.value for family in metrics.collect() for s in family.samples}


def test_a_counter_is_a_plain_number() -> None:
    metrics = MetricSet()
    counter = metrics.counter("scalelab_cache_hits_total", "Hits.")
    counter.value += 2
    assert samples(metrics) == {"scalelab_cache_hits_total": 2}


def test_a_gauge_goes_up_and_down() -> None:
    metrics = MetricSet()
    gauge = metrics.gauge("scalelab_queue_depth", "Waiting.")
    gauge.value += 3
    gauge.value -= 1
    assert samples(metrics) == {"scalelab_queue_depth": 2}


def test_labelled_children_are_found_again_and_counted_apart() -> None:
    metrics = MetricSet()
    family = metrics.counters("scalelab_requests_total", "Requests.", ("route", "status"))
    family.labelled("/data", "200").value += 1
    family.labelled("/data", "200").value += 1
    family.labelled("/data", "503").value += 1
    assert samples(metrics) == {
        "scalelab_requests_total{route=/data,status=200}": 2,
        "scalelab_requests_total{route=/data,status=503}": 1,
    }


def test_a_wrong_number_of_label_values_is_refused() -> None:
    family = MetricSet().gauges("scalelab_up", "Up.", ("server",))
    with pytest.raises(TypeError, match="1 label values"):
        family.labelled("a", "b")


def test_children_beyond_the_limit_share_one_named_other() -> None:
    metrics = MetricSet()
    family = metrics.counters("scalelab_requests_total", "Requests.", ("route",), limit=2)
    for route in ("/a", "/b", "/c", "/d", "/a"):
        family.labelled(route).value += 1
    assert samples(metrics) == {
        "scalelab_requests_total{route=/a}": 2,
        "scalelab_requests_total{route=/b}": 1,
        f"scalelab_requests_total{{route={OTHER}}}": 2,
    }


def test_a_removed_child_is_no_longer_shown() -> None:
    metrics = MetricSet()
    family = metrics.gauges("scalelab_up", "Up.", ("server",))
    family.labelled("a").value = 1
    family.remove("a")
    family.remove("never was")
    assert samples(metrics) == {}


def test_numbers_that_live_elsewhere_are_read_at_each_scrape() -> None:
    numbers = [1]
    metrics = MetricSet()
    metrics.counter_from("scalelab_a_total", "A.", lambda: numbers[0])
    metrics.gauge_from("scalelab_b", "B.", lambda: -numbers[0])
    metrics.readings_from("scalelab_c", "C.", Kind.GAUGE, ("server",), lambda: [((f"s{n}",), n) for n in numbers])
    assert samples(metrics) == {"scalelab_a_total": 1, "scalelab_b": -1, "scalelab_c{server=s1}": 1}
    numbers[:] = [5, 6]
    assert samples(metrics) == {"scalelab_a_total": 5, "scalelab_b": -5, "scalelab_c{server=s5}": 5, "scalelab_c{server=s6}": 6}


def test_a_histogram_is_shown_as_cumulative_buckets_with_sum_and_count() -> None:
    metrics = MetricSet()
    histogram = metrics.histogram("scalelab_wait_seconds", "Wait.")
    for seconds in (0.0002, 0.003, 100.0):
        histogram.record(seconds)
    shown = samples(metrics)
    assert shown["scalelab_wait_seconds_bucket{le=0.00025}"] == 1
    assert shown["scalelab_wait_seconds_bucket{le=0.0025}"] == 1
    assert shown["scalelab_wait_seconds_bucket{le=0.005}"] == 2
    assert shown["scalelab_wait_seconds_bucket{le=40.0}"] == 2
    assert shown["scalelab_wait_seconds_bucket{le=+Inf}"] == shown["scalelab_wait_seconds_count"] == 3
    assert shown["scalelab_wait_seconds_sum"] == pytest.approx(100.0032)


def test_a_histogram_that_lives_elsewhere_is_read_at_each_scrape() -> None:
    owner = [Histogram()]
    metrics = MetricSet()
    metrics.histogram_from("scalelab_wait_seconds", "Wait.", lambda: owner[0])
    assert samples(metrics)["scalelab_wait_seconds_count"] == 0
    owner[0] = Histogram()
    owner[0].record(0.1)
    assert samples(metrics)["scalelab_wait_seconds_count"] == 1


def test_labelled_histograms_keep_their_labels_beside_le() -> None:
    metrics = MetricSet()
    metrics.histograms("http_server_request_duration_seconds", "Duration.", ("http_route",)).labelled("/data").record(0.1)
    assert samples(metrics)["http_server_request_duration_seconds_bucket{http_route=/data,le=0.1}"] == 1


def test_a_metric_that_cannot_be_read_is_logged_and_the_others_are_shown(logged_failures: Any) -> None:
    metrics = MetricSet()
    metrics.gauge_from("scalelab_broken", "Broken.", lambda: 1 // 0)
    metrics.gauge("scalelab_whole", "Whole.")
    assert samples(metrics) == {"scalelab_whole": 0}
    assert len(logged_failures.flush(ZeroDivisionError)) == 1


def test_an_included_set_is_shown_too_even_what_it_gains_later() -> None:
    whole, part = MetricSet(), MetricSet()
    whole.gauge("scalelab_a", "A.")
    whole.include(part)
    part.gauge("scalelab_b", "B.")
    assert set(samples(whole)) == {"scalelab_a", "scalelab_b"}


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("scalelab_hits", "ends in _total"),
        ("Scalelab_hits_total", "lower case"),
        ("scalelab-hits_total", "lower case"),
        ("9_total", "lower case"),
    ],
)
def test_a_counter_with_an_unfit_name_is_refused(name: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        MetricSet().counter(name, "Hits.")


def test_other_unfit_names_are_refused() -> None:
    metrics = MetricSet()
    with pytest.raises(ValueError, match="and no other"):
        metrics.gauge("scalelab_depth_total", "Depth.")
    with pytest.raises(ValueError, match="_seconds"):
        metrics.histogram("scalelab_wait_ms", "Wait.")
    with pytest.raises(ValueError, match="labels"):
        metrics.gauges("scalelab_up", "Up.", ("server-name",))


def test_a_name_exists_once_also_across_included_sets() -> None:
    whole, part = MetricSet(), MetricSet()
    whole.gauge("scalelab_a", "A.")
    with pytest.raises(ValueError, match="two metrics named scalelab_a"):
        whole.gauge("scalelab_a", "A.")
    with pytest.raises(ValueError, match="two metrics named scalelab_a_total"):
        whole.counter("scalelab_a_total", "One family in OpenMetrics.")
    part.gauge("scalelab_a", "A.")
    with pytest.raises(ValueError, match="two metrics named scalelab_a"):
        whole.include(part)


def test_what_is_collected_is_the_prometheus_clients_own_type() -> None:
    metrics = MetricSet()
    metrics.counter("scalelab_a_total", "A.")
    assert all(isinstance(family, PrometheusMetric) for family in metrics.collect())
