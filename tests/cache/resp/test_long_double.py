"""Numbers of INCRBYFLOAT."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalability.cache.resp.long_double import DIGITS, MAX_TEXT_BYTES, PRECISION_BITS, LongDouble


def total(one: bytes, other: bytes) -> bytes | None:
    first, second = LongDouble.read(one), LongDouble.read(other)
    assert first is not None
    assert second is not None
    return first.plus(second)


@pytest.mark.parametrize(
    ("one", "other", "told"),
    [
        (b"0.1", b"0.2", b"0.3"),
        (b"3.0e3", b"200", b"3200"),
        (b"10.50", b"-0.1", b"10.4"),
        (b"-0.0", b"0", b"0"),
        (b"0", b"-1e-18", b"0"),
        (b"1e17", b"0.1", b"100000000000000000.1015625"),  # what 64 bits hold of it
        (b"9007199254740993", b"0", b"9007199254740993"),  # 53 bits would lose it
        (b"+1.", b".5", b"1.5"),
        (b"1E2", b"1e-2", b"100.01"),
        (b"1e300", b"-1e300", b"0"),
    ],
)
def test_sums(one: bytes, other: bytes, told: bytes) -> None:
    assert total(one, other) == told


@pytest.mark.parametrize("text", [b"", b".", b"e1", b"-", b"1_000", b"0x10", b"1e1234567", b"nan", b"NaN(1)", b"1\n", b"\xd9\xa1"])
def test_what_is_no_number(text: bytes) -> None:
    assert LongDouble.read(text) is None


def test_numbers_end_at_the_largest_double() -> None:
    assert LongDouble.read(b"1e309") is None
    assert LongDouble.read(b"1e4932") is None
    assert LongDouble.read(b"1e-5000") is None
    assert LongDouble.read(b"0e999999") == LongDouble(0, 0)
    assert total(b"1.7e308", b"1.7e308") is None
    assert LongDouble.read(b"0" * (MAX_TEXT_BYTES + 1)) is None


def test_infinities_are_read_and_lead_nowhere() -> None:
    assert LongDouble.read(b"-INF") == LongDouble(0, 0, infinite=True)
    assert total(b"inf", b"1") is None
    assert total(b"1", b"+infinity") is None


@given(st.integers(-(1 << 80), 1 << 80), st.integers(-400, 400))
def test_numbers_are_the_nearest_of_64_bits(mantissa: int, exponent: int) -> None:
    exact = mantissa * Fraction(10) ** exponent
    read = LongDouble.read(b"%de%d" % (mantissa, exponent))
    if abs(exact) >= 2**1024:
        assert read is None
        return
    assert read is not None
    value = read.mantissa * Fraction(2) ** read.exponent
    assert abs(value - exact) <= abs(exact) / (1 << PRECISION_BITS)
    assert abs(read.mantissa) <= 1 << PRECISION_BITS, "the power of two itself is a rounded one"


def nearest(value: Fraction) -> Fraction:
    """The same by fractions, slowly."""
    scale = Fraction(1)
    while abs(value) >= scale * 2**PRECISION_BITS:
        scale *= 2
    while value and abs(value) < scale * 2 ** (PRECISION_BITS - 1):
        scale /= 2
    return round(value / scale) * scale


@given(st.decimals(-(10**20), 10**20, places=19), st.decimals(-(10**6), 10**6, places=25))
def test_sums_are_those_of_fractions(one: Decimal, other: Decimal) -> None:
    expected = nearest(nearest(Fraction(one)) + nearest(Fraction(other)))
    told = total(f"{one:f}".encode(), f"{other:f}".encode())
    assert told is not None
    assert Fraction(told.decode()) == Fraction(round(expected * 10**DIGITS), 10**DIGITS)
