"""Requests as a server reads them: arrays of bulk strings, and inline commands. PURE.

The rules are Redis' (networking.c: processMultibulkBuffer, processInlineBuffer): a request is an array of bulk strings; whatever does
not begin with ``*`` is a line of words, for people with netcat. The two bytes behind a bulk string are skipped unseen. A simple
string (``+``) or verbatim one (``=``) in the place of a bulk string is refused, or taken for one when its request comes as a whole.

hiredis parses what is ordinary: whole requests that came together. As a parser for servers it is too trusting: it makes room for as
many elements as a client announces (``*500000000`` is 4 GB), takes other types than bulk strings, and knows no inline commands.
So chunks that announce ten thousand elements or more are kept from it, what it read is checked in one go, and everything out of the
ordinary, requests that come in pieces too, is read by steps of our own, which make room for nothing that has not been sent.
"""

import re
from itertools import chain
from typing import Any

import hiredis

from scalability.resp.words import split_words

MAX_ARGUMENTS = 9_999
"""A command of so many keys or values (MGET, DEL, MSET) holds the reactor for 3 to 9 ms; it cannot be run in pieces, as nobody may see
half of it. Redis takes a million."""
MAX_BULK_BYTES = 512 << 20
"""Redis' proto-max-bulk-len."""
MAX_INLINE_BYTES = 65_536
MAX_LENGTH_LINE = 32
"""Bytes of a line that tells a length; Redis would wait for 64 KiB of it."""
ARGUMENT_COST = 64
"""What an argument takes in memory beside its bytes, about."""

CHUNK_BYTES = 65_536
"""Larger pieces are not given to hiredis. It is what a transport reads at once."""

_many_elements = re.compile(rb"\*[0-9]{5}").search
"""Ten thousand elements or more."""
_bulk_head = re.compile(rb"\$(0|[1-9][0-9]{0,9})\r\n").match

_COST = [n + len(str(n)) + 5 for n in range(CHUNK_BYTES + 1)]
"""Bytes of a bulk string of n bytes on the wire."""
_HEAD = [len(str(n)) + 3 for n in range(10_000)]
"""Bytes of the line that announces n elements."""


class ProtocolError(Exception):
    """The bytes are no request; ``str(error)`` says why, in Redis' words. The connection cannot go on."""


