"""Certificates of a TLS listener: chosen by the name that a client asks for (SNI), read anew when their files change.

Each is a PEM file that holds the certificate, its chain and its key, or two files, or a folder of them: every ``*.pem`` and
``*.crt`` in it, with the key inside or in a file of the same name that ends in ``.key``. The name decides: an exact one before
``*.example.org``, which stands for one label; the first certificate that names it before others. A client that asks for no name,
or for an unknown one, gets the first certificate of all.

Files are looked at every ``INTERVAL_S`` seconds, on a thread. What cannot be read, or does not fit together (a certificate that
was written before its key), changes nothing: the old one is served on, the trouble stands in the log once and in the metrics, and
the next change of the file is another chance. TLS 1.2 and 1.3 are spoken; ALPN offers http/1.1 only, and a client that wants
nothing but others is refused (RFC 7301 section 3.2).
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.ssl import CertificateOptions
from twisted.logger import Logger
from zope.interface import implementer

from scalability.config.certificate import PEM, CertificatePath
from scalability.config.named_file import read_named
from scalability.errors import ConfigError
from scalability.lifecycle import OrderedService, Ticker
from scalability.lifecycle.threads import Threads

INTERVAL_S = 2.0
FLAG = "--tls-cert"
MAX_FILE_BYTES = 4 << 20
HTTP = b"http/1.1"

Signature = tuple[tuple[str, int, int, int], ...]


class Certificate(NamedTuple):
    """A certificate that is ready to be served."""

    pem: PEM
    names: tuple[str, ...]
    """In lower case, wildcards included."""
    expires: float
    """In Unix seconds."""
    context: SSL.Context

    @property
    def file(self) -> str:
        """Where it was read."""
        return self.pem.file


def files_of(source: CertificatePath) -> list[tuple[Path, Path]]:
    """The (certificate, key) files of ``source``, by name. Raises ConfigError when a folder holds none, or cannot be read."""
    path = source.path
    if not path.is_dir():
        return [(path, source.key or path)]
    if source.key is not None:
        raise ConfigError(FLAG, f"{path} is a folder: its keys lie in it")
    try:
        found = sorted(file for file in path.iterdir() if file.suffix in (".pem", ".crt") and file.is_file())
    except OSError as error:
        raise ConfigError(FLAG, f"cannot read {path}: {error.strerror}") from error
    if not found:
        raise ConfigError(FLAG, f"the folder {path} holds neither *.pem nor *.crt")
    return [(file, key if (key := file.with_suffix(".key")).is_file() else file) for file in found]


def signature_of(source: CertificatePath) -> Signature:
    """What changes when a file of ``source`` does: names, times, sizes and identities."""
    signature = []
    try:
        for pair in files_of(source):
            for file in dict.fromkeys(pair):
                found = file.stat()
                signature.append((str(file), found.st_mtime_ns, found.st_size, found.st_ino))
    except (OSError, ConfigError):
        return (("missing", 0, 0, 0),)
    return tuple(signature)


def read_certificates(source: CertificatePath, name_came: Callable[[SSL.Connection], None] | None = None) -> list[Certificate]:
    """Read the files of ``source``. Raises ConfigError, saying which of them is wrong and how. Blocks.

    ``name_came`` is called in each handshake that names a host.
    """
    return [certificate_of(_read(certificate, key), name_came) for certificate, key in files_of(source)]


def _read(file: Path, key_file: Path) -> PEM:
    data = read_named(FLAG, file, MAX_FILE_BYTES)
    return PEM(str(file), str(key_file), data, data if key_file == file else read_named(FLAG, key_file, MAX_FILE_BYTES))


def certificate_of(pem: PEM, name_came: Callable[[SSL.Connection], None] | None = None) -> Certificate:
    """What can be served of ``pem``. Raises ConfigError."""
    try:
        chain = x509.load_pem_x509_certificates(pem.data)
    except ValueError as error:
        raise ConfigError(FLAG, f"{pem.file} holds no certificate in PEM") from error
    try:
        key = load_pem_private_key(pem.key_data, None)
    except TypeError as error:
        raise ConfigError(FLAG, f"the key in {pem.key_file} is protected by a password") from error
    except ValueError as error:
        raise ConfigError(FLAG, f"{pem.key_file} holds no private key in PEM") from error
    leaf = chain[0]
    # for Twisted's choice of ciphers and options; what it takes certificates as, pyOpenSSL is giving up
    context = CertificateOptions(enableSessionTickets=True).getContext()
    try:
        context.use_certificate(leaf)
        for issuer in chain[1:]:
            context.add_extra_chain_cert(issuer)
        context.use_privatekey(key)  # type: ignore[arg-type]  # kinds of keys that it does not take raise TypeError
        context.check_privatekey()
    except (SSL.Error, TypeError) as error:
        raise ConfigError(FLAG, f"the certificate in {pem.file} and the key in {pem.key_file} do not belong together") from error
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_alpn_select_callback(_select_protocol)
    if name_came is not None:
        context.set_tlsext_servername_callback(name_came)
    return Certificate(pem, _names_of(leaf), leaf.not_valid_after_utc.timestamp(), context)


def _names_of(leaf: x509.Certificate) -> tuple[str, ...]:
    try:
        alternatives = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        named = [str(attribute.value) for attribute in leaf.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)]
    else:
        named = alternatives.get_values_for_type(x509.DNSName)
    return tuple(name.lower() for name in named)


def _select_protocol(connection: SSL.Connection, offered: Sequence[bytes]) -> bytes:
    if HTTP not in offered:
        # ends the handshake with a no_application_protocol alert. Of this type and form it is what Twisted expects of OpenSSL itself
        raise SSL.Error([("", "", "the client does not speak http/1.1")])
    return HTTP


@implementer(IOpenSSLServerConnectionCreator)
class Certificates:
    """Certificates that are served, and the choice among them; the first is the default."""

    def __init__(self, pems: Iterable[PEM]) -> None:
        """Raises ConfigError."""
        self.show(pems)

    def show(self, pems: Iterable[PEM]) -> None:
        """Serve these, from the next connection on. Raises ConfigError, and then nothing has changed."""
        self._serve([certificate_of(pem, self._name_came) for pem in pems])

    def context_for(self, name: bytes | None) -> SSL.Context:
        """The context for a client that asks for ``name``."""
        if not name:
            return self._default
        asked = name.decode("latin-1").lower().removesuffix(".")
        found = self._exact.get(asked)
        if found is None:
            found = self._wildcards.get(asked.partition(".")[2], self._default)
        return found

    def serverConnectionForTLS(self, protocol: object) -> SSL.Connection:  # noqa: N802 - Twisted's name
        """A new connection's side of TLS, with the default certificate until the client has said whom it wants."""
        return SSL.Connection(self._default, None)

    def _serve(self, certificates: Sequence[Certificate]) -> None:
        self._default = certificates[0].context
        self._exact: dict[str, SSL.Context] = {}
        self._wildcards: dict[str, SSL.Context] = {}
        for certificate in certificates:
            for name in certificate.names:
                if name.startswith("*."):
                    self._wildcards.setdefault(name[2:], certificate.context)
                else:
                    self._exact.setdefault(name, certificate.context)

    def _name_came(self, connection: SSL.Connection) -> None:
        context = self.context_for(connection.get_servername())
        if context is not self._default:
            connection.set_context(context)


