"""Heads of HTTP/1.x messages: from bytes to meaning, strictly (RFC 9112 sections 2 to 7, RFC 9110 section 5).

What is ambiguous is refused rather than repaired: whoever reads a message differently from the next
server on its way opens the door to request smuggling. The rules' numbers are those of docs/http_rules.md.
Cost matters here: a browser-sized head takes a handful of operations in C (one ``translate``, one
``findall``, a dictionary). Heads are immutable by convention, so memos may hand out the same object twice.
"""

import re
from typing import Any, Final

from scalability.errors import BadMessage
from scalability.http1.known_heads import KnownHeads
from scalability.http1.limits import Limits

Field = tuple[bytes, bytes]

_TOKEN: Final = rb"!#$%&'*+\-.^`|~0-9A-Za-z"
# Possessive repeats (*+, ++) and one way to match each line: a hostile line costs its length, never its square.
_REQUEST_LINE: Final = re.compile(rb"([" + _TOKEN + rb"_]++) ([!-\"$-~]++) HTTP/([0-9])\.([0-9])\r\n")
# Statuses from 600 on belong to no class (RFC 9110 section 15), but servers send them, and clients may know what they mean.
_STATUS_LINE: Final = re.compile(rb"HTTP/([0-9])\.([0-9]) ([1-9][0-9][0-9])(?: ([\t -~\x80-\xff]*+))?\r\n")
# A value with blanks at its end does not match and goes the slow way: testing here is cheaper than stripping each.
_FIELD: Final = re.compile(rb"^([" + _TOKEN + rb"]++):[ \t]*+(.*)(?<![ \t])\r\n", re.MULTILINE)
_FIELD_WITH_UNDERSCORE: Final = re.compile(rb"^([" + _TOKEN + rb"_]++):[ \t]*+(.*)(?<![ \t])\r\n", re.MULTILINE)
_NAME: Final = re.compile(rb"[" + _TOKEN + rb"_]++")
_DIGITS: Final = re.compile(rb"[0-9]{1,18}")
_HOST: Final = re.compile(rb"(?:(?:(?:[A-Za-z0-9\-._~!$&'()*+;=]|%[0-9A-Fa-f]{2})++|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{0,5})?)?")
_ABSOLUTE: Final = re.compile(rb"https?://([^/?]*+)(.*)", re.IGNORECASE)
_LEGAL: Final = bytes([9, *range(32, 127), *range(128, 256)])
"""Octets of a field value or start line: HTAB, SP, VCHAR, obs-text (RFC 9110 section 5.5)."""
METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
"""What a refusal of CONNECT offers instead (RFC 9110 section 15.5.6 demands it)."""
MEMO_BYTES: Final = 4096
"""Larger heads are not remembered: with ten thousand connections they would hold hundreds of megabytes."""
_MAX_METHOD_BYTES: Final = 32
_LINE_OVERHEAD_BYTES: Final = _MAX_METHOD_BYTES + len(b"  HTTP/1.1\r\n")
_NAMED: Final = re.compile(rb"X-Request-Id: [0-9a-f]{32}\r\ntraceparent: 00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}\r\n\r\n")
"""How our balancer ends the heads that it forwards (``http1.trace``): other names in each, of the same length."""
_NAMED_BYTES: Final = 120
_NO_OPTIONS: Final[frozenset[bytes]] = frozenset()
_USUAL_OPTIONS: Final = {value: frozenset([value.lower()]) for value in (b"keep-alive", b"Keep-Alive", b"close", b"Close")}


class _Fields:
    """What a field block says, apart from the start line above it."""

    __slots__ = ("fields", "index", "repeats")

    def __init__(self, fields: tuple[Field, ...], index: dict[bytes, bytes], repeats: dict[bytes, list[bytes]] | None) -> None:
        self.fields: Final = fields
        self.index: Final = index
        self.repeats: Final = repeats

    def get(self, name: bytes) -> bytes | None:
        """The first value of the field with the lower-case ``name``, or None."""
        return self.index.get(name)

    def get_all(self, name: bytes) -> list[bytes]:
        """Every value of the field with the lower-case ``name``, in the order received."""
        if self.repeats is not None and name in self.repeats:
            return list(self.repeats[name])
        value = self.index.get(name)
        return [] if value is None else [value]


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

    def __init__(self, method: bytes, target: bytes, minor: int, host: bytes, shared: "RequestFields") -> None:
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


class ResponseHead(_Fields):
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
        fields: _Fields,
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
            raise _too_large(buffer, start, limits)
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
        raise _too_large(buffer, start, limits)
    return -1


def _too_large(buffer: bytes | bytearray, start: int, limits: Limits) -> BadMessage:
    begin = start + 2 if buffer.startswith(b"\r\n", start) else start
    line_end = buffer.find(b"\r\n", begin)
    if (line_end if line_end >= 0 else len(buffer)) - begin > limits.max_target_bytes + _LINE_OVERHEAD_BYTES:
        return BadMessage(f"The request target is longer than {limits.max_target_bytes} bytes.", status=414, code="target_too_long")
    return BadMessage(f"The head is larger than {limits.max_head_bytes} bytes.", status=431, code="head_too_large")


