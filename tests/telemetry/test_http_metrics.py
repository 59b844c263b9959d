"""The metrics of an HTTP server."""

from scalability.telemetry.http_metrics import OTHER_METHOD, HTTPServerMetrics
from scalability.telemetry.metrics import MetricSet


def counts(metrics: MetricSet) -> dict[tuple[str, str, str], float]:
    return {
        (s.labels["http_request_method"], s.labels["http_route"], s.labels["http_response_status_code"]): s.value
        for family in metrics.collect()
        for s in family.samples
        if s.name == "http_server_request_duration_seconds_count"
    }


def test_durations_are_told_apart_by_method_route_and_status() -> None:
    metrics = MetricSet()
    http = HTTPServerMetrics(metrics)
    http.record(b"GET", "/data", 200, 0.01)
    http.record(b"GET", "/data", 200, 0.02)
    http.record(b"GET", "/data", 503, 0.03)
    http.record(b"POST", "/cache/<key>", 200, 0.04)
    assert counts(metrics) == {("GET", "/data", "200"): 2, ("GET", "/data", "503"): 1, ("POST", "/cache/<key>", "200"): 1}


def test_methods_that_clients_invent_are_one_label_value() -> None:
    metrics = MetricSet()
    http = HTTPServerMetrics(metrics)
    for n in range(3000):
        http.record(b"M%d" % n, "", 405, 0.001)
    http.record(b"get", "", 405, 0.001)
    assert counts(metrics) == {(OTHER_METHOD, "", "405"): 3001}


def test_requests_in_flight_are_a_gauge() -> None:
    metrics = MetricSet()
    HTTPServerMetrics(metrics).active.value += 2
    assert [s.value for f in metrics.collect() for s in f.samples if s.name == "http_server_active_requests"] == [2]
