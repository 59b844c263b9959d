"""Heads of requests and answers from their lines, and stored answers made of them."""

from dataclasses import replace
from typing import Final

from scalability.gateway.http_cache.dates import format_date
from scalability.gateway.http_cache.stored import StoredAnswer
from scalability.gateway.http_cache.storing import DEFAULT_STORING, Storing, store
from scalability.http1.limits import Limits
from scalability.http1.request_head import RequestHead, parse_request_head
from scalability.http1.response_head import ResponseHead, parse_response_head

LIMITS: Final = Limits()

NOW: Final = 1_000_000_000.0
"""The time at which the answers of these tests are received: a Sunday, 09 Sep 2001 01:46:40 GMT."""


def at(offset_s: float) -> bytes:
    """The HTTP-date ``offset_s`` seconds from ``NOW``."""
    return format_date(NOW + offset_s)


def request(*lines: bytes, method: bytes = b"GET", target: bytes = b"/", host: bytes = b"site") -> RequestHead:
    """A request's head with further field ``lines``."""
    return parse_request_head(b"\r\n".join([b"%b %b HTTP/1.1" % (method, target), b"Host: " + host, *lines]) + b"\r\n\r\n", LIMITS)


def response(*lines: bytes, status: int = 200, reason: bytes = b"", dated: bool = True) -> ResponseHead:
    """An answer's head with ``lines``, and Date unless they have one, or ``dated`` is false."""
    dates = [b"Date: " + at(0)] if dated and not any(line.lower().startswith(b"date:") for line in lines) else []
    return parse_response_head(b"\r\n".join([b"HTTP/1.1 %d %b" % (status, reason), *dates, *lines]) + b"\r\n\r\n", LIMITS)


def stored(
    *lines: bytes,
    status: int = 200,
    body: bytes = b"",
    asked_with: RequestHead | None = None,
    options: Storing = DEFAULT_STORING,
    response_time_s: float = NOW,
    **changes: object,
) -> StoredAnswer:
    """An answer with ``lines`` as stored at ``NOW`` for ``asked_with``; ``changes`` are made to it afterwards. It must be storable."""
    asked_with = asked_with or request()
    kept = store(
        asked_with,
        response(*lines, status=status),
        body,
        request_time_s=response_time_s,
        response_time_s=response_time_s,
        wall=response_time_s,
        options=options,
    )
    assert isinstance(kept, StoredAnswer), kept
    return replace(kept, **changes) if changes else kept  # type: ignore[arg-type]  # a test's own names
