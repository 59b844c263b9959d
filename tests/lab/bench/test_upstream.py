"""The cheapest upstream answers once for each head."""

from twisted.internet.testing import StringTransport

from scalability.lab.bench.upstream import ANSWER, Upstream


def answers(*pieces: bytes) -> bytes:
    protocol, transport = Upstream(), StringTransport()
    protocol.makeConnection(transport)
    for piece in pieces:
        protocol.dataReceived(piece)
    written: bytes = transport.value()
    return written


HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def test_each_head_is_answered_once() -> None:
    assert answers(HEAD) == ANSWER
    assert answers(HEAD, HEAD) == ANSWER * 2


def test_pipelined_heads_are_answered_together() -> None:
    assert answers(HEAD * 3) == ANSWER * 3


def test_a_head_in_any_two_pieces_is_answered_once() -> None:
    for cut in range(1, len(HEAD)):
        assert answers(HEAD[:cut], HEAD[cut:] + HEAD) == ANSWER * 2, cut
