"""The http:// URL of a dependency."""

from typing import NamedTuple, Self

from scalability.config.address import Address


class ServiceURL(NamedTuple):
    """Where a service answers: ``http://HOST:PORT``, without a path of its own."""

    address: Address

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``http://HOST[:PORT]``. Raises ValueError, saying what is wrong."""
        scheme, slashes, rest = text.partition("://")
        if scheme.lower() != "http" or not slashes:
            raise ValueError(f"{text!r} is not an http:// URL")
        authority = rest.removesuffix("/")
        if not authority or any(mark in authority for mark in "/?#@"):
            raise ValueError(f"{text!r}: write http://HOST:PORT and nothing more")
        # the last colon of an IPv6 address stands inside its brackets
        has_port = ":" in authority.rpartition("]")[2]
        address = Address.parse(authority if has_port else f"{authority}:80")
        if not address.port or authority.startswith(":"):
            raise ValueError(f"{text!r}: write http://HOST:PORT")
        return cls(address)

    def __str__(self) -> str:
        return f"http://{self.address}"
