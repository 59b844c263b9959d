"""Storing, by the sentences of RFC 9111 section 3."""

import pytest

from scalability.gateway.http_cache.freshness import Heuristics
from scalability.gateway.http_cache.statuses import ABOUT_FIELDS, UNDERSTOOD
from scalability.gateway.http_cache.stored import Part, StoredAnswer
from scalability.gateway.http_cache.storing import (
    NotStored,
    Storing,
    content_range,
    entity_tag,
    store,
    tags_of,
)
from scalability.http1.request_head import RequestHead
from scalability.testing.messages import NOW, at, request, response

FRESH = b"Cache-Control: max-age=100"


def outcome(
    *lines: bytes, status: int = 200, asked_with: RequestHead | None = None, options: Storing | None = None, dated: bool = True
) -> StoredAnswer | NotStored:
    return store(
        asked_with or request(),
        response(*lines, status=status, dated=dated),
        b"body",
        request_time_s=NOW,
        response_time_s=NOW,
        wall=NOW,
        options=options or Storing(),
    )


def kept(
    *lines: bytes, status: int = 200, asked_with: RequestHead | None = None, options: Storing | None = None, dated: bool = True
) -> StoredAnswer:
    found = outcome(*lines, status=status, asked_with=asked_with, options=options, dated=dated)
    assert isinstance(found, StoredAnswer), found
    return found


def test_lives_are_measured_by_one_clock_and_dates_compared_with_the_other() -> None:
    head = response(b"Expires: " + at(60), b"Date: " + at(-5), b'ETag: "a"')
    found = store(request(), head, b"", request_time_s=3.0, response_time_s=5.0, wall=NOW)
    assert isinstance(found, StoredAnswer)
    assert (found.lifetime_s, found.initial_age_s, found.date_s, found.received_at) == (65, 5, NOW - 5, NOW)
    assert found.fresh_until_s == 5.0 + 65 - 5
    undated = store(request(), response(b'ETag: "a"', dated=False), b"", request_time_s=3.0, response_time_s=5.0, wall=NOW)
    assert isinstance(undated, StoredAnswer)
    assert undated.get(b"date") == at(0)


def test_what_is_stored_says_all_that_reuse_needs() -> None:
    answer = kept(
        FRESH,
        b"Age: 5",
        b'ETag: "a"',
        b"Last-Modified: " + at(-50),
        b"Vary: X, accept-encoding",
        asked_with=request(b"X: 1", b"Accept-Encoding: BR"),
    )
    assert (answer.status, answer.body, answer.lifetime_s, answer.explicit, answer.initial_age_s) == (200, b"body", 100, True, 5)
    assert (answer.vary, answer.selecting) == ((b"accept-encoding", b"x"), (b"br", b"1"))
    assert (answer.etag, answer.last_modified_s, answer.date_s, answer.part, answer.authorized) == (b'"a"', NOW - 50, NOW, None, False)


@pytest.mark.parametrize("method", [b"POST", b"PUT", b"DELETE", b"OPTIONS", b"HEAD", b"QUERY", b"get", b"FOO"])
def test_rfc9111_3_the_method_must_be_understood(method: bytes) -> None:
    """A cache MUST NOT store a response unless the request method is understood by the cache."""
    assert outcome(FRESH, asked_with=request(method=method)) is NotStored.METHOD


def test_a_get_with_a_body_is_not_stored() -> None:
    assert outcome(FRESH, asked_with=request(b"Content-Length: 1")) is NotStored.METHOD
    assert outcome(FRESH, asked_with=request(b"Transfer-Encoding: chunked")) is NotStored.METHOD


@pytest.mark.parametrize("status", [100, 102, 103, 199])
def test_rfc9111_3_the_status_must_be_final(status: int) -> None:
    """A cache MUST NOT store a response unless the response status code is final."""
    assert outcome(FRESH, status=status) is NotStored.STATUS


@pytest.mark.parametrize(
    "status", [200, 201, 202, 203, 204, 226, 299, 300, 301, 302, 303, 307, 308, 400, 403, 404, 410, 418, 451, 499, 500, 503, 504, 599]
)
def test_a_stated_lifetime_makes_any_final_status_storable(status: int) -> None:
    assert kept(FRESH, status=status).status == status