class CertificateStore(Certificates):
    """Those that the files of ``sources`` hold. Raises ConfigError when one cannot be read. Blocks."""

    log = Logger()

    def __init__(self, sources: Iterable[CertificatePath]) -> None:
        self._sources = tuple(sources)
        self._signatures = {source: signature_of(source) for source in self._sources}
        self._loaded = {source: read_certificates(source, self._name_came) for source in self._sources}
        self._changed: list[Callable[[], None]] = []
        self.reloads = {"changed": 0, "failed": 0}
        """How often files that had changed were read, by what came of it."""
        self._serve(self.certificates)

    @property
    def certificates(self) -> list[Certificate]:
        """All of them, the default one first."""
        return [certificate for source in self._sources for certificate in self._loaded[source]]

    def when_changed(self, changed: Callable[[], None]) -> None:
        """Call ``changed`` whenever other certificates are served than before."""
        self._changed.append(changed)

    def changed(self) -> list[tuple[CertificatePath, Signature, list[Certificate] | ConfigError]]:
        """Read whatever has changed since it was read last. Blocks; nothing is changed by it: ``adopt`` the outcome."""
        outcome: list[tuple[CertificatePath, Signature, list[Certificate] | ConfigError]] = []
        for source in self._sources:
            signature = signature_of(source)
            if signature == self._signatures[source]:
                continue
            try:
                outcome.append((source, signature, read_certificates(source, self._name_came)))
            except ConfigError as error:
                outcome.append((source, signature, error))
        return outcome

    def adopt(self, outcome: Iterable[tuple[CertificatePath, Signature, list[Certificate] | ConfigError]]) -> None:
        """Serve what ``changed`` has read, from the next connection on."""
        anew = False
        for source, signature, found in outcome:
            self._signatures[source] = signature
            if isinstance(found, ConfigError):
                self.reloads["failed"] += 1
                self.log.error("the certificate {source} is not read anew, the old one is served on: {why}", source=source, why=found)
                continue
            anew = True
            self.reloads["changed"] += 1
            self._loaded[source] = found
            for certificate in found:
                self.log.info("the certificate {file} for {names} is served now", file=certificate.file, names=", ".join(certificate.names))
        if anew:
            self._serve(self.certificates)
            for changed in self._changed:
                changed()


class CertificateWatch(OrderedService):
    """Looks at the files of ``store`` every ``interval_s`` seconds, on a thread of its own."""

    def __init__(self, reactor: object, store: CertificateStore, *, interval_s: float = INTERVAL_S) -> None:
        super().__init__()
        self._store = store
        self._threads = Threads(reactor, 1, name="certificates", limit=1)
        self._threads.setServiceParent(self)
        Ticker(reactor, interval_s, self.look, now=False).setServiceParent(self)  # type: ignore[arg-type]  # a reactor is a clock

    async def look(self) -> None:
        """Read and serve what has changed."""
        outcome = await self._threads.run(self._store.changed)
        if outcome:
            self._store.adopt(outcome)
