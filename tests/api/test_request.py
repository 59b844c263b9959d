"""The request: paths, metrics, and failures outside of any route."""

from typing import Any

import pytest
from klein import Klein
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.web.iweb import IRequest
from twisted.web.resource import Resource

from scalability.api.json import json_answer
from scalability.errors import Conflict
from scalability.testing.asking import Asking

app = Klein()
waiting: list["Deferred[bytes]"] = []


@app.route("/key/<path:key>", methods=["GET", "POST"])
def key(request: IRequest, key: str) -> bytes:
    return json_answer(request, {"key": key, "args": {k.decode(): [v.decode() for v in vs] for k, vs in request.args.items()}})


@app.route("/host")
def host(request: IRequest) -> bytes:
    return json_answer(request, request.getRequestHostname().decode())


@app.route("/later")
def later(request: IRequest) -> "Deferred[bytes]":
    waiting.append(Deferred())
    return waiting[-1]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def asking(clock: Clock) -> Asking:
    return Asking(app, clock)


def shown(asking: Asking, name: str) -> dict[tuple[str, ...], float]:
    return {
        tuple(v for k, v in s.labels.items() if k != "le"): s.value
        for family in asking._factory.metrics.collect()
        for s in family.samples
        if s.name == name
    }


@pytest.mark.parametrize(
    ("target", "wanted"),
    [
        ("/key/a%20b", "a b"),
        ("/key/%C3%BC", "ü"),
        ("/key/a%2Fb", "a/b"),
        ("/key/a+b", "a+b"),
        ("/key/%2541", "%41"),
        ("/key/a;b=c", "a;b=c"),
        ("/key/../x", "../x"),
        ("/key/%zz", "%zz"),
    ],
)
def test_a_path_is_unescaped_once_and_not_otherwise_touched(asking: Asking, target: str, wanted: str) -> None:
    assert asking.get(target).json()["key"] == wanted


def test_query_arguments_are_read_with_blanks_and_repeats(asking: Asking) -> None:
    assert asking.get("/key/a?b=1&b=2&c=&d").json()["args"] == {"b": ["1", "2"], "c": [""], "d": [""]}


@pytest.mark.parametrize("target", ["/key/%ff", "/%C3", "/key/%ED%A0%80"])
def test_a_path_that_is_not_utf8_is_400(asking: Asking, target: str) -> None:
    answer = asking.get(target)
    assert (answer.status, answer.json()["error"]) == (400, "bad_request")
    assert "not UTF-8" in answer.json()["message"]


def test_the_server_as_a_whole_has_no_resource_here(asking: Asking) -> None:
    assert asking.ask("OPTIONS", "*").status == 400


@pytest.mark.parametrize("host", ["a..b", "x" * 200, "xn--", "-", "[::1]:80", "1.2.3.4:99999"])
def test_a_host_that_is_no_host_name_does_not_disturb_routing(asking: Asking, host: str) -> None:
    assert asking.get("/key/a", headers={"Host": host}).status in (200, 400)
    assert asking.get("/nothing", headers={"Host": host}).status in (404, 400)


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("shop.example", "shop.example"),
        ("Shop.example.:8080", "Shop.example."),
        ("my_shop:", "my_shop"),
        ("10.0.0.1:80", "10.0.0.1"),
        ("[2001:db8::1]:80", "[2001:db8::1]"),
        ("a..b", "localhost"),
        ("-a", "localhost"),
        ("a" * 64, "localhost"),
        ("%41", "localhost"),
        ("", "localhost"),
    ],
)
def test_a_route_may_ask_which_host_was_meant(asking: Asking, host: str, name: str) -> None:
    assert asking.get("/host", headers={"Host": host}).json() == name


def test_head_is_answered_like_get_without_a_body(asking: Asking) -> None:
    got, headed = asking.get("/key/abc"), asking.ask("HEAD", "/key/abc")
    assert (headed.status, headed.body) == (200, b"")
    assert headed.headers == got.headers


def test_requests_are_counted_by_route_template_and_never_by_path(asking: Asking) -> None:
    for target in ("/key/a", "/key/b", "/nowhere/1", "/nowhere/2", "/key/%ff"):
        asking.get(target)
    asking.post("/key/c")
    asking.ask("DELETE", "/key/c")
    assert shown(asking, "http_server_request_duration_seconds_count") == {
        ("GET", "/key/<path:key>", "200"): 2,
        ("GET", "", "404"): 2,
        ("GET", "", "400"): 1,
        ("POST", "/key/<path:key>", "200"): 1,
        ("DELETE", "", "405"): 1,
    }


def test_the_duration_ends_with_the_answer(asking: Asking, clock: Clock) -> None:
    exchange = asking.send("GET", "/later")
    clock.advance(1.5)
    assert shown(asking, "http_server_active_requests") == {(): 1}
    waiting.pop().callback(b"done")
    assert exchange.answer.body == b"done"
    assert shown(asking, "http_server_active_requests") == {(): 0}
    assert shown(asking, "http_server_request_duration_seconds_sum") == {("GET", "/later", "200"): pytest.approx(1.5)}


def test_a_client_that_leaves_is_counted_as_499(asking: Asking) -> None:
    asking.send("GET", "/later").leave()
    assert shown(asking, "http_server_request_duration_seconds_count") == {("GET", "/later", "499"): 1}
    assert shown(asking, "http_server_active_requests") == {(): 0}


def test_a_resource_that_fails_is_answered_500_without_a_traceback(clock: Clock, logged_failures: Any) -> None:
    class Broken(Resource):
        isLeaf = True  # noqa: N815 - Twisted's name

        def render_GET(self, request: Any) -> bytes:  # noqa: N802 - Twisted's name
            raise ZeroDivisionError("inside")

    answer = Asking(Broken(), clock).get("/")
    assert (answer.status, answer.json()["error"]) == (500, "internal_error")
    assert b"inside" not in answer.body
    assert len(logged_failures.flush(ZeroDivisionError)) == 1


def test_an_ordinary_resource_is_served_too_and_errs_in_json(clock: Clock) -> None:
    class Leaf(Resource):
        def render_GET(self, request: Any) -> bytes:  # noqa: N802 - Twisted's name
            return b"leaf"

        def render_POST(self, request: Any) -> bytes:  # noqa: N802 - Twisted's name
            raise Conflict("there is one already")

    root = Resource()
    root.putChild(b"leaf", Leaf())
    asking = Asking(root, clock)
    answer = asking.get("/leaf")
    assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"leaf", "4")
    assert (asking.ask("HEAD", "/leaf").status, asking.ask("HEAD", "/leaf").body) == (200, b"")
    assert asking.post("/leaf").json()["error"] == "conflict"
    assert (asking.delete("/leaf").status, asking.delete("/leaf").headers["allow"]) == (405, "GET, HEAD, POST")
