"""Freshness lifetime, age and heuristics, by RFC 9111 section 4.2."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalability.gateway.http_cache.directives import MAX_DELTA_S, response_directives
from scalability.gateway.http_cache.freshness import Heuristics, Lifetime, date_of, initial_age, lifetime, received_age
from scalability.testing.messages import NOW, at, response

DAY = 86400


def life(*lines: bytes, status: int = 200, heuristics: Heuristics | None = None, dated: bool = True) -> Lifetime:
    head = response(*lines, status=status, dated=dated)
    directives = response_directives(head)
    return lifetime(status, head, directives, NOW) if heuristics is None else lifetime(status, head, directives, NOW, heuristics)


def test_rfc9111_4_2_1_s_maxage_goes_before_max_age_and_that_before_expires() -> None:
    lines = [b"Expires: " + at(30), b"Cache-Control: max-age=20, s-maxage=10", b"Last-Modified: " + at(-DAY)]
    assert life(*lines) == (10, True)
    assert life(lines[0], b"Cache-Control: max-age=20", lines[2]) == (20, True)
    assert life(lines[0], b"Cache-Control: public", lines[2]) == (30, True)
    assert life(lines[2]) == (DAY / 10, False)


def test_rfc9111_5_3_expires_is_ignored_beside_max_age_and_s_maxage() -> None:
    """If a response includes max-age, a recipient MUST ignore Expires; a shared cache MUST ignore it beside s-maxage."""
    assert life(b"Cache-Control: max-age=5", b"Expires: " + at(99)) == (5, True)
    assert life(b"Cache-Control: max-age=5", b"Expires: 0") == (5, True)
    assert life(b"Cache-Control: s-maxage=5", b"Expires: " + at(99)) == (5, True)


@pytest.mark.parametrize("value", [b"0", b"-1", b"", b"never", b"Sun, 09 Sep 2011 01:46:40 EST", b"Sun, 09 Sep 2011", b"3600"])
def test_rfc9111_5_3_an_invalid_expires_is_in_the_past(value: bytes) -> None:
    """A cache recipient MUST interpret invalid date formats, especially the value "0", as representing a time in the past."""
    assert life(b"Expires: " + value, b"Last-Modified: " + at(-DAY)) == (0, True)


def test_rfc9111_5_3_expires_counts_from_date() -> None:
    assert life(b"Expires: " + at(30), b"Date: " + at(-5)) == (35, True)
    assert life(b"Expires: " + at(30), b"Date: " + at(40)) == (0, True)
    assert life(b"Expires: " + at(30), dated=False) == (30, True)
    assert life(b"Expires: " + at(30), b"Date: yesterday") == (30, True)
    assert life(b"Expires: Tue, 31 Dec 9999 23:59:59 GMT") == (MAX_DELTA_S, True)


def test_rfc9111_4_2_1_several_values_of_expires_that_differ_are_stale() -> None:
    assert life(b"Expires: " + at(30), b"Expires: " + at(31)) == (0, True)
    assert life(b"Expires: " + at(30), b"Expires: " + at(30)) == (30, True)


def test_rfc9213_2_2_expires_is_ignored_beside_a_targeted_field() -> None:
    """It MUST ignore the Cache-Control and Expires header fields in that response."""
    assert life(b"CDN-Cache-Control: max-age=5", b"Cache-Control: max-age=9", b"Expires: " + at(30)) == (5, True)
    assert life(b"CDN-Cache-Control: public", b"Cache-Control: max-age=9", b"Expires: " + at(30)) == (0, False)


@pytest.mark.parametrize("line", [b"Cache-Control: max-age=0", b"Cache-Control: max-age=x", b"Expires: 0", b"Cache-Control: s-maxage=1"])
def test_rfc9111_4_2_2_no_heuristics_beside_an_explicit_time(line: bytes) -> None:
    """A cache MUST NOT use heuristics to determine freshness when an explicit expiration time is present in the stored response."""
    assert life(line, b"Last-Modified: " + at(-DAY)).explicit
    assert life(line, b"Last-Modified: " + at(-DAY)).seconds <= 1


@pytest.mark.parametrize("status", [200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501])
def test_rfc9110_15_1_heuristically_cacheable_statuses(status: int) -> None:
    assert life(b"Last-Modified: " + at(-1000), status=status) == (100, False)


@pytest.mark.parametrize("status", [201, 202, 299, 302, 303, 307, 400, 403, 418, 500, 502, 503, 504, 599])
def test_rfc9111_4_2_2_other_statuses_have_no_heuristics_unless_public(status: int) -> None:
    """Heuristics can only be used on responses whose status is defined as heuristically cacheable, or that are marked public."""
    assert life(b"Last-Modified: " + at(-1000), status=status) == (0, False)
    assert life(b"Last-Modified: " + at(-1000), b"Cache-Control: public", status=status) == (100, False)


def test_heuristics_are_bounded_and_may_be_off() -> None:
    assert life(b"Last-Modified: " + at(-1000 * DAY)).seconds == DAY
    assert life(b"Last-Modified: " + at(1000)).seconds == 0
    assert life(b"Last-Modified: long ago").seconds == 0
    assert life().seconds == 0
    assert life(b"Last-Modified: " + at(-1000), heuristics=Heuristics(fraction=0.5, most_s=400)).seconds == 400
    assert life(b"Last-Modified: " + at(-1000), heuristics=Heuristics(fraction=0)).seconds == 0


def test_rfc9111_5_1_the_first_member_of_age_counts() -> None:
    """A cache encountering a list-based Age field value SHOULD use the first member of the field value, discarding subsequent members."""
    assert received_age(response(b"Age: 5, 9")) == 5
    assert received_age(response(b"Age: 5", b"Age: 9")) == 5
    assert received_age(response(b"Age: 0, 9")) == 0


@pytest.mark.parametrize("value", [b"", b"-1", b"+1", b"1.5", b"abc", b'"7"', b"7;foo", b"x, 9", b"\xb2"])
def test_rfc9111_5_1_an_invalid_age_is_ignored(value: bytes) -> None:
    """If the field value is invalid, a cache SHOULD ignore the field."""
    assert received_age(response(b"Age: " + value)) == 0


def test_rfc9111_1_2_2_an_age_that_overflows_is_2_to_the_31() -> None:
    """If a value overflows, the cache MUST consider it to be 2147483648 or the greatest positive integer it can conveniently represent."""
    assert received_age(response(b"Age: " + b"9" * 4000)) == MAX_DELTA_S
    assert initial_age(response(b"Age: 2147483648"), NOW - 100, NOW, NOW) == MAX_DELTA_S


def test_rfc9111_4_2_3_the_initial_age_is_the_larger_of_apparent_and_corrected_age() -> None:
    assert initial_age(response(), NOW, NOW, NOW) == 0
    assert initial_age(response(b"Age: 7"), NOW - 2, NOW, NOW) == 9
    assert initial_age(response(b"Age: 7", b"Date: " + at(-30)), NOW - 2, NOW, NOW) == 30
    assert initial_age(response(b"Date: " + at(30)), NOW - 2, NOW, NOW) == 2
    assert initial_age(response(), NOW + 5, NOW, NOW) == 0  # a clock that was set back


def test_a_date_of_the_same_second_is_no_age() -> None:
    assert initial_age(response(), NOW + 0.9, NOW + 0.9, NOW + 0.9) == 0


@pytest.mark.parametrize(
    "date", [b"Thu, 01 Jan 1970 00:00:00 GMT", b"Sat, 01 Jan 0000 00:00:00 GMT", b"Fri, 31 Dec 9999 23:59:59 GMT", b"x", b""]
)
def test_an_absurd_date_is_an_age_within_bounds(date: bytes) -> None:
    assert 0 <= initial_age(response(b"Date: " + date), NOW, NOW, NOW) <= MAX_DELTA_S


def test_rfc9110_6_6_1_without_a_valid_date_the_time_of_receipt_counts() -> None:
    assert date_of(response(dated=False), NOW + 0.5) == NOW
    assert date_of(response(b"Date: x"), NOW) == NOW
    assert date_of(response(b"Date: " + at(-3)), NOW) == NOW - 3


TEXT = st.text('0123456789,;="ag-mx GMTSun:', max_size=30).map(str.strip).map(str.encode)


@given(TEXT, TEXT, TEXT, TEXT, st.floats(0, 4e9), st.floats(0, 4e9))
def test_lifetimes_and_ages_stay_within_bounds(age: bytes, date: bytes, expires: bytes, control: bytes, asked: float, came: float) -> None:
    head = response(b"Age: " + age, b"Date: " + date, b"Expires: " + expires, b"Cache-Control: " + control)
    assert 0 <= initial_age(head, asked, came, came) <= MAX_DELTA_S
    assert 0 <= lifetime(200, head, response_directives(head), came).seconds <= MAX_DELTA_S
