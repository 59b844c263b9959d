"""Heads of requests: from bytes to meaning, strictly (RFC 9112 sections 2, 3, 6, RFC 9110 sections 7, 10).

What is ambiguous is refused rather than repaired: whoever reads a message differently from the next
server on its way opens the door to request smuggling. The rules' numbers are those of docs/http_rules.md.
Heads are immutable by convention, so memos may hand out the same object twice.
"""

import re
from typing import Any, Final

from scalability.errors import BadMessage
from scalability.http1.fields import NAME, NO_OPTIONS, TOKEN, Field, Fields, connection_options, content_length, is_chunked, parse_fields
from scalability.http1.head_end import MAX_METHOD_BYTES, head_too_large
from scalability.http1.limits import Limits

# Possessive as in ``fields``: a hostile line costs its length, never its square.
REQUEST_LINE: Final = re.compile(rb"([" + TOKEN + rb"_]++) ([!-\"$-~]++) HTTP/([0-9])\.([0-9])\r\n")
"""Method, target, major and minor version."""
_HOST: Final = re.compile(rb"(?:(?:(?:[A-Za-z0-9\-._~!$&'()*+;=]|%[0-9A-Fa-f]{2})++|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{0,5})?)?")
_ABSOLUTE: Final = re.compile(rb"https?://([^/?]*+)(.*)", re.IGNORECASE)
METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
"""What a refusal of CONNECT offers instead (RFC 9110 section 15.5.6 demands it)."""


class RequestFields:
    """What a request's field lines say under one minor version; shared by every request that repeats them.

    What is needed for framing stands here for good. The fields themselves, most of the memory, may be forgotten; who asks for them
    again has them parsed again from ``block``, where they stand from ``begin`` to the empty line.
    """

    __slots__ = (
        "_limits",
        "_parsed",
        "begin",
        "block",
        "cache_control",
        "chunked",
        "connection_options",
        "content_length",
        "expect_continue",
        "forwarded",
        "host",
        "keep_alive",
        "max_forwards",
        "upgrade",
    )

    def __init__(self, block: bytes, begin: int, minor: int, limits: Limits) -> None:
        self.block = block
        self.begin = begin
        self.forwarded: Any = None
        """What a request with these fields was forwarded as, the last time (``forward.Forwarded``), for others who forward the same."""
        self._limits = limits
        self._parsed: Fields | None = None
        fields = self._parsed = parse_fields(block[begin:-2], limits, request=True)
        index = fields.index
        self.max_forwards = index.get(b"max-forwards")
        self.cache_control = index.get(b"cache-control")
        host = index.get(b"host")
        if host is None:
            if minor:
                raise BadMessage("An HTTP/1.1 request needs a Host field.")
            host = b""
        elif fields.repeats is not None and b"host" in fields.repeats:
            raise BadMessage("There is more than one Host field.")
        elif _HOST.fullmatch(host) is None:
            raise BadMessage("The Host field is invalid.")
        self.host = host
        options = connection_options(fields) if b"connection" in index else NO_OPTIONS
        self.connection_options = options
        self.keep_alive = b"close" not in options if minor else b"keep-alive" in options and b"close" not in options
        self.upgrade = index.get(b"upgrade") if b"upgrade" in options else None
        self.content_length = content_length(fields) if b"content-length" in index else None
        chunked = False
        if b"transfer-encoding" in index:
            if not minor:
                raise BadMessage("An HTTP/1.0 request has Transfer-Encoding.")
            if self.content_length is not None:
                raise BadMessage("The request has both Transfer-Encoding and Content-Length.")
            chunked = is_chunked(fields)
        self.chunked = chunked
        expects = False
        if b"expect" in index:
            if any(value.lower() != b"100-continue" for value in fields.get_all(b"expect")):
                raise BadMessage("The expectation cannot be met.", status=417, code="expectation_failed")
            expects = bool(minor)  # RFC 9110 section 10.1.1: a 1.0 client's 100-continue is ignored
        self.expect_continue = expects

    def with_names(self, block: bytes, begin: int) -> "RequestFields":
        """What ``block`` says, where it differs from ours in fields only that mean nothing here."""
        fields = object.__new__(RequestFields)
        fields.block = block
        fields.begin = begin
        fields.forwarded = None
        fields._limits = self._limits
        fields._parsed = None
        fields.max_forwards = self.max_forwards
        fields.cache_control = self.cache_control
        fields.host = self.host
        fields.connection_options = self.connection_options
        fields.keep_alive = self.keep_alive
        fields.upgrade = self.upgrade
        fields.content_length = self.content_length
        fields.chunked = self.chunked
        fields.expect_continue = self.expect_continue
        return fields

    def parsed(self) -> Fields:
        """The fields."""
        parsed = self._parsed
        if parsed is None:
            parsed = self._parsed = parse_fields(self.block[self.begin : -2], self._limits, request=True)
        return parsed

    def forget(self) -> None:
        """Drop the parsed fields: whoever calls this does not expect to ask for them soon."""
        self._parsed = None


