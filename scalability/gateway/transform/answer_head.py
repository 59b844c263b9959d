"""PURE. The head of an answer whose fields are known, made for one client."""

from collections.abc import Sequence

from scalability.http1.answer import REASONS
from scalability.http1.fields import Field
from scalability.http1.forward import HOP_BY_HOP, Framing

_WRITTEN_ANEW = HOP_BY_HOP | {b"content-length"}


def framing_of(length: int | None, *, minor: int, bodiless: bool) -> Framing:
    """How a client of HTTP/1.``minor`` learns where the body ends; ``length`` is None while that is not known."""
    if bodiless:
        return Framing.NONE
    if length is not None:
        return Framing.LENGTH
    return Framing.CHUNKED if minor else Framing.CLOSE


def answer_head(
    status: int,
    reason: bytes,
    fields: Sequence[Field],
    framing: Framing,
    length: int | None,
    *,
    keep_alive: bool,
    minor: int,
) -> bytes:
    """Status line, ``fields`` without what belongs to one hop, and the framing. ``length`` is said where it is known and allowed.

    For ``Framing.NONE`` it is what a GET would have got (RFC 9110 section 8.6). Trailer stays for chunked bodies alone.
    """
    parts = [b"HTTP/1.1 %d %b\r\n" % (status, reason or REASONS.get(status, b""))]
    for name, value in fields:
        lower = name.lower()
        if lower not in _WRITTEN_ANEW and (lower != b"trailer" or framing is Framing.CHUNKED):
            parts += (name, b": ", value, b"\r\n")
    if framing is Framing.CHUNKED:
        parts.append(b"Transfer-Encoding: chunked\r\n")
    elif length is not None and status >= 200 and status != 204:
        parts.append(b"Content-Length: %d\r\n" % length)
    if status >= 200:
        if not keep_alive:
            parts.append(b"Connection: close\r\n")
        elif not minor:
            parts.append(b"Connection: keep-alive\r\n")
    parts.append(b"\r\n")
    return b"".join(parts)
