"""The threaded server serves, and leaves nothing behind."""

import socket
import threading

from scalability.testing.threaded_server import ThreadedServer


def echo(connection: socket.socket) -> None:
    while data := connection.recv(100):
        connection.sendall(data)


def test_it_serves_connections_side_by_side_and_its_end_is_theirs() -> None:
    before = threading.active_count()
    server = ThreadedServer(echo)
    with (
        socket.create_connection(("127.0.0.1", server.port), timeout=5) as first,
        socket.create_connection(("127.0.0.1", server.port)) as second,
    ):
        for client in (second, first):
            client.sendall(b"hello")
            assert client.recv(100) == b"hello"
        server.close()
        assert first.recv(100) == b""
    assert server.connections == 2
    assert threading.active_count() == before


def test_a_connection_that_breaks_harms_no_other() -> None:
    def reset(connection: socket.socket) -> None:
        raise ConnectionResetError

    server = ThreadedServer(reset)
    for _ in range(2):
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as client:
            assert client.recv(100) == b""
    server.close()