class RequestHead:
    """A request's head. Made by ``parse_request_head``; never changed afterwards.

    ``fields`` are (name as received, value without surrounding blanks) in order, duplicates included.
    ``target`` is in origin form or ``*``; what the client sent in absolute form has moved into ``host``.
    ``host`` is the effective authority: of an absolute target, else of the Host field, else empty (HTTP/1.0).
    ``upgrade`` is the Upgrade field's value, if ``Connection`` names it, else None. ``shared`` is the same object as long as a client
    repeats its field lines.
    """

    __slots__ = (
        "answer_form",
        "chunked",
        "content_length",
        "expect_continue",
        "has_body",
        "host",
        "keep_alive",
        "method",
        "minor",
        "shared",
        "target",
        "upgrade",
    )

    def __init__(self, method: bytes, target: bytes, minor: int, host: bytes, shared: RequestFields) -> None:
        self.method: Final = method
        self.target: Final = target
        self.minor: Final = minor
        self.host: Final = host
        self.shared: Final = shared
        self.content_length: Final = shared.content_length
        self.chunked: Final = shared.chunked
        self.keep_alive: Final = shared.keep_alive
        self.expect_continue: Final = shared.expect_continue
        self.upgrade: Final = shared.upgrade
        self.has_body: Final = shared.chunked or bool(shared.content_length)
        """True when body bytes follow (or may follow, when chunked). A request without framing fields has none."""
        self.answer_form: Final = minor + 2 if method == b"HEAD" else minor
        """What of a request the head of its answer depends on: the minor version, and whether a body may follow."""

    @property
    def fields(self) -> tuple[Field, ...]:
        return self.shared.parsed().fields

    @property
    def index(self) -> dict[bytes, bytes]:
        """The first value of each field, by lower-case name."""
        return self.shared.parsed().index

    @property
    def repeats(self) -> dict[bytes, list[bytes]] | None:
        """All values of the fields that came more than once, by lower-case name."""
        return self.shared.parsed().repeats

    @property
    def connection_options(self) -> frozenset[bytes]:
        """What Connection names, in lower case."""
        return self.shared.connection_options

    @property
    def cache_control(self) -> bytes | None:
        """The first Cache-Control field's value, known without parsing the fields again."""
        return self.shared.cache_control

    @property
    def max_forwards(self) -> bytes | None:
        """The Max-Forwards field's value."""
        return self.shared.max_forwards

    def get(self, name: bytes) -> bytes | None:
        """The first value of the field with the lower-case ``name``, or None."""
        return self.shared.parsed().get(name)

    def get_all(self, name: bytes) -> list[bytes]:
        """Every value of the field with the lower-case ``name``, in the order received."""
        return self.shared.parsed().get_all(name)

    def __repr__(self) -> str:
        return f"<RequestHead {self.method!r} {self.target!r} HTTP/1.{self.minor} {self.fields!r}>"


def parse_request_head(block: bytes, limits: Limits) -> RequestHead:
    """Read one complete request head, as cut out by ``find_head_end``. Raises BadMessage with the status that the rules demand."""
    method, target, minor, block, begin = read_request_line(block, limits)
    return request_head(method, target, minor, RequestFields(block, begin, minor, limits))


def read_request_line(block: bytes, limits: Limits) -> tuple[bytes, bytes, int, bytes, int]:
    """Method, target as sent, minor version, and the block (without an empty line before it) with the place where its field lines begin."""
    if len(block) > limits.max_head_bytes:
        raise head_too_large(block, 0, limits)
    match = REQUEST_LINE.match(block)
    if match is None:
        if block.startswith(b"\r\n") and not block.startswith(b"\r\n", 2):
            return read_request_line(block[2:], limits)
        raise _bad_request_line(block, limits)
    if not block.endswith(b"\r\n"):
        raise BadMessage("The head does not end.")
    method, target, major, low = match.groups()
    if major != b"1":
        raise BadMessage("Only HTTP/1.0 and HTTP/1.1 are spoken here.", status=505, code="version_not_supported")
    if len(target) > limits.max_target_bytes:
        raise BadMessage(f"The request target is longer than {limits.max_target_bytes} bytes.", status=414, code="target_too_long")
    if len(method) > MAX_METHOD_BYTES:
        raise BadMessage("The method is not known.", status=501, code="not_implemented")
    return method, target, 0 if low == b"0" else 1, block, match.end()


def _bad_request_line(block: bytes, limits: Limits) -> BadMessage:
    words = block.partition(b"\r\n")[0].split(b" ")
    if len(words) > 1 and len(words[1]) > limits.max_target_bytes:
        return BadMessage(f"The request target is longer than {limits.max_target_bytes} bytes.", status=414, code="target_too_long")
    if len(words) != 3:
        return BadMessage("The request line is not METHOD TARGET VERSION.")
    method, target, _version = words
    if NAME.fullmatch(method) is None:
        return BadMessage("The method is not a token.")
    if not target or any(octet <= 32 or octet >= 127 or octet == 35 for octet in target):
        return BadMessage("The request target has octets that must be percent-encoded.")
    return BadMessage("The HTTP version is malformed.")


def request_head(method: bytes, target: bytes, minor: int, shared: RequestFields) -> RequestHead:
    """Join a request line and its fields, with the checks that need both (rules 30 to 33). Raises BadMessage."""
    host = shared.host
    if method == b"CONNECT":
        raise BadMessage("CONNECT is not offered here.", status=405, code="method_not_allowed", allow=METHODS)
    if target[0] == 47:  # "/"
        return RequestHead(method, target, minor, host, shared)
    if target == b"*":
        if method != b"OPTIONS":
            raise BadMessage("Only OPTIONS may ask for *.")
        return RequestHead(method, target, minor, host, shared)
    match = _ABSOLUTE.fullmatch(target)
    if match is None:
        raise BadMessage("The request target is neither a path nor an http URL.")
    host, target = match.groups()
    # An empty host is refused here by RFC 9110 section 4.2.1, userinfo ("@") by section 4.2.4.
    if not host or host[0] == 58 or _HOST.fullmatch(host) is None:
        raise BadMessage("The host in the request target is invalid.")
    if not target:
        target = b"*" if method == b"OPTIONS" else b"/"  # RFC 9112 section 3.2.4
    elif target[0] == 63:  # "?"
        target = b"/" + target
    return RequestHead(method, target, minor, host, shared)
