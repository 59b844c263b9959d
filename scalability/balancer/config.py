"""The options of scalelab-lb."""

import os
import re
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, ClassVar, Literal, NamedTuple, Self

from msgspec import Meta

from scalability.config import Address, CertificatePath, Flag, Network, ServerOptions
from scalability.errors import ConfigError
from scalability.http1.limits import DEFAULT_LIMITS, Limits
from scalability.net.http_server import Timeouts
from scalability.upstream.discovery import INTERVAL_S, Backend
from scalability.upstream.selection import ALGORITHMS


class Algorithm(NamedTuple):
    """The name of a selection algorithm that there is."""

    name: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a name. Raises ValueError, saying which there are."""
        if text not in ALGORITHMS:
            raise ValueError(f"there is no algorithm {text!r}; there is {', '.join(sorted(ALGORITHMS))}")
        return cls(text)

    def __str__(self) -> str:
        return self.name


class UpgradeName(NamedTuple):
    """A protocol that a client's connection may switch to, or ``none``."""

    name: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a protocol's name as Upgrade has it. Raises ValueError, saying what is wrong."""
        name = text.lower()
        if re.fullmatch(r"[!#$%&'*+\-.^`|~\w]+(?:/[!#$%&'*+\-.^`|~\w]+)?", name, re.ASCII) is None:
            raise ValueError(f"{text!r} is not the name of a protocol, such as websocket")
        if name == "h2c" or name.startswith(("http", "tls")):
            raise ValueError(f"{text!r} is not passed on: requests within it would go unseen")
        return cls(name)

    def __str__(self) -> str:
        return self.name


