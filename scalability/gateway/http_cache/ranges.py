"""Ranges of stored answers (RFC 9110 section 14), and putting parts together (RFC 9111 sections 3.3 and 3.4). PURE."""

import re
from collections.abc import Sequence
from dataclasses import replace
from enum import Enum
from typing import Final, NamedTuple

from scalability.gateway.http_cache.conditions import if_range_holds
from scalability.gateway.http_cache.stored import Part, StoredAnswer
from scalability.http1.request_head import RequestHead

MAX_RANGES: Final = 16
"""A request for more ranges gets the whole (RFC 9110 sections 14.2 and 17.15 let a server ignore such a Range)."""
_MAX_OVERLAPS: Final = 2
MAX_MULTIPART_BYTES: Final = 1 << 20
"""Several ranges that are longer than this together get the whole, which clients share: parts would be copies. Where only a part is stored
the origin is asked."""

_RANGE: Final = re.compile(rb"([0-9]*)-([0-9]*)")
_MAX_DIGITS: Final = 18
_BEYOND_ALL: Final = 10**_MAX_DIGITS


class Interval(NamedTuple):
    """Bytes ``first`` to ``last`` of a representation, inclusive."""

    first: int
    last: int


class Whole(Enum):
    """A request that gets no part."""

    WHOLE = "whole"
    """Range is absent, not to be heeded, or one that a server may ignore: the answer is the 200."""
    UNSATISFIABLE = "unsatisfiable"
    """Nothing of it is in the representation, or it ends before it begins: 416."""
    ELSEWHERE = "elsewhere"
    """Only a part is stored, and it is not the part that is asked for."""


def selected(stored: StoredAnswer, request: RequestHead) -> list[Interval] | Whole:
    """The bytes of ``stored`` that ``request`` asks for, in its order, each within what is stored.

    Range counts for GET, for a stored 200, and when If-Range holds (RFC 9110 sections 14.2 and 13.1.5).
    """
    part = stored.part
    found: list[Interval] | Whole = Whole.WHOLE
    lines = request.get_all(b"range")
    if lines and request.method == b"GET" and stored.status == 200 and if_range_holds(stored, request):
        found = intervals(lines, len(stored.body) if part is None else part.total)
    if isinstance(found, list) and len(found) > 1 and sum(last - first + 1 for first, last in found) > MAX_MULTIPART_BYTES:
        found = Whole.WHOLE  # a server may ignore Range (RFC 9110 section 14.2)
    if part is None or found is Whole.UNSATISFIABLE:
        return found
    if isinstance(found, Whole) or any(interval.first < part.first or interval.last > part.last for interval in found):
        return Whole.ELSEWHERE
    return found


def intervals(lines: Sequence[bytes], length: int) -> list[Interval] | Whole:
    """What Range's ``lines`` ask of a representation of ``length`` bytes: satisfiable intervals, those that overlap made one.

    A unit other than bytes, anything malformed, more than ``MAX_RANGES``, and more than two that overlap, count as no Range. One that ends
    before it begins makes all of them invalid, which is answered like what is beyond the end (RFC 9110 sections 14.1.1 and 14.2).
    """
    unit, equals, ranges = lines[0].partition(b"=")
    if len(lines) != 1 or not equals or unit.strip(b" \t").lower() != b"bytes":
        return Whole.WHOLE
    specifications = [piece for part in ranges.split(b",") if (piece := part.strip(b" \t"))]
    if not specifications or len(specifications) > MAX_RANGES:
        return Whole.WHOLE
    found: list[Interval] = []
    invalid = False
    for specification in specifications:
        match = _RANGE.fullmatch(specification)
        if match is None:
            return Whole.WHOLE
        first, last = map(_position, match.groups())
        if first is not None:
            if last is not None and last < first:
                invalid = True
            elif first < length:
                found.append(Interval(first, length - 1 if last is None else min(last, length - 1)))
        elif last is None:
            return Whole.WHOLE
        elif last:
            if not length:
                return Whole.WHOLE  # satisfiable, and yet no Content-Range can say it
            found.append(Interval(max(0, length - last), length - 1))
    if invalid or not found:
        return Whole.UNSATISFIABLE
    return _without_overlaps(found)


