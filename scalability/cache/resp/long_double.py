"""Numbers as INCRBYFLOAT counts with them: x86's extended doubles, of 64 bits of precision, told with 17 digits behind the point. PURE.

Python has doubles of 53 bits only: 0.1 + 0.2 would be 0.30000000000000004 here and 0.3 on Redis. So a number is an integer and a power
of two, rounded to 64 bits where Redis' ``long double`` rounds (util.c: string2ld, ld2string with LD_STR_HUMAN).
"""

import re
from dataclasses import dataclass

PRECISION_BITS = 64
DIGITS = 17
MAX_TEXT_BYTES = 1024
"""Redis takes 5,119; the longest that it writes within ``_LARGEST_BITS`` has 327."""

_LARGEST_BITS = 1024
"""The bound of doubles. Long doubles reach 10^4932, whose digits nobody wants counted in the reactor."""
_LARGEST_EXPONENT = 4000

_number = re.compile(rb"([+-]?)(?=\.?[0-9])([0-9]*)\.?([0-9]*)(?:[eE]([+-]?[0-9]{1,6}))?").fullmatch
_infinite = re.compile(rb"[+-]?inf(?:inity)?", re.IGNORECASE).fullmatch


@dataclass(frozen=True, slots=True)
class LongDouble:
    """``mantissa * 2**exponent``, or an infinity, whose sign nobody asks for."""

    mantissa: int
    exponent: int
    infinite: bool = False

    @classmethod
    def read(cls, text: bytes) -> "LongDouble | None":
        """What C's ``strtold`` reads, hexadecimal notation aside; None for anything else, for NaN, and for what is too large."""
        if len(text) > MAX_TEXT_BYTES:
            return None
        parts = _number(text)
        if parts is None:
            return cls(0, 0, infinite=True) if _infinite(text) else None
        sign, whole, behind, power_of_ten = parts.groups()
        power = int(power_of_ten or b"0") - len(behind)
        digits = int(whole + behind)
        if not digits:
            return cls(0, 0)
        if abs(power) > _LARGEST_EXPONENT:
            return None
        number = _nearest(digits * 10**power, 1, 0) if power >= 0 else _nearest(digits, 10**-power, 0)
        if number.too_large:
            return None
        return cls(-number.mantissa, number.exponent) if sign == b"-" else number

    @property
    def too_large(self) -> bool:
        """Beyond what is counted with."""
        return self.mantissa.bit_length() + self.exponent > _LARGEST_BITS

    def plus(self, other: "LongDouble") -> bytes | None:
        """The sum as text; None when there is no finite one."""
        if self.infinite or other.infinite:
            return None
        exponent = min(self.exponent, other.exponent)
        exact = (self.mantissa << self.exponent - exponent) + (other.mantissa << other.exponent - exponent)
        total = _nearest(abs(exact), 1, exponent)
        return None if total.too_large else _told(total, negative=exact < 0)


def _nearest(numerator: int, denominator: int, exponent: int) -> LongDouble:
    """``numerator / denominator * 2**exponent``, not negative, in ``PRECISION_BITS``: the nearest, the even one of two."""
    # a quotient of one bit more than is kept, or two; what it lacks is seen by whether anything remains
    shift = denominator.bit_length() - numerator.bit_length() + PRECISION_BITS + 2
    if shift >= 0:
        quotient, rest = divmod(numerator << shift, denominator)
    else:
        quotient, rest = divmod(numerator, denominator << -shift)
    spare = max(quotient.bit_length() - PRECISION_BITS, 0)
    return LongDouble(_shifted(quotient, spare, rest=bool(rest)), exponent - shift + spare)


def _shifted(number: int, bits: int, *, rest: bool = False) -> int:
    """``number / 2**bits``, the nearest, the even one of two; ``rest``: there is a little more of it."""
    if bits <= 0:
        return number << -bits
    kept, lost, half = number >> bits, number & (1 << bits) - 1, 1 << bits - 1
    return kept + (lost > half or (lost == half and (rest or kept & 1 == 1)))


def _told(number: LongDouble, *, negative: bool) -> bytes:
    """``%.17Lf`` without the zeros at its end."""
    units = _shifted(number.mantissa * 10**DIGITS, -number.exponent)
    text = (b"%d.%017d" % divmod(units, 10**DIGITS)).rstrip(b"0").rstrip(b".")
    return b"-" + text if negative and units else text
