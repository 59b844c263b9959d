"""HOST:PORT, as every flag of the suite writes an address."""

import ipaddress
import re
from typing import NamedTuple, Self

_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252})")
"""Names of hosts, with the underscore that Compose's have, and IPv4 addresses."""


def port_of(text: str) -> int:
    """The TCP port that ``text`` names, 0 to 65535 (0: any free one). Raises ValueError, saying what is wrong."""
    if not text.isascii() or not text.isdigit():
        raise ValueError(f"the port {text!r} is not a number")
    if len(text) > 5 or int(text) > 65535:
        raise ValueError(f"the port {text[:20]} is above 65535")
    return int(text)


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
            try:
                ipaddress.IPv6Address(host)
            except ValueError:
                raise ValueError(f"{text!r}: what stands in brackets is not an IPv6 address") from None
        elif ":" in host and "/" not in host:
            raise ValueError(f"{text!r}: write an IPv6 address in brackets, as [::1]:8000")
        elif host and _NAME.fullmatch(host) is None:
            raise ValueError(f"{text!r} is not HOST:PORT")
        return cls(host or "127.0.0.1", port_of(port))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Whether a listener there is reached from this machine only."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host.lower() == "localhost"