class PathOfURL(NamedTuple):
    """A path that a request line can name."""

    path: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``/path``, with a query or without. Raises ValueError, saying what is wrong."""
        if not text.startswith("/") or not text.isascii() or not text.isprintable() or " " in text or "#" in text:
            raise ValueError(f"{text!r} is not a path that begins with / and has neither spaces nor # in it")
        return cls(text)

    def __str__(self) -> str:
        return self.path


class BalancerOptions(ServerOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What ``twistd scalelab-lb --help`` lists."""

    component: ClassVar[str] = "lb"

    listen: Annotated[Address, Flag("HOST:PORT to accept requests on.", "HOST:PORT")] = Address("127.0.0.1", 8000)
    backend: Annotated[
        tuple[Backend, ...],
        Flag(
            "A server to forward to, HOST:PORT, or with dns:NAME:PORT each address of a name; "
            "either with ,weight=N (1 to 256) for its share of the requests, and ,tls where it speaks TLS; ,tls=NAME if its certificate "
            "has another name than it is reached by.",
            "HOST:PORT",
        ),
    ] = (Backend.parse("127.0.0.1:5000"), Backend.parse("127.0.0.1:5003"))
    algorithm: Annotated[Algorithm, Flag("How the next server is chosen: round_robin.", "NAME")] = Algorithm("round_robin")
    health_path: Annotated[
        PathOfURL, Flag("Path that a healthy server answers with a status from 200 to 399 when it is asked with GET.", "PATH")
    ] = PathOfURL("/health")
    health_interval_s: Annotated[
        float,
        Meta(ge=0.05, le=3600),
        Flag(
            "Seconds between two checks of a healthy server, and the time it has to answer one; a quarter of it between two of one that is "
            "not healthy. 3 failed checks take a server out, 2 passed ones back.",
            "S",
        ),
    ] = 2.0
    access_log: Annotated[
        Path | None,
        Flag(
            "File that gets one line for each request, in batches of up to a second. Opened anew on SIGUSR1 and after it was renamed.",
            "FILE",
        ),
    ] = None
    backend_ca: Annotated[
        Path | None, Flag("PEM file with the authorities whose word counts about ,tls backends, instead of the system's.", "FILE")
    ] = None
    backend_insecure: Annotated[
        bool, Flag("Accept any certificate of ,tls backends. Whoever sits in between can read and change everything.")
    ] = False
    send_proxy: Annotated[
        Literal["off", "v1", "v2"],
        Flag(
            "Begin each connection to a server with a PROXY protocol header of this version that tells the client's address. Such a "
            "connection is used for that client alone.",
            "off|v1|v2",
        ),
    ] = "off"
    tls_listen: Annotated[Address | None, Flag("HOST:PORT to accept requests over TLS (1.2 and 1.3) on, beside --listen.", "HOST:PORT")] = (
        None
    )
    tls_cert: Annotated[
        tuple[CertificatePath, ...],
        Flag(
            "A certificate for --tls-listen: a PEM file with its chain and its key, CERT,KEY, or a folder of such files. A client gets "
            "the one that names the host it asks for, else the first. Read anew when a file changes.",
            "FILE",
        ),
    ] = ()
    proxy_protocol_from: Annotated[
        tuple[Network, ...],
        Flag(
            "A network (CIDR) or address of proxies that begin each connection with a PROXY protocol header, version 1 or 2. From them it "
            "is required, within --header-timeout; from nobody else it is read.",
            "CIDR",
        ),
    ] = ()
    access_log_format: Annotated[
        Literal["json", "common"],
        Flag("How the lines of the access log look: JSON with phase times, or the Common Log Format.", "json|common"),
    ] = "json"
    trusted_proxy: Annotated[
        tuple[Network, ...],
        Flag(
            "A network (CIDR) or address of proxies in front of this one, whose X-Forwarded-*, Forwarded, X-Real-IP, X-Request-Id and "
            "traceparent are believed. Those of everybody else are replaced.",
            "CIDR",
        ),
    ] = ()
    forwarded: Annotated[bool, Flag("Tell servers about the client in Forwarded (RFC 7239) too, beside X-Forwarded-*.")] = False
    request_ids: Annotated[
        Literal["on", "off"],
        Flag("Whether each request gets an X-Request-Id, which its answer and the access log say too, and a W3C traceparent.", "on|off"),
    ] = "on"
    resolver: Annotated[
        Address | None,
        Flag("IP:PORT of the name server to ask for dns: backends, instead of /etc/hosts and the servers in /etc/resolv.conf.", "IP:PORT"),
    ] = None
    resolve_interval_s: Annotated[
        float, Meta(ge=0.1, le=3600), Flag("Seconds between two questions for the addresses of a dns: backend.", "S")
    ] = INTERVAL_S
    connect_timeout_s: Annotated[
        float, Meta(gt=0, le=3600), Flag("Seconds that a connection to a server may take; then another server is tried.", "S")
    ] = 3.0
    header_timeout_s: Annotated[
        float,
        Meta(gt=0, le=3600),
        Flag("Seconds from the first byte of a request to the end of its head; then the client is answered 408.", "S"),
    ] = 10.0
    body_timeout_s: Annotated[
        float,
        Meta(gt=0, le=86400),
        Flag("Seconds between two pieces of a request's body; then the client is answered 408. Also what a slow reader has.", "S"),
    ] = 30.0
    min_body_rate: Annotated[
        int,
        Meta(ge=0, le=1 << 30),
        Flag("Bytes a second that a request's body must bring on average after its first 10 seconds, else 408; 0: any rate.", "N"),
    ] = 1024
    answer_timeout_s: Annotated[
        float,
        Meta(gt=0, le=86400),
        Flag("Seconds to the first byte of a server's answer, and between two pieces of it; then the client is answered 504.", "S"),
    ] = 60.0
    idle_timeout_s: Annotated[
        float, Meta(gt=0, le=86400), Flag("Seconds that a client's connection may lie idle between two requests, before it is closed.", "S")
    ] = 75.0
    upgrade: Annotated[
        tuple[UpgradeName, ...],
        Flag("A protocol that clients may switch to with Upgrade, as a tunnel of bytes to the server; none: no such thing.", "NAME"),
    ] = (UpgradeName("websocket"),)
    tunnel_timeout_s: Annotated[
        float, Meta(gt=0, le=604800), Flag("Seconds in which nothing passes through a tunnel either way, before it is closed.", "S")
    ] = 3600.0
    grace_s: Annotated[
        float, Meta(ge=0, le=3600), Flag("Seconds that requests in flight have to finish after SIGTERM, before they are cut.", "S")
    ] = 30.0
    max_header_bytes: Annotated[
        int,
        Meta(ge=1024, le=1 << 20),
        Flag("Bytes of a head, start line included: a larger request is answered 431, a larger answer 502.", "N"),
    ] = DEFAULT_LIMITS.max_head_bytes
    max_headers: Annotated[
        int, Meta(ge=1, le=10_000), Flag("Fields of a head: more of them in a request are answered 431, in an answer 502.", "N")
    ] = DEFAULT_LIMITS.max_fields
    max_target_bytes: Annotated[
        int, Meta(ge=64, le=1 << 20), Flag("Bytes of a request's target, path and query: a longer one is answered 414.", "N")
    ] = DEFAULT_LIMITS.max_target_bytes
    max_body_bytes: Annotated[
        int, Meta(ge=0, le=1 << 50), Flag("Bytes of a request's body: a larger one is answered 413. Answers have no limit.", "N")
    ] = DEFAULT_LIMITS.max_body_bytes
    underscore_names: Annotated[
        Literal["drop", "pass"],
        Flag(
            "What becomes of a request's fields with _ in their names. CGI-like servers take X_Forwarded_For for X-Forwarded-For, "
            "which clients could make up then.",
            "drop|pass",
        ),
    ] = "drop"
    abort_on_close: Annotated[
        bool,
        Flag(
            "Take a client's FIN for its end and cancel what its server works on. A client that only says that it has no further request, "
            "as HTTP lets it, gets no answer then."
        ),
    ] = False
    max_connections: Annotated[
        int, Meta(ge=1, le=1_000_000), Flag("Clients that may be connected at once; further ones wait to be accepted.", "N")
    ] = 10_000
    max_connections_per_client: Annotated[
        int,
        Meta(ge=0, le=1_000_000),
        Flag("Connections that one IPv4 address, or IPv6 /64, may have; further ones are closed at once. 0: no limit.", "N"),
    ] = 0
    workers: Annotated[
        int,
        Meta(ge=1, le=256),
        Flag("Processes that share the port and its clients, 1 to 256: as many as there are cores; one more watches over them.", "N"),
    ] = 1

    def limits(self) -> Limits:
        """What heads and bodies may measure."""
        return Limits(
            max_target_bytes=self.max_target_bytes,
            max_head_bytes=self.max_header_bytes,
            max_fields=self.max_headers,
            max_body_bytes=self.max_body_bytes,
            underscore_names=self.underscore_names == "pass",
        )

    def upgrades(self) -> frozenset[bytes]:
        """The protocols that may be switched to, in lower case."""
        return frozenset(protocol.name.encode() for protocol in self.upgrade if protocol.name != "none")

    def timeouts(self) -> Timeouts:
        """How long clients may keep us waiting."""
        return Timeouts(
            head_s=self.header_timeout_s,
            idle_s=self.idle_timeout_s,
            body_s=self.body_timeout_s,
            min_body_bytes_per_s=self.min_body_rate,
        )

    @property
    def send_proxy_version(self) -> int:
        """1 or 2, or 0 for none."""
        return {"off": 0, "v1": 1, "v2": 2}[self.send_proxy]

    def __post_init__(self) -> None:
        if self.max_connections < self.workers:
            raise ValueError(f"max_connections: {self.workers} workers cannot share {self.max_connections}; each needs 1 at least")
        if 0 < self.max_connections_per_client < self.workers:
            raise ValueError(
                f"max_connections_per_client: {self.workers} workers cannot share {self.max_connections_per_client}; each needs 1 at least"
            )
        if self.resolver is not None:
            try:
                ip_address(self.resolver.host)
            except ValueError:
                raise ValueError(f"resolver: {self.resolver.host!r} is not an IP address") from None
            if not self.resolver.port:
                raise ValueError("resolver: no name server listens on port 0")
        if self.backend_insecure and self.backend_ca is not None:
            raise ValueError("backend_insecure: with --backend-ca certificates are verified")
        if self.tls_listen is not None and not self.tls_cert:
            raise ValueError("tls_cert: --tls-listen needs a certificate")
        if self.tls_cert and self.tls_listen is None:
            raise ValueError("tls_listen: --tls-cert names certificates, and no listener serves them")
        if self.max_target_bytes >= self.max_header_bytes:
            raise ValueError(f"max_target_bytes: a head of {self.max_header_bytes} bytes has no place for such a target")
        if len(self.upgrade) > 1 and UpgradeName("none") in self.upgrade:
            raise ValueError("upgrade: none stands alone")
        listeners: dict[Address, str] = {}
        for key, address in (("listen", self.listen), ("tls_listen", self.tls_listen), ("admin", self.admin)):
            if address is not None and address.port:
                other = listeners.setdefault(address, key)
                if other != key:
                    raise ValueError(f"{key}: {address} is what --{other.replace('_', '-')} listens on already")
        seen: set[tuple[Address, bool]] = set()
        for backend in self.backend:
            named = (backend.spec.address, backend.dns)
            if named in seen:
                raise ValueError(f"backend: {backend.spec.address} is named twice; give it a weight instead")
            seen.add(named)
            if backend.spec.address in listeners and not backend.dns:
                raise ValueError(f"backend: {backend.spec.address} is this balancer itself")

    def check_files(self) -> None:
        """Raise ConfigError when the access log could not be written, or a certificate not be served."""
        if self.tls_cert:
            from scalability.net.certificates import read_certificates  # loads OpenSSL, which most do without

            for source in self.tls_cert:
                read_certificates(source)
        if self.backend_ca is not None:
            from scalability.net.tls import Authorities  # likewise

            Authorities(self.backend_ca)
        file = self.access_log
        if file is None:
            return
        folder = file.absolute().parent
        if file.is_dir():
            raise ConfigError("--access-log", f"{file} is a folder")
        if not folder.is_dir():
            raise ConfigError("--access-log", f"there is no folder {folder}")
        if not os.access(file if file.exists() else folder, os.W_OK):
            raise ConfigError("--access-log", f"{file} cannot be written")
