"""Whether an answer may be stored, and what of it (RFC 9111 section 3). PURE."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from scalability.gateway.http_cache.dates import format_date, parse_date
from scalability.gateway.http_cache.directives import (
    TARGETS,
    RequestDirectives,
    ResponseDirectives,
    request_directives,
    response_directives,
)
from scalability.gateway.http_cache.freshness import (
    DEFAULT_HEURISTICS,
    HEURISTICALLY_CACHEABLE,
    Heuristics,
    date_of,
    initial_age,
    lifetime,
)
from scalability.gateway.http_cache.key import selecting_values, vary_names
from scalability.gateway.http_cache.statuses import NEVER_STORED, UNDERSTOOD, is_about
from scalability.gateway.http_cache.stored import Part, StoredAnswer
from scalability.http1.fields import Field
from scalability.http1.forward import HOP_BY_HOP
from scalability.http1.request_head import RequestHead
from scalability.http1.response_head import ResponseHead

_LEFT_OUT: Final = HOP_BY_HOP | {b"proxy-authentication-info", b"content-length", b"age", b"trailer"}
_ETAG_LETTERS: Final = frozenset([0x21, *range(0x23, 0x7F), *range(0x80, 0x100)])


class NotStored(Enum):
    """Why an answer is not stored; the values are words for Cache-Status' ``detail``."""

    METHOD = "method"
    """Not GET, or a GET with a body, which no key tells apart."""
    STATUS = "status"
    NO_STORE = "no-store"
    REQUEST_NO_STORE = "request-no-store"
    PRIVATE = "private"
    AUTHORIZATION = "authorization"
    SET_COOKIE = "set-cookie"
    VARY = "vary"
    NOT_CACHEABLE = "not-cacheable"
    """No lifetime is stated, and the status is not one that needs none."""
    USELESS = "no-lifetime"
    """It could not be reused: stale when it came, and nothing to validate it with."""
    TOO_LARGE = "too-large"
    """Said by whoever keeps the answers, not here; so is the next one."""
    CROWDED = "crowded"
    """Clients hold so much that there is no room."""
    UNREAD = "unread"
    """Those before it could not be, and this one was passed on without a look."""
    PARTIAL = "partial"
    """A 206 that is not one part of bytes with a strong validator, or not what was asked for."""


@dataclass(frozen=True, slots=True)
class Storing:
    """What the operator decides about storing."""

    targets: Sequence[bytes] = TARGETS
    """Targeted fields that are obeyed, lower case, the first that applies wins (RFC 9213)."""
    heuristics: Heuristics = DEFAULT_HEURISTICS
    set_cookie: bool = False
    """Whether answers with Set-Cookie are stored. RFC 9111 section 7.3 allows it; what it gives to all clients is meant for one."""
    partial: bool = True
    """Whether 206 answers are stored."""


DEFAULT_STORING: Final = Storing()


def may_store(
    request: RequestHead,
    response: ResponseHead,
    directives: ResponseDirectives,
    asked: RequestDirectives,
    options: Storing = DEFAULT_STORING,
) -> NotStored | None:
    """None when RFC 9111 section 3 allows a shared cache to store ``response``, else the first reason why not."""
    status = response.status
    if request.method != b"GET" or request.has_body:
        return NotStored.METHOD
    if status < 200 or status in NEVER_STORED or is_about(status, request) or (status == 206 and not options.partial):
        return NotStored.STATUS
    if asked.no_store:
        return NotStored.REQUEST_NO_STORE
    if directives.must_understand:
        # its no-store is for caches that do not know must-understand
        if status not in UNDERSTOOD:
            return NotStored.STATUS
    elif directives.no_store:
        return NotStored.NO_STORE
    if directives.private:
        return NotStored.PRIVATE
    if b"authorization" in request.index and not directives.shared_with_authorization:
        return NotStored.AUTHORIZATION
    if (
        b"set-cookie" in response.index
        and not options.set_cookie
        and b"set-cookie" not in directives.private_fields | directives.no_cache_fields
    ):
        return NotStored.SET_COOKIE
    if b"vary" in response.index and vary_names(response) is None:
        return NotStored.VARY
    if not (
        status in HEURISTICALLY_CACHEABLE
        or directives.public
        or directives.max_age is not None
        or directives.s_maxage is not None
        or (b"expires" in response.index and not directives.target)
    ):
        return NotStored.NOT_CACHEABLE
    return None


