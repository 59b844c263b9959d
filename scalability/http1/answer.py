"""Complete small answers, made of bytes: errors, health, redirects."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Final

REASONS: Final[dict[int, bytes]] = {status.value: status.phrase.encode() for status in HTTPStatus} | {
    413: b"Content Too Large",
    414: b"URI Too Long",
    416: b"Range Not Satisfiable",
    422: b"Unprocessable Content",
}
"""The reason phrase of every registered status (RFC 9110 section 15)."""


def simple_answer(
    status: int,
    body: bytes,
    content_type: bytes,
    *,
    fields: Iterable[tuple[bytes, bytes]] = (),
    keep_alive: bool,
    minor: int,
    head_only: bool,
) -> bytes:
    """A whole answer with a known ``body``: status line, Content-Type, Content-Length, ``fields``, and Connection where needed.

    ``minor`` is the client's HTTP/1.minor; ``head_only`` (the request was HEAD) keeps the length and leaves the body
    out. 1xx, 204 and 304 never carry a body (rule 35). Raises ValueError when a field would break the framing.
    """
    parts = [b"HTTP/1.1 %d %s\r\n" % (status, REASONS.get(status, b"Unknown"))]
    bodiless = status < 200 or status in (204, 304)
    if not bodiless:
        if content_type:
            parts.append(b"Content-Type: %s\r\n" % content_type)
        parts.append(b"Content-Length: %d\r\n" % len(body))
    for name, value in fields:
        if b"\r" in value or b"\n" in value or b"\r" in name or b"\n" in name:
            raise ValueError(f"a line break in the field {name!r}")
        parts.append(b"%s: %s\r\n" % (name, value))
    if not keep_alive:
        parts.append(b"Connection: close\r\n")
    elif not minor:
        parts.append(b"Connection: keep-alive\r\n")
    parts.append(b"\r\n")
    if not head_only and not bodiless:
        parts.append(body)
    return b"".join(parts)
