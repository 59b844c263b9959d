"""The bytes that a load is made of."""

import pytest

from scalability.config import Address
from scalability.lab.loadgen.target import MAX_BODY_BYTES, target


def test_a_url_alone_is_a_get() -> None:
    made = target("http://127.0.0.1:8000/data?x=1#part")
    assert made.address == Address("127.0.0.1", 8000)
    assert made.method == b"GET"
    assert made.request == b"GET /data?x=1 HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nUser-Agent: scalelab\r\nAccept: */*\r\n\r\n"


def test_a_body_is_sent_with_its_length_and_fields_as_they_are() -> None:
    made = target("http://[::1]", method="POST", headers=["Content-Type: application/json", "X-A:b", "X-A: c"], body=b"{}")
    assert made.address == Address("::1", 80)
    assert made.request == (
        b"POST / HTTP/1.1\r\nHost: [::1]\r\nUser-Agent: scalelab\r\nAccept: */*\r\n"
        b"Content-Type: application/json\r\nX-A: b\r\nX-A: c\r\nContent-Length: 2\r\n\r\n{}"
    )


def test_a_post_without_a_body_says_so_and_a_get_needs_not() -> None:
    assert b"Content-Length: 0\r\n" in target("http://h/", method="POST").request
    assert b"Content-Length" not in target("http://h/", method="DELETE").request


def test_fields_of_ours_can_be_replaced_and_closing_is_asked_for() -> None:
    made = target("http://h:81/", headers=["host: other", "User-Agent: me", "Accept: text/html"], keep_alive=False)
    assert made.request == b"GET / HTTP/1.1\r\nhost: other\r\nUser-Agent: me\r\nAccept: text/html\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("https://h/", "not an http:// URL"),
        ("h/data", "not an http:// URL"),
        ("http://", "HOST"),
        ("http://h:0/", "write http"),
        ("http://h:99999/", "above 65535"),
        ("http://h:x/", "port"),
        ("http://me:secret@h/", "credentials"),
        ("http://h/a b", "percent-encode"),
        ("http://h/caf\u00e9", "percent-encode"),
        ("http://caf\u00e9/", "not HOST:PORT"),
    ],
)
def test_a_url_that_cannot_be_asked_for_is_refused(url: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        target(url)


@pytest.mark.parametrize(
    "header",
    [
        "no colon",
        "Bad Name: x",
        ": x",
        "X: a\r\nY: b",
        "X: \0",
        "X: \u20ac",
        "Content-Length: 3",
        "Transfer-Encoding: chunked",
        "Connection: close",
    ],
)
def test_a_field_that_would_break_the_request_is_refused(header: str) -> None:
    with pytest.raises(ValueError, match="--header"):
        target("http://h/", headers=[header])


@pytest.mark.parametrize("method", ["", "GE T", "GET\r\n"])
def test_a_method_that_is_none_is_refused(method: str) -> None:
    with pytest.raises(ValueError, match="--method"):
        target("http://h/", method=method)


def test_a_body_that_memory_would_not_hold_is_refused() -> None:
    with pytest.raises(ValueError, match="--body"):
        target("http://h/", body=bytes(MAX_BODY_BYTES + 1))
