"""Where a message's body ends, and what its bytes are (RFC 9112 sections 6 and 7).

Each reader is pushed the bytes that follow a head, cut anywhere:

    payload, rest = reader.feed(data)

``payload`` is decoded body (perhaps empty) and belongs to the caller at once: a reader never keeps any of it.
``rest`` is what follows the message, and is empty until ``complete``: the next pipelined head, which the
caller keeps. Only ``ChunkedBody`` retains bytes between calls, at most one unfinished chunk-size line
(``max_chunk_line_bytes``) or the trailer section (``max_trailer_bytes``). ``eof`` says that the peer has
closed its side: it completes a close-delimited body and is an error for every other unfinished one.
"""

import re
from typing import Final, Protocol

from scalability.errors import BadMessage
from scalability.http1.fields import Field, parse_trailer_fields
from scalability.http1.limits import Limits
from scalability.http1.request_head import RequestHead
from scalability.http1.response_head import ResponseHead

_SIZE_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,16})(?:;[\t -~\x80-\xff]*+)?\r\n")
_SIZE_LINE_SO_FAR: Final = re.compile(rb"(?:[0-9A-Fa-f]{1,16}(?:;[\t -~\x80-\xff]*+)?\r?)?")
_MAX_OVERHEAD_BYTES: Final = 16384


class BodyReader(Protocol):
    """What every reader of this module offers; see the module's own words for who keeps which bytes."""

    @property
    def complete(self) -> bool:
        """True once the message has ended cleanly."""
        ...

    @property
    def reusable(self) -> bool:
        """False for a body that ends with its connection."""
        ...

    @property
    def trailers(self) -> tuple[Field, ...]:
        """The trailer section's fields, once complete; usually none. See ``forward.trailer_section``."""
        ...

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """Take the next bytes; answer (payload, rest). Raises BadMessage when the framing is broken or a limit passed."""
        ...

    def eof(self) -> None:
        """The peer has closed. Raises BadMessage when the message is not complete and cannot be."""
        ...


class NoBody:
    """The message ends with its head."""

    __slots__ = ()
    complete: Final = True
    reusable: Final = True
    trailers: Final[tuple[Field, ...]] = ()

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        return b"", data

    def eof(self) -> None:
        """Nothing was missing."""


class LengthBody:
    """``Content-Length`` bytes follow. ``remaining_bytes`` counts down."""

    __slots__ = ("remaining_bytes",)
    reusable: Final = True
    trailers: Final[tuple[Field, ...]] = ()

    def __init__(self, length: int) -> None:
        self.remaining_bytes = length

    @property
    def complete(self) -> bool:
        return not self.remaining_bytes

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        remaining = self.remaining_bytes - len(data)
        if remaining >= 0:
            self.remaining_bytes = remaining
            return data, b""
        self.remaining_bytes = 0
        return data[:remaining], data[remaining:]

    def eof(self) -> None:
        if self.remaining_bytes:
            raise BadMessage(f"The connection ended {self.remaining_bytes} bytes before the body did.")


class CloseBody:
    """The body ends when the connection does: answers only (RFC 9112 section 6.3)."""

    __slots__ = ("complete",)
    reusable: Final = False
    trailers: Final[tuple[Field, ...]] = ()

    def __init__(self) -> None:
        self.complete = False

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        return data, b""

    def eof(self) -> None:
        self.complete = True


