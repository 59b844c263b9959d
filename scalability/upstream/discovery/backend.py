"""What ``--backend`` names: a server, or where to find several."""

from pathlib import Path
from typing import NamedTuple, Self

from scalability.upstream.spec import MAX_ACTIVE, ServerSpec
from scalability.upstream.spec_options import SpecOptions

MAX_SERVERS = 10_000
"""As many servers of one source are taken in."""


class ServerFile(NamedTuple):
    """``file:PATH``: the servers that the lines of a file name."""

    path: Path

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a path, relative or absolute. Raises ValueError when it cannot be one."""
        if not text or "\0" in text:
            raise ValueError("file: needs the path of a file behind it")
        return cls(Path(text))

    def __str__(self) -> str:
        return f"file:{self.path}"


class DNSName(NamedTuple):
    """``dns:NAME:PORT``: every address of a name, each as ``spec`` says of the name."""

    spec: ServerSpec

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``NAME:PORT`` with a server's options. Raises ValueError, saying what is wrong."""
        spec = ServerSpec.parse(text)
        _check_name(spec.address.host)
        return cls(spec)

    def __str__(self) -> str:
        return f"dns:{self.spec}"


class ServiceName(NamedTuple):
    """``dns+srv:NAME``: the targets of a name's SRV records, which say port, weight and level too."""

    name: str
    tls: bool = False
    """Whether its servers speak TLS."""
    certificate: str = ""
    """The name in their certificates; empty: that of the target."""
    max_active: int = 0
    """Requests that each of them gets at once; 0: no limit."""
    max_connections: int = 0
    """Connections to each of them; 0: no limit."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``NAME``, perhaps with ``,maxconn=N``, ``,max_connections=N``, ``,tls`` or ``,tls=NAME``.

        Raises ValueError, saying what is wrong.
        """
        name, *words = text.split(",")
        if ":" in name:
            raise ValueError(f"{text!r}: the records of dns+srv:NAME say the ports")
        _check_name(name)
        options = SpecOptions(text, words, ("maxconn", "max_connections", "tls"))
        return cls(
            name,
            "tls" in options,
            options.certificate_name(""),
            options.number("maxconn", MAX_ACTIVE, 0),
            options.number("max_connections", MAX_ACTIVE, 0),
        )

    def __str__(self) -> str:
        words = [f"dns+srv:{self.name}"]
        if self.max_active:
            words.append(f"maxconn={self.max_active}")
        if self.max_connections:
            words.append(f"max_connections={self.max_connections}")
        if self.tls:
            words.append(f"tls={self.certificate}" if self.certificate else "tls")
        return ",".join(words)


class Backend(NamedTuple):
    """One ``--backend``."""

    source: ServerSpec | ServerFile | DNSName | ServiceName

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``HOST:PORT``, ``file:PATH``, ``dns:NAME:PORT`` or ``dns+srv:NAME``; all but the file with options behind it.

        Raises ValueError, saying what is wrong.
        """
        kind, _, rest = text.partition(":")
        port, *_ = rest.split(",")
        if kind == "dns+srv":
            return cls(ServiceName.parse(rest))
        if port.isdigit():
            return cls(ServerSpec.parse(text))  # "dns:5000" and "file:5000" are hosts of these names
        if kind == "dns":
            return cls(DNSName.parse(rest))
        if kind == "file":
            return cls(ServerFile.parse(rest))
        return cls(ServerSpec.parse(text))

    def __str__(self) -> str:
        return str(self.source)

    @property
    def place(self) -> str:
        """It without its options: what may be named once only."""
        match self.source:
            case ServerSpec(address=address):
                return str(address)
            case DNSName(spec=spec):
                return f"dns:{spec.address}"
            case ServiceName(name=name):
                return f"dns+srv:{name}"
            case ServerFile():
                return str(self.source)

    @property
    def may_speak_tls(self) -> bool:
        """Whether one of its servers does, or could once its file is read anew."""
        match self.source:
            case ServerSpec(tls=tls):
                return bool(tls)
            case DNSName(spec=spec):
                return bool(spec.tls)
            case ServiceName(tls=secure):
                return secure
            case ServerFile():
                return True


def _check_name(name: str) -> None:
    try:
        name.encode("idna")
    except UnicodeError:
        raise ValueError(f"{name!r} is not a DNS name") from None
    if not name.isprintable() or not name or " " in name:
        raise ValueError(f"{name!r} is not a DNS name")
