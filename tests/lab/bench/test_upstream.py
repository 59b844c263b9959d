"""The cheapest upstream answers once for each request."""

from twisted.internet.testing import StringTransport

from scalability.lab.bench.upstream import ANSWER, MAX_BYTES, TO_BE_STORED, Upstream, answer_of


def answers(*pieces: bytes) -> bytes:
    protocol, transport = Upstream(), StringTransport()
    protocol.makeConnection(transport)
    for piece in pieces:
        protocol.dataReceived(piece)
    written: bytes = transport.value()
    return written


HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
USUAL = b"GET /data HTTP/1.1\r\nHost: a\r\n\r\n"
UPLOAD = b"POST /data HTTP/1.1\r\nHost: a\r\ncontent-length: 5\r\n\r\n\r\n\r\nx"


def test_each_head_is_answered_once() -> None:
    assert answers(HEAD) == ANSWER
    assert answers(HEAD, HEAD) == ANSWER * 2
    assert answers(USUAL, USUAL) == ANSWER * 2


def test_pipelined_heads_are_answered_together() -> None:
    assert answers(HEAD * 3) == ANSWER * 3
    assert answers(USUAL * 3) == ANSWER * 3


def test_requests_in_any_two_pieces_are_answered_once() -> None:
    for whole in (HEAD, USUAL, UPLOAD):
        for cut in range(1, len(whole)):
            assert answers(whole[:cut], whole[cut:] + HEAD) == ANSWER * 2, (whole, cut)


def test_an_upload_is_answered_when_all_of_it_has_come() -> None:
    assert answers(UPLOAD[:-1]) == b""
    assert answers(UPLOAD[:-1], UPLOAD[-1:]) == ANSWER


def test_as_many_bytes_are_answered_as_the_path_names() -> None:
    assert answers(b"GET /bytes/1000 HTTP/1.1\r\n\r\n") == answer_of(b"x" * 1000)
    assert len(answers(b"GET /bytes/999999999999 HTTP/1.1\r\n\r\n")) < MAX_BYTES + 1000


def test_some_answers_may_be_stored() -> None:
    assert answers(b"GET /cacheable/1 HTTP/1.1\r\n\r\n") == TO_BE_STORED
    assert b"Cache-Control: max-age=600\r\n" in TO_BE_STORED
