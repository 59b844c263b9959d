"""Which route a path belongs to: the longest prefix of whole segments. PURE.

What servers may take for the same path is compared as the same path (RFC 3986 section 6.2.2): else a route with a policy could be passed
by with ``/%61dmin`` or ``//admin``, through a shorter route to the same server. Segments of dots alone are refused: browsers and other
clients have resolved them, and who still sends them wants a path to be taken for another one.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final, Generic, TypeVar

T = TypeVar("T")

_ENCODED: Final = re.compile(rb"%([0-9A-Fa-f]{2})")
_UNRESERVED: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_SLASHES: Final = re.compile(rb"//+")


class DottedPath(ValueError):
    """A path has a segment of one or two dots."""


def path_of(target: bytes) -> bytes:
    """The path of a request's target, in the form in which prefixes are compared with it. Raises DottedPath."""
    path = target.partition(b"?")[0]
    if b"%" in path:
        path = _ENCODED.sub(_decoded, path)
    if b"//" in path:
        path = _SLASHES.sub(b"/", path)
    if b"/." in path and not {b".", b".."}.isdisjoint(path.split(b"/")):
        raise DottedPath
    return path


def _decoded(match: re.Match[bytes]) -> bytes:
    octet = int(match[1], 16)
    return bytes([octet]) if octet in _UNRESERVED else match[0].upper()


def without_prefix(target: bytes, prefix: bytes) -> bytes:
    """``target`` below ``prefix`` (no slash at its end), which ``path_of(target)`` begins with: ``/shop/a?b`` is ``/a?b``."""
    if not prefix:
        return target
    if not target.startswith(prefix):
        path, mark, query = target.partition(b"?")
        target = path_of(path) + mark + query
    rest = target[len(prefix) :]
    return rest if rest.startswith(b"/") else b"/" + rest


class OwnPaths:
    """The gateway's own: some exact paths, and those below others (``/tasks/<id>``)."""

    def __init__(self, rules: Iterable[str]) -> None:
        """``rules`` as werkzeug writes them."""
        exact: set[bytes] = set()
        below: set[bytes] = set()
        for rule in rules:
            start, variable, _ = rule.partition("<")
            (below if variable else exact).add(start.encode())
        self._exact = frozenset(exact)
        self._below = tuple(sorted(below))

    def __contains__(self, path: bytes) -> bool:
        return path in self._exact or (bool(self._below) and path.startswith(self._below))


class Prefixes(Generic[T]):
    """What stands under prefixes (``/`` or ``/SEGMENT/...``, in the form of ``path_of``)."""

    def __init__(self, places: Mapping[bytes, T]) -> None:
        self._places = {b"" if prefix == b"/" else prefix: place for prefix, place in places.items()}
        self._depth = max((prefix.count(b"/") for prefix in self._places), default=0)

    def __bool__(self) -> bool:
        return bool(self._places)

    def find(self, path: bytes) -> T | None:
        """That of the longest prefix of ``path``, or None. Costs as many look-ups as the longest prefix has segments, at most."""
        places = self._places
        # no prefix has more segments than that, however long the path is
        start = b"/".join(path.split(b"/", self._depth + 1)[: self._depth + 1])
        while True:
            place = places.get(start)
            if place is not None or not start:
                return place
            start = start.rpartition(b"/")[0]
