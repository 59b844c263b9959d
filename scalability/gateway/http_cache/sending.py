"""The heads of answers that the cache gives: framing and Connection are ours, everything else is what was stored or received. PURE."""

from collections.abc import Iterable
from typing import Final

from scalability.gateway.http_cache.answer import Answer
from scalability.http1.answer import REASONS
from scalability.http1.fields import Field
from scalability.http1.forward import HOP_BY_HOP
from scalability.http1.response_head import ResponseHead

FRAMING: Final = HOP_BY_HOP | {b"content-length", b"transfer-encoding", b"connection", b"keep-alive"}
"""Fields of an answer within the process that its sender writes anew, in lower case."""


def bodiless(status: int, method: bytes) -> bool:
    """Whether an answer ends with its head (RFC 9112 section 6.3)."""
    return method == b"HEAD" or status in (204, 304)


def head_block(
    status: int, reason: bytes, fields: Iterable[Field], *, length: int | None, chunked: bool, keep_alive: bool, minor: int
) -> bytes:
    """A complete head. ``length``: of the body, as Content-Length; with ``chunked`` that is left out; with neither the body ends with the
    connection, or there is none. ``minor`` is the client's HTTP/1.minor."""
    parts = [b"HTTP/1.1 %d %b\r\n" % (status, reason or REASONS.get(status, b"Unknown"))]
    parts += [b"%b: %b\r\n" % field for field in fields]
    if chunked:
        parts.append(b"Transfer-Encoding: chunked\r\n")
    elif length is not None:
        parts.append(b"Content-Length: %d\r\n" % length)
    if not keep_alive:
        parts.append(b"Connection: close\r\n")
    elif not minor:
        parts.append(b"Connection: keep-alive\r\n")
    parts.append(b"\r\n")
    return b"".join(parts)


def whole_head(answer: Answer, *, status_line: bytes, keep_alive: bool, minor: int) -> bytes:
    """The head of an answer whose body is known, with ``status_line`` as the value of Cache-Status."""
    # RFC 9110 section 8.6: no Content-Length in a 204; in a 304 it would be that of the 200
    length = None if answer.status in (204, 304) else len(answer.body)
    return head_block(
        answer.status,
        answer.reason,
        (*answer.fields, (b"Cache-Status", status_line)),
        length=length,
        chunked=False,
        keep_alive=keep_alive,
        minor=minor,
    )


def passed_on(head: ResponseHead) -> list[Field]:
    """The fields of an answer that was received within the process, for a client, without those of its framing."""
    return [field for field in head.fields if field[0].lower() not in FRAMING]
