"""PURE. Values with variables in them: ``"on ${route}"``; ``$$`` stands for a dollar sign.

A template is checked once, when the configuration is read; what a variable brings at run time is made harmless: octets that are not
visible ASCII are percent-encoded, so that no client's words can end a line.
"""

import re
from collections.abc import Mapping
from typing import Final, Self
from urllib.parse import quote_from_bytes

VARIABLES: Final = {
    "client_address": "the client's address, as a trusted proxy told it or as it connected",
    "consumer": "the name that the client's token or API key stands for",
    "host": "the host that the client asked",
    "method": "the request's method",
    "path": "the path that the client asked, without its query",
    "request_id": "the request's X-Request-Id",
    "route": "the route's prefix",
    "scheme": "http or https",
}

PERSONAL: Final = frozenset(("client_address", "consumer", "request_id"))
"""Those that are different for two clients who ask for the same: what a cache may keep must not hold them."""

MAX_BYTES: Final = 4096
"""Of a value, before its variables have been put in; each of those is cut at as much."""

_PART: Final = re.compile(r"\$(?:\$|\{([a-z_]+)\})")
_SAFE: Final = "".join(chr(octet) for octet in range(0x21, 0x7F) if chr(octet) != "%")


class Template:
    """Made by ``parse``; ``expand`` makes the value for one request."""

    __slots__ = ("_parts", "text", "variables")

    def __init__(self, text: str, parts: tuple[bytes | str, ...]) -> None:
        self.text = text
        self._parts = parts
        self.variables = frozenset(part for part in parts if isinstance(part, str))
        """The names that it needs."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a template. Raises ValueError, saying what is wrong."""
        if len(text) > MAX_BYTES:
            raise ValueError(f"the value is longer than {MAX_BYTES} characters")
        if re.fullmatch(r"[\t -~]*", text) is None:
            raise ValueError(f"{text!r}: a value has printable ASCII characters only")
        if text != text.strip():
            raise ValueError(f"{text!r}: a value has no blanks around it")
        parts: list[bytes | str] = []
        at = 0
        for match in _PART.finditer(text):
            parts.append(_plain(text, at, match.start()))
            name = match[1]
            if name is None:
                parts.append(b"$")
            elif name in VARIABLES:
                parts.append(name)
            else:
                raise ValueError(f"{text!r}: there is no variable {name}; there are {', '.join(VARIABLES)}")
            at = match.end()
        parts.append(_plain(text, at, len(text)))
        return cls(text, tuple(part for part in parts if part))

    def expand(self, values: Mapping[str, bytes]) -> bytes | None:
        """The value, or None when a variable that it needs has none now: then there is no field."""
        parts = self._parts
        if len(parts) == 1 and isinstance(parts[0], bytes):
            return parts[0]
        found: list[bytes] = []
        for part in parts:
            if isinstance(part, str):
                value = values.get(part)
                if not value:
                    return None
                part = harmless(value[:MAX_BYTES])
            found.append(part)
        return b"".join(found)

    def __str__(self) -> str:
        return self.text


def harmless(value: bytes) -> bytes:
    """``value`` in visible ASCII; what is not, is percent-encoded. A percent sign is taken for that of an encoding, and stays."""
    return quote_from_bytes(value, safe=_SAFE + "%").encode()


def _plain(text: str, begin: int, end: int) -> bytes:
    part = text[begin:end]
    if "$" in part:
        raise ValueError(f"{text!r}: a dollar sign is ${{name}} or $$")
    return part.encode()
