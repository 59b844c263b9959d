"""Ranges: what is asked for, cut out, and put together; by RFC 9110 section 14 and RFC 9111 section 3.4."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalability.gateway.http_cache.directives import RequestDirectives
from scalability.gateway.http_cache.ranges import (
    MAX_MULTIPART_BYTES,
    MAX_RANGES,
    Interval,
    Whole,
    absorbed,
    content_range_of,
    cut,
    intervals,
    multipart,
    selected,
    total_bytes,
)
from scalability.gateway.http_cache.reuse import Action, Forward, decide
from scalability.gateway.http_cache.stored import Part, StoredAnswer
from scalability.testing.messages import NOW, at, request, stored

FRESH = b"Cache-Control: max-age=100"
ETAG = b'ETag: "a"'
BODY = b"0123456789"


def piece(first: int, last: int, *lines: bytes, total: int = 10, etag: bytes = b'"a"') -> StoredAnswer:
    """A stored 206."""
    content_range = b"Content-Range: bytes %d-%d/%d" % (first, last, total)
    return stored(FRESH, b"ETag: " + etag, content_range, *lines, status=206, body=BODY[first : last + 1])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"bytes=0-0", [(0, 0)]),
        (b"bytes=2-5", [(2, 5)]),
        (b"Bytes=2-", [(2, 9)]),
        (b"bytes=-3", [(7, 9)]),
        (b"bytes=-30", [(0, 9)]),
        (b"bytes=5-999999999999999999", [(5, 9)]),
        (b"bytes=0-1, 4-5 ,, -1", [(0, 1), (4, 5), (9, 9)]),
        (b"bytes=8-9,0-1", [(8, 9), (0, 1)]),
        (b"bytes=0-1,20-30", [(0, 1)]),
        (b"bytes=0-4,3-6", [(0, 6)]),
        (b"bytes=7-8, 3-6, 0-4", [(7, 8), (0, 6)]),
    ],
)
def test_rfc9110_14_1_2_byte_ranges(value: bytes, expected: list[tuple[int, int]]) -> None:
    """Positions beyond the end mean the end; a suffix longer than the representation means all of it."""
    assert intervals([value], 10) == expected


@pytest.mark.parametrize("value", [b"bytes=10-", b"bytes=10-20", b"bytes=-0", b"bytes=20-30,-0"])
def test_rfc9110_14_1_1_what_is_beyond_the_end_is_unsatisfiable(value: bytes) -> None:
    """An int-range is satisfiable if its first-pos is less than the current length, a suffix-range if its suffix-length is non-zero."""
    assert intervals([value], 10) is Whole.UNSATISFIABLE


@pytest.mark.parametrize(
    "value",
    [
        b"bytes",
        b"bytes=",
        b"bytes=-",
        b"bytes=a-b",
        b"bytes=1-2;3",
        b"bytes=1-2, x",
        b"bytes =1 -2",
        b"bytes=+1-2",
        b"=1-2",
        b"bytes=1",
        b"",
    ],
)
def test_rfc9110_14_2_what_the_grammar_does_not_have_is_ignored(value: bytes) -> None:
    """A server MAY ignore the Range header field."""
    assert intervals([value], 10) is Whole.WHOLE


@pytest.mark.parametrize("value", [b"bytes=5-2", b"bytes=0-1,5-2", b"bytes=5-2,0-1", b"bytes=" + b"9" * 30 + b"-1"])
def test_rfc9110_14_2_a_range_that_ends_before_it_begins_is_unsatisfiable(value: bytes) -> None:
    """If the specified ranges are invalid or unsatisfiable, the server SHOULD send a 416. (An int-range is invalid if last < first.)"""
    assert intervals([value], 10) is Whole.UNSATISFIABLE


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"bytes=0-" + b"9" * 30, [(0, 9)]),
        (b"bytes=-" + b"9" * 5000, [(0, 9)]),
        (b"bytes=" + b"0" * 5000 + b"1-" + b"0" * 30 + b"2", [(1, 2)]),
        (b"bytes=" + b"9" * 5000 + b"-", Whole.UNSATISFIABLE),
    ],
)
def test_rfc9110_14_1_2_large_numerals_do_not_overflow(value: bytes, expected: object) -> None:
    """Recipients MUST anticipate potentially large decimal numerals and prevent parsing errors due to integer conversion overflows."""
    assert intervals([value], 10) == expected


@pytest.mark.parametrize("value", [b"lines=0-1", b"byte=0-1", b"bytess=0-1", b"other=x"])
def test_rfc9110_14_2_an_unknown_unit_is_ignored(value: bytes) -> None:
    """An origin server MUST ignore a Range header field that contains a range unit it does not understand."""
    assert intervals([value], 10) is Whole.WHOLE


def test_rfc9110_17_15_too_many_and_overlapping_ranges_get_the_whole() -> None:
    """A server ought to ignore, coalesce, or reject egregious range requests, such as more than two overlapping or many small ranges."""
    many = b",".join(b"%d-%d" % (number * 2, number * 2) for number in range(MAX_RANGES + 1))
    assert intervals([b"bytes=" + many], 1000) is Whole.WHOLE
    assert len(intervals([b"bytes=" + many.rpartition(b",")[0]], 1000)) == MAX_RANGES  # type: ignore[arg-type]
    assert intervals([b"bytes=0-5,1-6,2-7"], 10) is Whole.WHOLE
    assert intervals([b"bytes=0-,0-,0-,0-"], 10) is Whole.WHOLE
    assert intervals([b"bytes=" + b"0-," * 10_000], 10) is Whole.WHOLE
    assert intervals([b"bytes=0-1", b"bytes=2-3"], 10) is Whole.WHOLE


def test_ranges_of_nothing() -> None:
    assert intervals([b"bytes=0-0"], 0) is Whole.UNSATISFIABLE
    assert intervals([b"bytes=-1"], 0) is Whole.WHOLE


@pytest.mark.parametrize("method", [b"HEAD", b"POST"])
def test_rfc9110_14_2_range_is_for_get_only(method: bytes) -> None:
    """A server MUST ignore a Range header field received with a request method that is unrecognized or for which none is defined."""
    assert selected(stored(FRESH, body=BODY), request(b"Range: bytes=0-1", method=method)) is Whole.WHOLE


def test_only_a_200_has_ranges() -> None:
    assert selected(stored(FRESH, body=BODY), request(b"Range: bytes=0-1")) == [(0, 1)]
    for status in (203, 404):
        assert selected(stored(FRESH, status=status, body=BODY), request(b"Range: bytes=0-1")) is Whole.WHOLE


def test_rfc9110_13_1_5_range_is_ignored_when_if_range_fails() -> None:
    """A recipient of an If-Range header field MUST ignore the Range header field if the If-Range condition evaluates as false."""
    answer = stored(FRESH, ETAG, body=BODY)
    assert selected(answer, request(b"Range: bytes=0-1", b'If-Range: "b"')) is Whole.WHOLE
    assert selected(answer, request(b"Range: bytes=0-1", b'If-Range: "a"')) == [(0, 1)]
    assert selected(answer, request(b"Range: bytes=90-", b'If-Range: "b"')) is Whole.WHOLE


def test_rfc9110_13_1_5_if_range_without_range_is_ignored() -> None:
    """A server MUST ignore an If-Range header field received in a request that does not contain a Range header field."""
    assert selected(stored(FRESH, ETAG, body=BODY), request(b'If-Range: "b"')) is Whole.WHOLE


def test_rfc9111_3_3_a_part_answers_only_requests_within_it() -> None:
    """A cache MUST NOT use an incomplete response unless the request is partial and specifies a range wholly within it."""
    part = piece(2, 6)
    assert selected(part, request(b"Range: bytes=3-5")) == [(3, 5)]
    assert cut(part, Interval(3, 5)) == b"345"
    for line in (b"X: y", b"Range: bytes=0-1", b"Range: bytes=5-7", b"Range: bytes=3-", b"Range: bytes=3-4,8-9", b"Range: lines=3-4"):
        assert selected(part, request(line)) is Whole.ELSEWHERE
        assert decide(request(line), RequestDirectives(), part, NOW).forward is Forward.PARTIAL
    assert decide(request(b"Range: bytes=3-5"), RequestDirectives(), part, NOW).action is Action.FRESH
    assert decide(request(b"Range: bytes=3-5", b'If-Range: "b"'), RequestDirectives(), part, NOW).action is Action.FORWARD
    assert decide(request(b"Range: bytes=3-5", method=b"HEAD"), RequestDirectives(), part, NOW).action is Action.FORWARD
    assert selected(part, request(b"Range: bytes=10-")) is Whole.UNSATISFIABLE


def test_rfc9110_14_6_a_multipart_names_each_part() -> None:
    """If the representation would have had a Content-Type, the server SHOULD generate it in each part; Content-Range MUST be in each."""
    answer = stored(FRESH, b"Content-Type: text/plain", body=BODY)
    content_type, body = multipart(answer, [Interval(0, 1), Interval(8, 9)])
    boundary = content_type.removeprefix(b"multipart/byteranges; boundary=")
    assert body == (
        b"--%b\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/10\r\n\r\n01\r\n"
        b"--%b\r\nContent-Type: text/plain\r\nContent-Range: bytes 8-9/10\r\n\r\n89\r\n--%b--\r\n" % (boundary, boundary, boundary)
    )


def test_the_boundary_is_in_none_of_the_parts() -> None:
    content_type, _ = multipart(stored(FRESH, body=b"--scalelab-byteranges-0\r\nscalelab-byteranges-1"), [Interval(0, 1), Interval(5, 6)])
    assert content_type.endswith(b"=scalelab-byteranges-2")


def test_a_content_range_tells_the_whole_length() -> None:
    assert content_range_of(piece(2, 6), Interval(3, 4)) == b"bytes 3-4/10"
    assert total_bytes(piece(2, 6)) == total_bytes(stored(FRESH, body=BODY)) == 10


@pytest.mark.parametrize(
    ("one", "other", "part"),
    [
        ((0, 4), (5, 7), Part(0, 7, 10)),
        ((5, 7), (0, 4), Part(0, 7, 10)),
        ((0, 6), (4, 8), Part(0, 8, 10)),
        ((4, 8), (0, 6), Part(0, 8, 10)),
        ((2, 8), (3, 4), Part(2, 8, 10)),
        ((3, 4), (2, 8), Part(2, 8, 10)),
        ((0, 4), (5, 9), None),
        ((5, 9), (0, 9), None),
    ],
)
def test_rfc9111_3_4_parts_are_combined(one: tuple[int, int], other: tuple[int, int], part: Part | None) -> None:
    """A cache that has received several ranges MAY combine those into a complete or larger stored response."""
    both = absorbed(piece(*one), piece(*other))
    assert both.part == part
    assert both.body == (BODY if part is None else BODY[part.first : part.last + 1])


@given(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9), st.integers(0, 9))
def test_combined_parts_are_what_the_whole_has_there(a: int, b: int, c: int, d: int) -> None:
    both = absorbed(piece(min(a, b), max(a, b)), piece(min(c, d), max(c, d)))
    assert both.body == (BODY if both.part is None else BODY[both.part.first : both.part.last + 1])


def test_a_part_of_what_is_there_as_a_whole_changes_only_fields() -> None:
    whole = stored(FRESH, ETAG, b"X: old", body=BODY)
    both = absorbed(whole, piece(2, 3, b"X: new"))
    assert (both.part, both.body, both.get_all(b"x")) == (None, BODY, [b"new"])


def test_rfc9111_3_4_only_with_the_same_strong_validator() -> None:
    """If they all share the same strong validator; a part that does not takes the place of what was there."""
    other = piece(5, 9, etag=b'"b"')
    assert absorbed(piece(0, 4), other) is other
    assert absorbed(stored(FRESH, b'ETag: W/"a"', body=BODY), piece(5, 9)).part == Part(5, 9, 10)
    assert absorbed(stored(FRESH, b"Last-Modified: " + at(-50), body=BODY), piece(5, 9)).part == Part(5, 9, 10)


def test_parts_with_a_gap_or_another_length_are_not_combined() -> None:
    late = piece(6, 9)
    assert absorbed(piece(0, 4), late) is late
    assert absorbed(late, piece(0, 4)).part == Part(0, 4, 10)
    assert absorbed(piece(0, 4, total=11), late) is late
    whole = stored(FRESH, ETAG, body=BODY)
    assert absorbed(late, whole) is whole


def test_rfc9111_3_4_the_new_fields_replace_the_stored_ones() -> None:
    """When combining, a cache MUST use the header fields of the new response, aside from Content-Range, to replace those of that name."""
    both = absorbed(piece(0, 4, b"X: 1", b"X: 2", b"Y: 3"), piece(5, 7, b"X: 9"))
    assert both.get_all(b"x") == [b"9"]
    assert both.get(b"y") == b"3"
    assert both.get(b"content-range") is None


@given(st.text("bytes=0123456789-, ", max_size=40).map(str.encode), st.integers(0, 50))
def test_whatever_is_asked_for_is_within_the_representation(value: bytes, length: int) -> None:
    found = intervals([b"bytes=" + value], length)
    if isinstance(found, Whole):
        return
    assert found
    assert all(0 <= interval.first <= interval.last < length for interval in found)
    assert sum(interval.last - interval.first + 1 for interval in found) <= length


def test_several_ranges_that_are_large_together_are_no_copies_of_what_is_stored() -> None:
    total = MAX_MULTIPART_BYTES + 1000
    asked = request(b"Range: bytes=0-9,20-%d" % (total - 101))
    whole = stored(FRESH, body=b"x" * total)
    assert selected(whole, asked) is Whole.WHOLE
    part = stored(FRESH, b"Content-Range: bytes 0-%d/%d" % (total - 101, total), ETAG, status=206, body=b"x" * (total - 100))
    assert selected(part, asked) is Whole.ELSEWHERE
    assert isinstance(selected(part, request(b"Range: bytes=0-9,20-29")), list)
    assert isinstance(selected(part, request(b"Range: bytes=0-%d" % (total - 101))), list)
