"""The http:// URL of a dependency."""

from typing import NamedTuple, Self
from urllib.parse import urlsplit

from scalability.config.address import Address


class ServiceURL(NamedTuple):
    """Where a service answers: ``http://HOST:PORT``, without a path of its own."""

    address: Address

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``http://HOST[:PORT]``. Raises ValueError, saying what is wrong."""
        parts = urlsplit(text)
        if parts.scheme != "http":
            raise ValueError(f"{text!r} is not an http:// URL")
        if parts.path not in ("", "/") or parts.query or parts.fragment or "@" in parts.netloc:
            raise ValueError(f"{text!r}: write http://HOST:PORT and nothing more")
        has_port = parts.netloc.rpartition(":")[2].isdigit() or parts.netloc.endswith(":")
        address = Address.parse(parts.netloc if has_port else f"{parts.netloc}:80")
        if not parts.netloc or not address.port:
            raise ValueError(f"{text!r}: write http://HOST:PORT")
        return cls(address)

    def __str__(self) -> str:
        return f"http://{self.address}"
