"""Where a head ends, at every split of its bytes, and what is refused before its end (docs/http_rules.md)."""

import pytest

from scalability.errors import BadMessage
from scalability.http1.head_end import find_head_end
from scalability.http1.limits import Limits
from scalability.http1.request_head import parse_request_head
from scalability.testing.heads import LIMITS


def test_rule_25_one_empty_line_before_the_request_is_tolerated() -> None:
    block = b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"
    assert find_head_end(block, 0, LIMITS) == len(block)
    assert parse_request_head(block, LIMITS).target == b"/"
    for start in range(1, len(block)):
        assert find_head_end(block[:start], 0, LIMITS) == -1


def test_rule_25_two_empty_lines_before_the_request_are_refused() -> None:
    block = b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"
    with pytest.raises(BadMessage):
        find_head_end(block, 0, LIMITS)
    with pytest.raises(BadMessage):
        parse_request_head(block, LIMITS)


HEAD = b"GET /path HTTP/1.1\r\nHost: a\r\nA: b\r\n\r\n"


@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_the_end_is_found_at_every_split_and_not_before(kind: type[bytes] | type[bytearray]) -> None:
    for size in range(len(HEAD)):
        assert find_head_end(kind(HEAD[:size]), 0, LIMITS) == -1
        assert find_head_end(kind(HEAD), 0, LIMITS, scanned=size) == len(HEAD)
        assert find_head_end(kind(b"body" + HEAD), 4, LIMITS, scanned=size) == len(HEAD) + 4
    assert find_head_end(kind(HEAD + b"body\r\n\r\n"), 0, LIMITS) == len(HEAD)
    assert find_head_end(kind(HEAD + HEAD), len(HEAD), LIMITS) == 2 * len(HEAD)
    assert find_head_end(kind(b""), 0, LIMITS) == -1
    assert find_head_end(kind(HEAD), len(HEAD), LIMITS) == -1


@pytest.mark.parametrize(
    "start",
    [b"GET / HTTP/1.1\n", b"GET / HTTP/1.1\r\nHost: a\n", b"GET / HTTP/1.1\n\n", b"\n", b"G\rET", b"\rG", b"GET / HTTP/1.1\r\nA: b\r\r"],
)
def test_a_head_that_can_never_end_is_refused_at_once(start: bytes) -> None:
    with pytest.raises(BadMessage) as caught:
        find_head_end(start, 0, LIMITS)
    assert caught.value.status == 400


@pytest.mark.parametrize("greeting", [b"\x16\x03\x01\x02\x00", b"\x00", b"\xff\xfe", b" GET", b"\tGET"])
def test_what_is_not_http_is_refused_at_its_first_byte(greeting: bytes) -> None:
    with pytest.raises(BadMessage) as caught:
        find_head_end(greeting, 0, LIMITS)
    assert caught.value.status == 400


def test_rule_27_a_target_that_does_not_end_is_414_before_its_line_does() -> None:
    buffer = bytearray(b"GET /")
    while len(buffer) <= LIMITS.max_target_bytes:
        assert find_head_end(buffer, 0, LIMITS, scanned=len(buffer) - 1) == -1
        buffer += b"a"
    with pytest.raises(BadMessage) as caught:
        find_head_end(buffer + b"a" * 64, 0, LIMITS)
    assert caught.value.status == 414


def test_rule_27_a_head_that_does_not_end_is_431() -> None:
    buffer = bytearray(b"GET / HTTP/1.1\r\n")
    while len(buffer) + 6 <= LIMITS.max_head_bytes:
        buffer += b"A: b\r\n"
        assert find_head_end(buffer, 0, LIMITS) == -1
    with pytest.raises(BadMessage) as caught:
        find_head_end(buffer + b"A: b\r\n", 0, LIMITS)
    assert caught.value.status == 431


def test_rule_27_a_complete_head_is_held_to_the_same_limits() -> None:
    small = Limits(max_target_bytes=20, max_head_bytes=len(HEAD))
    assert find_head_end(HEAD, 0, small) == len(HEAD)
    with pytest.raises(BadMessage) as caught:
        find_head_end(b"GET /path HTTP/1.1\r\nHost: a\r\nA: bb\r\n\r\n", 0, small)
    assert caught.value.status == 431
    with pytest.raises(BadMessage) as caught:
        find_head_end(b"\r\nGET /" + b"a" * 100 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 0, small)
    assert caught.value.status == 414
