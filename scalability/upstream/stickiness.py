"""Sticky sessions: a cookie that names the server of a client's first request, and to nobody else what it names. PURE.

The value is a token: HMAC-SHA256 of the server's name, cut to 144 bits, as 24 characters of base64url. Without a key nobody can make one,
nor tell from it which server, how many there are, or where. It is no secret of the client's: all clients of one server
have the same, so it identifies nobody. The tokens of all servers stand in a dictionary, and a token is known or it is not;
bytes are hashed with a key of the process (SipHash), so the time that takes tells nothing about the tokens that there are.

A token stays good as long as its server is one that takes sticky traffic, weight 0 included. **Keys are rotated** by putting the new one
first: it signs, the others are still believed, and a client that comes with one of theirs gets a new cookie. All processes
that share clients need the same keys.

``Path=/``, ``HttpOnly``, ``SameSite=Lax``, over TLS ``Secure``; no ``Max-Age``: it lives as long as the browser's session. An
answer to a request that brought a current cookie of the same server sets none (part of HAProxy's ``indirect``).

The cookie is not removed from the request as it goes to the server, as HAProxy does, too, only where told to (``indirect`` again): it
would mean to build anew a field that is forwarded byte for byte, to keep from a server a value that says nothing to it.
"""

import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar

MIN_KEY_BYTES = 32
MAX_KEYS = 8
"""Each costs a token for every server."""
NAME = "scalelab_server"

_TOKEN_BYTES = 18
"""A multiple of 3, so that every character of the text counts in full and none can be changed without effect."""
_PURPOSE = b"scalelab sticky session\0"
_COOKIE_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,64}")


class Named(Protocol):
    """What is asked of a server: a name that stays the same in every process and after every restart."""

    @property
    def name(self) -> str: ...


S = TypeVar("S", bound=Named)


class Known(NamedTuple, Generic[S]):
    """What a cookie says."""

    server: S
    current: bool
    """Signed with the first key: nothing has to be set anew."""


def read_keys(text: str) -> tuple[bytes, ...]:
    """The keys of a file: one a line, the one that signs first; empty lines and those that begin with ``#`` do not count.

    A line's characters are the key as they stand: ``openssl rand -hex 32`` makes a good one. Raises ValueError, which never shows a key.
    """
    keys: list[bytes] = []
    for number, line in enumerate(text.splitlines(), 1):
        key = line.strip().encode()
        if not key or key.startswith(b"#"):
            continue
        if len(key) < MIN_KEY_BYTES:
            raise ValueError(f"line {number}: a key has at least {MIN_KEY_BYTES} characters")
        if key in keys:
            raise ValueError(f"line {number}: this key stands above already")
        keys.append(key)
    if not 1 <= len(keys) <= MAX_KEYS:
        raise ValueError(f"there must be 1 to {MAX_KEYS} keys, one a line, and not {len(keys)}")
    return tuple(keys)


class Stickiness(Generic[S]):
    """The cookie of one upstream. ``keys`` as ``read_keys`` returns them, or one of ``MIN_KEY_BYTES`` random bytes."""

    def __init__(self, keys: Sequence[bytes], name: str = NAME) -> None:
        if not 1 <= len(keys) <= MAX_KEYS or any(len(key) < MIN_KEY_BYTES for key in keys):
            raise ValueError(f"there must be 1 to {MAX_KEYS} keys of at least {MIN_KEY_BYTES} bytes")
        if _COOKIE_NAME.fullmatch(name) is None:
            raise ValueError(f"{name!r} is no name for a cookie: 1 to 64 letters, digits or any of !#$%&'*+-.^_`|~")
        self._keys = tuple(keys)
        self._begins = name.encode("ascii") + b"="
        # It begins with what is rare, the name, and looks back from there: no look-alike (xNAME=) matches, and most lines cost one search
        # for a constant. A blank stands only behind a semicolon, since no name or value has one (RFC 6265 section 4.1.1).
        pair = rb'%b(?:(?<=[; \t]%b)|(?<=\A%b))("?)([A-Za-z0-9_-]{%d})\1[ \t]*+(?:;|\Z)'
        begins = re.escape(self._begins)
        self._pairs = re.compile(pair % (begins, begins, begins, _TOKEN_BYTES // 3 * 4)).finditer
        self._tokens: dict[str, tuple[bytes, ...]] = {}
        self._known: dict[bytes, Known[S]] = {}

    def replace(self, servers: Iterable[S]) -> None:
        """From now on these take sticky traffic. Some 3 us for each key and server that is new, 0.4 us for one that stays."""
        tokens: dict[str, tuple[bytes, ...]] = {}
        known: dict[bytes, Known[S]] = {}
        for server in servers:
            name = server.name
            tokens[name] = signed = self._tokens.get(name) or tuple(_token(key, name) for key in self._keys)
            for token in signed:
                known[token] = Known(server, token is signed[0])
        self._tokens = tokens
        self._known = known

    def find(self, lines: Iterable[bytes]) -> Known[S] | None:
        """The server that the values of a request's Cookie fields name, or None. The first of ours that is genuine counts. Some 0.7 us.

        Clients send one field (RFC 6265 section 5.4), HTTP/2 front ends several; a value may be quoted; and there may be two of one name,
        set for different paths or domains, in whatever order.
        """
        for line in lines:
            for pair in self._pairs(line):
                known = self._known.get(pair[2])
                if known is not None:
                    return known
        return None

    def set_cookie(self, server: S, *, secure: bool) -> bytes | None:
        """The value of the Set-Cookie field that binds a client to ``server``; ``secure`` where the client came over TLS.

        None where ``server`` takes no sticky traffic any more: it may have gone while it answered.
        """
        signed = self._tokens.get(server.name)
        if signed is None:
            return None
        attributes = b"; Path=/; HttpOnly; SameSite=Lax; Secure" if secure else b"; Path=/; HttpOnly; SameSite=Lax"
        return self._begins + signed[0] + attributes


def _token(key: bytes, name: str) -> bytes:
    return urlsafe_b64encode(hmac.digest(key, _PURPOSE + name.encode(), "sha256")[:_TOKEN_BYTES])
