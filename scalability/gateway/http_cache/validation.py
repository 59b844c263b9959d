"""Validation of stored answers (RFC 9111 sections 4.3.1, 4.3.4, 4.3.5 and 3.2). PURE."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from scalability.gateway.http_cache.conditions import strong_match, weak_match
from scalability.gateway.http_cache.dates import parse_date
from scalability.gateway.http_cache.directives import response_directives
from scalability.gateway.http_cache.freshness import date_of, initial_age, lifetime
from scalability.gateway.http_cache.key import selecting_values, vary_names
from scalability.gateway.http_cache.ranges import total_bytes
from scalability.gateway.http_cache.stored import StoredAnswer
from scalability.gateway.http_cache.storing import DEFAULT_STORING, Storing, entity_tag, fields_to_store, tags_of
from scalability.http1.fields import Field
from scalability.http1.request_head import RequestHead
from scalability.http1.response_head import ResponseHead

REPLACED: Final = frozenset([b"if-none-match", b"if-modified-since", b"if-range", b"range"])
"""Request fields, in lower case, that a validating request does not take over from the client's.

The client's own preconditions are evaluated on what validation leaves in the cache; without Range the origin's answer, should it
be another, is whole.
"""

_ABOUT_THE_STORED_BYTES: Final = frozenset([b"content-encoding", b"content-range"])
"""What the stored body depends on (RFC 9111 section 3.2); ``fields_to_store`` leaves out Content-Length besides."""


class Freshened(NamedTuple):
    """A stored answer before and after an update."""

    old: StoredAnswer
    new: StoredAnswer
    keep: bool
    """False when the update forbids storing (no-store, private): ``new`` answers this request and is then forgotten."""
    once: tuple[Field, ...]
    """Fields of the update for the client that is waiting, and nobody else: Set-Cookie, and what ``private`` lists."""


def preconditions(stored: Iterable[StoredAnswer]) -> list[Field]:
    """The fields that ask whether any of ``stored`` is still good; none when they have no validators.

    All entity tags, and the date of Last-Modified when it is one answer that is being validated (RFC 9111 section 4.3.1).
    """
    answers = list(stored)
    tags = list(dict.fromkeys(answer.etag for answer in answers if answer.etag is not None))
    fields = [(b"If-None-Match", b", ".join(tags))] if tags else []
    if len(answers) == 1 and answers[0].last_modified_s is not None:
        modified = answers[0].get(b"last-modified")
        assert modified is not None
        fields.append((b"If-Modified-Since", modified))
    return fields


def freshened(
    candidates: Sequence[StoredAnswer],
    request: RequestHead,
    response: ResponseHead,
    *,
    request_time_s: float,
    response_time_s: float,
    wall: float,
    options: Storing = DEFAULT_STORING,
) -> list[Freshened]:
    """Those ``candidates`` (what the request could have selected) that a 304 is about, updated by it (RFC 9111 section 4.3.4).

    Times are as in ``storing.store``.

    None: the 304 is about something else, and the request has to be made again without our preconditions.
    """
    return [
        _updated(answer, request, response, request_time_s, response_time_s, wall, options) for answer in identified(candidates, response)
    ]


def identified(candidates: Sequence[StoredAnswer], response: ResponseHead) -> list[StoredAnswer]:
    """Which of ``candidates``, the most recent first, a 304 is about."""
    etag = entity_tag(response.get(b"etag"))
    if etag is not None and not etag.startswith(b"W/"):
        return [answer for answer in candidates if answer.etag is not None and strong_match(answer.etag, etag)]
    modified = response.get(b"last-modified")
    if etag is not None or modified is not None:
        for answer in candidates:
            if etag is not None and answer.etag is not None:
                if weak_match(answer.etag, etag):
                    return [answer]
            elif modified is not None and answer.get(b"last-modified") == modified:
                return [answer]
        return []
    # A server that leaves out the validator it must send (RFC 9110 section 15.4.5) can mean only the one that it was asked about
    return list(candidates) if len(candidates) == 1 else []


def freshened_by_head(
    candidates: Sequence[StoredAnswer],
    request: RequestHead,
    response: ResponseHead,
    *,
    request_time_s: float,
    response_time_s: float,
    wall: float,
    options: Storing = DEFAULT_STORING,
) -> list[Freshened]:
    """What a 200 to HEAD makes of ``candidates``: updated where validators and length agree, else stale (RFC 9111 section 4.3.5)."""
    changed = []
    for answer in candidates:
        if answer.status == 200 and _same_representation(answer, response, wall):
            changed.append(_updated(answer, request, response, request_time_s, response_time_s, wall, options))
        else:
            changed.append(Freshened(answer, replace(answer, must_validate=True), True, ()))
    return changed


def _same_representation(answer: StoredAnswer, response: ResponseHead, wall: float) -> bool:
    etag = response.get(b"etag")
    modified = response.get(b"last-modified")
    return (
        (etag is None or etag == answer.etag)
        and (modified is None or parse_date(modified, wall) == answer.last_modified_s)
        and (response.content_length is None or response.content_length == total_bytes(answer))
    )


def _updated(
    answer: StoredAnswer,
    request: RequestHead,
    response: ResponseHead,
    request_time_s: float,
    response_time_s: float,
    wall: float,
    options: Storing,
) -> Freshened:
    """RFC 9111 section 3.2: each field of the update replaces all of its name; what no update names stays."""
    said = response_directives(response, options.targets)
    given = fields_to_store(response, said, wall)
    withheld = _ABOUT_THE_STORED_BYTES if options.set_cookie else _ABOUT_THE_STORED_BYTES | {b"set-cookie"}
    given = tuple(field for field in given if field[0].lower() not in withheld)
    once = tuple(
        (name, value)
        for name, value in response.fields
        if (lower := name.lower()) in said.private_fields or (lower == b"set-cookie" and not options.set_cookie)
    )
    replaced = {name.lower() for name, _ in given}
    merged = replace(answer, fields=(*(field for field in answer.fields if field[0].lower() not in replaced), *given))
    directives = response_directives(merged, options.targets)
    life = lifetime(merged.status, merged, directives, wall, options.heuristics)
    modified = merged.get(b"last-modified")
    vary = vary_names(merged)
    new = replace(
        merged,
        fields=tuple(field for field in merged.fields if field[0].lower() not in directives.private_fields),
        directives=directives,
        response_time_s=response_time_s,
        received_at=wall,
        initial_age_s=initial_age(response, request_time_s, response_time_s, wall),
        lifetime_s=life.seconds,
        explicit=life.explicit,
        date_s=date_of(response, wall),
        vary=vary or (),
        selecting=selecting_values(vary, request) if vary else (),
        etag=entity_tag(merged.get(b"etag")),
        last_modified_s=None if modified is None else parse_date(modified, wall),
        tags=tags_of(response) or answer.tags,
        must_validate=False,
    )
    return Freshened(answer, new, not (directives.no_store or directives.private or vary is None), once)
