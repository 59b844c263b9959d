"""The lab's contract, row by row, asked of the whole lab as a user would ask it: through the balancer where it says so."""

import re
import time
from collections.abc import Iterator

import pytest

from scalability.testing.client import HTTPClient
from scalability.testing.lab import Lab, whole_lab

FRESH = "Fetched fresh data from DB"

NEAR_S = 0.2
"""As long a gateway answers from its own memory."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The whole lab, once for this file: two gateways, entries that live a second and a half, ports of its own."""
    with whole_lab(tmp_path_factory.mktemp("lab"), more={"gateway": {"ttl": 1.5, "near_ttl": NEAR_S}}) as running:
        yield running


def wait_expired(http: HTTPClient, lab: Lab) -> None:
    """Until no gateway finds the entry in the shared cache, nor in its own memory.

    There it lives no longer, by a clock that nobody sets; the shared cache goes by the date, and that may be set while this runs.
    """
    deadline = time.monotonic() + 10
    while http.get(lab.port("cache"), "/cache/data").json()["value"] is not None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(1.5 * NEAR_S)


def test_the_balancer_answers_its_own_health(lab: Lab, http: HTTPClient) -> None:
    answer = http.get(lab.port("lb"), "/health")
    assert (answer.status, answer.json()["status"]) == (200, "ok")


@pytest.mark.parametrize("component", ["gateway", "microservice", "database", "cache", "worker"])
def test_each_component_answers_its_health(lab: Lab, http: HTTPClient, component: str) -> None:
    answer = http.get(lab.port(component), "/health")
    assert (answer.status, answer.json()["status"]) == (200, "ok")


@pytest.mark.parametrize("component", ["lb", "gateway", "microservice", "database", "cache", "worker"])
def test_each_component_has_an_admin_listener_ten_thousand_ports_up(lab: Lab, http: HTTPClient, component: str) -> None:
    admin = lab.port(component) + 10_000
    assert http.get(admin, "/healthz").status == 200
    assert http.get(admin, "/readyz").status == 200
    assert "# TYPE" in http.get(admin, "/metrics").text


def test_data_is_fresh_then_cached_until_it_expires_on_whichever_gateway(lab: Lab, http: HTTPClient) -> None:
    wait_expired(http, lab)
    first = http.get(lab.port("lb"), "/data")
    assert first.status == 200
    assert first.headers["content-type"].startswith("application/json")
    assert first.json() == {"cached": False, "data": FRESH}
    for _ in range(4):
        assert http.get(lab.port("lb"), "/data").json() == {"cached": True, "data": FRESH}
    wait_expired(http, lab)
    assert http.get(lab.port("lb"), "/data").json() == {"cached": False, "data": FRESH}


def test_a_value_fetched_by_one_gateway_is_a_hit_on_the_other(lab: Lab, http: HTTPClient) -> None:
    wait_expired(http, lab)
    one, other = lab.gateways
    assert http.get(one, "/data").json()["cached"] is False
    assert http.get(other, "/data").json()["cached"] is True


def test_a_long_task_is_queued_and_followed_to_its_end(lab: Lab, http: HTTPClient) -> None:
    queued = http.post(lab.port("lb"), "/longtask", json={"task": "report"})
    assert (queued.status, queued.json()["status"]) == (202, "Task queued")
    location = queued.headers["location"]
    assert location == f"/tasks/{queued.json()['task_id']}"
    seen = http.get(lab.port("lb"), location)
    assert seen.status == 200
    deadline = time.monotonic() + 15
    while (state := http.get(lab.port("lb"), location).json()["status"]) != "succeeded":
        assert state in ("queued", "running"), state
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert len(re.findall(rf"worker.*{queued.json()['task_id']}", lab.process.output)) >= 2, "start and completion stand in the log"


