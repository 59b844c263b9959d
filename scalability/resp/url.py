"""The redis:// URL of a cache server, as Redis' and Valkey's own tools write it.

``redis://[user:password@]HOST[:PORT][,HOST[:PORT]...][/DB][?ca=FILE][&password_file=FILE]``; ``rediss://`` for TLS. User and password
are percent-encoded. No error and no ``str()`` tells a password.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import unquote

from scalability.config import Address

DEFAULT_PORT = 6379
MAX_DATABASE = 65_535

_SCHEMES = {"redis": False, "rediss": True}
_FORM = "write redis://[USER:PASSWORD@]HOST:PORT[,HOST:PORT...][/DB], or rediss:// for TLS"


@dataclass(frozen=True, slots=True)
class RedisURL:
    """Where a server is, and how it is met. ``servers``: the one that is a master is used."""

    servers: tuple[Address, ...]
    tls: bool = False
    user: str = ""
    """Empty: the server's default user."""
    password: str | None = field(default=None, repr=False)
    password_file: str | None = None
    """The password stands in the first line of this file: command lines are seen by all who use the machine."""
    database: int = 0
    ca: str | None = None
    """PEM file of the authorities that certificates must lead to; None: the system's."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the URL. Raises ValueError, saying what is wrong, without what may be a password."""
        scheme, slashes, rest = text.partition("://")
        if scheme not in _SCHEMES or not slashes:
            raise ValueError(_FORM)
        rest, _, query = rest.partition("?")
        userinfo, at, rest = rest.rpartition("@")
        hosts, _, database = rest.partition("/")
        tls = _SCHEMES[scheme]
        ca, password_file = _options(query, tls=tls)
        user, colon, password = userinfo.partition(":")
        if at and not colon:
            raise ValueError("the user stands without a password: write USER:PASSWORD@, or :PASSWORD@ for the default user")
        if password and password_file is not None:
            raise ValueError("there are two passwords, one in the URL and one in password_file")
        return cls(
            servers=tuple(_server(host) for host in hosts.split(",")),
            tls=tls,
            user=unquote(user),
            password=unquote(password) if password else None,
            password_file=password_file,
            database=_database(database),
            ca=ca,
        )

    def __str__(self) -> str:
        """The URL with stars in the place of a password."""
        who = f"{self.user}:{'***' if self.password else ''}@" if self.user or self.password else ""
        options = [f"{name}={value}" for name, value in (("ca", self.ca), ("password_file", self.password_file)) if value is not None]
        parts: Sequence[str] = (
            "rediss://" if self.tls else "redis://",
            who,
            ",".join(map(str, self.servers)),
            f"/{self.database}" if self.database else "",
            "?" + "&".join(options) if options else "",
        )
        return "".join(parts)


def _server(text: str) -> Address:
    # the last colon of an IPv6 address stands inside its brackets
    has_port = ":" in text.rpartition("]")[2]
    try:
        address = Address.parse(text if has_port else f"{text}:{DEFAULT_PORT}")
    except ValueError:
        raise ValueError(f"one of the servers is not HOST:PORT; {_FORM}") from None
    if not address.port or not text or text.startswith(":"):
        raise ValueError(f"one of the servers is not HOST:PORT; {_FORM}")
    return address


def _database(text: str) -> int:
    text = text.removesuffix("/")
    if not text:
        return 0
    if not text.isascii() or not text.isdigit() or len(text) > 5 or int(text) > MAX_DATABASE:
        raise ValueError(f"the database behind the slash is not a number from 0 to {MAX_DATABASE}")
    return int(text)


def _options(query: str, *, tls: bool) -> tuple[str | None, str | None]:
    found: dict[str, str] = {}
    for option in filter(None, query.split("&")):
        name, _, value = option.partition("=")
        if name not in ("ca", "password_file"):
            raise ValueError("behind the question mark stands something else than ca=FILE or password_file=FILE")
        if not value or name in found:
            raise ValueError(f"{name}= names one file")
        found[name] = unquote(value)
    if "ca" in found and not tls:
        raise ValueError("ca= is for rediss://, which speaks TLS")
    return found.get("ca"), found.get("password_file")
