"""Moments as clients write them."""

from math import inf

import pytest

from scalability.cache.resp.commands import CommandError
from scalability.cache.resp.moments import (
    EX,
    EXAT,
    PX,
    PXAT,
    UNITS,
    Unit,
    any_moment,
    milliseconds_of,
    options_of_getex,
    options_of_set,
    positive_moment,
)

NOW = 1_700_000_000.25


def options(*words: bytes) -> list[bytes]:
    return [b"SET", b"k", b"v", *words]


@pytest.mark.parametrize(
    ("unit", "text", "moment"),
    [
        (EX, b"10", NOW + 10),
        (PX, b"10", NOW + 0.01),
        (EXAT, b"1700000001", 1_700_000_001),
        (PXAT, b"1700000001500", 1_700_000_001.5),
        (EXAT, b"1", 1),
        (PXAT, b"9223372036854775807", 9223372036854775.807),
    ],
)
def test_the_four_ways_to_write_a_moment(unit: Unit, text: bytes, moment: float) -> None:
    assert positive_moment(text, unit, NOW, b"SET") == moment


@pytest.mark.parametrize("unit", list(UNITS.values()))
@pytest.mark.parametrize("text", [b"0", b"-1", b"-9223372036854775808"])
def test_a_value_does_not_end_before_it_begins(unit: Unit, text: bytes) -> None:
    with pytest.raises(CommandError, match="ERR invalid expire time in 'set' command"):
        positive_moment(text, unit, NOW, b"SET")


@pytest.mark.parametrize(
    ("unit", "text"),
    [
        (EX, b"9223372036854775807"),
        (EX, b"9223372036854775"),  # with the time added
        (EXAT, b"9223372036854776"),
        (PX, b"9223372036854775807"),
    ],
)
def test_moments_beyond_64_bits_are_refused(unit: Unit, text: bytes) -> None:
    with pytest.raises(CommandError, match="ERR invalid expire time in 'getex' command"):
        positive_moment(text, unit, NOW, b"GetEx")


@pytest.mark.parametrize("text", [b"", b"1.5", b" 1", b"+1", b"01", b"nan", b"inf", b"9223372036854775808"])
def test_what_is_no_number_is_refused(text: bytes) -> None:
    with pytest.raises(CommandError, match="ERR value is not an integer or out of range"):
        positive_moment(text, EX, NOW, b"SET")


def test_moments_that_are_over_are_moments_to_expire() -> None:
    assert any_moment(-10, EX, NOW, b"EXPIRE") == NOW - 10
    assert any_moment(-(1 << 63), PXAT, NOW, b"EXPIRE") == pytest.approx(-9223372036854775.8)
    with pytest.raises(CommandError):
        any_moment(-(1 << 63), EXAT, NOW, b"EXPIRE")


def test_every_millisecond_comes_back_as_it_was_written() -> None:
    for moment_ms in range(1_700_000_000_000, 1_700_000_002_000):
        assert milliseconds_of(positive_moment(b"%d" % moment_ms, PXAT, NOW, b"SET")) == moment_ms


@pytest.mark.parametrize(
    "words",
    [
        (b"NX", b"XX"),
        (b"XX", b"NX"),
        (b"EX", b"1", b"PX", b"1"),
        (b"EX", b"1", b"KEEPTTL"),
        (b"KEEPTTL", b"EX", b"1"),
        (b"EX",),
        (b"EX", b"1", b"2"),
        (b"PERSIST",),
        (b"NX\0",),
        (b"",),
    ],
)
def test_options_of_set_that_contradict_or_mean_nothing(words: tuple[bytes, ...]) -> None:
    with pytest.raises(CommandError, match="ERR syntax error"):
        options_of_set(options(*words))


def test_options_of_set_in_any_order() -> None:
    told = options_of_set(options(b"get", b"Px", b"5", b"nx"))
    assert (told.get, told.absent, told.present, told.keep, told.unit, told.moment) == (True, True, False, False, PX, b"5")
    told = options_of_set(options(b"XX", b"KEEPTTL", b"XX"))
    assert (told.present, told.keep, told.ends_at(NOW, b"SET")) == (True, True, inf)
    assert options_of_set(options(b"EX", b"1", b"ex", b"2")).ends_at(NOW, b"SET") == NOW + 2


@pytest.mark.parametrize("words", [(b"EX", b"1", b"PERSIST"), (b"PERSIST", b"EX", b"1"), (b"KEEPTTL",), (b"NX",), (b"GET",), (b"PXAT",)])
def test_options_of_getex_that_contradict_or_mean_nothing(words: tuple[bytes, ...]) -> None:
    with pytest.raises(CommandError, match="ERR syntax error"):
        options_of_getex([b"GETEX", b"k", *words])


def test_options_of_getex() -> None:
    assert options_of_getex([b"GETEX", b"k", b"persist"]).persist
    assert options_of_getex([b"GETEX", b"k", b"EXAT", b"5"]).ends_at(NOW, b"GETEX") == 5
