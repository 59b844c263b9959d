"""The formats of /metrics, read back with the Prometheus client's own parsers."""

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from scalability.telemetry.exposition import asks_for_prometheus, exposition
from scalability.telemetry.metrics import MetricSet

PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


@pytest.fixture
def metrics() -> MetricSet:
    metrics = MetricSet()
    metrics.counter("scalelab_hits_total", "Hits, with a \\ and a\nnew line.").value += 7
    metrics.gauges("scalelab_up", "Up.", ("server",)).labelled('quote " backslash \\ line\n').value = 1
    metrics.histogram("scalelab_wait_seconds", "Wait.").record(0.003)
    return metrics


def test_without_accept_the_answer_is_the_text_format_with_its_version(metrics: MetricSet) -> None:
    answer = exposition([metrics])
    assert answer.content_type == "text/plain; version=0.0.4; charset=utf-8"
    families = {family.name: family for family in parse_text(answer.body.decode())}
    assert families["scalelab_hits"].samples[0].value == 7
    assert families["scalelab_up"].samples[0].labels == {"server": 'quote " backslash \\ line\n'}
    assert families["scalelab_wait_seconds"].type == "histogram"


def test_a_prometheus_server_gets_openmetrics_that_ends_as_it_must(metrics: MetricSet) -> None:
    answer = exposition([metrics], PROMETHEUS_3)
    assert answer.content_type.startswith("application/openmetrics-text; version=1.0.0; charset=utf-8")
    assert answer.body.endswith(b"# EOF\n")
    families = {family.name: family for family in parse_openmetrics(answer.body.decode())}
    assert families["scalelab_hits"].samples[0].value == 7


@pytest.mark.parametrize(
    "accept", ["application/openmetrics-text;version=abc", "text/plain;version=;;,,", ";;;,", "text/plain;version=x.y"]
)
def test_a_strange_accept_still_gets_metrics(metrics: MetricSet, accept: str) -> None:
    answer = exposition([metrics], accept)
    assert b"scalelab_hits_total 7.0" in answer.body


def test_several_collectors_stand_in_one_answer(metrics: MetricSet) -> None:
    other = MetricSet()
    other.gauge("scalelab_other", "Other.")
    body = exposition([metrics, other]).body
    assert b"scalelab_hits_total" in body
    assert b"scalelab_other 0.0" in body


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        (PROMETHEUS_3, True),
        ("text/plain;version=0.0.4;q=1,*/*;q=0.1", True),
        ("text/plain; version=0.0.4", True),
        ("Application/OpenMetrics-Text", True),
        ("", False),
        ("*/*", False),
        ("text/plain", True),
        ("text/plain, */*;q=0.1", True),
        ("application/json, text/plain, */*", False),
        ("application/json", False),
        ("text/html,application/xhtml+xml,*/*;q=0.8", False),
        ("text/plain, application/json;version=1", False),
    ],
)
def test_only_who_names_the_text_format_asks_for_it(accept: str, wanted: bool) -> None:
    assert asks_for_prometheus(accept) is wanted
