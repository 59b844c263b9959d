"""Request heads that we make ourselves, for requests that no client sent: what stands in them is checked as a client's is. PURE."""

from collections.abc import Iterable

from scalability.errors import BadMessage
from scalability.http1.fields import Field
from scalability.http1.limits import DEFAULT_LIMITS, Limits
from scalability.http1.request_head import RequestHead, parse_request_head


def make_request_head(method: bytes, target: bytes, fields: Iterable[Field], limits: Limits = DEFAULT_LIMITS) -> RequestHead:
    """The head of an HTTP/1.1 request with these ``fields``, Host among them. ``target`` is in origin form.

    Raises BadMessage for everything that would be refused of a client, and for a line break in a field.
    """
    lines = [b"%b: %b\r\n" % field for field in fields]
    if any(line.find(b"\r\n") != len(line) - 2 for line in lines):
        raise BadMessage("There is a line break in a field.")
    block = b"".join((b"%b %b HTTP/1.1\r\n" % (method, target), *lines, b"\r\n"))
    return parse_request_head(block, limits)


def with_fields(
    head: RequestHead,
    fields: Iterable[Field],
    *,
    method: bytes = b"",
    without: frozenset[bytes] = frozenset(),
    limits: Limits = DEFAULT_LIMITS,
) -> RequestHead:
    """``head`` as if it had come with ``fields`` besides its own, and without those that ``without`` names in lower case.

    Perhaps of another ``method``. Raises BadMessage, likewise.
    """
    kept = [field for field in head.fields if field[0].lower() not in without and field[0].lower() != b"host"]
    return make_request_head(method or head.method, head.target, [(b"Host", head.host), *kept, *fields], limits)