class ChunkedBody:
    """Chunks, then trailers (RFC 9112 section 7.1). Extensions are checked, bounded and dropped (rule 14).

    ``max_body_bytes`` bounds the decoded size (413), None leaves it open. Lines that are far longer than the
    chunks they announce are refused: a peer must not make us work kilobytes for every byte of payload.
    """

    __slots__ = (
        "_crlf",
        "_held",
        "_in_trailers",
        "_left",
        "_limits",
        "_max_body_bytes",
        "_overhead_bytes",
        "_total_bytes",
        "complete",
        "trailers",
    )
    reusable: Final = True

    def __init__(self, limits: Limits, max_body_bytes: int | None) -> None:
        self._limits = limits
        self._max_body_bytes = max_body_bytes
        self._held = b""
        self._left = 0
        self._crlf = False
        self._in_trailers = False
        self._total_bytes = 0
        self._overhead_bytes = 0
        self.complete = False
        self.trailers: tuple[Field, ...] = ()

    def limit(self, max_body_bytes: int) -> None:
        """Take no more than this, once whoever wants the body has said so. Raises BadMessage 413 when more has been announced already."""
        if self._max_body_bytes is None or max_body_bytes < self._max_body_bytes:
            self._max_body_bytes = max_body_bytes
        self._check_size()

    def _check_size(self) -> None:
        if self._max_body_bytes is not None and self._total_bytes > self._max_body_bytes:
            raise BadMessage(f"The body is larger than {self._max_body_bytes} bytes.", status=413, code="body_too_large")

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        if self.complete:
            return b"", data
        if self._held:
            data = self._held + data
            self._held = b""
        size = len(data)
        at = 0
        payload: list[bytes] = []
        while True:
            if self._left:
                piece = data[at : at + self._left]
                if piece:
                    payload.append(piece)
                    at += len(piece)
                    self._left -= len(piece)
                if self._left:
                    break
            if self._crlf:
                # rule 13: exactly CRLF
                after = data[at : at + 2]
                if after != b"\r\n":
                    if b"\r\n".startswith(after):
                        self._held = after
                        break
                    raise BadMessage("Chunk data is not followed by CR LF.")
                at += 2
                self._crlf = False
            if self._in_trailers:
                rest = self._trailer_section(data[at:])
                return b"".join(payload), rest
            line = _SIZE_LINE.match(data, at)
            if line is None:
                self._hold_size_line(data[at:])
                break
            self._begin_chunk(int(line.group(1), 16), line.end() - at)
            at = line.end()
            if at == size and not self._in_trailers:
                break
        return (payload[0] if len(payload) == 1 else b"".join(payload)), b""

    def _begin_chunk(self, length: int, line_bytes: int) -> None:
        if line_bytes > self._limits.max_chunk_line_bytes:
            raise BadMessage("A chunk-size line is too long.")
        # The allowance is net/http's of Go, after CVE-2023-39326: 16 bytes and twice the chunk are free.
        self._overhead_bytes = max(0, self._overhead_bytes + line_bytes - 16 - 2 * length)
        if self._overhead_bytes > _MAX_OVERHEAD_BYTES:
            raise BadMessage("There are far more chunk extensions than chunk data.")
        self._total_bytes += length
        self._check_size()
        if length:
            self._left = length
            self._crlf = True
        else:
            self._in_trailers = True

    def _hold_size_line(self, line: bytes) -> None:
        if _SIZE_LINE_SO_FAR.fullmatch(line) is None:
            raise BadMessage("A chunk size is malformed.")
        if len(line) >= self._limits.max_chunk_line_bytes:
            raise BadMessage("A chunk-size line is too long.")
        self._held = line

    def _trailer_section(self, section: bytes) -> bytes:
        """Read it if it is whole, else hold it; answer what follows."""
        limits = self._limits
        if section.startswith(b"\r\n"):
            end = 2
        else:
            end = section.find(b"\r\n\r\n") + 4
            if end == 3:
                if len(section) >= limits.max_trailer_bytes:
                    raise BadMessage("The trailer section is too large.", status=431, code="head_too_large")
                if section.count(b"\n") != section.count(b"\r\n"):
                    raise BadMessage("A trailer line ends without CR LF.")
                self._held = section
                return b""
            if end > limits.max_trailer_bytes:
                raise BadMessage("The trailer section is too large.", status=431, code="head_too_large")
            self.trailers = parse_trailer_fields(section[: end - 2], limits)
        self.complete = True
        return section[end:]

    def eof(self) -> None:
        if not self.complete:
            raise BadMessage("The connection ended before the last chunk.")


NO_BODY: Final = NoBody()
"""The reader of every message that ends with its head."""


def request_body(head: RequestHead, limits: Limits) -> BodyReader:
    """The reader of what follows ``head``. Raises BadMessage 413 when its Content-Length passes ``max_body_bytes``."""
    if head.chunked:
        return ChunkedBody(limits, limits.max_body_bytes)
    length = head.content_length
    if not length:
        return NO_BODY
    if length > limits.max_body_bytes:
        raise BadMessage(f"The body is larger than {limits.max_body_bytes} bytes.", status=413, code="body_too_large")
    return LengthBody(length)


def response_body(head: ResponseHead, request_method: bytes, limits: Limits) -> BodyReader:
    """The reader of what follows an answer's ``head`` to a request by ``request_method`` (RFC 9112 section 6.3)."""
    status = head.status
    if request_method == b"HEAD" or status < 200 or status in (204, 304):
        return NO_BODY
    if head.chunked:
        return ChunkedBody(limits, None)
    length = head.content_length
    if length is None:
        return CloseBody()
    return LengthBody(length) if length else NO_BODY
