"""TLS between a listener and the server above it, and towards the servers behind us."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cryptography.x509 import load_pem_x509_certificates
from OpenSSL import SSL
from OpenSSL.crypto import X509
from service_identity import VerificationError
from twisted.internet._sslverify import IOpenSSLTrustRoot
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.interfaces import IAddress, IOpenSSLClientConnectionCreator, IOpenSSLServerConnectionCreator, IReactorTime
from twisted.internet.protocol import Factory
from twisted.internet.ssl import CertificateOptions, optionsForClientTLS, platformTrust
from twisted.protocols.tls import BufferingTLSTransport, TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from scalability.config.named_file import read_named
from scalability.errors import ConfigError

CA_FLAG = "--backend-ca"
MAX_CA_BYTES = 16 << 20
HTTP = b"http/1.1"


class CountedHandshake(BufferingTLSTransport):
    """A client's connection, which tells its factory when it ends before it stands."""

    factory: Any

    def connectionLost(self, reason: Failure = None) -> None:  # type: ignore[assignment]
        # Twisted calls this again when the connection below ends, too
        if self.connected and not self._handshakeDone:
            self.factory.failed_handshakes += 1
        super().connectionLost(reason)


class TLSServerFactory(TLSMemoryBIOFactory):
    """Speaks TLS with clients and hands what they say to the connections of ``server``, an ``HTTPServerFactory`` or what stands before one.

    Connections count in ``server`` from the moment in which they are accepted, so that its caps and deadlines hold for handshakes too.
    Several such factories and a plain listener may share one server; whoever closes the last of them drains it.
    """

    protocol = CountedHandshake

    def __init__(self, creator: IOpenSSLServerConnectionCreator, server: Any, clock: IReactorTime) -> None:
        super().__init__(creator, False, server, clock)
        self.room: Callable[[], int] = server.room
        self.when_room: Callable[[Callable[[], None]], None] = server.when_room
        self.out_of_means: Callable[[], None] = server.out_of_means
        self.failed_handshakes = 0
        """Connections that ended before their handshake did: no common version, plain HTTP, or whoever only looked who listens."""

    def buildProtocol(self, addr: IAddress | None) -> Any:  # None where the server has no room
        served = self.wrappedFactory.buildProtocol(addr)
        return None if served is None else self.protocol(self, served)


class ServerTLS:
    """How servers behind us are met: TLS 1.2 or 1.3, and unless ``verify`` is False a certificate for the name that was meant.

    It must lead to one of the authorities in the PEM file ``ca``, or of the system without that. Raises ConfigError when the
    file holds none, naming ``flag``. Blocks while it reads it. ``alpn`` is what is spoken above TLS (RFC 7301).
    """

    def __init__(
        self, clock: IReactorTime, *, ca: Path | None = None, verify: bool = True, alpn: Sequence[bytes] = (HTTP,), flag: str = CA_FLAG
    ) -> None:
        self._clock = clock
        self._roots: Any = platformTrust() if ca is None else Authorities(ca, flag)
        self._verify = verify
        self._alpn = list(alpn) or None

    def wrap(self, name: str) -> Callable[[Any], Any]:
        """What wraps a connection (``ConnectionPool``'s ``secure``) to a server that is called ``name``, a host name or an address."""
        creator: Any = (
            optionsForClientTLS(name, trustRoot=self._roots, acceptableProtocols=self._alpn) if self._verify else Unverified(name)
        )
        factory = TLSMemoryBIOFactory(creator, True, Factory(), self._clock)

        def wrapped(connection: Any) -> Any:
            return factory.protocol(factory, connection)

        return wrapped


@implementer(IOpenSSLTrustRoot)
class Authorities:
    """The certificates in a PEM file, as those whose word counts. Raises ConfigError when it holds none."""

    def __init__(self, file: Path, flag: str = CA_FLAG) -> None:
        data = read_named(flag, file, MAX_CA_BYTES)
        try:
            found = load_pem_x509_certificates(data)
        except ValueError as error:
            raise ConfigError(flag, f"{file} holds no certificate in PEM") from error
        # kept: servers that DNS names later are met by the same, whatever has become of the file
        self._certificates = [X509.from_cryptography(certificate) for certificate in found]

    def _addCACertsToContext(self, context: SSL.Context) -> None:  # noqa: N802 - Twisted's name
        store = context.get_cert_store()
        assert store is not None
        for certificate in self._certificates:
            store.add_cert(certificate)


@implementer(IOpenSSLClientConnectionCreator)
class Unverified:
    """Encrypts, with whomever: whoever sits in between can read and change everything."""

    def __init__(self, name: str) -> None:
        self._name = b"" if isIPAddress(name) or isIPv6Address(name) else name.encode()
        self._context = CertificateOptions().getContext()

    def clientConnectionForTLS(self, protocol: Any) -> SSL.Connection:  # noqa: N802 - Twisted's name
        connection = SSL.Connection(self._context, None)
        connection.set_alpn_protos([HTTP])
        if self._name:
            connection.set_tlsext_host_name(self._name)
        return connection


def why_not_met(error: BaseException) -> str:
    """Why a handshake with a server failed, in words for people."""
    if isinstance(error, VerificationError):
        return "its certificate is for another name"
    if isinstance(error, SSL.Error) and error.args and isinstance(error.args[0], list):
        reasons = [reason for _, _, reason in error.args[0]]
        if "certificate verify failed" in reasons:
            return "its certificate does not lead to an authority that is trusted, or has expired"
        return ", ".join(reasons)
    return str(error)
