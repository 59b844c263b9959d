"""A client that looks at the bytes of each reply."""

import socket

import pytest

from scalability.testing.redis_process import request
from scalability.testing.resp_wire import WireClient

MARKED = b"*2\r\n$4\r\nECHO\r\n$4\r\nMARK\r\n"


def test_replies_end_where_the_mark_is() -> None:
    ours, theirs = socket.socketpair()
    client = WireClient(ours)
    with ours, theirs:
        theirs.sendall(b"*1\r\n:1\r\n$4\r\nMARK\r\n+OK\r\n$4\r\nMA")
        theirs.sendall(b"RK\r\n")
        assert client.run_all([("A", 1), ("B",)]) == [b"*1\r\n:1\r\n", b"+OK\r\n"]
        assert theirs.recv(1000) == request("A", 1) + MARKED + request("B") + MARKED
        theirs.sendall(b"$1\r\nx\r\n$4\r\nMARK\r\n")
        assert client.run("C") == b"$1\r\nx\r\n"


def test_a_connection_that_ends_too_soon_is_an_error() -> None:
    ours, theirs = socket.socketpair()
    client = WireClient(ours)
    theirs.sendall(b"-ERR no\r\n")
    theirs.shutdown(socket.SHUT_WR)
    with ours, theirs, pytest.raises(ConnectionError, match="ERR no"):
        client.run("A")
