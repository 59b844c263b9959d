"""TLS above a server, in memory."""

import contextlib
from pathlib import Path
from typing import Any

from OpenSSL import SSL

from scalability.config import CertificatePath
from scalability.lifecycle import DeadlineWheel
from scalability.net.certificates import CertificateStore
from scalability.net.http_server import Exchange, HTTPServerFactory
from scalability.net.tls import TLSServerFactory
from scalability.testing.certificates import Authority
from scalability.testing.memory import MemoryNetwork


class Seeing:
    def request_received(self, exchange: Exchange) -> None:
        exchange.answer(200, exchange.scheme + b" " + exchange.peer_host)


class Secured:
    """A TLS server in memory."""

    def __init__(self, folder: Path, **more: Any) -> None:
        self.network = MemoryNetwork()
        wheel = DeadlineWheel(self.network)
        wheel.startService()
        store = CertificateStore([CertificatePath(Authority().write(folder / "a.pem", "localhost"))])
        self.server = HTTPServerFactory(Seeing(), clock=self.network, wheel=wheel, **more)
        self.factory = TLSServerFactory(store, self.server, self.network)


def exchange(secured: Secured, request: bytes) -> bytes:
    transport = secured.network.connect_to(secured.factory)
    client = SSL.Connection(SSL.Context(SSL.TLS_METHOD), None)
    client.set_connect_state()
    got = b""
    sent = False
    for _ in range(10):
        try:
            if not sent:
                client.do_handshake()
                client.send(request)
                sent = True
            got += client.recv(65536)
        except SSL.WantReadError:
            pass
        with contextlib.suppress(SSL.WantReadError):
            transport.deliver(client.bio_read(65536))
        secured.network.advance(0)
        if answer := transport.taken():
            client.bio_write(answer)
    return got


def test_a_request_over_tls_is_an_https_one(tmp_path: Path) -> None:
    got = exchange(Secured(tmp_path), b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert got.startswith(b"HTTP/1.1 200 OK\r\n")
    assert got.endswith(b"https 192.0.2.1")


def test_the_server_s_caps_hold_for_tls_too(tmp_path: Path) -> None:
    secured = Secured(tmp_path, max_connections=1)
    assert secured.factory.room() == 1
    first = secured.network.connect_to(secured.factory)
    assert secured.factory.room() == 0
    assert secured.factory.buildProtocol(None) is None
    again: list[bool] = []
    secured.factory.when_room(lambda: again.append(True))
    first.reset()
    secured.network.advance(0)
    assert again == [True]


def test_a_handshake_that_does_not_come_ends_at_the_head_s_deadline(tmp_path: Path) -> None:
    secured = Secured(tmp_path)
    client = secured.network.connect_to(secured.factory)
    for _ in range(60):
        secured.network.advance(0.25)
    assert client.ended == "reset"
    assert secured.server.counts.open == 0
