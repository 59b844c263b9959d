"""Replies are spelled as RESP2 and RESP3 say; hiredis reads them."""

from typing import Any

import hiredis
import pytest

from scalability.resp import replies


def decoded(reply: bytes) -> Any:
    reader: Any = hiredis.Reader()
    reader.feed(reply)
    value = reader.gets()
    assert not reader.has_data()
    return value


@pytest.mark.parametrize(
    ("reply", "value"),
    [
        (replies.OK, b"OK"),
        (replies.simple(b"PONG"), b"PONG"),
        (replies.integer(-5), -5),
        (replies.bulk(b"a\r\nb"), b"a\r\nb"),
        (replies.bulk(b""), b""),
        (replies.NULL, None),
        (replies.NULL_BULK, None),
        (replies.NULL_ARRAY, None),
        (replies.EMPTY_ARRAY, []),
        (replies.array([replies.ONE, replies.bulks([b"x"])]), [1, [b"x"]]),
        (replies.mapping([(replies.bulk(b"a"), replies.ONE)], resp3=True), {b"a": 1}),
        (replies.mapping([(replies.bulk(b"a"), replies.ONE)], resp3=False), [b"a", 1]),
        (replies.a_set([replies.bulk(b"a")], resp3=False), [b"a"]),
        (replies.verbatim(b"text", resp3=True), b"text"),
        (replies.verbatim(b"text", resp3=False), b"text"),
        (replies.push([replies.bulk(b"invalidate"), replies.bulks([b"key"])]), [b"invalidate", [b"key"]]),
    ],
)
def test_replies(reply: bytes, value: Any) -> None:
    assert decoded(reply) == value


def test_bulks_with_some_that_are_missing() -> None:
    assert decoded(replies.bulks_or_null([b"a", None, b"", b"\r\n" * 2000], replies.NULL_BULK)) == [b"a", None, b"", b"\r\n" * 2000]
    assert replies.bulks_or_null([None], replies.NULL) == b"*1\r\n_\r\n"
    assert replies.bulks_or_null([], replies.NULL) == replies.EMPTY_ARRAY


def test_a_set_of_resp3_is_one() -> None:
    assert replies.a_set([replies.ONE], resp3=True) == b"~1\r\n:1\r\n"


def test_an_error_is_one_line_whatever_a_client_sent() -> None:
    reply = replies.error(b"ERR unknown command 'a\r\n+OK\r\n'")
    assert reply.count(b"\r\n") == 1
    assert str(decoded(reply)) == "ERR unknown command 'a  +OK  '"
