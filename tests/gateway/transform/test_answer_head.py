"""Heads say how their body ends, and nothing of another hop."""

from scalability.gateway.transform.answer_head import answer_head, framing_of
from scalability.http1.forward import Framing

FIELDS = [(b"X-A", b"1"), (b"Connection", b"x"), (b"Content-Length", b"7"), (b"Transfer-Encoding", b"chunked"), (b"Trailer", b"X-T")]


def test_the_framing_is_what_the_client_understands() -> None:
    assert framing_of(5, minor=1, bodiless=False) is Framing.LENGTH
    assert framing_of(None, minor=1, bodiless=False) is Framing.CHUNKED
    assert framing_of(None, minor=0, bodiless=False) is Framing.CLOSE
    assert framing_of(None, minor=1, bodiless=True) is Framing.NONE


def test_framing_and_connection_are_written_anew() -> None:
    head = answer_head(200, b"Fine", FIELDS, Framing.LENGTH, 5, keep_alive=True, minor=1)
    assert head == b"HTTP/1.1 200 Fine\r\nX-A: 1\r\nContent-Length: 5\r\n\r\n"
    head = answer_head(200, b"", FIELDS, Framing.CHUNKED, None, keep_alive=False, minor=1)
    assert head == b"HTTP/1.1 200 OK\r\nX-A: 1\r\nTrailer: X-T\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    head = answer_head(299, b"", [], Framing.LENGTH, 0, keep_alive=True, minor=0)
    assert head == b"HTTP/1.1 299 \r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n"


def test_answers_without_a_body_say_the_length_that_it_would_have() -> None:
    assert b"Content-Length: 9" in answer_head(304, b"", [], Framing.NONE, 9, keep_alive=True, minor=1)
    assert b"Content-Length" not in answer_head(200, b"", [], Framing.NONE, None, keep_alive=True, minor=1)
    assert b"Content-Length" not in answer_head(204, b"", [], Framing.NONE, 0, keep_alive=True, minor=1)


def test_an_interim_head_ends_nothing() -> None:
    assert answer_head(103, b"Early Hints", [(b"Link", b"</a>")], Framing.NONE, None, keep_alive=False, minor=1) == (
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    )
