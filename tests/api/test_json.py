"""JSON bodies in, JSON answers out."""

import json
from typing import Any

import msgspec
import pytest
from klein import Klein
from twisted.internet.task import Clock
from twisted.web.iweb import IRequest

from scalability.api.json import MAX_BODY_BYTES, encoded_answer, json_answer, read_json
from scalability.errors import Conflict, QueueFull, Unauthorized
from scalability.testing.asking import Asking

app = Klein()


class Task(msgspec.Struct, forbid_unknown_fields=True):
    task: str


@app.route("/task", methods=["POST"])
def task(request: IRequest) -> bytes:
    return json_answer(request, {"task": read_json(request, Task).task}, status=202, fields=[(b"Location", b"/tasks/1")])


@app.route("/any", methods=["POST"])
def anything(request: IRequest) -> bytes:
    return json_answer(request, read_json(request, object))


@app.route("/raw", methods=["POST"])
def raw(request: IRequest) -> bytes:
    return encoded_answer(request, bytes(read_json(request, msgspec.Raw)), b"application/x")


@app.route("/full")
def full(request: IRequest) -> bytes:
    raise QueueFull(retry_after_s=7)


@app.route("/secret")
def secret(request: IRequest) -> bytes:
    raise Unauthorized


@app.route("/secret/better")
def better(request: IRequest) -> bytes:
    request.setHeader(b"WWW-Authenticate", b'Bearer error="invalid_token"')
    raise Unauthorized("the token has expired")


@app.route("/changed")
def changed(request: IRequest) -> bytes:
    json_answer(request, "a much longer answer, thought better of")
    raise Conflict("no")


@pytest.fixture
def asking() -> Asking:
    return Asking(app, Clock())


def test_a_typed_body_arrives_and_the_answer_says_its_length(asking: Asking) -> None:
    answer = asking.post("/task", json={"task": "report"})
    assert (answer.status, answer.json()) == (202, {"task": "report"})
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-length"] == str(len(answer.body))
    assert answer.headers["location"] == "/tasks/1"
    assert "transfer-encoding" not in answer.headers
    assert "server" not in answer.headers


@pytest.mark.parametrize("value", [None, True, 1, -1.5, "ü\u2028😀", [], [{"a": [None]}], {"": ""}])
def test_any_json_value_comes_back_as_it_was(asking: Asking, value: Any) -> None:
    answer = asking.post("/any", body=json.dumps(value).encode(), headers={"Content-Type": "application/json"})
    assert (answer.status, answer.json()) == (200, value)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "is empty (byte 0)"),
        (b"x", "(byte 0)"),
        (b'{"task": ', "ends too early (byte 9)"),
        (b'{"task" "report"}', "(byte 8)"),
        (b'{"task": "report"} x', "trailing characters (byte "),
        (b'{"task": NaN}', "(byte 9)"),
        (b"{'task': 1}", "(byte 1)"),
        (b"\xef\xbb\xbf{}", "(byte 0)"),
        (b'{"task": "\xff"}', "not UTF-8 (byte 10)"),
        (b'\xff\xfe{\x00"\x00', "not UTF-8 (byte 0)"),
        (b'{"task": "\xed\xa0\x80"}', "not UTF-8 (byte 10)"),
        (b'{"task": 5}', "Expected str, got int - at $.task"),
        (b"{}", "missing required field task"),
        (b'{"task": "a", "tsak": 1}', "unknown field tsak"),
        (b'{"task": "a", "tsak": 1', "it ends too early (byte 23)"),
        (b"[]", "Expected object, got array"),
        (b'{"task": [1]}', "Expected str, got array"),
    ],
)
def test_a_body_that_is_not_what_is_wanted_is_400_and_says_where(asking: Asking, body: bytes, why: str) -> None:
    answer = asking.post("/task", body=body, headers={"Content-Type": "application/json"})
    assert answer.status == 400
    assert answer.json()["error"] == "bad_json"
    assert why in answer.json()["message"]


def test_json_that_is_nested_too_deeply_is_400(asking: Asking) -> None:
    answer = asking.post("/any", body=b"[" * 100_000)
    assert (answer.status, answer.json()["message"]) == (400, "the body is JSON nested too deeply")


@pytest.mark.parametrize("body", [b'{"a": "\xff"}', b"{", b"", b"[" * 100_000])
def test_a_body_that_is_passed_on_unread_is_checked_all_the_same(asking: Asking, body: bytes) -> None:
    assert asking.post("/raw", body=body, headers={"Content-Type": "application/json"}).status == 400


@pytest.mark.parametrize(
    "kind",
    [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        'application/json;charset="UTF-8"',
        "application/vnd.x+json",
        None,
    ],
)
def test_json_by_any_of_its_names_is_accepted(asking: Asking, kind: str | None) -> None:
    headers = {} if kind is None else {"Content-Type": kind}
    assert asking.post("/task", body=b'{"task": "a"}', headers=headers).status == 202


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "multipart/form-data; boundary=x"},
        {"Content-Type": ""},
        {"Content-Type": "application/jsonp"},
        {"Content-Type": "text/plain; x=application/json"},
        {"Content-Type": "application/json; charset=latin-1"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ],
)
def test_another_content_type_is_415(asking: Asking, headers: dict[str, str]) -> None:
    answer = asking.post("/task", body=b'{"task": "a"}', headers=headers)
    assert (answer.status, answer.json()["error"]) == (415, "unsupported_content_type")


def test_a_body_of_exactly_the_limit_is_read_and_one_byte_more_is_413(asking: Asking) -> None:
    body = b'"' + b"x" * (MAX_BODY_BYTES - 2) + b'"'
    assert asking.post("/any", body=body).status == 200
    answer = asking.post("/any", body=body + b" ")
    assert (answer.status, answer.json()["error"]) == (413, "body_too_large")


def test_an_error_says_when_to_try_again_and_that_nobody_may_store_it(asking: Asking) -> None:
    answer = asking.get("/full")
    assert (answer.status, answer.headers["retry-after"], answer.headers["cache-control"]) == (429, "7", "no-store")
    assert answer.json() == {"error": "queue_full", "message": "The queue is full; try again later."}


def test_401_names_the_scheme_unless_the_route_has_named_a_better_one(asking: Asking) -> None:
    assert asking.get("/secret").headers["www-authenticate"] == "Bearer"
    answer = asking.get("/secret/better")
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert answer.json()["message"] == "the token has expired"


def test_an_error_after_an_answer_was_prepared_is_answered_with_its_own_length(asking: Asking) -> None:
    answer = asking.get("/changed")
    assert (answer.status, answer.json()) == (409, {"error": "conflict", "message": "no"})
