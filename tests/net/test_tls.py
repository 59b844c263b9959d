"""TLS above a server, in memory."""

import contextlib
from pathlib import Path
from typing import Any

import pytest
from OpenSSL import SSL

from scalability.config import Address, CertificatePath
from scalability.errors import ConfigError, ConnectError, ConnectTimeout, TLSFailed
from scalability.lifecycle import DeadlineWheel
from scalability.net.certificates import CertificateStore
from scalability.net.client_connection import ClientConnection
from scalability.net.connection_pool import ConnectionPool
from scalability.net.exchange import Exchange
from scalability.net.http_server import HTTPServerFactory
from scalability.net.tls import Authorities, ServerTLS, TLSServerFactory, why_not_met
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


def test_rule_38_what_is_still_uploaded_over_tls_does_not_destroy_the_answer(tmp_path: Path) -> None:
    secured = Secured(tmp_path)  # which answers without waiting for the body
    transport = secured.network.connect_to(secured.factory)
    client = SSL.Connection(SSL.Context(SSL.TLS_METHOD), None)
    client.set_connect_state()

    def exchanged() -> bytes:
        got = b""
        for _ in range(5):
            with contextlib.suppress(SSL.WantReadError, SSL.ZeroReturnError):
                client.do_handshake()
                got += client.recv(65536)
            with contextlib.suppress(SSL.WantReadError):
                transport.deliver(client.bio_read(65536))
            secured.network.advance(0)
            if answer := transport.taken():
                client.bio_write(answer)
        return got

    exchanged()
    client.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\nsome")
    transport.deliver(client.bio_read(65536))
    client.send(b"more of it, on its way already")
    transport.deliver(client.bio_read(65536))
    secured.network.advance(0)
    assert transport.ended != "reset"
    assert exchanged().startswith(b"HTTP/1.1 200 OK\r\n")


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
    assert secured.factory.failed_handshakes == 1


