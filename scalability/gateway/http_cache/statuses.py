"""What a status alone says about storing and reusing its answer (RFC 9111 section 3). PURE.

A stated lifetime makes an answer of any status storable, known or not, unless the status' own definition forbids that. A few statuses say
what became of a field of the request (credentials, preconditions, a range): with a lifetime they hold for requests that have no such field.
"""

from typing import Final

from scalability.http1.request_head import RequestHead

UNDERSTOOD: Final = frozenset(
    [
        *range(200, 207),
        *(300, 301, 302, 303, 307, 308),
        *range(400, 418),
        *(421, 422, 425, 426, 451),
        *range(500, 506),
    ]
)
"""Statuses whose caching this cache implements as specified, by RFC 9110 section 15, RFC 7725 and RFC 8470: what must-understand asks for
(RFC 9111 section 5.2.2.3)."""

NEVER_STORED: Final = frozenset([304, 428, 429, 431, 511])
"""RFC 6585 forbids storing 428, 429, 431 and 511; a 304 updates what is stored (RFC 9111 section 4.3.4)."""

ABOUT_FIELDS: Final = {
    401: (b"authorization",),
    407: (b"proxy-authorization",),
    412: (b"if-match", b"if-unmodified-since", b"if-none-match", b"if-modified-since"),
    416: (b"range",),
    417: (b"expect",),
    425: (b"early-data",),
}
"""The request fields, in lower case, that a status answers."""


def is_about(status: int, request: RequestHead) -> bool:
    """Whether ``status`` says what became of a field that this very ``request`` has: its answer is for that request alone."""
    names = ABOUT_FIELDS.get(status)
    return names is not None and any(name in request.index for name in names)


def says_what_there_is(status: int) -> bool:
    """Whether an answer with ``status`` tells what the resource is now, so that no other stored answer to the same request is (RFC 9111
    section 4.3.3); errors of a client or a server, parts and 304 do not."""
    return (200 <= status < 400 and status not in (206, 304)) or status in (404, 410)