@pytest.mark.parametrize("status", [428, 429, 431, 511])
def test_rfc6585_statuses_that_must_not_be_stored_are_not(status: int) -> None:
    """Responses with the 428, 429, 431 or 511 status code MUST NOT be stored by a cache."""
    assert outcome(FRESH, b'ETag: "a"', status=status) is NotStored.STATUS


def test_a_304_is_not_stored_by_itself() -> None:
    assert outcome(FRESH, b'ETag: "a"', status=304) is NotStored.STATUS


@pytest.mark.parametrize(("status", "name"), [(status, name) for status, names in ABOUT_FIELDS.items() for name in names])
def test_a_status_about_a_field_of_its_request_is_stored_only_without_that(status: int, name: bytes) -> None:
    assert kept(FRESH, status=status).status == status
    assert outcome(FRESH + b", public", status=status, asked_with=request(name + b": 100-continue")) is NotStored.STATUS


def test_rfc9111_3_no_store_forbids() -> None:
    """A cache MUST NOT store a response unless the no-store cache directive is not present in the response."""
    assert outcome(FRESH, b"Cache-Control: No-Store") is NotStored.NO_STORE
    assert outcome(b"Cache-Control: public, max-age=9, no-store=x") is NotStored.NO_STORE


def test_rfc9111_5_2_1_5_no_store_of_the_request_forbids() -> None:
    """A cache MUST NOT store any part of either this request or any response to it."""
    assert outcome(FRESH, asked_with=request(b"Cache-Control: no-store")) is NotStored.REQUEST_NO_STORE


def test_rfc9111_5_2_2_3_must_understand_overrides_no_store_for_statuses_that_are_understood() -> None:
    """A cache that implements must-understand SHOULD ignore the no-store directive if it understands the status code's requirements."""
    assert kept(b"Cache-Control: max-age=9, must-understand, no-store").lifetime_s == 9
    assert outcome(b"Cache-Control: max-age=9, must-understand=x, no-store") is NotStored.NO_STORE


@pytest.mark.parametrize("status", [299, 418, 499, 599])
def test_rfc9111_3_must_understand_forbids_statuses_that_are_not_understood(status: int) -> None:
    """If the must-understand cache directive is present, the cache must understand the response status code."""
    assert status not in UNDERSTOOD
    assert outcome(b"Cache-Control: max-age=9, must-understand", status=status) is NotStored.STATUS


def test_rfc9111_3_private_forbids() -> None:
    """If the cache is shared: the private response directive must not be present, or allow a shared cache to store a modified response."""
    assert outcome(b"Cache-Control: private, max-age=9") is NotStored.PRIVATE
    assert outcome(b"Cache-Control: public, max-age=9, PRIVATE") is NotStored.PRIVATE


def test_rfc9111_5_2_2_7_fields_listed_by_private_are_not_stored() -> None:
    """A shared cache MUST NOT store the listed header fields, but MAY store the remainder of the response message."""
    answer = kept(b'Cache-Control: max-age=9, private="Foo, set-cookie"', b"Foo: 1", b"foo: 2", b"Bar: 3", b"Set-Cookie: a=b")
    assert {name for name, _ in answer.fields} == {b"Date", b"Cache-Control", b"Bar"}


def test_rfc9111_3_5_authorization_forbids() -> None:
    """A shared cache MUST NOT use a cached response to a request with Authorization unless a directive allows it to be stored."""
    authorized = request(b"Authorization: Basic eDp5")
    assert outcome(FRESH, asked_with=authorized) is NotStored.AUTHORIZATION
    assert outcome(b"Cache-Control: max-age=9, proxy-revalidate, no-cache", asked_with=authorized) is NotStored.AUTHORIZATION
    assert outcome(b"Expires: " + at(9), asked_with=authorized) is NotStored.AUTHORIZATION


