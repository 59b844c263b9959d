"""Heads of answers, rule by rule (docs/http_rules.md); what they share with requests is in test_fields."""

import pytest

from scalability.errors import BadMessage
from scalability.http1.request_head import parse_request_head
from scalability.http1.response_head import parse_response_head
from scalability.testing.heads import LIMITS, refused_answer, response


def test_rule_16_an_answer_with_both_is_chunked_without_the_length_and_its_connection_ends() -> None:
    head = response(b"Content-Length: 5", b"Transfer-Encoding: chunked")
    assert head.chunked
    assert head.content_length is None
    assert not head.keep_alive


@pytest.mark.parametrize("start", [b"HTTP/1.1 204 No Content", b"HTTP/1.1 103 Early Hints"])
@pytest.mark.parametrize("line", [b"Content-Length: 5", b"Transfer-Encoding: chunked"])
def test_a_connection_whose_bodiless_answer_announces_a_body_is_not_used_again(start: bytes, line: bytes) -> None:
    assert not response(line, start=start).keep_alive
    assert response(b"Content-Length: 0", start=start).keep_alive


def test_rule_25_an_empty_line_before_an_answer_is_refused() -> None:
    with pytest.raises(BadMessage):
        parse_response_head(b"\r\nHTTP/1.1 200 OK\r\n\r\n", LIMITS)


@pytest.mark.parametrize(
    ("line", "status", "reason"),
    [
        (b"HTTP/1.1 200 OK", 200, b"OK"),
        (b"HTTP/1.1 404 Not Found Here", 404, b"Not Found Here"),
        (b"HTTP/1.1 599 ", 599, b""),
        (b"HTTP/1.1 600 Beyond", 600, b"Beyond"),
        (b"HTTP/1.1 999 ", 999, b""),
        (b"HTTP/1.0 301", 301, b""),
        (b"HTTP/1.1 103 Early\tHints\xe9", 103, b"Early\tHints\xe9"),
    ],
)
def test_status_lines_are_read(line: bytes, status: int, reason: bytes) -> None:
    head = response(start=line)
    assert (head.status, head.reason) == (status, reason)


@pytest.mark.parametrize(
    "line",
    [
        b"HTTP/1.1 20 OK", b"HTTP/1.1 2000 OK", b"HTTP/1.1 099 OK", b"HTTP/1.1 1000 OK", b"HTTP/1.1 OK", b"HTTP/1.1", b"", b"200 OK",
        b"HTTP/1.1  200 OK", b"HTTP/1.1 +20 OK", b"http/1.1 200 OK", b"HTTP/1.1 200 O\x00K", b"HTTP/1.1 200 O\rK", b"ICY 200 OK",
        b"HTTP/1.1 200OK", b"HTTP/1.1 2\xb20 OK", b"GET / HTTP/1.1",
    ],
)  # fmt: skip
def test_malformed_status_lines_are_refused(line: bytes) -> None:
    assert "status line" in refused_answer(start=line)


def test_an_answer_head_that_does_not_end_is_refused() -> None:
    with pytest.raises(BadMessage):
        parse_response_head(b"HTTP/1.1 200 OK\r\nA: b", LIMITS)
    with pytest.raises(BadMessage):
        parse_request_head(b"GET / HTTP/1.1\r\nHost: a", LIMITS)
    with pytest.raises(BadMessage):
        parse_request_head(b"", LIMITS)
