"""The parts of the slowloris benchmark, small."""

import socket
import threading
from collections.abc import Iterator

import pytest

from scalability.lab.bench.slowloris import DRIBBLE, Attack, Dribblers
from scalability.testing.threaded_server import ThreadedServer


class Answering(ThreadedServer):
    """Answers each request head 200; with ``refuses`` it closes at the first byte."""

    def __init__(self, *, refuses: bool = False) -> None:
        self._refuses = refuses
        super().__init__(self._answer)

    def _answer(self, connection: socket.socket) -> None:
        got = b""
        while data := connection.recv(65536):
            got += data
            if self._refuses:
                return
            while b"\r\n\r\n" in got:
                got = got.partition(b"\r\n\r\n")[2]
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")


@pytest.fixture
def server() -> Iterator[Answering]:
    made = Answering()
    yield made
    made.close()


def test_dribblers_send_a_byte_at_a_time_and_stay(server: Answering) -> None:
    dribblers = Dribblers(server.port, 3)
    for _ in range(3):
        dribblers.open()
    for _ in range(len(DRIBBLE) + 5):
        dribblers.dribble(3)
    dribblers.close()
    assert (len(dribblers), dribblers.lost) == (3, 0)
    assert b"\r\n\r\n" not in DRIBBLE, "a dribbled head never ends"


def test_a_dribbler_that_is_cut_is_replaced() -> None:
    server = Answering(refuses=True)
    dribblers = Dribblers(server.port, 1)
    dribblers.open()
    for _ in range(2000):
        dribblers.dribble(1)
        if dribblers.lost:
            break
        threading.Event().wait(0.005)
    dribblers.close()
    server.close()
    assert dribblers.lost >= 1
    assert len(dribblers) == 1


def test_the_attack_is_a_process_that_says_when_it_stands_and_ends_when_told(server: Answering) -> None:
    attack = Attack(server.port, 20)
    assert attack.wait_open() == 20
    assert attack.close() == 0
    assert server.connections == 20
