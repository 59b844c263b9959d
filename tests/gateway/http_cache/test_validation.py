"""Validation, by the sentences of RFC 9111 sections 3.2 and 4.3."""

import pytest

from scalability.gateway.http_cache.directives import RequestDirectives
from scalability.gateway.http_cache.reuse import Action, decide
from scalability.gateway.http_cache.stored import StoredAnswer
from scalability.gateway.http_cache.storing import Storing
from scalability.gateway.http_cache.validation import Freshened, freshened, freshened_by_head, identified, preconditions
from scalability.http1.response_head import ResponseHead
from scalability.testing.messages import NOW, at, request, response, stored

FRESH = b"Cache-Control: max-age=100"
A = b'ETag: "a"'
MODIFIED = b"Last-Modified: " + at(-50)
LATER = NOW + 200


def validated(answer: StoredAnswer, *lines: bytes, options: Storing | None = None) -> Freshened:
    """The only candidate, updated by a 304 that came at ``LATER``."""
    (update,) = freshened(
        [answer],
        request(),
        response(b"Date: " + at(200), *lines, status=304),
        request_time_s=LATER,
        response_time_s=LATER,
        wall=LATER,
        options=options or Storing(),
    )
    return update


def not_modified(*lines: bytes) -> ResponseHead:
    return response(*lines, status=304)


def test_rfc9111_4_3_1_entity_tags_are_sent() -> None:
    """When generating a conditional request, a cache MUST send the relevant entity tags if provided in the responses being validated."""
    one, other = stored(FRESH, A, MODIFIED), stored(FRESH, b'ETag: W/"b"')
    assert preconditions([stored(FRESH, A)]) == [(b"If-None-Match", b'"a"')]
    assert preconditions([one, other, one]) == [(b"If-None-Match", b'"a", W/"b"')]


def test_rfc9111_4_3_1_last_modified_is_sent_for_a_single_answer() -> None:
    """SHOULD send the Last-Modified value if a single stored response is being validated, and that response has a Last-Modified field."""
    assert preconditions([stored(FRESH, A, MODIFIED)]) == [(b"If-None-Match", b'"a"'), (b"If-Modified-Since", at(-50))]
    assert preconditions([stored(FRESH, MODIFIED)]) == [(b"If-Modified-Since", at(-50))]
    assert preconditions([stored(FRESH)]) == []
    assert preconditions([stored(FRESH, b"Last-Modified: long ago")]) == []


def test_rfc9111_4_3_4_a_strong_validator_selects_those_that_have_it() -> None:
    """If the new response contains one or more strong validators, the stored responses with one of them are identified for update."""
    a, same, b = stored(FRESH, A, b"X: 1"), stored(FRESH, A, b"X: 2"), stored(FRESH, b'ETag: "b"')
    assert identified([a, b, same], not_modified(A)) == [a, same]


def test_rfc9111_4_3_4_no_answer_with_the_strong_validator_means_no_update() -> None:
    """If none of the initial set contains at least one of the same strong validators, the cache MUST NOT use it to update any."""
    candidates = [stored(FRESH, b'ETag: W/"a"'), stored(FRESH, b'ETag: "b"'), stored(FRESH, MODIFIED)]
    assert identified(candidates, not_modified(A, MODIFIED)) == []
    assert freshened(candidates, request(), not_modified(A), request_time_s=NOW, response_time_s=NOW, wall=NOW) == []


def test_rfc9111_4_3_4_weak_validators_select_the_most_recent_that_matches() -> None:
    """If no strong validators but weak ones match, the most recent of those matching stored responses is identified for update."""
    new, old = stored(FRESH, A), stored(FRESH, b'ETag: W/"a"', b"Date: " + at(-9))
    assert identified([new, old], not_modified(b'ETag: W/"a"')) == [new]
    dated = stored(FRESH, MODIFIED)
    assert identified([stored(FRESH), dated], not_modified(MODIFIED)) == [dated]
    assert identified([dated], not_modified(b"Last-Modified: " + at(-49))) == []
    assert identified([new], not_modified(b'ETag: W/"b"')) == []


def test_rfc9111_4_3_4_without_a_validator_only_a_single_answer_is_meant() -> None:
    """If the new response has no validator, and there is only one stored response, that one is identified for update."""
    one, other = stored(FRESH), stored(FRESH, A)
    assert identified([one], not_modified()) == [one]
    assert identified([other], not_modified()) == [other]
    assert identified([one, other], not_modified()) == []
    assert identified([], not_modified()) == []


def test_rfc9111_4_3_4_the_stored_fields_are_updated() -> None:
    """For each stored response identified, the cache MUST update its header fields with those provided in the 304 response."""
    answer = stored(FRESH, A, b"X: 1", b"x: 2", b"Y: 3", body=b"body")
    new = validated(answer, A, b"X: 9", b"Z: 8").new
    assert new.get_all(b"x") == [b"9"]
    assert (new.get(b"y"), new.get(b"z"), new.get(b"date"), new.body, new.status) == (b"3", b"8", at(200), b"body", 200)


