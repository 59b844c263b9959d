"""The gateway's routes, with services that the test plays."""

import re
from typing import Any

import jwt
import pytest
from twisted.internet.task import Clock

from scalability.errors import AnswerTimeout, BadAnswer, ConnectError, NoAnswer, Overloaded
from scalability.gateway.access.claims import Rules
from scalability.gateway.access.description import schemes
from scalability.gateway.access.guard import Guard
from scalability.gateway.access.keys import Keys, secret_key
from scalability.gateway.access.own_paths import path_of
from scalability.gateway.access.policy import AccessPolicy
from scalability.gateway.access.token_check import TokenCheck
from scalability.gateway.access.tokens import Tokens
from scalability.gateway.cache_clients import MemoryCache
from scalability.gateway.config import RequiredClaim
from scalability.gateway.dependencies import Dependencies, Dependency
from scalability.gateway.exchange import GatewayExchange
from scalability.gateway.http_api import Parts, gateway_app
from scalability.gateway.look_aside import LookAside, Policy
from scalability.gateway.metrics import GatewayMetrics
from scalability.testing.asking import Asking
from scalability.testing.services import FakeService, answer
from scalability.ttlcache import TTLCache

SECRET = b"0123456789abcdef0123456789abcdef"
START = 1_700_000_000.0
SECURED = (b"/data", b"/longtask")
FRESH = "Fetched fresh data from DB"


class Gateway:
    def __init__(self, *required: RequiredClaim, tokens: bool = False, docs: bool = True) -> None:
        self.clock = Clock()
        self.clock.advance(START)
        self.database, self.microservice, self.worker = FakeService(), FakeService(), FakeService()
        named = {"database": self.database, "microservice": self.microservice, "worker": self.worker}
        each = {name: Dependency(name, service, self.clock) for name, service in named.items()}
        dependencies = Dependencies(*each.values())
        look_aside = LookAside(MemoryCache(TTLCache(max_bytes=1 << 20), self.clock), self.clock, Policy(ttl_jitter=0.0), draw=lambda: 0.5)
        metrics = GatewayMetrics(look_aside, dependencies)
        parts = Parts(
            clock=self.clock,
            look_aside=look_aside,
            dependencies=dependencies,
            metrics=metrics,
            exposed=[metrics.metric_set()],
            security=schemes(tokens=tokens, key_field=None),
            docs=docs,
            database=each["database"],
            microservice=each["microservice"],
            worker=each["worker"],
        )
        self.app = gateway_app(parts)
        self.http = Asking(self.app, self.clock)
        if tokens:
            check = TokenCheck(Tokens(Keys([secret_key(SECRET)]), Rules(required=required)), self.clock.seconds)
            asks = AccessPolicy(tokens=check)
            factory = self.http._factory
            factory.make_exchange = GatewayExchange
            factory.application = Guard(lambda exchange: asks if path_of(exchange.head.target) in SECURED else None, factory)

    def metrics(self) -> Any:
        return self.http.get("/metrics").json()


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


def test_data_is_fresh_once_and_then_cached_until_it_expires(gateway: Gateway) -> None:
    gateway.database.always = lambda asked: answer(200, {"message": FRESH})
    first = gateway.http.get("/data")
    assert first.body == b'{"cached":false,"data":"Fetched fresh data from DB"}'
    assert first.headers["content-type"] == "application/json"
    assert first.headers["content-length"] == str(len(first.body))
    assert gateway.http.get("/data").json() == {"cached": True, "data": FRESH}
    gateway.clock.advance(29.9)
    assert gateway.http.get("/data").json()["cached"] is True
    gateway.clock.advance(0.2)
    assert gateway.http.get("/data").json()["cached"] is False
    assert [asked.target for asked in gateway.database.asked] == [b"/db", b"/db"]


def test_concurrent_misses_cost_one_read_and_all_are_answered(gateway: Gateway) -> None:
    exchanges = [gateway.http.send("GET", "/data") for _ in range(50)]
    exchanges[0].leave()
    assert len(gateway.database.asked) == 1
    gateway.clock.advance(0.5)
    gateway.database.open[0].answer(200, {"message": FRESH})
    assert [exchange.answer.json() for exchange in exchanges[1:]] == [{"cached": False, "data": FRESH}] * 49
    found = gateway.metrics()
    assert (found["cache_hits"], found["cache_misses"], found["database_reads"], found["collapsed"]) == (0, 49, 1, 49)
    assert abs(found["avg_latency"] - 0.5) < 0.01