def parse_request_head(block: bytes, limits: Limits) -> RequestHead:
    """Read one complete request head, as cut out by ``find_head_end``. Raises BadMessage with the status that the rules demand."""
    method, target, minor, block, begin = _request_line(block, limits)
    return _request_head(method, target, minor, RequestFields(block, begin, minor, limits))


def parse_response_head(block: bytes, limits: Limits) -> ResponseHead:
    """Read one complete answer head, interim answers (1xx) included.

    Raises BadMessage; whoever read it from an upstream raises ``BadAnswer`` from that (rule 17).
    """
    if len(block) > limits.max_head_bytes:
        raise _too_large(block, 0, limits)
    match = _STATUS_LINE.match(block)
    if match is None or not block.endswith(b"\r\n"):
        raise BadMessage("The status line is malformed.")
    major, low, code, reason = match.groups()
    if major != b"1":
        raise BadMessage("The answer's HTTP version is not supported.", status=505, code="version_not_supported")
    status = int(code)
    minor = 0 if low == b"0" else 1
    fields = _parse_fields(block[match.end() : -2], limits, request=False)
    index = fields.index
    options = _options(fields) if b"connection" in index else _NO_OPTIONS
    length = _content_length(fields) if b"content-length" in index else None
    chunked = False
    keep_alive = b"close" not in options and (minor == 1 or b"keep-alive" in options)
    if b"transfer-encoding" in index:
        if not minor:
            raise BadMessage("An HTTP/1.0 answer has Transfer-Encoding.")
        chunked = _chunked(fields)
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


def _request_line(block: bytes, limits: Limits) -> tuple[bytes, bytes, int, bytes, int]:
    """Method, target as sent, minor version, and the block (without an empty line before it) with the place where its field lines begin."""
    if len(block) > limits.max_head_bytes:
        raise _too_large(block, 0, limits)
    match = _REQUEST_LINE.match(block)
    if match is None:
        if block.startswith(b"\r\n") and not block.startswith(b"\r\n", 2):
            return _request_line(block[2:], limits)
        raise _bad_request_line(block, limits)
    if not block.endswith(b"\r\n"):
        raise BadMessage("The head does not end.")
    method, target, major, low = match.groups()
    if major != b"1":
        raise BadMessage("Only HTTP/1.0 and HTTP/1.1 are spoken here.", status=505, code="version_not_supported")
    if len(target) > limits.max_target_bytes:
        raise BadMessage(f"The request target is longer than {limits.max_target_bytes} bytes.", status=414, code="target_too_long")
    if len(method) > _MAX_METHOD_BYTES:
        raise BadMessage("The method is not known.", status=501, code="not_implemented")
    return method, target, 0 if low == b"0" else 1, block, match.end()


def _bad_request_line(block: bytes, limits: Limits) -> BadMessage:
    words = block.partition(b"\r\n")[0].split(b" ")
    if len(words) > 1 and len(words[1]) > limits.max_target_bytes:
        return BadMessage(f"The request target is longer than {limits.max_target_bytes} bytes.", status=414, code="target_too_long")
    if len(words) != 3:
        return BadMessage("The request line is not METHOD TARGET VERSION.")
    method, target, _version = words
    if _NAME.fullmatch(method) is None:
        return BadMessage("The method is not a token.")
    if not target or any(octet <= 32 or octet >= 127 or octet == 35 for octet in target):
        return BadMessage("The request target has octets that must be percent-encoded.")
    return BadMessage("The HTTP version is malformed.")


def _request_head(method: bytes, target: bytes, minor: int, shared: "RequestFields") -> RequestHead:
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
        self._parsed: _Fields | None = None
        fields = self._parsed = _parse_fields(block[begin:-2], limits, request=True)
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
        options = _options(fields) if b"connection" in index else _NO_OPTIONS
        self.connection_options = options
        self.keep_alive = b"close" not in options if minor else b"keep-alive" in options and b"close" not in options
        self.upgrade = index.get(b"upgrade") if b"upgrade" in options else None
        self.content_length = _content_length(fields) if b"content-length" in index else None
        chunked = False
        if b"transfer-encoding" in index:
            if not minor:
                raise BadMessage("An HTTP/1.0 request has Transfer-Encoding.")
            if self.content_length is not None:
                raise BadMessage("The request has both Transfer-Encoding and Content-Length.")
            chunked = _chunked(fields)
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

    def parsed(self) -> _Fields:
        """The fields."""
        parsed = self._parsed
        if parsed is None:
            parsed = self._parsed = _parse_fields(self.block[self.begin : -2], self._limits, request=True)
        return parsed

    def forget(self) -> None:
        """Drop the parsed fields: whoever calls this does not expect to ask for them soon."""
        self._parsed = None