@pytest.mark.parametrize("value", [b"public, max-age=9", b"s-maxage=9", b"max-age=9, must-revalidate"])
def test_rfc9111_3_5_public_s_maxage_and_must_revalidate_allow_it(value: bytes) -> None:
    """The following response directives have such an effect: must-revalidate, public, and s-maxage."""
    answer = kept(b"Cache-Control: " + value, asked_with=request(b"Authorization: Basic eDp5"))
    assert answer.authorized
    assert answer.lifetime_s == 9


def test_rfc9111_3_an_answer_must_state_a_lifetime_or_be_public_or_heuristically_cacheable() -> None:
    """The response must contain at least one of: public, Expires, max-age, s-maxage, or a status that is heuristically cacheable."""
    validator = b'ETag: "a"'
    for status in (201, 302, 307, 400, 403, 500, 503, 599):
        assert outcome(validator, b"Last-Modified: " + at(-1000), status=status) is NotStored.NOT_CACHEABLE
        for line in (b"Cache-Control: public", b"Expires: " + at(9), b"Cache-Control: max-age=9", b"Cache-Control: s-maxage=9"):
            assert kept(validator, line, status=status).status == status
    assert outcome(b"Expires: " + at(9), b"CDN-Cache-Control: must-revalidate", status=302) is NotStored.NOT_CACHEABLE
    assert kept(validator).lifetime_s == 0


def test_what_could_never_be_reused_is_not_stored() -> None:
    assert outcome() is NotStored.USELESS
    assert outcome(b"Cache-Control: max-age=0") is NotStored.USELESS
    assert outcome(b"Cache-Control: max-age=9", b"Age: 9") is NotStored.USELESS
    assert outcome(b"Cache-Control: max-age=9, no-cache") is NotStored.USELESS
    assert outcome(b"Expires: 0") is NotStored.USELESS
    assert kept(b"Cache-Control: max-age=0, stale-while-revalidate=9").lifetime_s == 0
    assert kept(b"Cache-Control: max-age=0, stale-if-error=9").lifetime_s == 0
    assert kept(b"Cache-Control: no-cache", b"Last-Modified: " + at(-9)).directives.no_cache


def test_set_cookie_is_stored_only_when_told() -> None:
    assert outcome(FRESH, b"Set-Cookie: a=b") is NotStored.SET_COOKIE
    assert kept(FRESH, b"Set-Cookie: a=b", options=Storing(set_cookie=True)).get(b"set-cookie") == b"a=b"
    assert kept(b'Cache-Control: max-age=9, no-cache="set-cookie"', b"Set-Cookie: a=b").lifetime_s == 9


def test_a_vary_of_everything_is_not_stored() -> None:
    assert outcome(FRESH, b"Vary: a, *") is NotStored.VARY


def test_rfc9111_3_1_all_fields_are_stored_but_for_the_exceptions() -> None:
    """Caches MUST include all received response header fields -- including unrecognized ones -- when storing a response."""
    lines = [FRESH, b"X-Unknown: 1", b"x-unknown: 2", b"Content-Type: a/b", b"Cache-Status: up; hit", b"Content-MD5: x"]
    assert [b"%b: %b" % field for field in kept(*lines).fields] == [b"Date: " + at(0), *lines]


def test_rfc9111_3_1_connection_and_proxy_fields_are_left_out() -> None:
    """Connection and what it lists MAY be removed before storage; Proxy-Authenticate and its kin MUST NOT be stored."""
    answer = kept(
        FRESH,
        b"Connection: close, Foo",
        b"Foo: 1",
        b"Keep-Alive: 5",
        b"Proxy-Authenticate: x",
        b"Proxy-Authentication-Info: x",
        b"Proxy-Authorization: x",
        b"Proxy-Connection: x",
        b"TE: x",
        b"Upgrade: x",
        b"Trailer: y",
        b"Transfer-Encoding: chunked",
        b"Age: 3",
    )
    assert {name for name, _ in answer.fields} == {b"Date", b"Cache-Control"}


