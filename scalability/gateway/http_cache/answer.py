"""The fields of an answer made from a stored one (RFC 9111 sections 4 and 5.1, RFC 9110 section 15.4.5). PURE."""

from typing import Final

from scalability.gateway.http_cache.stored import StoredAnswer
from scalability.http1.head import Field

_ABOUT_THE_CONTENT: Final = frozenset([b"content-encoding", b"content-language", b"content-type", b"content-range"])


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
