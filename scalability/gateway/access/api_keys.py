"""API keys: who has which, and where one stands in a request. PURE.

A file has a line for each, ``NAME:SHA-256``, so that whoever reads the file has no key. A fast hash is right for these: a slow one
(bcrypt, Argon2) makes up for passwords that people choose, of which an attacker tries the likely ones; a key is 256 random bits, and there
are no likely ones. What is compared is the digest, by a look-up: how long that takes tells about digests, which nobody can steer
towards a key that he does not know, so that there is nothing to learn from it.
"""

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Final
from urllib.parse import unquote_to_bytes

from scalability.errors import Unauthorized
from scalability.http1.request_head import RequestHead

MAX_KEY_BYTES: Final = 512
MIN_KEY_CHARACTERS: Final = 20
"""What a shorter one has of chance could be tried out; ``new_key`` makes 43 characters."""
MAX_ENTRIES: Final = 100_000

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}")
"""Of whoever has a key: it becomes the value of a field."""

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


class KeyRing:
    """Names by the digest of their keys."""

    __slots__ = ("_names",)

    def __init__(self, names: Mapping[bytes, str]) -> None:
        self._names = dict(names)

    def __len__(self) -> int:
        return len(self._names)

    def holder(self, key: bytes) -> str | None:
        """Whose ``key`` it is; None when it is nobody's."""
        return self._names.get(sha256(key).digest())


def read_ring(data: bytes) -> KeyRing:
    """The keys that ``data`` lists; ``#`` begins a comment. Several keys of one name are fine: that is how a key is changed.

    Raises ValueError, saying which line is wrong. It never shows what stands there, which may be a key that was put in by mistake.
    """
    names: dict[bytes, str] = {}
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        text = line.partition(b"#")[0].decode("latin-1").strip()
        if not text:
            continue
        name, _, digest = text.partition(":")
        digest = digest.strip().lower()
        if NAME.fullmatch(name.strip()) is None or _DIGEST.fullmatch(digest) is None:
            raise ValueError(f"line {number} is not NAME:SHA-256, as tools/apikey.py writes it")
        if names.setdefault(bytes.fromhex(digest), name.strip()) != name.strip():
            raise ValueError(f"line {number}: the key of {name.strip()} is another's already")
        if len(names) > MAX_ENTRIES:
            raise ValueError(f"line {number}: a file may have {MAX_ENTRIES} keys")
    return KeyRing(names)


def line_for(name: str, key: str) -> str:
    """The line that lets ``name`` in with ``key``. Raises ValueError for a bad name, and for a key that could be guessed."""
    if NAME.fullmatch(name) is None:
        raise ValueError(f"{name!r}: a name has letters, digits and _ . @ -, begins with one of the first two, and 64 of them at most")
    if not MIN_KEY_CHARACTERS <= len(key) <= MAX_KEY_BYTES or not key.isascii() or not key.isprintable() or " " in key:
        raise ValueError(f"a key has {MIN_KEY_CHARACTERS} to {MAX_KEY_BYTES} printable ASCII characters without a space")
    return f"{name}:{sha256(key.encode()).hexdigest()}"


class KeyPlace:
    """Where requests have their key: in a field, or (with a ``parameter``) in the query. The field wins."""

    __slots__ = ("field", "parameter")

    def __init__(self, field: str, parameter: str = "") -> None:
        self.field: Final = field.lower().encode()
        self.parameter: Final = parameter.encode()

    def key_of(self, head: RequestHead) -> bytes | None:
        """The key that ``head`` has; None without one. Raises Unauthorized when there are several, or one that cannot be one."""
        keys = head.get_all(self.field)
        if self.parameter and not keys:
            keys = [
                unquote_to_bytes(value)
                for name, _, value in (pair.partition(b"=") for pair in head.target.partition(b"?")[2].split(b"&"))
                if name == self.parameter
            ]
        if not keys:
            return None
        if len(keys) > 1:
            raise Unauthorized("there is more than one API key")
        if not keys[0] or len(keys[0]) > MAX_KEY_BYTES:
            raise Unauthorized("the API key is not valid")
        return keys[0]

    def without_key(self, target: bytes) -> bytes:
        """``target`` without the parameter."""
        path, mark, query = target.partition(b"?")
        if not self.parameter or not mark:
            return target
        kept = [pair for pair in query.split(b"&") if pair.partition(b"=")[0] != self.parameter]
        return path + b"?" + b"&".join(kept) if kept else path
