"""PURE. The target that the server behind a route is asked for."""

import re
from typing import Final

from scalability.gateway.routing.paths import path_of

_PREFIX: Final = re.compile(r"/(?:(?:[A-Za-z0-9\-._~!$&'()*+,;=:@]|%[0-9A-Fa-f]{2})+/?)*")


def check_prefix(prefix: str) -> bytes:
    """``prefix`` as bytes, without a slash at its end (``/`` becomes nothing). Raises ValueError when it is no path of RFC 3986."""
    if _PREFIX.fullmatch(prefix) is None:
        raise ValueError(f"{prefix!r} is not a path that begins with /")
    if any(segment in (".", "..") for segment in prefix.replace("%2e", ".").replace("%2E", ".").split("/")):
        raise ValueError(f"{prefix!r} has a segment . or .., which a server may resolve to another path")
    return prefix.rstrip("/").encode()


def replace_prefix(target: bytes, prefix: bytes, replacement: bytes) -> bytes:
    """``target`` (origin form, its path begins with the whole segments of ``prefix``) with ``replacement`` in its place.

    Neither ends with a slash. The rest stays byte for byte: query, percent-encodings and empty segments too; only a target that has the
    prefix in another form (``/%61pi`` for ``/api``) is normalised. ``*`` stays.
    """
    if target == b"*":
        return target
    if not _below(target, prefix):
        path, mark, query = target.partition(b"?")
        target = path_of(path) + mark + query
        if not _below(target, prefix):
            return target
    changed = replacement + target[len(prefix) :]
    return changed if changed[:1] == b"/" else b"/" + changed


def _below(target: bytes, prefix: bytes) -> bool:
    return target.startswith(prefix) and target[len(prefix) : len(prefix) + 1] in (b"", b"/", b"?")
