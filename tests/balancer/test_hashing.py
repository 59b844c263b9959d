"""What requests are hashed by."""

from typing import Any, cast

import pytest

from scalability.balancer.hashing import HashKey, cookie
from scalability.http1 import DEFAULT_LIMITS, parse_request_head
from scalability.net.exchange import Exchange


class Asked:
    """What is read of an exchange."""

    def __init__(self, target: bytes, fields: bytes, client: bytes) -> None:
        self.head = parse_request_head(b"GET %b HTTP/1.1\r\nHost: a\r\n%b\r\n" % (target, fields), DEFAULT_LIMITS)
        self.peer_host = b"192.0.2.1"
        self.client_host = client


def key(text: str, target: bytes = b"/", fields: bytes = b"", client: bytes = b"") -> bytes | None:
    asked: Any = Asked(target, fields, client)
    return HashKey.parse(text).reader()(cast(Exchange, asked))


@pytest.mark.parametrize(
    ("text", "request_", "expected"),
    [
        ("client", {}, b"192.0.2.1"),
        ("client", {"client": b"198.51.100.7"}, b"198.51.100.7"),
        ("path", {"target": b"/a/b?c=d?e"}, b"/a/b"),
        ("header:X-User", {"fields": b"x-user: me\r\n"}, b"me"),
        ("header:X-User", {}, None),
        ("header:X-User", {"fields": b"X-User:\r\n"}, None),
        ("cookie:id", {"fields": b"Cookie: a=b; id=7; id=8\r\n"}, b"7"),
        ("cookie:id", {"fields": b"Cookie: ID=7; xid=8; id=\r\n"}, None),
        ("cookie:id", {}, None),
    ],
)
def test_a_key_is_a_part_of_the_request_or_nothing(text: str, request_: dict[str, bytes], expected: bytes | None) -> None:
    assert key(text, **request_) == expected


def test_several_cookie_fields_are_read_as_one() -> None:
    assert cookie([b"a=1", b"b=2;c=3"], b"c") == b"3"
    assert cookie([b"a=1;\tb=2=3"], b"b") == b"2=3"


@pytest.mark.parametrize("text", ["client", "path", "header:X-User", "cookie:id"])
def test_a_key_is_written_as_it_is_read(text: str) -> None:
    assert str(HashKey.parse(text)) == text


@pytest.mark.parametrize("text", ["", "host", "client:", "path:x", "header", "header:", "cookie:a b", "header:" + "x" * 65])
def test_what_is_no_key_is_refused_with_those_there_are(text: str) -> None:
    with pytest.raises(ValueError, match="client, path, header:NAME, cookie:NAME"):
        HashKey.parse(text)
