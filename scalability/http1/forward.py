"""What a proxy changes in a head before it passes it on (RFC 9110 section 7.6, RFC 9112 sections 3 and 6).

Fields keep their order, their spelling and their duplicates (rule 28); the target's bytes are never touched.
Whatever belongs to one connection ends here, and what the next server needs about framing is written anew.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple

from scalability.errors import BadMessage
from scalability.http1.answer import REASONS
from scalability.http1.fields import Field
from scalability.http1.head_memo import MEMO_BYTES
from scalability.http1.request_head import RequestHead
from scalability.http1.response_head import ResponseHead
from scalability.http1.trace import FIELDS as NAMES_OF_REQUESTS
from scalability.http1.trace import Identifiers
from scalability.http1.trust import NOBODY, Networks, client_of, forwarded_element

LAST_CHUNK: Final = b"0\r\n\r\n"
"""Ends a chunked body that has no trailers."""

_OPEN_NAME: Final = b"X-Request-Id: "
END_OF_NAME: Final = b"\r\n\r\n"
"""Ends the head that a naming ``ResponseForwarder`` began."""

HOP_BY_HOP: Final = frozenset(
    [
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"transfer-encoding",
        b"upgrade",
        b"http2-settings",
        b"proxy-authenticate",
        b"proxy-authorization",
    ]
)
"""Never pass unless written anew (rules 2 and 5), whether ``Connection`` names them or not."""

_NOT_OF_ANSWERS: Final = HOP_BY_HOP | {b"content-length"}
_REGENERATED: Final = HOP_BY_HOP | {b"host", b"content-length", b"max-forwards"}
_CLIENT_CLAIMS: Final = frozenset([b"forwarded", b"x-real-ip", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host"])
_RELIED_UPON: Final = _CLIENT_CLAIMS | {b"via", b"expect", b"trailer", b"date"}
"""Fields that ``Connection`` cannot delete, besides those that are regenerated (rule 3)."""

_NEVER_IN_TRAILERS: Final = HOP_BY_HOP | {
    b"age",
    b"allow",
    b"authorization",
    b"cache-control",
    b"content-encoding",
    b"content-length",
    b"content-location",
    b"content-range",
    b"content-type",
    b"cookie",
    b"date",
    b"expect",
    b"expires",
    b"forwarded",
    b"host",
    b"location",
    b"max-forwards",
    b"pragma",
    b"range",
    b"retry-after",
    b"set-cookie",
    b"trailer",
    b"vary",
    b"via",
    b"warning",
    b"www-authenticate",
    b"x-real-ip",
}
"""Framing, routing, authentication, request modifiers, response control, content format (RFC 9110 section 6.5.1)."""


class Framing(Enum):
    """How the receiver of a forwarded answer learns where its body ends."""

    NONE = "none"
    """No body follows."""
    LENGTH = "length"
    """Content-Length: pass the payload through."""
    CHUNKED = "chunked"
    """Wrap each payload with ``chunk`` and end with ``end_of_chunks``."""
    CLOSE = "close"
    """Pass the payload through and close the connection."""


class ForwardedResponse(NamedTuple):
    """An answer's head for the client: its bytes, how to frame its body, whether the client's connection goes on."""

    head: bytes
    framing: Framing
    keep_alive: bool


def forward_request(
    head: RequestHead,
    *,
    peer_host: bytes,
    scheme: bytes,
    via: bytes,
    trusted: bool = False,
    client_host: bytes = b"",
    forwarded: bool = False,
    default_host: bytes = b"",
    without: frozenset[bytes] = frozenset(),
    upgrades: frozenset[bytes] = frozenset(),
    extra: Iterable[Field] = (),
) -> bytes:
    """The complete head for an HTTP/1.1 upstream, its empty line included.

    ``peer_host`` is the client's address as X-Forwarded-For shows it, ``scheme`` http or https, ``via`` our own
    pseudonym. With ``trusted`` (the peer stands in the operator's networks) its claims are kept and X-Forwarded-For is
    appended to; else they are replaced (rule 45). X-Real-IP tells ``client_host``, the client's address as far as it is
    known (``trust.client_of``; the peer's unless given). ``forwarded`` adds Forwarded (RFC 7239). ``default_host`` is sent
    for an HTTP/1.0 client without Host. ``without`` names further lower-case fields to drop, ``upgrades`` lower-case
    protocols that may be switched to (see ``upgrades_asked``), ``extra`` fields to add. A body follows as ``chunk``s when
    ``head.chunked``, else as it is. Raises BadMessage 508 when our pseudonym stands in Via already.
    """
    client_host = client_host or peer_host
    fields = _request_fields(head, peer_host, scheme, via, trusted, client_host, forwarded, default_host, without, upgrades, extra)
    return _request_line(head) + fields + b"\r\n"


def _request_line(head: RequestHead) -> bytes:
    return b"%s %s HTTP/1.1\r\n" % (head.method, head.target)


def _request_fields(
    head: RequestHead,
    peer_host: bytes,
    scheme: bytes,
    via: bytes,
    trusted: bool,
    client_host: bytes,
    forwarded: bool,
    default_host: bytes,
    without: frozenset[bytes],
    upgrades: frozenset[bytes],
    extra: Iterable[Field],
) -> bytes:
    """The field lines, without the empty one that ends a head."""
    index = head.index
    if b"via" in index and _names_us(head.get_all(b"via"), via):
        raise BadMessage("This request has come through here before.", status=508, code="loop_detected")
    dropped = _REGENERATED | without
    if head.connection_options:
        dropped |= head.connection_options - _RELIED_UPON
    # A Host that is there and empty is forwarded as it came; the default is for HTTP/1.0 clients without one
    host = head.host or (b"" if b"host" in index else default_host)
    parts = [b"Host: ", host, b"\r\n"]
    for name, value in head.fields:
        lower = name.lower()
        if lower in dropped or (
            (lower in _CLIENT_CLAIMS or lower.startswith(b"x-forwarded-"))
            and not (trusted and lower != b"x-forwarded-for" and not (forwarded and lower == b"forwarded"))
        ):
            continue
        if (lower == b"trailer" and not head.chunked) or (lower == b"expect" and not head.expect_continue):
            continue
        parts += (name, b": ", value, b"\r\n")
    if head.max_forwards is not None:
        parts.append(_max_forwards(head))
    addresses = [*filter(None, head.get_all(b"x-forwarded-for")), peer_host] if trusted else [peer_host]
    parts += (b"X-Forwarded-For: ", b", ".join(addresses), b"\r\n")
    if not (trusted and b"x-real-ip" in index):
        parts += (b"X-Real-IP: ", client_host, b"\r\n")
    if forwarded:
        element = forwarded_element(peer_host, scheme, host)
        elements = [*filter(None, head.get_all(b"forwarded")), element] if trusted else [element]
        parts += (b"Forwarded: ", b", ".join(elements), b"\r\n")
    if not (trusted and b"x-forwarded-proto" in index):
        parts += (b"X-Forwarded-Proto: ", scheme, b"\r\n")
    if not (trusted and b"x-forwarded-host" in index):
        parts += (b"X-Forwarded-Host: ", host, b"\r\n")
    parts.append(b"Via: 1.%d %s\r\n" % (head.minor, via))
    for name, value in extra:
        parts += (name, b": ", value, b"\r\n")
    options: list[bytes] = []
    if b"te" in index and _wants_trailers(head):
        parts.append(b"TE: trailers\r\n")
        options.append(b"TE")
    if upgrades and (asked := upgrades_asked(head, upgrades)):
        parts += (b"Upgrade: ", b", ".join(asked), b"\r\n")
        options.append(b"Upgrade")
    if options:
        parts += (b"Connection: ", b", ".join(options), b"\r\n")
    if head.chunked:
        parts.append(b"Transfer-Encoding: chunked\r\n")
    elif head.content_length is not None:
        parts.append(b"Content-Length: %d\r\n" % head.content_length)
    return b"".join(parts)


def upgrades_asked(head: RequestHead, enabled: frozenset[bytes]) -> tuple[bytes, ...]:
    """Those protocols of a request's Upgrade that stand, in lower case, in ``enabled``; they are forwarded as the client spelled them.

    None for an HTTP/1.0 request (RFC 9110 section 7.8 has Upgrade ignored there), and none for one with a body: what follows such a
    request's head would be HTTP up to some point and another protocol after it. Ignoring Upgrade is always allowed.
    """
    if head.upgrade is None or not head.minor or head.has_body:
        return ()
    asked = [part.strip(b" \t") for line in head.get_all(b"upgrade") for part in line.split(b",")]
    return tuple(protocol for protocol in asked if protocol.lower() in enabled)


def _names_us(vias: list[bytes], pseudonym: bytes) -> bool:
    for line in vias:
        for element in line.split(b","):
            words = element.split(None, 2)
            if len(words) > 1 and words[1].lower() == pseudonym.lower():
                return True
    return False


def _max_forwards(head: RequestHead) -> bytes:
    """RFC 9110 section 7.6.2, rule 7. Whoever gets 0 must answer itself: see ``forwards_left``."""
    value = head.max_forwards
    if head.method in (b"OPTIONS", b"TRACE") and (left := forwards_left(head)) is not None:
        return b"Max-Forwards: %d\r\n" % max(0, left - 1)
    return b"Max-Forwards: %s\r\n" % value


def forwards_left(head: RequestHead) -> int | None:
    """How often an OPTIONS or TRACE may be forwarded still; 0: answer it here. None: the client set no (valid) limit."""
    if head.method not in (b"OPTIONS", b"TRACE"):
        return None
    value = head.max_forwards
    return int(value) if value is not None and value.isdigit() and len(value) < 10 else None


def _wants_trailers(head: RequestHead) -> bool:
    return any(part.strip(b" \t").lower() == b"trailers" for line in head.get_all(b"te") for part in line.split(b","))


def forward_response(
    head: ResponseHead,
    *,
    client_minor: int,
    client_keep_alive: bool,
    request_method: bytes,
    via: bytes,
    without: frozenset[bytes] = frozenset(),
    extra: Iterable[Field] = (),
    date: bytes = b"",
) -> ForwardedResponse:
    """The head of an answer for a client of HTTP/1.``client_minor``.

    Interim answers (1xx) have no framing and end nothing; for a 1.0 client their ``head`` is empty: send nothing
    (rule 36). 101 is what ``forward_switch`` is for, and raises BadMessage here.
    A body of unknown end becomes chunked for 1.1 and ends with the connection for 1.0 (rule 18).
    ``without`` names further lower-case fields to drop, ``extra`` fields to add. ``date``, when it was received, is added to an
    answer that has no Date (RFC 9110 section 6.6.1).
    """
    status = head.status
    keep_alive = client_keep_alive
    if status < 200:
        if status == 101:
            raise BadMessage("The answer switches protocols without being asked.")
        if not client_minor:
            return ForwardedResponse(b"", Framing.NONE, keep_alive)
    framing, framing_line = _framing(head, client_minor, request_method)
    if framing is Framing.CLOSE:
        keep_alive = False
    options = head.connection_options
    dropped = _NOT_OF_ANSWERS | (options - _RELIED_UPON) | without if options else _NOT_OF_ANSWERS | without
    parts = [b"HTTP/1.1 %d %s\r\n" % (status, head.reason or REASONS.get(status, b""))]
    for name, value in head.fields:
        lower = name.lower()
        if lower in dropped or (lower == b"trailer" and framing is not Framing.CHUNKED):
            continue
        parts += (name, b": ", value, b"\r\n")
    parts.append(b"Via: 1.%d %s\r\n" % (head.minor, via))
    for name, value in extra:
        parts += (name, b": ", value, b"\r\n")
    if date and not head.dated and status >= 200:
        parts += (b"Date: ", date, b"\r\n")
    parts.append(framing_line)
    if status >= 200:
        if not keep_alive:
            parts.append(b"Connection: close\r\n")
        elif not client_minor:
            parts.append(b"Connection: keep-alive\r\n")
    parts.append(b"\r\n")
    return ForwardedResponse(b"".join(parts), framing, keep_alive)


def with_field(block: bytes, field: Field, *, named: bool) -> bytes:
    """A forwarded head, as ``ResponseForwarder`` makes it, ``named`` or not, with one more field."""
    line = b"%b: %b\r\n" % field
    if named:
        return b"%b%b%b" % (block[: -len(_OPEN_NAME)], line, _OPEN_NAME)
    return b"%b%b\r\n" % (block[:-2], line)


def forward_switch(head: ResponseHead, *, via: bytes, without: frozenset[bytes] = frozenset(), extra: Iterable[Field] = ()) -> bytes:
    """The head of a 101 answer for a client that asked for it: Connection and Upgrade are written anew, framing has no place in it.

    ``without`` names further lower-case fields to drop, ``extra`` fields to add.
    """
    dropped = HOP_BY_HOP | without | {b"content-length", b"trailer"} | (head.connection_options - _RELIED_UPON)
    parts = [b"HTTP/1.1 101 %s\r\n" % (head.reason or REASONS.get(101, b""))]
    for name, value in head.fields:
        if name.lower() not in dropped:
            parts += (name, b": ", value, b"\r\n")
    parts.append(b"Via: 1.%d %s\r\n" % (head.minor, via))
    for name, value in extra:
        parts += (name, b": ", value, b"\r\n")
    parts.append(b"Connection: Upgrade\r\nUpgrade: %s\r\n\r\n" % (head.upgrade or b""))
    return b"".join(parts)


def _framing(head: ResponseHead, client_minor: int, request_method: bytes) -> tuple[Framing, bytes]:
    status = head.status
    if status < 200 or status == 204:
        return Framing.NONE, b""
    length_line = b"" if head.content_length is None else b"Content-Length: %d\r\n" % head.content_length
    if request_method == b"HEAD" or status == 304:
        # rule 35: no body, and the length that a GET would have had is kept
        return Framing.NONE, length_line
    if length_line:
        return Framing.LENGTH, length_line
    if client_minor:
        return Framing.CHUNKED, b"Transfer-Encoding: chunked\r\n"
    return Framing.CLOSE, b""


def chunk(payload: bytes) -> bytes:
    """``payload`` as one chunk; nothing for no payload, since an empty chunk would end the body."""
    return b"%x\r\n%b\r\n" % (len(payload), payload) if payload else b""


def end_of_chunks(trailers: tuple[Field, ...], nominated: frozenset[bytes] = frozenset()) -> bytes:
    """The last chunk with those ``trailers`` that may be forwarded: never framing, Host, authentication or the like (rule 15).

    ``nominated`` are the message's ``connection_options``: what they name ends here, wherever it stands (rule 1).
    """
    if not trailers:
        return LAST_CHUNK
    parts = [b"0\r\n"]
    for name, value in trailers:
        lower = name.lower()
        if lower not in _NEVER_IN_TRAILERS and lower not in nominated and not lower.startswith(b"x-forwarded-"):
            parts += (name, b": ", value, b"\r\n")
    parts.append(b"\r\n")
    return b"".join(parts)


@dataclass(frozen=True, slots=True)
class ForwardingRules:
    """What one proxy does to every request, whoever sent it.

    ``trusted`` are the networks whose claims count. With ``identifiers`` the names of a request are left to ``forward_named``. The rest
    is told with ``forward_request``.
    """

    via: bytes
    trusted: Networks = NOBODY
    forwarded: bool = False
    identifiers: Identifiers | None = None
    default_host: bytes = b""
    without: frozenset[bytes] = frozenset()
    upgrades: frozenset[bytes] = frozenset()


class Forwarded(NamedTuple):
    """A forwarded head, and all that it was made of beside the request line, which ends at ``begin``, and the fields that came."""

    rules: ForwardingRules
    peer_host: bytes
    scheme: bytes
    host: bytes
    client_host: bytes
    block: bytes
    begin: int


class RequestForwarder:
    """Forwards the requests of one client connection, remembering the field lines made for the last one.

    Holds one forwarded block of at most ``MEMO_BYTES``. Answers exactly what ``forward_request`` does; the memory applies when
    the head is, or has the ``shared`` fields of, the last head, as ``RequestHeadMemo`` hands them out; or when another connection
    from the same address forwarded those fields last.
    """

    __slots__ = ("_block", "_end", "_identifiers", "_known", "_peer_host", "_rules", "_scheme", "client_host", "head", "trusted")

    def __init__(self, rules: ForwardingRules, peer_host: bytes, scheme: bytes) -> None:
        self._rules = rules
        self._peer_host = peer_host
        self._scheme = scheme
        self.trusted = peer_host in rules.trusted
        """Whether this client's claims are believed."""
        self.client_host = peer_host
        """The client's address, as far as the last request told."""
        identifiers = self._identifiers = rules.identifiers
        self._end = b"\r\n" if identifiers is None else b"" if self.trusted else b"X-Request-Id: "
        """What stands between the fields that requests have in common and what is each one's own."""
        self.head: RequestHead | None = None
        """The head that was forwarded last, if it is remembered."""
        self._block = b""
        self._known: Forwarded | None = None
        """What ``head`` became."""

    def forward(self, head: RequestHead) -> bytes:
        """As ``forward_request``."""
        return self._block if head is self.head else self._renew(head)

    def forward_named(self, head: RequestHead) -> tuple[bytes, bytes]:
        """As ``forward_request`` with X-Request-Id and traceparent, the client's own if it is trusted; and that id."""
        identifiers = self._identifiers
        assert identifiers is not None
        block = self._block if head is self.head else self._renew(head)
        if self.trusted:
            name, lines = identifiers.kept(head)
            return b"%b%b\r\n" % (block, lines), name
        # one join of what is there costs half as much as making the lines first
        trace, span = identifiers.fresh()
        return b"".join((block, trace, b"\r\ntraceparent: 00-", trace, b"-", span, b"-01\r\n\r\n")), trace

    def _renew(self, head: RequestHead) -> bytes:
        """The forwarded head up to what is its own, remembered if it is not too large."""
        last, self.head = self.head, None
        shared = head.shared
        line = _request_line(head)
        known: Forwarded | None = self._known if last is not None and last.shared is shared else shared.forwarded
        if known is None or not self._applies(known, head):
            known = self._made(head, line)
        elif known.begin != len(line) or not known.block.startswith(line):
            known = known._replace(block=line + known.block[known.begin :], begin=len(line))
        self.client_host = known.client_host
        block = known.block
        if len(block) <= MEMO_BYTES:
            self.head = head
            self._block = block
            self._known = shared.forwarded = known
            if not self.trusted:
                shared.forget()  # nobody asks for them again while this client repeats itself
        return block

    def _applies(self, known: Forwarded, head: RequestHead) -> bool:
        """Whether ``head`` becomes the same, but for its request line. Max-Forwards is the only field whose value depends on the method."""
        return (
            known.rules is self._rules
            and known.peer_host == self._peer_host
            and known.scheme == self._scheme
            and known.host == head.host
            and head.max_forwards is None
        )

    def _made(self, head: RequestHead, line: bytes) -> Forwarded:
        rules, peer_host, scheme = self._rules, self._peer_host, self._scheme
        client_host = client_of(peer_host, head, rules.trusted) if self.trusted else peer_host
        fields = _request_fields(
            head,
            peer_host,
            scheme,
            rules.via,
            self.trusted,
            client_host,
            rules.forwarded,
            rules.default_host,
            rules.without if rules.identifiers is None else rules.without | NAMES_OF_REQUESTS,
            rules.upgrades,
            (),
        )
        return Forwarded(rules, peer_host, scheme, head.host, client_host, b"".join((line, fields, self._end)), len(line))


class ResponseForwarder:
    """Forwards the answers of one upstream connection, remembering the last: heads repeat within a second of Date.

    Holds one forwarded head of at most ``MEMO_BYTES``. Answers exactly what ``forward_response`` does, but for the name's line.
    """

    __slots__ = ("_date", "_form", "_forwarded", "_head", "_keep_alive", "_named", "_via", "_without")

    def __init__(self, *, via: bytes, without: frozenset[bytes] = frozenset(), named: bool = False) -> None:
        """With ``named`` heads end with the open field line ``X-Request-Id: ``; the caller appends a name and ``END_OF_NAME``."""
        self._via = via
        self._named = named
        self._without = without
        self._head: ResponseHead | None = None
        self._date = b""
        self._form = -1
        self._keep_alive = False
        self._forwarded = (b"", Framing.NONE, False)

    def forward(self, head: ResponseHead, request: RequestHead, client_keep_alive: bool, date: bytes = b"") -> tuple[bytes, Framing, bool]:
        """As ``forward_response``; the memory applies when ``head``, and ``date``, are the very objects of the last call.

        What is returned is a plain tuple: CPython 3.11 takes a named one apart through an iterator.
        """
        form = request.answer_form
        if head is self._head and date is self._date and client_keep_alive is self._keep_alive and form == self._form:
            return self._forwarded
        block, framing, keep_alive = forward_response(
            head,
            client_minor=request.minor,
            client_keep_alive=client_keep_alive,
            request_method=request.method,
            via=self._via,
            without=self._without,
            date=date,
        )
        if self._named:
            block = block[:-2] + _OPEN_NAME
        forwarded = (block, framing, keep_alive)
        if len(block) <= MEMO_BYTES:
            self._head = head
            self._date = date
            self._form = form
            self._keep_alive = client_keep_alive
            self._forwarded = forwarded
        return forwarded
