"""The admin listener."""

import pytest
from klein import Klein
from prometheus_client.parser import text_string_to_metric_families
from twisted.internet.task import Clock
from twisted.web.iweb import IRequest

from scalability.api.admin import admin_app
from scalability.api.json import json_answer
from scalability.telemetry import MetricSet
from scalability.testing.asking import Asking


@pytest.fixture
def metrics() -> MetricSet:
    metrics = MetricSet()
    metrics.counter("scalelab_cache_hits_total", "Hits.").value += 3
    return metrics


def test_metrics_are_prometheus_text_with_its_version(metrics: MetricSet) -> None:
    answer = Asking(admin_app([metrics], lambda: None), Clock()).get("/metrics")
    assert (answer.status, answer.headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    assert families["scalelab_cache_hits"].samples[0].value == 3


def test_who_asks_for_openmetrics_gets_it(metrics: MetricSet) -> None:
    headers = {"Accept": "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"}
    answer = Asking(admin_app([metrics], lambda: None), Clock()).get("/metrics", headers=headers)
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0; charset=utf-8")
    assert answer.body.endswith(b"# EOF\n")


def test_alive_is_not_the_same_as_ready(metrics: MetricSet) -> None:
    reasons = ["the database is down", None]
    asking = Asking(admin_app([metrics], lambda: reasons[0]), Clock())
    assert (asking.get("/healthz").status, asking.get("/healthz").json()) == (200, {"status": "ok"})
    answer = asking.get("/readyz")
    assert (answer.status, answer.json()) == (503, {"status": "not ready", "reason": "the database is down"})
    reasons.pop(0)
    assert (asking.get("/readyz").status, asking.get("/readyz").json()) == (200, {"status": "ready"})


def test_a_components_own_calls_stand_beside_them(metrics: MetricSet) -> None:
    app = Klein()

    @app.route("/flush", methods=["POST"])
    def flush(request: IRequest) -> bytes:
        return json_answer(request, {"flushed": 1})

    asking = Asking(admin_app([metrics], lambda: None, app), Clock())
    assert asking.post("/flush").json() == {"flushed": 1}
    assert asking.get("/healthz").status == 200


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/", 404), ("GET", "/health", 404), ("POST", "/metrics", 405)])
def test_anything_else_is_refused_as_json(metrics: MetricSet, method: str, path: str, status: int) -> None:
    answer = Asking(admin_app([metrics], lambda: None), Clock()).ask(method, path)
    assert answer.status == status
    assert set(answer.json()) == {"error", "message"}
