"""The parts of the slowloris benchmark, small."""

import socket
import threading
from collections.abc import Iterator

import pytest

from scalability.lab.bench.slowloris import DRIBBLE, Attack, Dribblers


class Answering:
    """A server that answers each request head 200 and counts the bytes that are none; with ``refuses`` it closes at the first byte."""

    def __init__(self, *, refuses: bool = False) -> None:
        self._refuses = refuses
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        got = b""
        try:
            while data := connection.recv(65536):
                got += data
                if self._refuses:
                    connection.close()
                    return
                while b"\r\n\r\n" in got:
                    got = got.partition(b"\r\n\r\n")[2]
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
        except OSError:
            return

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            connection.close()
        self._thread.join(5)


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
