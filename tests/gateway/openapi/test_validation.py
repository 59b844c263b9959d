"""Requests by a description: 404, 405, 400, 415, 422, each with the place of what is wrong."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalability.errors import MethodNotAllowed, NotFound
from scalability.gateway.openapi.document import Document
from scalability.gateway.openapi.operations import operations
from scalability.gateway.openapi.validation import Invalid, Problem, Validation
from scalability.http1.limits import DEFAULT_LIMITS
from scalability.http1.request_head import RequestHead, parse_request_head
from scalability.testing.api_document import SHOP

TREE = operations(Document(SHOP))
STRICT = Validation(TREE, b"/v1", max_nesting=16)
JSON = b"Content-Type: application/json"


def head(method: bytes, target: bytes, *fields: bytes, length: int = 0) -> RequestHead:
    lines = [b"Host: a", *fields, *([b"Content-Length: %d" % length] if length else [])]
    return parse_request_head(b"%b %b HTTP/1.1\r\n%b\r\n\r\n" % (method, target, b"\r\n".join(lines)), DEFAULT_LIMITS)


def check(method: bytes, target: bytes, body: bytes = b"", *fields: bytes, validation: Validation = STRICT) -> None:
    request = head(method, target, *fields, length=len(body))
    asked = validation.find(request)
    assert asked is not None
    validation.check_head(request, asked)
    validation.check_body(request, asked, body)


def refused(method: bytes, target: bytes, body: bytes = b"", *fields: bytes) -> Invalid:
    with pytest.raises(Invalid) as caught:
        check(method, target, body, *fields)
    return caught.value


def test_what_is_described_passes() -> None:
    check(b"GET", b"/v1/orders?limit=5&state=open&state=done&unknown=1", b"", b"X-Tenant: abc")
    check(b"HEAD", b"/v1/orders")
    check(b"DELETE", b"/v1/orders/7")
    check(b"POST", b"/v1/orders", b'{"items": [{"sku": "a", "count": 2}]}', JSON + b"; charset=utf-8")
    check(b"POST", b"/v1/orders", b"a,b", b"Content-Type: text/csv")


@pytest.mark.parametrize("target", [b"/v1/nothing", b"/v1", b"/orders", b"/v1orders", b"/v1/orders/", b"/v1/orders/1/2"])
def test_a_path_that_is_not_described_is_404(target: bytes) -> None:
    with pytest.raises(NotFound):
        STRICT.find(head(b"GET", target))


def test_a_method_that_is_not_described_is_405_with_those_that_are() -> None:
    with pytest.raises(MethodNotAllowed) as caught:
        STRICT.find(head(b"PUT", b"/v1/orders"))
    assert caught.value.allow == ("GET", "POST")


def test_what_is_not_described_may_be_let_through() -> None:
    lenient = Validation(TREE, b"/v1", max_nesting=16, strict=False)
    assert lenient.find(head(b"GET", b"/other")) is None
    assert lenient.find(head(b"PUT", b"/v1/orders")) is None
    for same in (b"/v1/orders", b"//v1/orders", b"/%761//orders", b"/v1/%6Frders"):
        assert lenient.find(head(b"GET", same)) is not None
    with pytest.raises(NotFound):
        lenient.find(head(b"GET", b"/v1/x/../orders"))


@pytest.mark.parametrize(
    ("target", "field", "problem"),
    [
        (b"/v1/orders?limit=0", b"X-A: 1", Problem("query", "limit", "", "the value is less than the minimum of 1")),
        (b"/v1/orders?limit=many", b"X-A: 1", Problem("query", "limit", "", 'the value is not of type "integer"')),
        (b"/v1/orders?limit=1&limit=2", b"X-A: 1", Problem("query", "limit", "", "is given more than once")),
        (b"/v1/orders?state=open&state=lost", b"X-A: 1", Problem("query", "state", "/1", 'the value is not one of "open" or "done"')),
        (b"/v1/orders", b"X-Tenant: A1", Problem("header", "X-Tenant", "", 'the value does not match "^[a-z]+$"')),
        (b"/v1/orders/seven", b"X-A: 1", Problem("path", "id", "", 'the value is not of type "integer"')),
        (b"/v1/orders?a=%ff", b"X-A: 1", Problem("query", "", "", "is not UTF-8")),
        (b"/v1/orders?" + b"a&" * 1001, b"X-A: 1", Problem("query", "", "", "has more than 1000 arguments")),
    ],
)
def test_a_wrong_parameter_is_400_and_named(target: bytes, field: bytes, problem: Problem) -> None:
    error = refused(b"GET", target, b"", field)
    assert (error.status, error.code, error.problems) == (400, "invalid_parameters", (problem,))


@pytest.mark.parametrize(
    ("body", "fields", "status", "code", "pointer"),
    [
        (b"", (), 400, "invalid_body", ""),
        (b"{", (JSON,), 400, "bad_json", ""),
        (b'{"items": [], "items": [{"sku": "a"}]}', (JSON,), 400, "bad_json", ""),
        (b'{"before":' * 17 + b"1" + b"}" * 17, (JSON,), 400, "bad_json", ""),
        (b'{"items": [{"sku": 5}]}', (JSON,), 422, "invalid_body", "/items/0/sku"),
        (b'{"items": [{"sku": "a"}], "extra": 1}', (JSON,), 422, "invalid_body", ""),
        (b"{}", (), 415, "unsupported_content_type", ""),
        (b"{}", (b"Content-Type: text/plain",), 415, "unsupported_content_type", ""),
    ],
)
def test_a_wrong_body_is_refused_with_the_place(body: bytes, fields: tuple[bytes, ...], status: int, code: str, pointer: str) -> None:
    error = refused(b"POST", b"/v1/orders", body, *fields)
    assert (error.status, error.code, error.problems[0].pointer) == (status, code, pointer)


def test_a_body_that_cannot_be_read_here_is_not_passed_on_unread() -> None:
    assert refused(b"POST", b"/v1/orders", b"x", JSON, b"Content-Encoding: gzip").status == 415
    assert refused(b"POST", b"/v1/orders", b"{}", JSON, b"Content-Type: text/csv").status == 400


@given(st.binary(max_size=60))
def test_any_body_is_valid_or_refused(body: bytes) -> None:
    request = head(b"POST", b"/v1/orders", JSON, length=len(body))
    asked = STRICT.find(request)
    assert asked is not None
    with suppress(Invalid):
        STRICT.check_body(request, asked, body)