@pytest.mark.parametrize("sent", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01"])
def test_a_handshake_that_fails_is_counted_and_one_that_is_done_is_not(tmp_path: Path, sent: bytes) -> None:
    secured = Secured(tmp_path)
    client = secured.network.connect_to(secured.factory)
    client.deliver(sent)
    client.reset()
    secured.network.advance(0)
    assert secured.factory.failed_handshakes == 1
    assert secured.server.counts.open == 0
    exchange(secured, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert secured.factory.failed_handshakes == 1


class Waiting:
    """Waits for a connection to a server."""

    def __init__(self) -> None:
        self.connection: ClientConnection | None = None
        self.error: Exception | None = None

    def connected(self, connection: ClientConnection) -> None:
        self.connection = connection

    def connect_failed(self, error: ConnectError | ConnectTimeout) -> None:
        self.error = error


class Meeting:
    """A pool that speaks TLS with the test, which is the server ``named``."""

    def __init__(self, folder: Path, named: str = "a.example", *, meant: str = "a.example", **more: Any) -> None:
        self.network = MemoryNetwork()
        wheel = DeadlineWheel(self.network)
        wheel.startService()
        authority = Authority()
        self.store = CertificateStore([CertificatePath(authority.write(folder / "server.pem", named))])
        trust = ServerTLS(self.network, **(more or {"ca": authority.write_own(folder / "ca.pem")}))
        self.pool = ConnectionPool(self.network, Address("192.0.2.9", 443), wheel, secure=trust.wrap(meant))
        self.waiting = Waiting()
        self.opening = self.pool.open(self.waiting)
        self.transport = self.network.accept()
        self.server = self.store.serverConnectionForTLS(None)
        self.server.set_accept_state()

    def talk(self) -> bytes:
        """Let both sides say what they have to; what the server was sent."""
        got = b""
        for _ in range(6):
            if sent := self.transport.taken():
                self.server.bio_write(sent)
            with contextlib.suppress(SSL.Error):
                got += self.server.recv(65536)
            with contextlib.suppress(SSL.WantReadError):
                self.transport.deliver(self.server.bio_read(65536))
            self.network.advance(0)
        return got


def test_a_server_with_the_right_certificate_is_met_and_its_connection_kept(tmp_path: Path) -> None:
    meeting = Meeting(tmp_path)
    assert meeting.waiting.connection is None  # not before the handshake is done
    meeting.talk()
    connection = meeting.waiting.connection
    assert connection is not None
    assert meeting.pool.open_connections == 1
    assert meeting.server.get_alpn_proto_negotiated() == b"http/1.1"
    assert meeting.server.get_servername() == b"a.example"


@pytest.mark.parametrize("meant", ["b.example", "192.0.2.9"])
def test_a_server_with_a_certificate_for_another_name_is_not_met(tmp_path: Path, meant: str) -> None:
    meeting = Meeting(tmp_path, meant=meant)
    meeting.talk()
    assert meeting.waiting.connection is None
    assert isinstance(meeting.waiting.error, TLSFailed)
    assert why_not_met(meeting.waiting.error.__cause__ or meeting.waiting.error) == "its certificate is for another name"


def test_an_address_may_stand_in_a_certificate(tmp_path: Path) -> None:
    meeting = Meeting(tmp_path, "192.0.2.9", meant="192.0.2.9")
    meeting.talk()
    assert meeting.waiting.connection is not None


def test_an_authority_that_is_not_known_counts_for_nothing_by_default(tmp_path: Path) -> None:
    meeting = Meeting(tmp_path, ca=None)
    meeting.talk()
    assert isinstance(meeting.waiting.error, TLSFailed)
    assert meeting.pool.open_connections == 0
    assert "does not lead to an authority that is trusted" in why_not_met(meeting.waiting.error.__cause__ or meeting.waiting.error)


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (SSL.Error([("SSL routines", "", "tlsv1 alert protocol version")]), "tlsv1 alert protocol version"),
        (SSL.Error([("a", "", "one"), ("b", "", "two")]), "one, two"),
        (ConnectionResetError("it was reset"), "it was reset"),
    ],
)
def test_other_handshakes_fail_in_openssl_s_own_words(error: Exception, why: str) -> None:
    assert why_not_met(error) == why


def test_authorities_are_known_also_when_their_file_is_gone(tmp_path: Path) -> None:
    ca = Authority().write_own(tmp_path / "ca.pem")
    trust = ServerTLS(MemoryNetwork(), ca=ca)
    ca.unlink()
    trust.wrap("a.example")


def test_verification_can_be_given_up(tmp_path: Path) -> None:
    meeting = Meeting(tmp_path, "other.example", verify=False)
    meeting.talk()
    assert meeting.waiting.connection is not None
    assert meeting.server.get_servername() == b"a.example"


def test_a_handshake_that_does_not_end_is_a_connect_timeout(tmp_path: Path) -> None:
    meeting = Meeting(tmp_path)
    for _ in range(16):
        meeting.network.advance(0.25)
    assert isinstance(meeting.waiting.error, ConnectTimeout)
    assert meeting.transport.ended == "reset"


def test_an_attempt_that_is_cancelled_ends_the_handshake(tmp_path: Path) -> None:
    meeting = Meeting(tmp_path)
    meeting.opening.cancel()
    meeting.network.advance(0)
    assert meeting.transport.ended == "reset"
    assert (meeting.waiting.connection, meeting.waiting.error) == (None, None)


@pytest.mark.parametrize(("content", "why"), [(None, "cannot read"), (b"nothing", "holds no certificate")])
def test_authorities_that_cannot_be_read_are_refused(tmp_path: Path, content: bytes | None, why: str) -> None:
    if content is not None:
        (tmp_path / "ca.pem").write_bytes(content)
    with pytest.raises(ConfigError, match=why):
        Authorities(tmp_path / "ca.pem")
