"""Heads of requests that no client sent."""

import pytest

from scalability.errors import BadMessage
from scalability.http1.limits import DEFAULT_LIMITS
from scalability.http1.making import make_request_head, with_fields
from scalability.http1.request_head import parse_request_head


def test_a_made_head_is_what_a_client_could_have_sent() -> None:
    head = make_request_head(b"GET", b"/a?b", [(b"Host", b"shop"), (b"Accept", b"*/*")])
    assert (head.method, head.target, head.host, head.minor, head.keep_alive) == (b"GET", b"/a?b", b"shop", 1, True)
    assert head.fields == ((b"Host", b"shop"), (b"Accept", b"*/*"))


@pytest.mark.parametrize(
    ("method", "target", "fields"),
    [
        (b"GET", b"/a", []),
        (b"GET", b"/a b", [(b"Host", b"shop")]),
        (b"GET", b"/a", [(b"Host", b"shop"), (b"X", b"1\r\nY: 2")]),
        (b"GET", b"/a", [(b"Host", b"shop"), (b"X", b"1\x00")]),
        (b"GE T", b"/a", [(b"Host", b"shop")]),
        (b"GET", b"/a", [(b"Host", b"shop"), (b"X ", b"1")]),
    ],
)
def test_what_no_client_may_send_cannot_be_made(method: bytes, target: bytes, fields: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(BadMessage):
        make_request_head(method, target, fields)


def test_fields_are_added_to_a_head_and_taken_out_of_it() -> None:
    head = parse_request_head(b"HEAD http://shop/a HTTP/1.1\r\nHost: other\r\nRange: bytes=0-1\r\nAccept: b\r\n\r\n", DEFAULT_LIMITS)
    changed = with_fields(head, [(b"If-None-Match", b'"x"')], method=b"GET", without=frozenset([b"range"]))
    assert (changed.method, changed.target, changed.host) == (b"GET", b"/a", b"shop")
    assert changed.fields == ((b"Host", b"shop"), (b"Accept", b"b"), (b"If-None-Match", b'"x"'))
