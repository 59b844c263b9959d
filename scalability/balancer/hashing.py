"""What requests are hashed by, where the algorithm does so: ``--hash-key``."""

import re
from collections.abc import Callable
from typing import NamedTuple, Self

from scalability.net.exchange import Exchange

KINDS = ("client", "path", "header:NAME", "cookie:NAME")

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,64}")


class HashKey(NamedTuple):
    """A part of a request: the client's address, the path without its query, a header field's value or a cookie's."""

    kind: str
    name: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read one of ``KINDS``. Raises ValueError, saying which there are."""
        kind, given, name = text.partition(":")
        if (not given and kind in ("client", "path")) or (kind in ("header", "cookie") and _TOKEN.fullmatch(name)):
            return cls(kind, name)
        raise ValueError(f"{text!r} is none of {', '.join(KINDS)}")

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}" if self.name else self.kind

    def reader(self) -> Callable[[Exchange], bytes | None]:
        """What reads it from a request; None where the request has no such thing."""
        if self.kind == "client":
            return _client
        if self.kind == "path":
            return _path
        name = self.name.encode()
        if self.kind == "header":
            lower = name.lower()
            return lambda exchange: exchange.head.get(lower) or None
        return lambda exchange: cookie(exchange.head.get_all(b"cookie"), name)


def _client(exchange: Exchange) -> bytes:
    return exchange.client_host or exchange.peer_host


def _path(exchange: Exchange) -> bytes:
    return exchange.head.target.partition(b"?")[0]


def cookie(lines: list[bytes], name: bytes) -> bytes | None:
    """The first non-empty value of the cookie ``name`` in a request's Cookie fields (RFC 6265 section 5.4)."""
    for line in lines:
        for pair in line.split(b";"):
            key, _, value = pair.strip(b" \t").partition(b"=")
            if key == name and value:
                return value
    return None