class OrdinaryReader:
    """hiredis for chunks of whole requests. It keeps nothing between two chunks, so that one does for all connections of a thread.

    ``begin``, ``next`` and ``more`` are hiredis.Reader's ``feed``, ``gets`` and ``has_data``; whoever found something wrong, or a request
    incomplete, calls ``renew``.
    """

    __slots__ = ("begin", "more", "next")

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Forget what was begun."""
        reader: Any = hiredis.Reader()
        self.begin, self.next, self.more = reader.feed, reader.gets, reader.has_data

    def rest(self, data: bytes, request: Any) -> tuple[list[list[bytes]], int]:
        """The requests at the beginning of ``data``, the first of which has been read, and how many of its bytes they are.

        No requests and bytes where that cannot be told.
        """
        gets, more = self.next, self.more
        requests: list[list[bytes]] = []
        empty = False
        while type(request) is list:
            if request:
                requests.append(request)
            else:
                empty = True  # what was read cannot be told from the requests any more
            if not more():
                b"".join(chain.from_iterable(requests))  # only of bytes
                return requests, len(data)
            request = gets()
        # the last one is incomplete, or none at all
        self.renew()
        b"".join(chain.from_iterable(requests))
        if empty or len(data) > CHUNK_BYTES:
            return [], 0
        length = _length(requests)
        return (requests, length) if data[length : length + 1] == b"*" else ([], 0)


class Shape:
    """What a request of one or two arguments has in common with those that differ from it in the arguments' bytes only.

    A client's requests are alike: ``GET`` with a key of 16 bytes after the other. One that is as long as the last and has the same
    bytes around its arguments is cut at the same places (the same as ``http1``'s memo of the last header block). ``length`` -1: none.
    """

    __slots__ = ("before", "between", "first", "head", "length", "middle", "name", "second")

    def __init__(self, length: int, name: bytes = b"", head: bytes = b"", first_end: int = 0, middle: bytes | None = None) -> None:
        self.length = length
        self.name = name
        self.head = head
        """Up to the first argument's bytes."""
        self.middle = middle
        """Between the arguments; None where there is one."""
        begin, second = len(head), first_end + len(middle or b"")
        self.before = slice(begin)
        self.first = slice(begin, first_end)
        self.between = slice(first_end, second)
        self.second = slice(second, -2)


NO_SHAPE = Shape(-1)


def shape_of(data: bytes, request: list[bytes]) -> Shape:
    """That of ``request``, which is all of ``data``."""
    count, length = len(request), len(data)
    if not 2 <= count <= 3 or length > CHUNK_BYTES:
        return NO_SHAPE
    last = length - 2 - len(request[-1])
    if count == 2:
        return Shape(length, request[0], data[:last], length - 2)
    first_end = last - _COST[len(request[2])] + len(request[2])
    return Shape(length, request[0], data[: first_end - len(request[1])], first_end, data[first_end:last])


class RequestParser:
    """Requests out of the bytes of one connection, whatever the pieces in which they come.

    One request takes ``max_arguments`` at most, the name among them, each of ``max_bulk_bytes``, and together ``max_request_bytes``
    of memory. The limits may be changed at any time; for what comes as a whole in one chunk they are the chunk's size.
    """

    __slots__ = (
        "_arguments",
        "_buffer",
        "_enough",
        "_held",
        "_last_length",
        "_missing",
        "_reader",
        "begun",
        "failed",
        "max_arguments",
        "max_bulk_bytes",
        "max_request_bytes",
        "shape",
    )

    def __init__(
        self,
        reader: OrdinaryReader,
        *,
        max_arguments: int = MAX_ARGUMENTS,
        max_bulk_bytes: int = MAX_BULK_BYTES,
        max_request_bytes: int = MAX_BULK_BYTES,
    ) -> None:
        self.max_arguments = max_arguments
        self.max_bulk_bytes = max_bulk_bytes
        self.max_request_bytes = max_request_bytes
        self.failed: ProtocolError | None = None
        """Why reading ended. What was read before is good; nothing is read any more."""
        self._reader = reader
        self.shape = NO_SHAPE
        """That of the last request, when the one before was as long; none while a request has begun."""
        self._last_length = 0
        self.begun = False
        """Part of a request has come, or reading has ended."""
        self._buffer = bytearray()
        self._enough = 0
        """Bytes in the buffer below which nothing can be read from it."""
        self._missing = 0
        """Arguments that the request which has begun still lacks; 0 between requests."""
        self._arguments: list[bytes] = []
        self._held = 0
        """What those there take in memory."""

    @property
    def held_bytes(self) -> int:
        """What a request that has not come as a whole takes in memory."""
        return len(self._buffer) + self._held

    def _alike(self, data: bytes) -> list[bytes] | None:
        """The request that ``data`` is, if it is one like the last, between requests: at a third of what hiredis costs."""
        shape = self.shape
        if data[shape.before] != shape.head:
            return None
        if shape.middle is None:
            return [shape.name, data[shape.first]]
        if data[shape.between] == shape.middle:
            return [shape.name, data[shape.first], data[shape.second]]
        return None

    def feed(self, data: bytes) -> list[list[bytes]]:
        """The requests that ``data`` (not empty) completes, each with its name at least. Never raises: see ``failed``."""
        if self.begun:
            return self._continue(data)
        length = len(data)
        if length == self.shape.length:
            alike = self._alike(data)
            if alike is not None:
                return [alike]
        if data[0] != 0x2A or _many_elements(data):
            return self._read(data)
        reader = self._reader
        try:
            reader.begin(data)
            request = reader.next()
            if type(request) is list and request and not reader.more():
                b"".join(request)  # only of bytes
                if length == self._last_length:
                    self.shape = shape_of(data, request)
                self._last_length = length
                return [request]
            requests, read = reader.rest(data, request)
        except (hiredis.ProtocolError, TypeError):
            reader.renew()
            return self._read(data)
        if read != length:
            requests += self._read(data[read:])
        return requests

    def fail(self, error: ProtocolError) -> None:
        """Read nothing any more, and forget what has been read of a request."""
        self.failed = error
        self.shape = NO_SHAPE
        self.begun = True
        self._buffer.clear()
        self._arguments = []
        self._missing = self._held = 0

    def _continue(self, data: bytes) -> list[list[bytes]]:
        """Complete the request that has begun; what follows it may be ordinary again."""
        if self.failed is not None:
            return []
        if len(self._buffer) + len(data) < self._enough:
            self._buffer += data
            return []
        return self._read(data)

    def _read(self, data: bytes) -> list[list[bytes]]:
        requests: list[list[bytes]] = []
        had_begun = self.begun
        self._buffer += data
        at = 0
        try:
            while True:
                end = self._step(at, requests)
                if end is None:
                    break
                at = end
                if had_begun and requests and at < len(self._buffer):
                    # what follows the request that had begun is ordinary again, and read in a sixth of the time
                    rest = bytes(memoryview(self._buffer)[at:])
                    self._buffer = bytearray()
                    self._enough = 0
                    self.begun = False
                    return requests + self.feed(rest)
        except ProtocolError as error:
            self.fail(error)
            return requests
        del self._buffer[:at]
        self._enough -= at
        self.begun = bool(self._buffer or self._missing)
        self.shape = NO_SHAPE
        return requests

    def _step(self, at: int, requests: list[list[bytes]]) -> int | None:
        """Read one thing that begins at ``at``; where the next begins, or None when it has not come as a whole."""
        buffer = self._buffer
        if at == len(buffer):
            self._enough = at
            return None
        if self._missing:
            return self._argument(at, requests)
        if buffer[at] != 0x2A:
            return self._inline(at, requests)
        end = self._line_end(at, "too big mbulk count string")
        if end is None:
            return None
        count = _length_in(buffer, at, end)
        if count is None or count > self.max_arguments:
            raise ProtocolError("invalid multibulk length")
        if count > 0:
            self._missing = count
        return end + 2

    def _argument(self, at: int, requests: list[list[bytes]]) -> int | None:
        buffer = self._buffer
        # nearly always: some that have come as a whole
        arguments, missing, held, size = self._arguments, self._missing, self._held, len(buffer)
        while missing > 1 and (head := _bulk_head(buffer, at)) is not None:
            long, start = int(head[1]), head.end()
            if start + long + 2 > size or long > self.max_bulk_bytes or held + long > self.max_request_bytes:
                break
            arguments.append(bytes(buffer[start : start + long]))
            held += long + ARGUMENT_COST
            missing -= 1
            at = start + long + 2
        if missing != self._missing:
            self._missing, self._held = missing, held
            return at
        if buffer[at] != 0x24:
            raise ProtocolError(f"expected '$', got '{_shown(buffer[at])}'")
        line_end = self._line_end(at, "too big bulk count string")
        if line_end is None:
            return None
        length = _length_in(buffer, at, line_end)
        if length is None or not 0 <= length <= self.max_bulk_bytes or self._held + length > self.max_request_bytes:
            raise ProtocolError("invalid bulk length")
        begin = line_end + 2
        if begin + length + 2 > len(buffer):
            self._enough = begin + length + 2
            return None
        self._arguments.append(bytes(buffer[begin : begin + length]))
        self._held += length + ARGUMENT_COST
        self._missing -= 1
        if not self._missing:
            requests.append(self._arguments)
            self._arguments = []
            self._held = 0
        return begin + length + 2

    def _inline(self, at: int, requests: list[list[bytes]]) -> int | None:
        buffer = self._buffer
        end = buffer.find(b"\n", at, at + MAX_INLINE_BYTES + 1)
        if end < 0:
            if len(buffer) - at > MAX_INLINE_BYTES:
                raise ProtocolError("too big inline request")
            self._enough = 0
            return None
        try:
            words = split_words(bytes(buffer[at:end]))
        except ValueError:
            raise ProtocolError("unbalanced quotes in request") from None
        if len(words) > self.max_arguments:
            raise ProtocolError("invalid multibulk length")
        if words:
            requests.append(words)
        return end + 1

    def _line_end(self, at: int, too_long: str) -> int | None:
        """Where the CRLF is that ends the line of a length."""
        end = self._buffer.find(b"\r", at, at + MAX_LENGTH_LINE)
        if end < 0:
            if len(self._buffer) - at >= MAX_LENGTH_LINE:
                raise ProtocolError(too_long)
            self._enough = 0
            return None
        if end + 1 == len(self._buffer):
            self._enough = 0
            return None
        return end


def _length_in(buffer: bytearray, at: int, end: int) -> int | None:
    """The number behind the type's byte; None for what is none as hiredis and Redis write it: no blank, plus sign or leading zero."""
    text = bytes(buffer[at + 1 : end])
    digits = text[1:] if text[:1] == b"-" else text
    if not digits.isdigit() or (digits[:1] == b"0" and len(text) > 1):
        return None
    return int(text)


def _shown(byte: int) -> str:
    return chr(byte) if 0x20 <= byte < 0x7F else f"\\x{byte:02x}"


def _length(requests: list[list[bytes]]) -> int:
    """How many bytes they were on the wire."""
    arguments = map(len, chain.from_iterable(requests))
    return sum(_HEAD[len(request)] for request in requests) + sum(map(_COST.__getitem__, arguments))
