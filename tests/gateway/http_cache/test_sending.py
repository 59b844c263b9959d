"""Heads of answers that the cache sends."""

import pytest

from scalability.gateway.http_cache.answer import Answer
from scalability.gateway.http_cache.sending import bodiless, head_block, passed_on, whole_head
from scalability.http1.limits import DEFAULT_LIMITS
from scalability.http1.response_head import parse_response_head


@pytest.mark.parametrize(
    ("status", "method", "ends"), [(200, b"GET", False), (200, b"HEAD", True), (204, b"GET", True), (304, b"GET", True)]
)
def test_some_answers_end_with_their_head(status: int, method: bytes, ends: bool) -> None:
    assert bodiless(status, method) is ends


def test_a_head_says_how_its_body_ends() -> None:
    block = head_block(200, b"OK", [(b"A", b"b")], length=5, chunked=False, keep_alive=True, minor=1)
    assert block == b"HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 5\r\n\r\n"
    block = head_block(200, b"", (), length=None, chunked=True, keep_alive=True, minor=1)
    assert block == b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    block = head_block(799, b"", (), length=None, chunked=False, keep_alive=False, minor=1)
    assert block == b"HTTP/1.1 799 Unknown\r\nConnection: close\r\n\r\n"
    assert b"Connection: keep-alive\r\n" in head_block(200, b"", (), length=0, chunked=False, keep_alive=True, minor=0)


def test_a_whole_answer_has_its_length_where_one_may_stand() -> None:
    answer = Answer(200, b"OK", [], b"hello")
    assert b"Content-Length: 5\r\nConnection" in whole_head(answer, status_line=b"x; hit", keep_alive=False, minor=1)
    assert b"Content-Length" not in whole_head(answer._replace(status=304), status_line=b"x; hit", keep_alive=True, minor=1)
    assert b"Cache-Status: x; hit\r\n" in whole_head(answer, status_line=b"x; hit", keep_alive=True, minor=1)


def test_framing_is_not_passed_on() -> None:
    head = parse_response_head(
        b"HTTP/1.1 200 OK\r\nA: b\r\nTransfer-Encoding: chunked\r\nConnection: close\r\nKeep-Alive: 5\r\n\r\n", DEFAULT_LIMITS
    )
    assert passed_on(head) == [(b"A", b"b")]