def fields_to_store(response: ResponseHead, directives: ResponseDirectives, wall: float) -> tuple[Field, ...]:
    """All fields but those of RFC 9111 section 3.1, those that ``private`` lists, and what each answer has written anew.

    A Date that is missing or invalid becomes the time of receipt, ``wall`` in Unix seconds (RFC 9110 section 6.6.1).
    """
    left_out = _LEFT_OUT | response.connection_options | directives.private_fields
    date = response.get(b"date")
    dated = date is not None and parse_date(date, wall) is not None
    fields = [(name, value) for name, value in response.fields if (lower := name.lower()) not in left_out and (dated or lower != b"date")]
    if not dated or b"date" in left_out:
        fields.append((b"Date", format_date(wall)))
    return tuple(fields)


def store(
    request: RequestHead,
    response: ResponseHead,
    body: bytes,
    *,
    request_time_s: float,
    response_time_s: float,
    wall: float,
    options: Storing = DEFAULT_STORING,
    asked: RequestDirectives | None = None,
) -> StoredAnswer | NotStored:
    """The answer as it is to be kept, or why it must not be, or need not be.

    ``request_time_s`` and ``response_time_s`` are when the request was sent and the head received, on the clock that lives are measured
    by; ``wall`` is when the head was received in Unix seconds, what dates are compared with. To be asked with an empty ``body``
    when the head arrives, and again (or completed with ``dataclasses.replace``) when all of the body is there: an answer that breaks off
    is not stored.
    """
    directives = response_directives(response, options.targets)
    refusal = may_store(request, response, directives, request_directives(request) if asked is None else asked, options)
    if refusal is not None:
        return refusal
    status = response.status
    part = None
    etag = entity_tag(response.get(b"etag"))
    if status == 206:
        part = content_range(response.get_all(b"content-range"))
        if part is None or etag is None or etag.startswith(b"W/"):
            return NotStored.PARTIAL
        status = 200
    life = lifetime(status, response, directives, wall, options.heuristics)
    age = initial_age(response, request_time_s, response_time_s, wall)
    modified = response.get(b"last-modified")
    modified_s = None if modified is None else parse_date(modified, wall)
    if (
        etag is None
        and modified_s is None
        and (directives.no_cache or (life.seconds <= age and not directives.stale_while_revalidate and not directives.stale_if_error))
    ):
        return NotStored.USELESS
    vary = vary_names(response) or ()
    fields = fields_to_store(response, directives, wall)
    if part is not None:
        fields = tuple(field for field in fields if field[0].lower() != b"content-range")
    return StoredAnswer(
        status=status,
        reason=b"OK" if part is not None else response.reason,
        fields=fields,
        body=body,
        directives=directives,
        response_time_s=response_time_s,
        received_at=wall,
        initial_age_s=age,
        lifetime_s=life.seconds,
        explicit=life.explicit,
        date_s=date_of(response, wall),
        vary=vary,
        selecting=selecting_values(vary, request),
        etag=etag,
        last_modified_s=modified_s,
        authorized=b"authorization" in request.index,
        tags=tags_of(response),
        part=part,
    )


def entity_tag(value: bytes | None) -> bytes | None:
    """``value`` if it is one entity tag (RFC 9110 section 8.8.3), else None."""
    if value is None:
        return None
    opaque = value[2:] if value.startswith(b"W/") else value
    if len(opaque) < 2 or opaque[0] != 34 or opaque[-1] != 34 or not _ETAG_LETTERS.issuperset(opaque[1:-1]):
        return None
    return value


def content_range(lines: Sequence[bytes]) -> Part | None:
    """A Content-Range of bytes that says what it is a part of (RFC 9110 section 14.4), else None."""
    if len(lines) != 1:
        return None
    unit, _, rest = lines[0].partition(b" ")
    interval, slash, total = rest.partition(b"/")
    first, dash, last = interval.partition(b"-")
    numbers = (first, last, total)
    if unit.lower() != b"bytes" or not slash or not dash or not all(number.isdigit() and len(number) <= 18 for number in numbers):
        return None
    part = Part(*map(int, numbers))
    return part if part.first <= part.last < part.total else None


def tags_of(response: ResponseHead) -> frozenset[bytes]:
    """The tags that an origin gave: Surrogate-Key's words, Cache-Tag's members."""
    if b"surrogate-key" not in response.index and b"cache-tag" not in response.index:
        return frozenset()
    words = {word for line in response.get_all(b"surrogate-key") for word in line.split()}
    return frozenset(words | {tag for line in response.get_all(b"cache-tag") for part in line.split(b",") if (tag := part.strip(b" \t"))})