@pytest.mark.parametrize(
    "failure",
    [
        ConnectError(),
        NoAnswer(),
        AnswerTimeout(),
        BadAnswer(),
        answer(503, {"error": "overloaded"}),
        answer(500, b"Traceback (most recent call last):"),
        answer(404, {}),
        answer(200, b"<html>"),
        answer(200, {"other": 1}),
        answer(200, b'{"message":' + b"[" * 100_000),
    ],
    ids=repr,
)
def test_a_database_that_fails_is_a_clear_answer_and_then_the_last_good_value(gateway: Gateway, failure: Any) -> None:
    gateway.database.always = lambda asked: failure
    refused = gateway.http.get("/data")
    assert refused.status in (502, 503)
    assert refused.json()["error"] in ("dependency_down", "bad_answer")
    assert "Traceback" not in refused.text
    if refused.status == 503:
        assert int(refused.headers["retry-after"]) >= 1
    gateway.database.always = lambda asked: answer(200, {"message": FRESH})
    assert gateway.http.get("/data").json()["cached"] is False
    gateway.database.always = lambda asked: failure
    gateway.clock.advance(31)
    assert gateway.http.get("/data").json() == {"cached": True, "data": FRESH, "stale": True}
    found = gateway.metrics()
    assert (found["stale"], found["cache_misses"], found["database_failures"]) == (1, 3, 2)
    gateway.clock.advance(300)
    assert gateway.http.get("/data").status in (502, 503)


def test_the_databases_own_time_to_try_again_is_passed_on(gateway: Gateway) -> None:
    for field, shown in ((b"7", "7"), (b"99999", "3600"), (b"Fri, 31 Dec 1999 23:59:59 GMT", "1"), (b"-1", "1")):
        gateway.database.always = lambda asked, field=field: answer(503, {}, [(b"Retry-After", field)])
        assert gateway.http.get("/data").headers["retry-after"] == shown


def test_any_json_of_the_database_is_passed_on_as_it_is(gateway: Gateway) -> None:
    gateway.database.always = lambda asked: answer(200, b'{"message": {"a": [1.10, "\xc3\xa9"]}, "more": 1}')
    assert gateway.http.get("/data").body == b'{"cached":false,"data":{"a": [1.10, "\xc3\xa9"]}}'
    assert gateway.http.get("/data").body == b'{"cached":true,"data":{"a": [1.10, "\xc3\xa9"]}}'


def test_head_of_data_has_no_body(gateway: Gateway) -> None:
    gateway.database.always = lambda asked: answer(200, {"message": FRESH})
    head = gateway.http.ask("HEAD", "/data")
    assert (head.status, head.body) == (200, b"")


def test_a_long_task_is_queued_with_its_place(gateway: Gateway) -> None:
    gateway.worker.always = lambda asked: answer(202, {"status": "Started", "task_id": "a/b 1"})
    queued = gateway.http.post("/longtask", body=b'{"task": "report", "args": {"n": 1.10}}')
    assert (queued.status, queued.json()) == (202, {"status": "Task queued", "task_id": "a/b 1"})
    assert queued.headers["location"] == "/tasks/a%2Fb%201"
    (asked,) = gateway.worker.asked
    assert (asked.method, asked.target, asked.body) == (b"POST", b"/task", b'{"task": "report", "args": {"n": 1.10}}')
    assert (b"Content-Type", b"application/json") in asked.fields


@pytest.mark.parametrize("body", [b"", b"{", b"report", b"[]", b"{}", b'{"task": 3}', b'{"task": "\xff"}', b'{"task": null}'])
def test_a_body_that_is_no_task_is_refused_here(gateway: Gateway, body: bytes) -> None:
    refused = gateway.http.post("/longtask", body=body, headers={"Content-Type": "application/json"})
    assert (refused.status, refused.json()["error"]) == (400, "bad_json")
    assert gateway.worker.asked == []


def test_the_position_of_a_mistake_is_told(gateway: Gateway) -> None:
    refused = gateway.http.post("/longtask", body=b'{"task": nope}', headers={"Content-Type": "application/json"})
    assert re.search(r"\(byte \d+\)", refused.json()["message"])