def test_an_unknown_task_is_not_found_through_the_gateway(lab: Lab, http: HTTPClient) -> None:
    answer = http.get(lab.port("lb"), "/tasks/no-such-task")
    assert (answer.status, answer.json()["error"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b'{"task": "report"', "application/json", 400),
        (b"report", "application/json", 400),
        (b'{"task": "\xff"}', "application/json", 400),
        (b'{"task": 3}', "application/json", 400),
        (b"[]", "application/json", 400),
        (b"", "application/json", 400),
        (b'{"task": "report"}', "text/plain", 415),
        (b'{"task": "' + b"x" * (1 << 20) + b'"}', "application/json", 413),
    ],
    ids=["cut", "bare word", "not UTF-8", "wrong type", "wrong shape", "empty", "wrong content type", "too large"],
)
@pytest.mark.parametrize(("component", "path"), [("lb", "/longtask"), ("worker", "/task"), ("cache", "/cache/bad")])
def test_a_bad_body_is_a_clear_error(lab: Lab, http: HTTPClient, component: str, path: str, body: bytes, kind: str, status: int) -> None:
    answer = http.post(lab.port(component), path, body=body, headers={"Content-Type": kind})
    assert answer.status == status, answer.text
    assert answer.json()["error"]
    assert "Traceback" not in answer.text
    if body == b'{"task": "report"':
        assert re.search(r"\d", answer.json()["message"]) or "truncated" in answer.json()["message"], "the position of the error"


def test_process_is_the_microservices_answer(lab: Lab, http: HTTPClient) -> None:
    answer = http.get(lab.port("lb"), "/process")
    assert (answer.status, answer.json()) == (200, {"message": "Business logic executed"})
    assert http.get(lab.port("microservice"), "/process").json() == answer.json()


def test_metrics_of_a_gateway_are_json_or_prometheus_text(lab: Lab, http: HTTPClient) -> None:
    http.get(lab.port("gateway"), "/data")
    found = http.get(lab.port("gateway"), "/metrics").json()
    assert found["cache_hits"] + found["cache_misses"] >= 1
    assert found["avg_latency"] > 0
    prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1"
    for accept in (prometheus, "text/plain;version=0.0.4"):
        text = http.get(lab.port("gateway"), "/metrics", headers={"Accept": accept})
        assert "# TYPE" in text.text, accept
        assert "scalelab_cache" in text.text


def test_the_cache_speaks_the_labs_http(lab: Lab, http: HTTPClient) -> None:
    cache = lab.port("cache")
    assert http.get(cache, "/cache/new").json() == {"value": None}
    before = time.time()
    stored = http.post(cache, "/cache/new", json={"value": {"a": [1, "é"]}, "ttl": 60})
    assert (stored.status, stored.json()["status"]) == (200, "ok")
    assert before + 59 <= stored.json()["expires_at"] <= time.time() + 61
    assert http.get(cache, "/cache/new").json() == {"value": {"a": [1, "é"]}}
    refused = http.post(cache, "/cache/new", json={"value": 2, "if_absent": True})
    assert refused.status == 409
    assert http.get(cache, "/cache/new").json() == {"value": {"a": [1, "é"]}}
    default = http.post(cache, "/cache/other", json={"value": 1})
    assert 28 <= default.json()["expires_at"] - time.time() <= 31


def test_the_database_reads_a_row_and_keeps_records(lab: Lab, http: HTTPClient) -> None:
    database = lab.port("database")
    assert http.get(database, "/db").json() == {"message": FRESH}
    assert http.get(database, "/db/nothing").status == 404
    for n in range(5):
        assert http.put(database, f"/db/page-{n}", json={"n": n}).status in (200, 201, 204)
    assert http.get(database, "/db/page-3").status == 200
    first = http.get(database, "/db?prefix=page-&limit=2").json()
    assert len(first["records"]) == 2
    assert first["next"]
    assert http.delete(database, "/db/page-3").status in (200, 204)
    assert http.get(database, "/db/page-3").status == 404


def test_the_worker_starts_a_task(lab: Lab, http: HTTPClient) -> None:
    started = http.post(lab.port("worker"), "/task", json={"task": "anything"})
    assert (started.status, started.json()["status"]) == (202, "Started")
    assert http.get(lab.port("worker"), f"/tasks/{started.json()['task_id']}").status == 200


@pytest.mark.parametrize("component", ["gateway", "cache", "database", "microservice", "worker"])
def test_an_unknown_path_and_a_wrong_method_are_json_errors(lab: Lab, http: HTTPClient, component: str) -> None:
    nothing = http.get(lab.port(component), "/no/such/path")
    assert (nothing.status, nothing.json()["error"]) == (404, "not_found")
    refused = http.request("DELETE", lab.port(component), "/health")
    assert (refused.status, refused.json()["error"]) == (405, "method_not_allowed")
    assert "GET" in refused.headers["allow"]


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_the_balancer_forwards_every_method(lab: Lab, http: HTTPClient, method: str) -> None:
    through = http.request(method, lab.port("lb"), "/no/such/path")
    assert through.status in (404, 405)
    assert "via" in through.headers
