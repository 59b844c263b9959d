"""The last head of a connection, remembered: most heads are the one before once more, or differ in little from it."""

import re
from typing import Final

from scalability.http1.head_end import MAX_METHOD_BYTES
from scalability.http1.known_heads import KnownHeads
from scalability.http1.limits import Limits
from scalability.http1.request_head import REQUEST_LINE, RequestFields, RequestHead, read_request_line, request_head
from scalability.http1.response_head import ResponseHead, parse_response_head

MEMO_BYTES: Final = 4096
"""Larger heads are not remembered: with ten thousand connections they would hold hundreds of megabytes."""
_NAMED: Final = re.compile(rb"X-Request-Id: [0-9a-f]{32}\r\ntraceparent: 00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}\r\n\r\n")
"""How our balancer ends the heads that it forwards (``http1.trace``): other names in each, of the same length."""
_NAMED_BYTES: Final = 120
# a name of our own: CPython compiles a method call on an imported name as a look-up of the bound method first
_REQUEST_LINE: Final = REQUEST_LINE


class RequestHeadMemo:
    """Parses the heads of one connection, remembering the last: keep-alive clients repeat their field lines.

    Holds at most one head of ``MEMO_BYTES``; a larger one is parsed anew each time. Answers exactly what ``parse_request_head`` does, by
    handing out the previous head again when all its bytes are the same, or its parsed fields when only the
    request line differs. Where only the names differ that our balancer gives to each request, the fields are parsed when somebody asks.
    What is new to this connection may be known from others: memos with the same ``limits`` share ``known``.
    """

    __slots__ = ("_begin", "_known", "_limits", "_minor", "_names_at", "block", "head")

    head: RequestHead
    """What was parsed or found last."""

    def __init__(self, limits: Limits, known: KnownHeads | None = None) -> None:
        self._limits = limits
        self._known = KnownHeads() if known is None else known
        self.block = b""
        """The remembered head's bytes; while there is none, empty."""
        self._begin = 0
        """Where in ``block`` its field lines begin."""
        self._minor = -1
        self._names_at = 0  # where _NAMED begins in _block; 0: it has none

    def find(self, data: bytes) -> int:
        """Where the head that ``data`` begins with ends, if its field lines are the remembered ones; ``head`` is that head then. Else 0.

        Finds what ``find_head_end`` would, at the cost of a search for the first line end and a comparison: what follows the request
        line is known to hold no empty line but its last. Raises BadMessage as ``parse`` does.
        """
        block = self.block
        if data == block or data.startswith(block):
            return len(block)  # 0 while nothing is remembered
        line_end = data.find(b"\n") + 1
        if not data.startswith(block[self._begin :], line_end):
            return self._find_named(data, line_end) if self._names_at else 0
        match = _REQUEST_LINE.match(data)
        if match is None or match.end() != line_end:
            return 0
        end = line_end + len(block) - self._begin
        method, target, major, low = match.groups()
        limits = self._limits
        if (
            (0 if low == b"0" else 1) != self._minor
            or major != b"1"
            or len(target) > limits.max_target_bytes
            or len(method) > MAX_METHOD_BYTES
            or end > limits.max_head_bytes
            or end > MEMO_BYTES
        ):
            return 0  # unusual or wrong: ``parse`` says what
        shared = self.head.shared
        self.head = request_head(method, target, self._minor, shared)
        # the same bytes from here on, so that only one such block is held
        self.block = shared.block = data[:end]
        self._begin = shared.begin = line_end
        if self._names_at:
            self._names_at = end - _NAMED_BYTES
        return end

    def _find_named(self, data: bytes, line_end: int) -> int:
        """``find``, where the names at the end of the head are others. The request line must be the remembered one."""
        known, names_at = self.head, self._names_at
        if self._begin != line_end or not data.startswith(self.block[:names_at]) or _NAMED.match(data, names_at) is None:
            return 0
        end = names_at + _NAMED_BYTES
        self.block = block = data[:end]
        self.head = RequestHead(known.method, known.target, self._minor, known.host, known.shared.with_names(block, line_end))
        return end

    def parse(self, block: bytes) -> RequestHead:
        """As ``parse_request_head``. A head that is refused is not remembered."""
        if self.block and self.find(block) == len(block):
            return self.head
        limits = self._limits
        method, target, minor, block, begin = read_request_line(block, limits)
        if len(block) > MEMO_BYTES:
            return request_head(method, target, minor, RequestFields(block, begin, minor, limits))
        names_at = len(block) - _NAMED_BYTES
        if names_at > begin and _NAMED.match(block, names_at) is not None:
            head = request_head(method, target, minor, RequestFields(block, begin, minor, limits))  # nobody sends these again
        else:
            names_at = 0
            block, head = self._known_or_parsed(method, target, minor, block, begin)
        self.block = block
        self.head = head
        self._begin = begin
        self._minor = minor
        self._names_at = names_at
        return head

    def _known_or_parsed(self, method: bytes, target: bytes, minor: int, block: bytes, begin: int) -> tuple[bytes, RequestHead]:
        """The head, behind its bytes: both those of another connection that has sent the same, or at least the fields of one."""
        lines = block[begin:]
        found = self._known.get(lines)
        if found is not None and found[1].minor == minor:
            if found[0] == block:
                return found
            fields = found[1].shared
        else:
            fields = RequestFields(block, begin, minor, self._limits)
        head = request_head(method, target, minor, fields)
        self._known.put(lines, block, head)
        return block, head


class ResponseHeadMemo:
    """Parses the heads of one upstream connection; an answer head equal to the last (within one second of Date) costs a comparison.

    Holds at most one head of ``MEMO_BYTES``; a larger one is parsed anew each time.
    """

    __slots__ = ("_limits", "block", "block_bytes", "head", "whole_bytes")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.block = b""
        """The remembered head's bytes, and how many they are."""
        self.block_bytes = 0
        self.head: ResponseHead | None = None
        """What was parsed last."""
        self.whole_bytes = -1
        """The size of a 200 with that head and the body it announces; -1 when it is another answer, or has no such body."""

    def find(self, data: bytes) -> int:
        """Where the head that ``data`` begins with ends, if it is the remembered one, ``head``. Else 0."""
        block = self.block
        return len(block) if data.startswith(block) else 0

    def parse(self, block: bytes) -> ResponseHead:
        """As ``parse_response_head``. A head that is refused is not remembered."""
        head = self.head
        if head is None or block != self.block:
            head = parse_response_head(block, self._limits)
            if len(block) <= MEMO_BYTES:
                self.block = block
                self.block_bytes = len(block)
                self.head = head
                self.whole_bytes = len(block) + head.content_length if head.status == 200 and head.content_length else -1
        return head