def _position(digits: bytes) -> int | None:
    """However many digits there are (RFC 9110 section 14.1.2): None for none, and what no representation reaches for too many."""
    if len(digits) <= _MAX_DIGITS:
        return int(digits) if digits else None
    digits = digits.lstrip(b"0") or b"0"
    return int(digits) if len(digits) <= _MAX_DIGITS else _BEYOND_ALL


def _without_overlaps(found: list[Interval]) -> list[Interval] | Whole:
    """Each interval in the place where it was asked for first; one that overlaps an earlier one is joined to it."""
    kept: list[Interval] = []
    overlaps = 0
    for interval in found:
        joined = interval
        place = len(kept)
        for index in range(len(kept) - 1, -1, -1):
            other = kept[index]
            if other.first <= joined.last and joined.first <= other.last:
                joined = Interval(min(other.first, joined.first), max(other.last, joined.last))
                del kept[index]
                place = index
                overlaps += 1
        kept.insert(place, joined)
    return Whole.WHOLE if overlaps >= _MAX_OVERLAPS else kept


def cut(stored: StoredAnswer, interval: Interval) -> bytes | memoryview:
    """Those bytes of what is stored, without a copy of them."""
    offset = 0 if stored.part is None else stored.part.first
    return memoryview(stored.body)[interval.first - offset : interval.last - offset + 1]


def total_bytes(stored: StoredAnswer) -> int:
    """The length of the representation, all of it stored or not."""
    return len(stored.body) if stored.part is None else stored.part.total


def multipart(stored: StoredAnswer, chosen: Sequence[Interval]) -> tuple[bytes, bytes]:
    """The Content-Type and the body of a multipart/byteranges (RFC 9110 section 14.6); its boundary stands in none of the parts."""
    number = 0
    while (boundary := b"scalelab-byteranges-%d" % number) in stored.body:
        number += 1
    content_type = stored.get(b"content-type")
    type_line = b"" if content_type is None else b"Content-Type: %b\r\n" % content_type
    pieces = []
    for interval in chosen:
        pieces += [
            b"--%b\r\n%bContent-Range: %b\r\n\r\n" % (boundary, type_line, content_range_of(stored, interval)),
            cut(stored, interval),
            b"\r\n",
        ]
    pieces.append(b"--%b--\r\n" % boundary)
    return b"multipart/byteranges; boundary=" + boundary, b"".join(pieces)


def content_range_of(stored: StoredAnswer, interval: Interval) -> bytes:
    """The Content-Range of a part."""
    return b"bytes %d-%d/%d" % (interval.first, interval.last, total_bytes(stored))


def absorbed(old: StoredAnswer, new: StoredAnswer) -> StoredAnswer:
    """What to keep when ``new``, a stored 206, comes beside ``old`` with the same selecting fields (RFC 9111 section 3.4).

    Parts are put together only when both have the same strong validator, the same length, and no gap between them; the new answer's
    fields replace the old one's of the same name. Else ``new`` alone is kept.
    """
    part = new.part
    strong = new.etag is not None and not new.etag.startswith(b"W/") and new.etag == old.etag
    if part is None or not strong or total_bytes(old) != part.total or old.status != new.status:
        return new
    own = Part(0, part.total - 1, part.total) if old.part is None else old.part
    if own.first > part.last + 1 or part.first > own.last + 1:
        return new
    first, last = min(own.first, part.first), max(own.last, part.last)
    if own.first <= part.first:
        body = old.body[: part.first - own.first] + new.body + old.body[part.last + 1 - own.first :]
    else:
        body = new.body + old.body[max(0, part.last + 1 - own.first) :]
    replaced = {name.lower() for name, _ in new.fields}
    fields = (*(field for field in old.fields if field[0].lower() not in replaced), *new.fields)
    whole = last - first + 1 == part.total
    return replace(new, fields=fields, body=body, part=None if whole else Part(first, last, part.total))