def test_rfc9110_6_6_1_a_date_is_added_where_there_is_none() -> None:
    """A recipient MUST record when a response without Date was received and append a corresponding Date field if it is cached."""
    assert kept(FRESH, dated=False).get_all(b"date") == [at(0)]
    assert kept(FRESH, b"Date: yesterday").get_all(b"date") == [at(0)]
    assert kept(FRESH, b"Date: " + at(-5)).get_all(b"date") == [at(-5)]
    assert kept(FRESH, b"Connection: date", b"Date: " + at(-5)).get_all(b"date") == [at(0)]


RANGE = request(b"Range: bytes=0-3")


def test_rfc9111_3_3_a_206_is_stored_as_an_incomplete_200() -> None:
    """A 206 (Partial Content) response MAY be stored as if it were an incomplete 200 (OK) response."""
    answer = kept(FRESH, b'ETag: "a"', b"Content-Range: bytes 0-3/10", status=206, asked_with=RANGE)
    assert (answer.status, answer.reason, answer.part) == (200, b"OK", Part(0, 3, 10))


@pytest.mark.parametrize(
    "lines",
    [
        [b'ETag: "a"'],
        [b'ETag: W/"a"', b"Content-Range: bytes 0-3/10"],
        [b"Last-Modified: " + at(-900000), b"Content-Range: bytes 0-3/10"],
        [b'ETag: "a"', b"Content-Range: lines 0-3/10"],
        [b'ETag: "a"', b"Content-Range: bytes 0-3/*"],
        [b'ETag: "a"', b"Content-Range: bytes */10"],
        [b'ETag: "a"', b"Content-Range: bytes 0-3/10", b"Content-Range: bytes 0-3/10"],
        [b'ETag: "a"', b"Content-Type: multipart/byteranges; boundary=x"],
    ],
)
def test_rfc9111_3_3_partial_content_that_is_not_understood_is_not_stored(lines: list[bytes]) -> None:
    """A cache MUST NOT store partial-content responses if it does not understand the range units used in those fields."""
    assert outcome(FRESH, *lines, status=206, asked_with=RANGE) is NotStored.PARTIAL


def test_partial_answers_may_be_left_alone() -> None:
    lines = [FRESH, b'ETag: "a"', b"Content-Range: bytes 0-3/10"]
    assert outcome(*lines, status=206, asked_with=RANGE, options=Storing(partial=False)) is NotStored.STATUS


@pytest.mark.parametrize(
    ("line", "part"),
    [
        (b"bytes 0-0/1", Part(0, 0, 1)),
        (b"Bytes 5-9/10", Part(5, 9, 10)),
        (b"bytes 5-10/10", None),
        (b"bytes 6-5/10", None),
        (b"bytes 0-5", None),
        (b"bytes=0-5/10", None),
        (b"bytes  0-5/10", None),
        (b"bytes -5/10", None),
        (b"bytes 0-" + b"9" * 20 + b"/" + b"9" * 21, None),
        (b"", None),
    ],
)
def test_content_ranges(line: bytes, part: Part | None) -> None:
    assert content_range([line]) == part


@pytest.mark.parametrize("value", [b'"a"', b'W/"a"', b'""', b'"\xe9!#~"'])
def test_entity_tags_are_recognized(value: bytes) -> None:
    assert entity_tag(value) == value


@pytest.mark.parametrize("value", [None, b"", b'"', b"a", b'w/"a"', b'"a" ', b'"a b"', b'"a"b"', b"'a'", b'"a", "b"', b"W/a", b'"\x7f"'])
def test_what_is_no_entity_tag_is_no_validator(value: bytes | None) -> None:
    assert entity_tag(value) is None


def test_tags_for_purging() -> None:
    assert tags_of(response(b"Surrogate-Key: a  b", b"Surrogate-Key: c", b"Cache-Tag: d e, f,,")) == {b"a", b"b", b"c", b"d e", b"f"}
    assert tags_of(response()) == frozenset()


def test_heuristics_are_the_operators() -> None:
    options = Storing(heuristics=Heuristics(fraction=0))
    assert kept(b"Last-Modified: " + at(-1000), options=options).lifetime_s == 0
    assert kept(b"Last-Modified: " + at(-1000)).lifetime_s == 100
