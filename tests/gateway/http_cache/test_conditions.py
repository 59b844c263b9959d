"""Preconditions on stored answers, by the sentences of RFC 9110 sections 8.8 and 13, and RFC 9111 section 4.3.2."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalability.gateway.http_cache.conditions import entity_tags, if_range_holds, not_modified, strong_match, weak_match
from scalability.gateway.http_cache.stored import StoredAnswer
from scalability.testing.messages import at, request, stored

FRESH = b"Cache-Control: max-age=100"
MODIFIED = b"Last-Modified: " + at(-50)


def test_a_year_of_two_digits_is_one_near_the_date_of_receipt_by_the_wall_clock() -> None:
    answer = stored(FRESH, b"Last-Modified: Tue, 14 Nov 2023 22:13:20 GMT", response_time_s=1.7e9 + 60)
    answer = replace(answer, response_time_s=5.0)
    assert not_modified(answer, request(b"If-Modified-Since: Tuesday, 14-Nov-23 22:13:20 GMT"))
    assert not not_modified(answer, request(b"If-Modified-Since: Saturday, 14-Nov-98 22:13:20 GMT"))
    assert not_modified(answer, request(b"If-Modified-Since: Sunday, 14-Nov-60 22:13:20 GMT")), "2060; from 1970 it would be 1960"


@pytest.mark.parametrize(
    ("one", "other", "strong", "weak"),
    [(b'W/"1"', b'W/"1"', False, True), (b'W/"1"', b'W/"2"', False, False), (b'W/"1"', b'"1"', False, True), (b'"1"', b'"1"', True, True)],
)
def test_rfc9110_8_8_3_2_comparison_of_entity_tags(one: bytes, other: bytes, strong: bool, weak: bool) -> None:
    """The table of RFC 9110 section 8.8.3.2."""
    assert strong_match(one, other) is strong_match(other, one) is strong
    assert weak_match(one, other) is weak_match(other, one) is weak


@pytest.mark.parametrize(
    ("lines", "tags"),
    [
        ([b"*"], [b"*"]),
        ([b'"a"'], [b'"a"']),
        ([b'"a", W/"b",,"c" '], [b'"a"', b'W/"b"', b'"c"']),
        ([b'"a,b"', b'""'], [b'"a,b"', b'""']),
        ([b'"a" "b"'], None),
        ([b'"a'], None),
        ([b"a"], None),
        ([b'*, "a"'], None),
        ([b'w/"a"'], None),
        ([b""], []),
    ],
)
def test_lists_of_entity_tags(lines: list[bytes], tags: list[bytes] | None) -> None:
    assert entity_tags(lines) == tags


@given(st.lists(st.text('"W/*a, \\', max_size=20).map(str.encode), min_size=1, max_size=3))
def test_any_bytes_are_tags_or_malformed(lines: list[bytes]) -> None:
    for tag in entity_tags(lines) or []:
        assert tag == b"*" or tag.endswith(b'"')


@pytest.mark.parametrize("etag", [b'"a"', b'W/"a"'])
@pytest.mark.parametrize("line", [b'"a"', b'W/"a"', b'"x", "a"', b"*"])
@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
def test_rfc9110_13_1_2_if_none_match_compares_weakly(etag: bytes, line: bytes, method: bytes) -> None:
    """A recipient MUST use the weak comparison function when comparing entity tags for If-None-Match."""
    assert not_modified(stored(FRESH, b"ETag: " + etag), request(b"If-None-Match: " + line, method=method))


def test_rfc9110_13_1_2_another_tag_or_none_is_modified() -> None:
    assert not not_modified(stored(FRESH, b'ETag: "a"'), request(b'If-None-Match: "b"'))
    assert not not_modified(stored(FRESH), request(b'If-None-Match: "b"'))
    assert not_modified(stored(FRESH), request(b"If-None-Match: *"))
    assert not not_modified(stored(FRESH, b'ETag: "a"'), request(b"If-None-Match: a"))
    assert not not_modified(stored(FRESH, b'ETag: "a"'), request())


def test_rfc9110_13_1_2_many_lines_are_one_list() -> None:
    assert not_modified(stored(FRESH, b'ETag: "a"'), request(b'If-None-Match: "b"', b'If-None-Match: "a"'))


def test_rfc9110_13_1_3_if_modified_since_is_ignored_beside_if_none_match() -> None:
    """A recipient MUST ignore If-Modified-Since if the request contains an If-None-Match header field."""
    answer = stored(FRESH, b'ETag: "a"', MODIFIED)
    assert not not_modified(answer, request(b'If-None-Match: "b"', b"If-Modified-Since: " + at(0)))
    assert not_modified(answer, request(b'If-None-Match: "a"', b"If-Modified-Since: " + at(-5000)))
    assert not not_modified(answer, request(b"If-None-Match: malformed", b"If-Modified-Since: " + at(0)))


def test_rfc9110_13_1_3_not_modified_since_is_304() -> None:
    """If the selected representation's last modification date is earlier or equal to the date provided, the condition is false."""
    answer = stored(FRESH, MODIFIED)
    assert not_modified(answer, request(b"If-Modified-Since: " + at(-50)))
    assert not_modified(answer, request(b"If-Modified-Since: " + at(5000)))
    assert not not_modified(answer, request(b"If-Modified-Since: " + at(-51)))


