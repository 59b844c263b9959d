"""A server as a source of servers names it. PURE."""

from typing import NamedTuple, Self

from scalability.config import Address
from scalability.upstream.spec_options import SpecOptions

MAX_WEIGHT = 256
MAX_LEVEL = 127
MAX_ACTIVE = 1_000_000


class ServerSpec(NamedTuple):
    """A server as a source names it: where it listens, what it may be sent, and the name in its certificate if it speaks TLS."""

    address: Address
    weight: int = 1
    """Its share of the requests, 0 to 256; 0: only those of clients that are bound to it."""
    tls: str = ""
    """The host name or address that its certificate must hold; empty: plain HTTP."""
    level: int = 0
    """Servers of a level above 0 are there for when those of the levels below cannot serve."""
    max_active: int = 0
    """Requests that it gets at once; 0: no limit."""
    max_connections: int = 0
    """Connections to it, idle ones included; 0: no limit."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``HOST:PORT``, and after it perhaps ``,weight=N``, ``,backup`` or ``,level=N``, ``,maxconn=N``,
        ``,max_connections=N``, ``,tls`` or ``,tls=NAME``.

        Raises ValueError, saying what is wrong.
        """
        where, *words = text.split(",")
        address = Address.parse(where)
        if not address.port:
            raise ValueError(f"{text!r}: no server listens on port 0")
        options = SpecOptions(text, words)
        if "backup" in options and "level" in options:
            raise ValueError(f"{text!r}: backup is level 1; give one of them")
        return cls(
            address,
            weight=options.number("weight", MAX_WEIGHT, 1),
            tls=options.certificate_name(address.host),
            level=1 if "backup" in options else options.number("level", MAX_LEVEL, 0),
            max_active=options.number("maxconn", MAX_ACTIVE, 0),
            max_connections=options.number("max_connections", MAX_ACTIVE, 0),
        )

    @property
    def most_at_once(self) -> int:
        """Requests that it gets at once, each of which needs a connection; 0: no limit."""
        limits = [limit for limit in (self.max_active, self.max_connections) if limit]
        return min(limits, default=0)

    def __str__(self) -> str:
        words = [str(self.address)]
        if self.weight != 1:
            words.append(f"weight={self.weight}")
        if self.level:
            words.append("backup" if self.level == 1 else f"level={self.level}")
        if self.max_active:
            words.append(f"maxconn={self.max_active}")
        if self.max_connections:
            words.append(f"max_connections={self.max_connections}")
        if self.tls:
            words.append("tls" if self.tls == self.address.host else f"tls={self.tls}")
        return ",".join(words)


def check_shares(place: str, workers: int, *, max_active: int, max_connections: int) -> None:
    """Raise ValueError when ``workers`` processes cannot share the limits of a server; ``place`` is how it is named."""
    for word, limit in (("maxconn", max_active), ("max_connections", max_connections)):
        if 0 < limit < workers:
            raise ValueError(f"{workers} workers cannot share the {word}={limit} of {place}; each needs 1 at least")
