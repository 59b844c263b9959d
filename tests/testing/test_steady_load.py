"""The steady load: what it takes for a right answer, and what it writes down of others."""

import socket
import time
from collections.abc import Callable, Iterator
from threading import Thread

import pytest

from scalability.testing.steady_load import SteadyLoad

Answers = Callable[[int, bytes], bytes]
"""Of the number of the request on its connection and its target, what is sent; empty: the connection is closed."""


class Playing:
    """A server on threads that sends whatever ``answers`` says."""

    def __init__(self) -> None:
        self.answers: Answers = lambda number, target: answer(target)
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port: int = self._listener.getsockname()[1]
        Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            number = 0
            while data := connection.recv(65536):
                number += 1
                sent = self.answers(number, data.split()[1])
                if not sent:
                    return
                connection.sendall(sent)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def answer(body: bytes, status: int = 200, more: bytes = b"") -> bytes:
    return b"HTTP/1.1 %d X\r\n%bContent-Length: %d\r\n\r\n%b" % (status, more, len(body), body)


@pytest.fixture
def server() -> Iterator[Playing]:
    made = Playing()
    yield made
    made.close()


def loaded(server: Playing, *, count: int = 20, **more: float) -> SteadyLoad:
    """A load that has sent about ``count`` requests, and ended."""
    with SteadyLoad(server.port, rate_per_s=400, **more) as load:  # type: ignore[arg-type]  # all are numbers
        end = time.monotonic() + 10
        while load.answered + load.failed + load.waiting < count and time.monotonic() < end:
            time.sleep(0.005)
    return load


def test_right_answers_come_over_few_connections(server: Playing) -> None:
    load = loaded(server)
    assert (load.failed, load.failures, load.waiting) == (0, [], 0)
    assert load.answered >= 20
    assert server.connections < load.answered
    assert 0 < load.slowest_s < 5


def test_an_answer_in_chunks_is_put_together(server: Playing) -> None:
    head = b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n"
    server.answers = lambda number, target: head + b"1\r\n/\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(target) - 1, target[1:])
    assert loaded(server).failures == []


def test_a_connection_that_is_announced_to_end_is_not_used_again(server: Playing) -> None:
    server.answers = lambda number, target: answer(target, more=b"Connection: close\r\n") if number == 1 else b""
    load = loaded(server)
    assert load.failures == []
    assert server.connections == load.answered


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        (lambda number, target: answer(target, 502), "502"),
        (lambda number, target: answer(b"/load?n=0"), "200 b'/load?n=0'"),
        (lambda number, target: answer(target) + b"surplus", "surplus"),
        (lambda number, target: b"220 ready\r\n\r\n", "BadMessage"),
        (lambda number, target: answer(target)[:-1] if number == 1 else b"", "no answer within"),
        (lambda number, target: b"", "ConnectionResetError"),
    ],
    ids=["status", "body", "surplus", "no HTTP", "incomplete", "closed"],
)
def test_whatever_is_no_right_answer_is_a_failure(server: Playing, answers: Answers, why: str) -> None:
    server.answers = answers
    load = loaded(server, count=5, timeout_s=0.2)
    assert load.answered == 0
    assert load.failed == len(load.failures) >= 5
    assert all(why in failure for failure in load.failures), str(load)


def test_no_more_requests_wait_than_there_may_be_connections(server: Playing) -> None:
    server.answers = lambda number, target: b"HTTP/1.1 "
    with SteadyLoad(server.port, rate_per_s=1000, connections=3, timeout_s=0.3) as load:
        time.sleep(0.1)
        assert load.waiting == 3
        with pytest.raises(AssertionError, match="0 of 1 right answers"):
            load.more(1, timeout_s=0.01)


def test_nobody_listening_is_a_failure_each_time() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        with SteadyLoad(bound.getsockname()[1], rate_per_s=100) as load:
            time.sleep(0.1)
    assert load.failed >= 1
    assert "ConnectionRefusedError" in load.failures[0]


def test_what_is_uploaded_must_come_back_behind_the_target(server: Playing) -> None:
    server.answers = lambda number, target: answer(target + b"body")
    with SteadyLoad(server.port, upload=b"body") as load:
        load.more(20)
    assert load.failed == 0
    with SteadyLoad(server.port, upload=b"other") as load:
        time.sleep(0.1)
    assert (load.answered, load.failed > 0) == (0, True)