def test_another_content_type_is_refused(gateway: Gateway) -> None:
    assert gateway.http.post("/longtask", body=b'{"task": "x"}', headers={"Content-Type": "text/plain"}).status == 415


@pytest.mark.parametrize("status", [400, 422, 429, 503])
def test_what_the_worker_refuses_is_passed_on(gateway: Gateway, status: int) -> None:
    gateway.worker.always = lambda asked: answer(status, {"error": "code", "message": "why"}, [(b"Retry-After", b"3")])
    refused = gateway.http.post("/longtask", json={"task": "x"})
    assert (refused.status, refused.json(), refused.headers["retry-after"]) == (status, {"error": "code", "message": "why"}, "3")
    assert refused.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (ConnectError(), 503, "dependency_down"),
        (NoAnswer(), 503, "dependency_down"),
        (Overloaded(), 503, "overloaded"),
        (AnswerTimeout(), 504, "answer_timeout"),
        (BadAnswer(), 502, "bad_answer"),
    ],
)
@pytest.mark.parametrize(
    ("service", "method", "path"), [("worker", "POST", "/longtask"), ("worker", "GET", "/tasks/1"), ("microservice", "GET", "/process")]
)
def test_a_service_that_is_down_is_a_clear_answer(
    gateway: Gateway, failure: Exception, status: int, code: str, service: str, method: str, path: str
) -> None:
    getattr(gateway, service).always = lambda asked: failure
    refused = gateway.http.ask(method, path, json={"task": "x"})
    assert (refused.status, refused.json()["error"]) == (status, code)
    assert ("retry-after" in refused.headers) == (status == 503)


def test_an_answer_of_the_worker_that_makes_no_sense_is_a_bad_answer(gateway: Gateway) -> None:
    for body in (b"", b"{}", b'{"task_id": 3}', b"<html>"):
        gateway.worker.always = lambda asked, body=body: answer(202, body)
        assert (refused := gateway.http.post("/longtask", json={"task": "x"})).status == 502
        assert refused.json()["error"] == "bad_answer"


def test_a_tasks_state_is_the_workers_answer(gateway: Gateway) -> None:
    gateway.worker.always = lambda asked: (
        answer(200, {"state": "leased"}) if asked.target == b"/tasks/12-ab" else answer(404, {"error": "not_found"})
    )
    assert gateway.http.get("/tasks/12-ab").json() == {"state": "leased"}
    assert gateway.http.get("/tasks/other").status == 404
    assert gateway.http.get("/tasks/a%20b%3F").status == 404
    assert gateway.worker.asked[-1].target == b"/tasks/a%20b%3F"
    count = len(gateway.worker.asked)
    assert gateway.http.get("/tasks/" + "x" * 1_000).status == 404
    assert gateway.http.get("/tasks/").status == 404
    assert len(gateway.worker.asked) == count


def test_process_is_the_microservices_answer_whatever_it_is(gateway: Gateway) -> None:
    gateway.microservice.always = lambda asked: answer(200, {"message": "Business logic executed"})
    got = gateway.http.get("/process")
    assert (got.status, got.body) == (200, b'{"message":"Business logic executed"}')
    gateway.microservice.always = lambda asked: answer(503, {"error": "overloaded"}, [(b"Retry-After", b"2")])
    got = gateway.http.get("/process")
    assert (got.status, got.json(), got.headers["retry-after"]) == (503, {"error": "overloaded"}, "2")


def test_a_client_that_leaves_ends_its_request_to_the_service(gateway: Gateway) -> None:
    exchange = gateway.http.send("GET", "/process")
    exchange.leave()
    gateway.clock.advance(0)
    assert gateway.microservice.asked[0].cancelled


def test_health_is_fine_whatever_is_down_and_says_what(gateway: Gateway) -> None:
    states = gateway.http.get("/health").json()["dependencies"]
    assert {name: state["status"] for name, state in states.items()} == dict.fromkeys(("database", "microservice", "worker"), "unknown")
    gateway.database.always = lambda asked: ConnectError()
    gateway.microservice.always = lambda asked: answer(200, {})
    gateway.http.get("/data")
    gateway.http.get("/process")
    health = gateway.http.get("/health")
    assert (health.status, health.json()["status"]) == (200, "ok")
    assert health.json()["dependencies"] == {
        "database": {"status": "down", "failures": 1},
        "microservice": {"status": "up", "failures": 0},
        "worker": {"status": "unknown", "failures": 0},
    }
    assert len(gateway.worker.asked) == 0


