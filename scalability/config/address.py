"""HOST:PORT, as every flag of the suite writes an address."""

from typing import NamedTuple, Self


def port_of(text: str) -> int:
    """The TCP port that ``text`` names, 0 to 65535 (0: any free one). Raises ValueError, saying what is wrong."""
    if not text.isascii() or not text.isdigit():
        raise ValueError(f"the port {text!r} is not a number")
    port = int(text)
    if port > 65535:
        raise ValueError(f"the port {port} is above 65535")
    return port


class Address(NamedTuple):
    """A host (name, IPv4, or IPv6 without brackets) and a TCP port."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``HOST:PORT``, ``[IPv6]:PORT`` or ``:PORT`` (127.0.0.1). Raises ValueError, saying what is wrong."""
        host, colon, port = text.rpartition(":")
        if not colon:
            raise ValueError(f"{text!r} is not HOST:PORT")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        elif ":" in host:
            raise ValueError(f"{text!r}: write an IPv6 address in brackets, as [::1]:8000")
        if any(c.isspace() or c in "/@," for c in host):
            raise ValueError(f"{text!r} is not HOST:PORT")
        return cls(host or "127.0.0.1", port_of(port))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
