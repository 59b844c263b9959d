"""HTTP-date, in its three formats and no other."""

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalability.gateway.http_cache.dates import format_date, parse_date

NOW = 1_600_000_000.0  # in 2020
EXAMPLE = 784111777  # RFC 9110's example


@pytest.mark.parametrize(
    "value", [b"Sun, 06 Nov 1994 08:49:37 GMT", b"Sunday, 06-Nov-94 08:49:37 GMT", b"Sun Nov  6 08:49:37 1994", b"Sun Nov 06 08:49:37 1994"]
)
def test_rfc9110_5_6_7_all_three_formats_are_accepted(value: bytes) -> None:
    """Recipients that parse a timestamp value in an HTTP field MUST accept all three HTTP-date formats."""
    assert parse_date(value, NOW) == EXAMPLE


@pytest.mark.parametrize(("year", "full"), [(b"69", 2069), (b"70", 2070), (b"71", 1971), (b"99", 1999), (b"00", 2000), (b"20", 2020)])
def test_rfc9110_5_6_7_a_two_digit_year_more_than_50_years_ahead_is_past(year: bytes, full: int) -> None:
    """A timestamp that appears more than 50 years in the future MUST be taken for the most recent past year with those digits."""
    assert parse_date(b"Sunday, 06-Nov-%b 08:49:37 GMT" % year, NOW) == datetime(full, 11, 6, 8, 49, 37, tzinfo=UTC).timestamp()


@pytest.mark.parametrize("value", [b"sun, 06 nov 1994 08:49:37 gmt", b"SUN, 06 NOV 1994 08:49:37 GMT", b"SUNDAY, 06-nov-94 08:49:37 gMT"])
def test_rfc9111_4_2_dates_are_matched_without_regard_to_case(value: bytes) -> None:
    """A cache recipient SHOULD match the field value case-insensitively."""
    assert parse_date(value, NOW) == EXAMPLE


@pytest.mark.parametrize("zone", [b"UTC", b"EST", b"AEST", b"+0000", b"Z", b"GMT+1", b""])
def test_rfc9111_4_2_a_zone_other_than_gmt_is_invalid(zone: bytes) -> None:
    """A cache recipient SHOULD consider a date with a zone abbreviation other than "GMT" to be invalid for calculating expiration."""
    assert parse_date(b"Sun, 06 Nov 1994 08:49:37 " + zone, NOW) is None


def test_rfc9111_4_2_a_leap_second_is_the_nearest_time_that_is_not_later() -> None:
    """A recipient MUST internally represent a parsed Expires date as the nearest time equal to or earlier than the received value."""
    assert parse_date(b"Sat, 31 Dec 2016 23:59:60 GMT", NOW) == parse_date(b"Sat, 31 Dec 2016 23:59:59 GMT", NOW)


def test_rfc9111_4_2_local_time_zones_have_no_influence(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache recipient MUST NOT allow local time zones to influence the calculation or comparison of an age or expiration time."""
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    assert parse_date(b"Sun, 06 Nov 1994 08:49:37 GMT", NOW) == EXAMPLE
    assert format_date(EXAMPLE) == b"Sun, 06 Nov 1994 08:49:37 GMT"


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"0",
        b"-1",
        b"now",
        b"Sun, 06 Nov 1994 08:49:37",
        b"Sun 06 Nov 1994 08:49:37 GMT",
        b"Sun,  06 Nov 1994 08:49:37 GMT",
        b"Sun, 6 Nov 1994 08:49:37 GMT",
        b"Sun, 06 Nov 94 08:49:37 GMT",
        b"Sun, 06-Nov-1994 08:49:37 GMT",
        b"Sun, 06 Nov 1994 8:49:37 GMT",
        b"Sun, 06 Nov 1994 08.49.37 GMT",
        b"Sun, 06 Nov 1994 24:00:00 GMT",
        b"Sun, 06 Nov 1994 08:60:00 GMT",
        b"Sun, 06 Nov 1994 08:00:61 GMT",
        b"Sun, 31 Nov 1994 08:49:37 GMT",
        b"Sun, 00 Nov 1994 08:49:37 GMT",
        b"Sun, 29 Feb 1900 08:49:37 GMT",
        b"Son, 06 Nov 1994 08:49:37 GMT",
        b"Sun, 06 Nox 1994 08:49:37 GMT",
        b"06 Nov 1994 08:49:37 GMT",
        b"Sun, 06 Nov 1994 08:49:37 GMT;",
        b"Sun, 06 Nov 1994 08:49:37 GMT\n",
        b"Sun, 06-Nov-94 08:49:37 GMT",
        b"Sun Nov 6 08:49:37 1994",
        "Sun, ٠٦ Nov 1994 08:49:37 GMT".encode(),
        b"1994-11-06T08:49:37Z",
    ],
)
def test_everything_else_is_no_date(value: bytes) -> None:
    assert parse_date(value, NOW) is None


@given(st.integers(-62135596800, 253402300799), st.floats(0, 4e9))
def test_what_is_generated_reads_back_and_is_what_the_standard_library_writes(seconds: int, now: float) -> None:
    value = format_date(seconds)
    assert parse_date(value, now) == seconds
    assert value == format_datetime(datetime.fromtimestamp(seconds, UTC), usegmt=True).encode()


@given(st.binary(max_size=60), st.floats(-1e12, 1e12))
def test_any_bytes_are_a_date_or_none(value: bytes, now: float) -> None:
    assert parse_date(value, now) is None or len(value) > 20
