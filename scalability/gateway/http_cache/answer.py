"""Answers made from stored ones (RFC 9111 sections 4 and 4.3.2, RFC 9110 sections 14, 15.3.7 and 15.4.5). PURE."""

from typing import Final, NamedTuple

from scalability.gateway.http_cache.conditions import not_modified
from scalability.gateway.http_cache.ranges import Whole, content_range_of, cut, multipart, selected, total_bytes
from scalability.gateway.http_cache.stored import StoredAnswer
from scalability.http1.fields import Field
from scalability.http1.request_head import RequestHead

_ABOUT_THE_CONTENT: Final = frozenset([b"content-encoding", b"content-language", b"content-type", b"content-range"])
_OF_A_206: Final = frozenset([b"date", b"cache-control", b"etag", b"expires", b"content-location", b"vary"])


class Answer(NamedTuple):
    """What to send. Content-Length (of ``body``) is the sender's; after HEAD no body follows, with 304 and 204 neither of them."""

    status: int
    reason: bytes
    fields: list[Field]
    body: bytes | memoryview


def made(stored: StoredAnswer, request: RequestHead, now: float, *, validated: bool = False) -> Answer:
    """The answer to ``request`` from ``stored``, when ``reuse.decide`` or validation allow it: its preconditions, then its Range."""
    if not_modified(stored, request):
        return Answer(304, b"Not Modified", not_modified_fields(stored, now, validated=validated), b"")
    fields = answer_fields(stored, now, validated=validated)
    chosen = selected(stored, request)
    if chosen is Whole.UNSATISFIABLE:
        # fields of a representation would be wrong here: what follows is none of it
        kept = [field for field in fields if field[0].lower() in (b"date", b"age")]
        return Answer(416, b"Range Not Satisfiable", [*kept, (b"Content-Range", b"bytes */%d" % total_bytes(stored))], b"")
    if isinstance(chosen, Whole):
        assert chosen is Whole.WHOLE, "decide() forwards what is not stored"
        return Answer(stored.status, stored.reason, fields, stored.body)
    if b"if-range" in request.index:
        # RFC 9110 section 15.3.7: the client has the representation's other fields already
        fields = [field for field in fields if field[0].lower() in _OF_A_206 or field[0] == b"Age"]
    if len(chosen) == 1:
        fields.append((b"Content-Range", content_range_of(stored, chosen[0])))
        return Answer(206, b"Partial Content", fields, cut(stored, chosen[0]))
    content_type, body = multipart(stored, chosen)
    fields = [field for field in fields if field[0].lower() != b"content-type"]
    return Answer(206, b"Partial Content", [*fields, (b"Content-Type", content_type)], body)


def answer_fields(stored: StoredAnswer, now: float, *, validated: bool = False) -> list[Field]:
    """The stored fields, without those that ``no-cache`` lists (unless just ``validated``), and Age. Content-Length is the caller's.

    A stored answer keeps no hop-by-hop fields, so that none has to be taken out here.
    """
    withheld = stored.directives.no_cache_fields
    fields = [field for field in stored.fields if field[0].lower() not in withheld] if withheld and not validated else list(stored.fields)
    fields.append((b"Age", b"%d" % stored.age_s(now)))
    return fields


def not_modified_fields(stored: StoredAnswer, now: float, *, validated: bool = False) -> list[Field]:
    """The fields of a 304 from a stored answer: what may guide a cache's update, nothing about a content that is not there."""
    return [field for field in answer_fields(stored, now, validated=validated) if field[0].lower() not in _ABOUT_THE_CONTENT]
