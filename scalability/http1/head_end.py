"""Where a head ends in the bytes that have come, and when it never will (RFC 9112 section 2)."""

from typing import Final

from scalability.errors import BadMessage
from scalability.http1.limits import Limits

MAX_METHOD_BYTES: Final = 32
"""A longer method is none that anybody knows."""
_LINE_OVERHEAD_BYTES: Final = MAX_METHOD_BYTES + len(b"  HTTP/1.1\r\n")


def find_head_end(buffer: bytes | bytearray, start: int, limits: Limits, *, scanned: int = 0) -> int:
    """The index just past the empty line that ends the head which begins at ``start``, or -1 when more bytes are needed.

    ``scanned`` may say how many bytes from ``start`` earlier calls have seen already. One empty line before the
    start line belongs to the head (RFC 9112 section 2.2, rule 25). Raises BadMessage: 431 or 414 when a limit is
    passed, 400 as soon as a bare LF or CR shows that no head will ever end here.
    """
    end = buffer.find(b"\r\n\r\n", start + scanned - 3 if scanned > 3 else start)
    if end >= 0:
        end += 4
        if buffer[start] == 13 and buffer.startswith(b"\r\n\r\n", start):
            raise BadMessage("There is more than one empty line before the request.")
        if end - start > limits.max_head_bytes:
            raise head_too_large(buffer, start, limits)
        return end
    size = len(buffer) - start
    if size > 0 and not 32 < buffer[start] < 127 and buffer[start] != 13:
        raise BadMessage("This is not HTTP.")  # a TLS greeting, say: it may never send a line end
    line_feeds = buffer.count(b"\n", start)
    if buffer.count(b"\r\n", start) != line_feeds:
        raise BadMessage("A line ends without CR LF.")
    returns = buffer.count(b"\r", start)
    if returns != line_feeds and (returns != line_feeds + 1 or buffer[-1] != 13):
        raise BadMessage("There is a CR without LF in the head.")
    if size > limits.max_head_bytes or (not line_feeds and size > limits.max_target_bytes + _LINE_OVERHEAD_BYTES):
        raise head_too_large(buffer, start, limits)
    return -1


def head_too_large(buffer: bytes | bytearray, start: int, limits: Limits) -> BadMessage:
    """Why the head that begins at ``start`` and is too large is refused: 414 for its target, else 431 (rule 27)."""
    begin = start + 2 if buffer.startswith(b"\r\n", start) else start
    line_end = buffer.find(b"\r\n", begin)
    if (line_end if line_end >= 0 else len(buffer)) - begin > limits.max_target_bytes + _LINE_OVERHEAD_BYTES:
        return BadMessage(f"The request target is longer than {limits.max_target_bytes} bytes.", status=414, code="target_too_long")
    return BadMessage(f"The head is larger than {limits.max_head_bytes} bytes.", status=431, code="head_too_large")
