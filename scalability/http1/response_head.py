"""Heads of answers: from bytes to meaning (RFC 9112 sections 4 and 6), as strictly as those of requests (``http1.request_head``)."""

import re
from typing import Final

from scalability.errors import BadMessage
from scalability.http1.fields import NO_OPTIONS, Fields, connection_options, content_length, is_chunked, parse_fields
from scalability.http1.head_end import head_too_large
from scalability.http1.limits import Limits

# Statuses from 600 on belong to no class (RFC 9110 section 15), but servers send them, and clients may know what they mean.
_STATUS_LINE: Final = re.compile(rb"HTTP/([0-9])\.([0-9]) ([1-9][0-9][0-9])(?: ([\t -~\x80-\xff]*+))?\r\n")


class ResponseHead(Fields):
    """An answer's head. Made by ``parse_response_head``; never changed afterwards.

    ``content_length`` is None when ``chunked``, even if the server sent both (RFC 9112 section 6.3;
    ``keep_alive`` is then False). ``dated``: it has a Date. ``keep_alive`` says what the head promises; an answer that ends with
    its connection promises in vain: ask the body reader's ``reusable``.
    """

    __slots__ = ("chunked", "connection_options", "content_length", "dated", "keep_alive", "minor", "reason", "status", "upgrade")

    def __init__(
        self,
        status: int,
        minor: int,
        reason: bytes,
        fields: Fields,
        *,
        content_length: int | None,
        chunked: bool,
        keep_alive: bool,
        upgrade: bytes | None,
        connection_options: frozenset[bytes],
    ) -> None:
        super().__init__(fields.fields, fields.index, fields.repeats)
        self.status: Final = status
        self.minor: Final = minor
        self.reason: Final = reason
        self.content_length: Final = content_length
        self.chunked: Final = chunked
        self.keep_alive: Final = keep_alive
        self.upgrade: Final = upgrade
        self.connection_options: Final = connection_options
        self.dated: Final = b"date" in fields.index

    def __repr__(self) -> str:
        return f"<ResponseHead {self.status} HTTP/1.{self.minor} {self.fields!r}>"


def parse_response_head(block: bytes, limits: Limits) -> ResponseHead:
    """Read one complete answer head, interim answers (1xx) included.

    Raises BadMessage; whoever read it from an upstream raises ``BadAnswer`` from that (rule 17).
    """
    if len(block) > limits.max_head_bytes:
        raise head_too_large(block, 0, limits)
    match = _STATUS_LINE.match(block)
    if match is None or not block.endswith(b"\r\n"):
        raise BadMessage("The status line is malformed.")
    major, low, code, reason = match.groups()
    if major != b"1":
        raise BadMessage("The answer's HTTP version is not supported.", status=505, code="version_not_supported")
    status = int(code)
    minor = 0 if low == b"0" else 1
    fields = parse_fields(block[match.end() : -2], limits, request=False)
    index = fields.index
    options = connection_options(fields) if b"connection" in index else NO_OPTIONS
    length = content_length(fields) if b"content-length" in index else None
    chunked = False
    keep_alive = b"close" not in options and (minor == 1 or b"keep-alive" in options)
    if b"transfer-encoding" in index:
        if not minor:
            raise BadMessage("An HTTP/1.0 answer has Transfer-Encoding.")
        chunked = is_chunked(fields)
        if length is not None:
            # Rule 16: what another reader would take for the next answer may be smuggled in, so the connection ends.
            length = None
            keep_alive = False
    if (status < 200 or status == 204) and (chunked or length):
        # RFC 9110 section 8.6 and RFC 9112 section 6.1 forbid it: such a server's next bytes cannot be trusted.
        keep_alive = False
    return ResponseHead(
        status,
        minor,
        reason or b"",
        fields,
        content_length=length,
        chunked=chunked,
        keep_alive=keep_alive,
        upgrade=index.get(b"upgrade") if b"upgrade" in options else None,
        connection_options=options,
    )