PROMETHEUS = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1"


@pytest.mark.parametrize("accept", [None, "*/*", "application/json", "text/html,*/*;q=0.8"])
def test_metrics_are_json_unless_a_prometheus_server_asks(gateway: Gateway, accept: str | None) -> None:
    got = gateway.http.get("/metrics", headers={"Accept": accept} if accept else {})
    assert got.headers["content-type"] == "application/json"
    assert got.headers["vary"] == "Accept"
    assert {"cache_hits", "cache_misses", "avg_latency"} <= set(got.json())


@pytest.mark.parametrize("accept", [PROMETHEUS, "text/plain", "text/plain;version=0.0.4", "application/openmetrics-text"])
def test_a_prometheus_server_gets_its_text(gateway: Gateway, accept: str) -> None:
    got = gateway.http.get("/metrics", headers={"Accept": accept})
    assert got.headers["content-type"].partition(";")[0] in ("text/plain", "application/openmetrics-text")
    assert "# TYPE scalelab_cache_hits" in got.text


def test_unknown_paths_and_wrong_methods_are_json_errors(gateway: Gateway) -> None:
    assert gateway.http.get("/nothing").json()["error"] == "not_found"
    refused = gateway.http.ask("DELETE", "/data")
    assert (refused.status, refused.json()["error"]) == (405, "method_not_allowed")
    assert "GET" in refused.headers["allow"]
    assert gateway.http.get("/longtask").status == 405


def signed(**claims: Any) -> str:
    return jwt.encode(claims, SECRET, algorithm="HS256")


def test_without_a_secret_no_token_is_asked_for(gateway: Gateway) -> None:
    gateway.database.always = lambda asked: answer(200, {"message": FRESH})
    assert gateway.http.get("/data", headers={"Authorization": "nonsense"}).status == 200


@pytest.mark.parametrize(("method", "path"), [("GET", "/data"), ("POST", "/longtask")])
def test_with_a_secret_data_and_long_tasks_ask_for_a_token(method: str, path: str) -> None:
    gateway = Gateway(RequiredClaim("role", "admin"), tokens=True)
    gateway.database.always = lambda asked: answer(200, {"message": FRESH})
    gateway.worker.always = lambda asked: answer(202, {"task_id": "1"})

    def ask(authorization: str | None) -> Any:
        return gateway.http.ask(method, path, json={"task": "x"}, headers={"Authorization": authorization} if authorization else {})

    none, bad, poor = ask(None), ask("Bearer a.b.c"), ask("Bearer " + signed(role="user"))
    assert (none.status, none.json()["error"], none.headers["www-authenticate"]) == (401, "unauthorized", 'Bearer realm="scalelab"')
    assert (bad.status, bad.headers["www-authenticate"][:46]) == (401, 'Bearer realm="scalelab", error="invalid_token"')
    assert (poor.status, poor.json()["error"]) == (403, "forbidden")
    assert ask("Bearer " + signed(role="admin", exp=int(START) - 1)).status == 401
    assert gateway.database.asked == gateway.worker.asked == []
    assert ask("Bearer " + signed(role="admin", exp=int(START) + 1)).status in (200, 202)
    assert ask(signed(role="admin")).status in (200, 202)


def test_a_request_that_nobody_has_checked_is_refused_by_the_route_itself() -> None:
    gateway = Gateway(tokens=True)
    gateway.http._factory.application = gateway.http._factory
    for ask in (lambda: gateway.http.get("/data"), lambda: gateway.http.post("/longtask", json={"task": "x"})):
        assert ask().status == 401


def test_with_a_secret_the_rest_stays_open() -> None:
    gateway = Gateway(tokens=True)
    gateway.microservice.always = gateway.worker.always = lambda asked: answer(200, {})
    for path in ("/process", "/health", "/metrics", "/tasks/1"):
        assert gateway.http.get(path).status == 200


@pytest.mark.parametrize("value", ["\xff\xfe", "Bearer \xff.\xfe.\xfd", "Bearer ü.ü.ü", ""])
def test_bytes_that_are_no_text_are_no_token(value: str) -> None:
    gateway = Gateway(tokens=True)
    refused = gateway.http.get("/data", headers={"Authorization": value})
    assert (refused.status, refused.json()["error"]) == (401, "unauthorized")