@pytest.mark.parametrize("lines", [[b"0"], [b"yesterday"], [b""], [at(0), at(0)], [at(0) + b", " + at(0)]])
def test_rfc9110_13_1_3_an_invalid_date_is_ignored(lines: list[bytes]) -> None:
    """A recipient MUST ignore If-Modified-Since if the received field value is not a valid HTTP-date, or has more than one member."""
    assert not not_modified(stored(FRESH, MODIFIED), request(*(b"If-Modified-Since: " + line for line in lines)))


def test_rfc9111_4_3_2_date_stands_in_for_a_missing_last_modified() -> None:
    """If Last-Modified is not present in a stored response, a cache SHOULD use the stored response's Date field value."""
    assert not_modified(stored(FRESH, b"Date: " + at(-9)), request(b"If-Modified-Since: " + at(-9)))
    assert not not_modified(stored(FRESH, b"Date: " + at(-9)), request(b"If-Modified-Since: " + at(-10)))
    assert not_modified(stored(FRESH), request(b"If-Modified-Since: " + at(0)))


@pytest.mark.parametrize("status", [301, 404, 410, 500])
def test_rfc9110_13_2_1_preconditions_are_for_success_only(status: int) -> None:
    """A server MUST ignore all received preconditions if its response without them would have been other than a 2xx or 412."""
    answer = stored(FRESH, b'ETag: "a"', MODIFIED, status=status)
    assert not not_modified(answer, request(b'If-None-Match: "a"'))
    assert not not_modified(answer, request(b"If-Modified-Since: " + at(0)))


@pytest.mark.parametrize(
    ("etag", "line", "holds"),
    [(b'"a"', b'"a"', True), (b'W/"a"', b'W/"a"', False), (b'"a"', b'W/"a"', False), (b'W/"a"', b'"a"', False), (b'"a"', b'"b"', False)],
)
def test_rfc9110_13_1_5_if_range_compares_strongly(etag: bytes, line: bytes, holds: bool) -> None:
    """A recipient of an If-Range header field MUST ignore Range if the condition is false; entity tags are compared strongly."""
    assert if_range_holds(stored(FRESH, b"ETag: " + etag), request(b"If-Range: " + line)) is holds


def test_rfc9110_13_1_5_a_date_in_if_range_must_be_the_very_last_modified_and_strong() -> None:
    """If the HTTP-date validator provided is not a strong validator, the condition is false; it must exactly match Last-Modified."""
    line = b"If-Range: " + at(-50)
    assert if_range_holds(stored(FRESH, MODIFIED), request(line))
    assert not if_range_holds(stored(FRESH, MODIFIED, b"Date: " + at(-50)), request(line))
    assert not if_range_holds(stored(FRESH, MODIFIED), request(b"If-Range: " + at(-49)))
    assert not if_range_holds(stored(FRESH), request(line))
    assert not if_range_holds(stored(FRESH, MODIFIED), request(b"If-Range: yesterday"))
    assert not if_range_holds(stored(FRESH, MODIFIED), request(line, line))
    assert if_range_holds(StoredAnswer(200, b"OK", (), b""), request())