def parse_trailer_fields(block: bytes, limits: Limits) -> tuple[Field, ...]:
    """Read the field lines of a trailer section, each with its CRLF, without the empty line. Raises BadMessage."""
    return _parse_fields(block, limits, request=True).fields


def _parse_fields(block: bytes, limits: Limits, *, request: bool) -> _Fields:
    # What is left without the legal octets must be the line ends. Together with one match per line this proves
    # that there is no other CR or LF: each match takes one CRLF, and there are as many of either as matches.
    line_ends = block.translate(None, _LEGAL)
    count = len(line_ends) >> 1
    if count > limits.max_fields:
        raise BadMessage(f"There are more than {limits.max_fields} fields.", status=431, code="head_too_large")
    pattern = _FIELD if request and not limits.underscore_names else _FIELD_WITH_UNDERSCORE
    found: list[Field] = pattern.findall(block)
    if len(found) != count or line_ends != b"\r\n" * count:
        if line_ends != b"\r\n" * count or block.count(b"\r\n") != count:
            raise BadMessage("There is a control character, or a CR or LF on its own, in a field.")
        found = _field_by_field(block, limits, request=request)
    index = {name.lower(): value for name, value in found}
    repeats: dict[bytes, list[bytes]] | None = None
    if len(index) != len(found):
        repeats = {}
        for name, value in found:
            repeats.setdefault(name.lower(), []).append(value)
        repeats = {name: values for name, values in repeats.items() if len(values) > 1}
        for name, values in repeats.items():
            index[name] = values[0]
    return _Fields(tuple(found), index, repeats)


def _field_by_field(block: bytes, limits: Limits, *, request: bool) -> list[Field]:
    """The slow way, for blocks that are unusual or wrong: says what is wrong, mends what may be mended."""
    found: list[Field] = []
    for line in block.split(b"\r\n")[:-1]:
        if line[:1] in (b" ", b"\t"):
            if request or not found:
                raise BadMessage("A field line is folded.")  # RFC 9112 section 5.2
            name, value = found[-1]
            found[-1] = (name, (value.rstrip(b" \t") + b" " + line.strip(b" \t")).strip(b" \t"))
            continue
        name, colon, value = line.partition(b":")
        if not colon:
            raise BadMessage("A field line has no colon.")
        if not request:
            name = name.rstrip(b" \t")  # RFC 9112 section 5.1: a proxy removes it from answers
        elif name[-1:] in (b" ", b"\t"):
            raise BadMessage("There is white space before a field's colon.")
        if _NAME.fullmatch(name) is None:
            raise BadMessage("A field name is not a token.")
        if request and b"_" in name and not limits.underscore_names:
            continue
        found.append((name, value.strip(b" \t")))
    return found


def _options(fields: _Fields) -> frozenset[bytes]:
    value = fields.index[b"connection"]
    usual = _USUAL_OPTIONS.get(value)
    if fields.repeats is None:
        if usual is not None:
            return usual
    elif b"connection" in fields.repeats:
        value = b",".join(fields.repeats[b"connection"])
    return frozenset([option for part in value.lower().split(b",") if (option := part.strip(b" \t"))])


def _content_length(fields: _Fields) -> int:
    """RFC 9110 section 8.6: digits only; a list or repetition of the same number is that number (rule 9)."""
    value = fields.index[b"content-length"]
    if (fields.repeats is not None and b"content-length" in fields.repeats) or b"," in value:
        values = {part.strip(b" \t") for line in fields.get_all(b"content-length") for part in line.split(b",")}
        if len(values) != 1:
            raise BadMessage("There are different Content-Length values.")
        value = values.pop()
    if _DIGITS.fullmatch(value) is None:
        raise BadMessage("The Content-Length is not a number.")
    return int(value)


def _chunked(fields: _Fields) -> bool:
    """RFC 9112 section 6.1: True for exactly ``chunked``; everything else is refused (rule 10)."""
    codings = [part.strip(b" \t").lower() for line in fields.get_all(b"transfer-encoding") for part in line.split(b",")]
    if codings[-1] != b"chunked" or b"" in codings or codings.count(b"chunked") > 1:
        raise BadMessage("Transfer-Encoding does not end in one chunked.")
    if len(codings) > 1:
        raise BadMessage("There is a transfer coding other than chunked.", status=501, code="not_implemented")
    return True


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
            or len(method) > _MAX_METHOD_BYTES
            or end > limits.max_head_bytes
            or end > MEMO_BYTES
        ):
            return 0  # unusual or wrong: ``parse`` says what
        shared = self.head.shared
        self.head = _request_head(method, target, self._minor, shared)
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
        method, target, minor, block, begin = _request_line(block, limits)
        if len(block) > MEMO_BYTES:
            return _request_head(method, target, minor, RequestFields(block, begin, minor, limits))
        names_at = len(block) - _NAMED_BYTES
        if names_at > begin and _NAMED.match(block, names_at) is not None:
            head = _request_head(method, target, minor, RequestFields(block, begin, minor, limits))  # nobody sends these again
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
        head = _request_head(method, target, minor, fields)
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
