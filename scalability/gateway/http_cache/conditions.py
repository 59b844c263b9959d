"""Preconditions, evaluated on a stored answer (RFC 9110 sections 8.8 and 13, RFC 9111 section 4.3.2). PURE.

A cache evaluates If-None-Match, else If-Modified-Since, then If-Range. If-Match and If-Unmodified-Since are the origin's alone:
``reuse.decide`` forwards requests that have them.
"""

import re
from collections.abc import Sequence
from typing import Final

from scalability.gateway.http_cache.dates import parse_date
from scalability.gateway.http_cache.stored import StoredAnswer
from scalability.http1.request_head import RequestHead

_TAG: Final = re.compile(rb'[ \t]*+((?:W/)?"[!#-~\x80-\xff]*+")[ \t]*+(?:,|\Z)')
_EMPTY: Final = re.compile(rb"[ \t]*+(?:,|\Z)")


def weak_match(one: bytes, other: bytes) -> bool:
    """Whether two entity tags have the same opaque part, weak or not (RFC 9110 section 8.8.3.2)."""
    return one.removeprefix(b"W/") == other.removeprefix(b"W/")


def strong_match(one: bytes, other: bytes) -> bool:
    """Whether two entity tags are the same and both strong."""
    return one == other and not one.startswith(b"W/")


def entity_tags(lines: Sequence[bytes]) -> list[bytes] | None:
    """The entity tags that If-None-Match lists, ``[b"*"]`` for any; None when it is malformed."""
    value = b",".join(lines)
    if value.strip(b" \t") == b"*":
        return [b"*"]
    tags = []
    at = 0
    while at < len(value):
        match = _TAG.match(value, at)
        if match is not None:
            tags.append(match[1])
        else:
            match = _EMPTY.match(value, at)
            if match is None:
                return None
        at = match.end()
    return tags


def not_modified(stored: StoredAnswer, request: RequestHead) -> bool:
    """Whether ``request`` has a precondition that makes its answer 304.

    Only a stored 2xx answer is subject to preconditions (RFC 9110 section 13.2.1). If-Modified-Since counts only without If-None-Match, as
    one valid date (section 13.1.3); where Last-Modified is missing, Date stands in for it (RFC 9111 section 4.3.2).
    """
    index = request.index
    if b"if-none-match" in index:
        if not 200 <= stored.status < 300:
            return False
        tags = entity_tags(request.get_all(b"if-none-match")) or []
        etag = stored.etag
        return tags == [b"*"] or (etag is not None and any(weak_match(tag, etag) for tag in tags))
    if b"if-modified-since" not in index or not 200 <= stored.status < 300:
        return False
    lines = request.get_all(b"if-modified-since")
    since = parse_date(lines[0], stored.received_at) if len(lines) == 1 else None
    if since is None:
        return False
    return (stored.date_s if stored.last_modified_s is None else stored.last_modified_s) <= since


def if_range_holds(stored: StoredAnswer, request: RequestHead) -> bool:
    """Whether If-Range lets Range count (RFC 9110 section 13.1.5): there is none, or it is the strong validator of what is stored.

    A date is one only when it is Last-Modified's very value, and Date is at least a second later (section 8.8.2.2).
    """
    lines = request.get_all(b"if-range")
    if not lines:
        return True
    if len(lines) != 1:
        return False
    value = lines[0]
    if value.endswith(b'"'):
        return stored.etag is not None and strong_match(value, stored.etag)
    modified = stored.last_modified_s
    return modified is not None and value == stored.get(b"last-modified") and stored.date_s - modified >= 1