def test_a_validated_answer_is_fresh_again() -> None:
    answer = stored(FRESH, A, b"Age: 50")
    assert decide(request(), RequestDirectives(), answer, LATER).action is Action.VALIDATE
    new = validated(answer, A, b"Age: 10").new
    assert (new.age_s(LATER), new.fresh_until_s) == (10, LATER + 90)
    assert decide(request(), RequestDirectives(), new, LATER).action is Action.FRESH
    assert validated(answer, A, b"Cache-Control: max-age=7").new.lifetime_s == 7
    assert not validated(stored(FRESH, A, must_validate=True), A).new.must_validate


@pytest.mark.parametrize("line", [b"Content-Length: 5", b"Content-Encoding: gzip", b"Content-Range: bytes 0-1/2", b"Connection: X-Hop"])
def test_rfc9111_3_2_fields_that_the_stored_body_depends_on_stay(line: bytes) -> None:
    """Exceptions from update: fields excepted from storage, fields the stored response depends upon, and Content-Length."""
    answer = stored(FRESH, A, b"Content-Encoding: br", body=b"body")
    new = validated(answer, A, line, b"X-Hop: 1" if line.startswith(b"Conn") else b"X: 1").new
    assert new.get(b"content-encoding") == b"br"
    assert not {b"content-length", b"content-range", b"connection", b"x-hop"} & {name.lower() for name, _ in new.fields}


@pytest.mark.parametrize("line", [b"Content-Type: a/b", b"Content-Location: /x", b"Expires: " + at(999), b"X-Unknown: 1", b'ETag: "a"'])
def test_rfc9111_3_2_every_other_field_is_updated(line: bytes) -> None:
    """The cache MUST add each header field in the provided response to the stored response, replacing values that are already present."""
    name, _, value = line.partition(b": ")
    answer = stored(FRESH, A, *([] if name == b"ETag" else [name + b": old"]))
    assert validated(answer, A, line).new.get_all(name.lower())[:1] == [value]


def test_an_update_that_forbids_storing_is_for_this_request_only() -> None:
    answer = stored(FRESH, A)
    assert validated(answer, A).keep
    for line in (b"Cache-Control: no-store", b"Cache-Control: private", b"Vary: *"):
        assert not validated(answer, A, line).keep


def test_set_cookie_of_an_update_is_for_the_client_that_waits() -> None:
    update = validated(stored(FRESH, A), A, b"Set-Cookie: a=b", b'Cache-Control: max-age=9, private="X"', b"X: secret")
    assert update.once == ((b"Set-Cookie", b"a=b"), (b"X", b"secret"))
    assert update.new.get(b"set-cookie") is None
    assert update.new.get(b"x") is None
    kept = validated(stored(FRESH, A), A, b"Set-Cookie: a=b", options=Storing(set_cookie=True))
    assert (kept.once, kept.new.get(b"set-cookie")) == ((), b"a=b")


def test_an_update_that_makes_a_stored_field_private_removes_it() -> None:
    assert validated(stored(FRESH, A, b"X: 1"), A, b'Cache-Control: max-age=9, private="x"').new.get(b"x") is None


def test_vary_of_an_update_counts_from_then_on() -> None:
    (update,) = freshened(
        [stored(FRESH, A)], request(b"X: 1"), not_modified(A, b"Vary: X"), request_time_s=NOW, response_time_s=NOW, wall=NOW
    )
    assert (update.new.vary, update.new.selecting) == ((b"x",), (b"1",))


def by_head(answer: StoredAnswer, *lines: bytes) -> StoredAnswer:
    (update,) = freshened_by_head(
        [answer], request(method=b"HEAD"), response(*lines), request_time_s=LATER, response_time_s=LATER, wall=LATER
    )
    return update.new


def test_rfc9111_4_3_5_head_updates_a_stored_get() -> None:
    """If validators and Content-Length match, the cache SHOULD update the stored response with the fields of the HEAD response."""
    answer = stored(FRESH, A, MODIFIED, b"X: 1", body=b"body")
    new = by_head(answer, A, MODIFIED, b"Content-Length: 4", b"X: 2", b"Date: " + at(200))
    assert (new.get_all(b"x"), new.must_validate, new.body, new.age_s(LATER)) == ([b"2"], False, b"body", 0)
    assert not by_head(answer).must_validate


@pytest.mark.parametrize("line", [b'ETag: "b"', b'ETag: W/"a"', b"Last-Modified: " + at(-49), b"Content-Length: 5", b"ETag: a"])
def test_rfc9111_4_3_5_head_that_contradicts_makes_a_stored_get_stale(line: bytes) -> None:
    """Otherwise, the cache SHOULD consider the stored response to be stale."""
    answer = stored(FRESH, A, MODIFIED, body=b"body")
    new = by_head(answer, line)
    assert new.must_validate
    assert decide(request(), RequestDirectives(), new, NOW + 1).action is Action.VALIDATE
    assert by_head(stored(FRESH, A, status=404), A).must_validate
