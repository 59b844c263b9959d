"""Small answers, read back by h11 as an independent client would."""

import h11
import pytest

from scalability.http1.answer import REASONS, simple_answer


def read(data: bytes, method: str = "GET") -> tuple[h11.Response, bytes, object]:
    """What h11 makes of ``data``: the head, the body, and whether the connection may go on."""
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(data)
    head = connection.next_event()
    assert isinstance(head, h11.Response)
    body = b""
    while isinstance(event := connection.next_event(), h11.Data):
        body += bytes(event.data)
    assert isinstance(event, h11.EndOfMessage)
    return head, body, connection.their_state


def test_an_answer_is_complete() -> None:
    answer = simple_answer(200, b"hi", b"text/plain", fields=[(b"X", b"y")], keep_alive=True, minor=1, head_only=False)
    assert answer == b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\nX: y\r\n\r\nhi"
    head, body, state = read(answer)
    assert (head.status_code, body, state) == (200, b"hi", h11.DONE)


def test_an_answer_that_ends_the_connection_says_so() -> None:
    head, body, state = read(simple_answer(400, b"{}", b"application/json", keep_alive=False, minor=1, head_only=False))
    assert (head.status_code, body, state) == (400, b"{}", h11.MUST_CLOSE)


def test_a_1_0_client_is_told_that_its_connection_goes_on() -> None:
    assert b"\r\nConnection: keep-alive\r\n" in simple_answer(200, b"", b"a/b", keep_alive=True, minor=0, head_only=False)
    assert b"\r\nConnection: close\r\n" in simple_answer(200, b"", b"a/b", keep_alive=False, minor=0, head_only=False)


def test_rule_35_head_keeps_the_length_and_has_no_body() -> None:
    answer = simple_answer(200, b"hello", b"text/plain", keep_alive=True, minor=1, head_only=True)
    assert b"Content-Length: 5\r\n" in answer
    assert read(answer, "HEAD")[1:] == (b"", h11.DONE)


@pytest.mark.parametrize("status", [204, 304])
def test_rule_35_some_statuses_never_carry_a_body(status: int) -> None:
    answer = simple_answer(status, b"ignored", b"text/plain", keep_alive=True, minor=1, head_only=False)
    assert b"Content-" not in answer
    assert read(answer)[1:] == (b"", h11.DONE)
    assert simple_answer(100, b"", b"", keep_alive=True, minor=1, head_only=False) == b"HTTP/1.1 100 Continue\r\n\r\n"


def test_an_answer_without_content_type_or_reason_is_still_one() -> None:
    answer = simple_answer(299, b"", b"", keep_alive=True, minor=1, head_only=False)
    assert answer == b"HTTP/1.1 299 Unknown\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize("field", [(b"A", b"b\r\nSet-Cookie: c"), (b"A", b"b\n"), (b"A\r\nB", b"c"), (b"A\n", b"b")])
def test_a_line_break_cannot_be_smuggled_into_a_field(field: tuple[bytes, bytes]) -> None:
    with pytest.raises(ValueError, match="line break"):
        simple_answer(302, b"", b"", fields=[field], keep_alive=True, minor=1, head_only=False)


def test_reasons_are_those_of_the_registry() -> None:
    assert REASONS[200] == b"OK"
    assert REASONS[413] == b"Content Too Large"
    assert REASONS[431] == b"Request Header Fields Too Large"
    assert {400, 404, 405, 408, 414, 417, 421, 422, 429, 500, 501, 502, 503, 504, 505, 508} <= REASONS.keys()
