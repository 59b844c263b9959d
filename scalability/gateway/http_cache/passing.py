"""Answers of which a glance says that they are not stored, so that nobody need read them in full. PURE."""

import re
from typing import Final

from scalability.gateway.http_cache.storing import NotStored

PASSED_AFTER: Final = 3
"""So many answers of a URI must not have been stored, one after another, before its requests pass the cache by."""

_ABOUT_STORING: Final = re.compile(rb"\n(?:[^:\r\n]*cache-control|expires|etag|last-modified|pragma):")
_FORBIDDEN: Final = re.compile(rb"\ncache-control:[^\r\n]*?[ \t,:](no-store|private)[ \t]*(?:,|\r)")


def surely_not_stored(head: bytes) -> NotStored | None:
    """Why the answer with the complete ``head``, which came through a proxy, is not stored; None: it may be, who knows.

    It says neither how long it is good nor what it could be validated with; or the one field that counts has ``no-store`` or ``private``.
    """
    lower = head.lower()
    found = _ABOUT_STORING.findall(lower)
    if not found:
        return NotStored.USELESS
    if b"must-understand" in lower or any(name.endswith(b"-cache-control:") for name in found):
        return None  # it may say otherwise (RFC 9111 section 5.2.2.3, RFC 9213)
    match = _FORBIDDEN.search(lower)
    if match is None:
        return None
    return NotStored.NO_STORE if match[1] == b"no-store" else NotStored.PRIVATE
