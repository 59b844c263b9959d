"""The HTTP server behind TLS: the lean transports below it, ordinary writes above."""

import datetime
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest_twisted
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from twisted.internet.ssl import DefaultOpenSSLContextFactory
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.protocols.tls import TLSMemoryBIOFactory

from scalability.lifecycle import DeadlineWheel
from scalability.net.exchange import Exchange
from scalability.net.http_server import HTTPServerFactory
from scalability.net.transport import listen_tcp


def certificate(folder: Path) -> tuple[str, str]:
    """A certificate for localhost and its key, as files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return str(folder / "cert.pem"), str(folder / "key.pem")


class Large:
    """Answers every request with 3 MB."""

    def __init__(self) -> None:
        self.schemes: list[bytes] = []

    def request_received(self, exchange: Exchange) -> None:
        self.schemes.append(exchange.scheme)
        exchange.answer(200, b"x" * 3_000_000, b"text/plain")


GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


def ask(port: int, cafile: str, request: bytes) -> bytes:
    context = ssl.create_default_context(cafile=cafile)
    with (
        socket.create_connection(("127.0.0.1", port), timeout=20) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as client,
    ):
        client.sendall(request)
        got = bytearray()
        while data := client.recv(1 << 20):
            got += data
        return bytes(got)


@pytest_twisted.ensureDeferred
async def test_pipelined_large_answers_arrive_whole_and_the_scheme_is_https(tmp_path: Path) -> None:
    from twisted.internet import reactor

    cert, key = certificate(tmp_path)
    wheel = DeadlineWheel(reactor)
    wheel.startService()
    application = Large()
    factory = HTTPServerFactory(application, clock=reactor, wheel=wheel)
    wrapped: Any = TLSMemoryBIOFactory(DefaultOpenSSLContextFactory(key, cert), False, factory)
    wrapped.noisy = False
    port: Any = listen_tcp(reactor, "127.0.0.1", 0, wrapped)
    got = await deferToThread(ask, port.getHost().port, cert, GET * 2 + GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    assert got.count(b"HTTP/1.1 200 OK") == 3
    assert got.count(b"x" * 3_000_000) == 3
    assert application.schemes == [b"https"] * 3
    refused = await deferToThread(ask, port.getHost().port, cert, b"GET / HTTP/1.1\r\n\r\n")
    assert refused.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert refused.endswith(b"}")
    await port.stopListening()
    await factory.drain(5.0)
    await wheel.stopService()
    await deferLater(reactor, 0)
