"""Numbers as INCRBYFLOAT counts with them: x86's extended doubles, of 64 bits of precision, told with 17 digits behind the point. PURE.

Python has doubles of 53 bits only: 0.1 + 0.2 would be 0.30000000000000004 here and 0.3 on Redis. So the numbers are fractions, rounded
to 64 bits where Redis' ``long double`` rounds (util.c: string2ld, ld2string with LD_STR_HUMAN).
"""

import re
from dataclasses import dataclass
from fractions import Fraction
from math import inf

PRECISION_BITS = 64
DIGITS = 17
MAX_TEXT_BYTES = 1024
"""Redis takes 5,119; the longest that it writes within ``_LARGEST`` has 327."""

_LARGEST = Fraction(2) ** 1024
"""The bound of doubles. Long doubles reach 10^4932, whose digits nobody wants counted in the reactor."""
_LARGEST_EXPONENT = 4000

_number = re.compile(rb"([+-]?)(?=\.?[0-9])([0-9]*)\.?([0-9]*)(?:[eE]([+-]?[0-9]{1,6}))?").fullmatch
_infinite = re.compile(rb"([+-]?)inf(?:inity)?", re.IGNORECASE).fullmatch


@dataclass(frozen=True, slots=True)
class LongDouble:
    """A number, or an infinity."""

    value: Fraction | float

    @classmethod
    def read(cls, text: bytes) -> "LongDouble | None":
        """What C's ``strtold`` reads, hexadecimal notation aside; None for anything else, for NaN, and for what is too large."""
        if len(text) > MAX_TEXT_BYTES:
            return None
        parts = _number(text)
        if parts is None:
            infinite = _infinite(text)
            return cls(-inf if infinite[1] == b"-" else inf) if infinite is not None else None
        sign, whole, behind, exponent = parts.groups()
        power = int(exponent or b"0") - len(behind)
        digits = int(whole + behind)
        if not digits:
            return cls(Fraction(0))
        if abs(power) > _LARGEST_EXPONENT:
            return None
        value = _rounded(digits * Fraction(10) ** power)
        return cls(-value if sign == b"-" else value) if value < _LARGEST else None

    def plus(self, other: "LongDouble") -> bytes | None:
        """The sum as text; None when there is no finite one."""
        mine, theirs = self.value, other.value
        if isinstance(mine, float) or isinstance(theirs, float):
            return None
        total = _rounded(mine + theirs)
        return _told(total) if abs(total) < _LARGEST else None


def _rounded(value: Fraction) -> Fraction:
    """The nearest number of ``PRECISION_BITS``, the even one of two."""
    if not value:
        return value
    # a first guess of the exponent, from the lengths of both parts, is at most one too large
    exponent = abs(value.numerator).bit_length() - value.denominator.bit_length() - PRECISION_BITS
    if abs(value) >= Fraction(2) ** (exponent + PRECISION_BITS):
        exponent += 1
    scale = Fraction(2) ** exponent
    return round(value / scale) * scale


def _told(value: Fraction) -> bytes:
    """``%.17Lf`` without the zeros at its end."""
    units = round(value * 10**DIGITS)
    whole, behind = divmod(abs(units), 10**DIGITS)
    text = b"%d.%017d" % (whole, behind)
    text = text.rstrip(b"0").rstrip(b".")
    return b"-" + text if units < 0 else text
