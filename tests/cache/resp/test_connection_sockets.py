"""Connections over real sockets: the lean reactor reads little where little is expected, and TLS is no lean connection."""

import os
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.protocols.tls import TLSMemoryBIOFactory
from zope.interface import implementer

from scalability.cache.entries import Entries
from scalability.cache.resp.command_table import COMMANDS
from scalability.cache.resp.connection import RESPFactory
from scalability.cache.resp.server import ServerState
from scalability.lifecycle import DeadlineWheel
from scalability.net.transport import listen_tcp
from scalability.net.wire import READ_BYTES, SMALL_READ_BYTES
from scalability.testing.certificates import Authority
from scalability.testing.lean_reactor import lean_reactor
from scalability.testing.redis_process import request
from scalability.ttlcache import TTLCache


class Server:
    """The RESP server on a reactor that is not installed."""

    def __init__(self, reactor: Any) -> None:
        self.reactor = reactor
        entries = Entries(TTLCache[bytes, bytes](max_bytes=1 << 24), self.reactor.seconds)
        wheel = DeadlineWheel(self.reactor)
        wheel.startService()
        self.state = ServerState(entries, COMMANDS, draw=lambda: 0.5)
        self.factory = RESPFactory(self.state, wheel, max_bulk_bytes=1 << 22, max_request_bytes=1 << 22, max_held_bytes=1 << 22)

    def connect(self, factory: Any = None) -> socket.socket:
        port: Any = listen_tcp(self.reactor, "127.0.0.1", 0, factory or self.factory)
        client = socket.create_connection(("127.0.0.1", port.getHost().port), timeout=5)
        self.turn()
        return client

    def turn(self) -> None:
        for _ in range(4):
            self.reactor.iterate(0.02)

    def ask(self, client: socket.socket, data: bytes) -> bytes:
        client.sendall(data)
        self.turn()
        return client.recv(1 << 16)


@pytest.fixture
def server() -> Iterator[Server]:
    with lean_reactor() as reactor:
        yield Server(reactor)


def test_a_value_behind_what_is_read_at_once_is_a_value(server: Server) -> None:
    """Where 448 bytes are read, what follows them may look like a request of its own."""
    get = request("GET", "secret")[:-2]
    with server.connect() as client:
        assert server.ask(client, request("SET", "secret", "s3")) == b"+OK\r\n"
        padding = SMALL_READ_BYTES - len(request("SET", "user", b"x" * 400 + get)) + 400 + len(get) + 2
        whole = request("SET", "user", b"x" * padding + get)
        assert whole[SMALL_READ_BYTES:] == request("GET", "secret")
        for _ in range(2):
            assert server.ask(client, request("GET", "secret")) == b"$2\r\ns3\r\n"
            assert server.ask(client, whole) == b"+OK\r\n"
        assert server.ask(client, request("PING")) == b"+PONG\r\n"
    assert server.state.counts.commands == 6


def test_what_is_sent_together_is_read_together_after_the_first_time(server: Server) -> None:
    together = b"".join(request("GET", f"key{n}") for n in range(40))
    with server.connect() as client:
        (connection,) = server.factory._connections.values()
        reads = []
        for data in (together, together, request("GET", "a"), together):
            assert server.ask(client, data) == b"$-1\r\n" * data.count(b"GET")
            reads.append(connection.transport.wire.read_bytes)
    assert reads == [READ_BYTES] * 4


@pytest.mark.parametrize("size", [10, 300, 440, 448, 460, 1_000, 70_000])
def test_values_of_all_sizes_come_back(server: Server, size: int) -> None:
    value = os.urandom(size)
    with server.connect() as client:
        for _ in range(3):
            assert server.ask(client, request("SET", "k", value)) == b"+OK\r\n"
            got = b""
            client.sendall(request("GET", "k"))
            while len(got) < size + len(b"$%d\r\n\r\n" % size):
                server.turn()
                got += client.recv(1 << 20)
            assert got == b"$%d\r\n%b\r\n" % (size, value)


@implementer(IOpenSSLServerConnectionCreator)
class Creator:
    """Makes connections with the certificate and key in one file."""

    def __init__(self, file: Path) -> None:
        self.context = SSL.Context(SSL.TLS_METHOD)
        self.context.use_certificate_file(str(file))
        self.context.use_privatekey_file(str(file))

    def serverConnectionForTLS(self, protocol: object) -> SSL.Connection:  # noqa: N802 - Twisted's name
        return SSL.Connection(self.context, None)


def test_requests_over_tls(server: Server, tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    came, goes = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(came, goes)
    creator = Creator(Authority().write(tmp_path / "server.pem", "localhost"))
    with server.connect(TLSMemoryBIOFactory(creator, False, server.factory, server.reactor)) as plug:
        plug.settimeout(0.05)

        def turn() -> None:
            plug.sendall(goes.read())
            server.turn()
            try:
                came.write(plug.recv(1 << 16))
            except TimeoutError:
                return

        def until_done(step: Callable[[], Any]) -> Any:
            for _ in range(20):
                try:
                    return step()
                except ssl.SSLWantReadError:
                    turn()
            raise AssertionError("it does not end")

        until_done(client.do_handshake)
        for words, reply in ((("SET", "a", "1"), b"+OK\r\n"), (("GET", "a"), b"$1\r\n1\r\n"), (("GET", "a"), b"$1\r\n1\r\n")):
            client.write(request(*words))
            assert until_done(lambda: client.read(100)) == reply
