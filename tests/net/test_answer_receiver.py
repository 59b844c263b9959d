"""What the receiver of an answer is told, in which order."""

import pytest

from scalability.testing.recorded_client import OK, RecordedClient


@pytest.mark.parametrize("size", [1, 2, 3, 7, 40])
def test_an_answer_may_come_in_any_pieces(size: int) -> None:
    answer = (
        b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    )
    client = RecordedClient()
    asker, transport = client.ask()
    for start in range(0, len(answer), size):
        transport.deliver(answer[start : start + size])
    assert asker.events[0] == ("interim", 103)
    assert asker.events[1][:2] == ("head", 200)
    assert asker.events[1][2] + b"".join(event[1] for event in asker.events[2:]) == b"abcde"
    assert asker.events[-1][-1] is True
    assert client.pool.idle_connections == 1


@pytest.mark.parametrize(
    "sent",
    [
        OK,
        b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK,
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\n\r\nuntil the end",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\nzz",
        b"nonsense\r\n\r\n",
        b"",
    ],
)
def test_interim_answers_come_first_then_the_head_then_data_and_one_end_after_which_nothing_comes(sent: bytes) -> None:
    order = ["interim", "head", "data", "failed"]
    for size in (1, len(sent) or 1):
        client = RecordedClient()
        asker, transport = client.ask()
        for start in range(0, len(sent), size):
            if transport.open:
                transport.deliver(sent[start : start + size])
        if transport.open:
            transport.finish()
        client.pass_time(70)
        kinds = [event[0] for event in asker.events]
        assert kinds == sorted(kinds, key=order.index)
        ends = [event[0] == "failed" or event[-1] is True for event in asker.events]
        assert ends == [False] * (len(ends) - 1) + [True]
