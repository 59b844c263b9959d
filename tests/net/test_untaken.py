"""What the other side has not taken is told, as far as anybody knows it."""

import socket
import time
from typing import Any

from scalability.net.untaken import untaken_bytes


class Transport:
    def __init__(self, queued_bytes: int, connection: socket.socket | None = None) -> None:
        self.queued_bytes = queued_bytes
        self.fileno: Any = None if connection is None else connection.fileno


def test_a_transport_that_does_not_tell() -> None:
    assert untaken_bytes(object()) is None


def test_a_transport_without_a_socket() -> None:
    assert untaken_bytes(Transport(7)) == 7


def test_what_the_kernel_holds_counts_until_the_peer_has_taken_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with socket.create_connection(listening.getsockname()) as mine:
            theirs, _ = listening.accept()
            with theirs:
                theirs.settimeout(10)
                mine.setblocking(False)
                sent = mine.send(b"x" * 4_000_000)
                held = untaken_bytes(Transport(7, mine))
                assert held is not None
                assert 7 < held <= sent + 7
                left = sent
                while left:
                    left -= len(theirs.recv(1 << 16))
                until = time.monotonic() + 10
                while untaken_bytes(Transport(7, mine)) != 7:  # an acknowledgement may be a moment late
                    assert time.monotonic() < until
                    time.sleep(0.001)


def test_a_closed_socket() -> None:
    closed = socket.socket()
    closed.close()
    assert untaken_bytes(Transport(7, closed)) == 7
