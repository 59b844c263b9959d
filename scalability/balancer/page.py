"""The page at ``/`` of the admin listener: the servers as a table that stays up to date. One file, that loads nothing but ``/servers``."""

import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

PAGE = Path(__file__).with_name("page.html").read_bytes()


def policy_of(page: bytes) -> bytes:
    """The Content-Security-Policy under which ``page`` works, and nothing that somebody might bring into it."""
    sources = {kind: _hashes(page, kind) for kind in (b"script", b"style")}
    return b"; ".join(
        (
            b"default-src 'none'",
            b"script-src " + sources[b"script"],
            b"style-src " + sources[b"style"],
            b"connect-src 'self'",
            b"img-src data:",
            b"base-uri 'none'",
            b"form-action 'none'",
            b"frame-ancestors 'none'",
        )
    )


def _hashes(page: bytes, kind: bytes) -> bytes:
    inside = re.findall(b"<%b>(.*?)</%b>" % (kind, kind), page, re.DOTALL)
    return b" ".join(b"'sha256-%b'" % b64encode(sha256(text).digest()) for text in inside)


POLICY = policy_of(PAGE)
