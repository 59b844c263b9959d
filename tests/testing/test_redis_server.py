"""The real server of integration tests."""

import socket
from pathlib import Path

import pytest

from scalability.testing.redis_server import RedisServer, installed


def test_what_is_not_there_is_not_installed() -> None:
    assert not installed("no-such-server")


@pytest.mark.skipif(not installed(), reason="redis-server is not installed")
def test_a_server_answers_until_it_is_closed(tmp_path: Path) -> None:
    with RedisServer(tmp_path, "--requirepass", "pw") as server, socket.create_connection(("127.0.0.1", server.port), 5) as client:
        client.sendall(b"PING\r\n")
        assert client.recv(100).startswith(b"-NOAUTH")
    assert server.process.ended
