"""PURE. Paths with parameters: ``/pages/{id}`` is matched against what a client asks, ``/users/{id}`` is made from what matched."""

import re
from collections.abc import Mapping, Sequence
from typing import Final, Self
from urllib.parse import unquote_to_bytes

_LITERAL: Final = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@]|%[0-9A-Fa-f]{2})+")
_QUERY: Final = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?]|%[0-9A-Fa-f]{2})*")
_PARAMETER: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]{0,63})\}")
_DANGEROUS: Final = re.compile(rb"[\x00-\x1f/\\\x7f]")

MAX_SEGMENTS: Final = 64


class PathPattern:
    """Segments, each fixed or a parameter. Made by ``parse``."""

    __slots__ = ("_query", "_segments", "parameters", "text")

    def __init__(self, text: str, segments: Sequence[bytes | str], query: bytes) -> None:
        self.text = text
        self._segments = tuple(segments)
        self._query = query
        self.parameters = tuple(segment for segment in segments if isinstance(segment, str))

    @classmethod
    def parse(cls, text: str, *, query: bool = False) -> Self:
        """Read a pattern, with ``query`` perhaps ``?fixed=query`` behind it. Raises ValueError, saying what is wrong."""
        path, mark, asked = text.partition("?")
        if mark and (not query or _QUERY.fullmatch(asked) is None):
            raise ValueError(f"{text!r}: {'this is no query' if query else 'a path has no query here'}")
        if not path.startswith("/"):
            raise ValueError(f"{text!r} does not begin with /")
        segments: list[bytes | str] = []
        for segment in path[1:].split("/") if path != "/" else ():
            match = _PARAMETER.fullmatch(segment)
            if match is not None:
                if match[1] in segments:
                    raise ValueError(f"{text!r}: {match[1]} is named twice")
                segments.append(match[1])
            elif _LITERAL.fullmatch(segment) is None or safe_segment(segment.encode()) is None:
                raise ValueError(f"{text!r}: {segment!r} is neither the segment of a path nor a {{parameter}}")
            else:
                segments.append(segment.encode())
        if len(segments) > MAX_SEGMENTS:
            raise ValueError(f"{text[:64]!r}: there are more than {MAX_SEGMENTS} segments")
        return cls(text, segments, asked.encode())

    def match(self, path: bytes) -> dict[str, bytes] | None:
        """The parameters that ``path`` (without its query) has, encoded as they came; None when it is another path.

        A parameter is never empty, nor one that a server may take for more than one segment.
        """
        if path[:1] != b"/":
            return None
        found = path[1:].split(b"/", MAX_SEGMENTS) if path != b"/" else []
        if len(found) != len(self._segments):
            return None
        values: dict[str, bytes] = {}
        for wanted, segment in zip(self._segments, found, strict=True):
            if isinstance(wanted, str):
                value = safe_segment(segment)
                if value is None:
                    return None
                values[wanted] = value
            elif wanted != segment:
                return None
        return values

    def expand(self, values: Mapping[str, bytes], query: bytes = b"") -> bytes:
        """The target for the parameters that a ``match`` found, with ``query`` behind the pattern's own. Raises KeyError."""
        path = b"/" + b"/".join(values[segment] if isinstance(segment, str) else segment for segment in self._segments)
        asked = b"&".join(filter(None, (self._query, query)))
        return path + b"?" + asked if asked else path

    def __str__(self) -> str:
        return self.text


def safe_segment(segment: bytes) -> bytes | None:
    """``segment``, unless it is empty, ``.`` or ``..``, or has a slash, backslash or control character: a server may see another path."""
    decoded = unquote_to_bytes(segment)
    if decoded in (b"", b".", b"..") or _DANGEROUS.search(decoded) is not None:
        return None
    return segment


def chosen_query(query: bytes, allowed: frozenset[bytes]) -> bytes:
    """Those pairs of ``query`` whose name is ``allowed``, as they came."""
    if not query or not allowed:
        return b""
    pairs = (pair for pair in query.split(b"&"))
    return b"&".join(pair for pair in pairs if unquote_to_bytes(pair.partition(b"=")[0].replace(b"+", b" ")) in allowed)
