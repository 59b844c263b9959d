"""HTTP-date (RFC 9110 section 5.6.7): three formats in, one out, as whole seconds since 1970. PURE.

No local time zone has a part in it (RFC 9111 section 4.2). Letters may be of either case, as that section asks of caches; every other
deviation from the grammar, and every zone but GMT, makes a date invalid.
"""

import re
from functools import lru_cache
from typing import Final

_MONTHS: Final = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
_DAYS: Final = (b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun")
_NUMBER_OF_MONTH: Final = {name.lower(): number for number, name in enumerate(_MONTHS, 1)}
_MONTH: Final = rb"(" + b"|".join(_MONTHS) + rb")"
_DAY: Final = rb"(?:" + b"|".join(_DAYS) + rb")"
_LONG_DAY: Final = rb"(?:Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)"
_TIME: Final = rb"([0-9]{2}):([0-9]{2}):([0-9]{2})"
_IMF: Final = re.compile(_DAY + rb", ([0-9]{2}) " + _MONTH + rb" ([0-9]{4}) " + _TIME + rb" GMT", re.IGNORECASE)
_RFC850: Final = re.compile(_LONG_DAY + rb", ([0-9]{2})-" + _MONTH + rb"-([0-9]{2}) " + _TIME + rb" GMT", re.IGNORECASE)
_ASCTIME: Final = re.compile(_DAY + rb" " + _MONTH + rb" ([0-9]{2}| [0-9]) " + _TIME + rb" ([0-9]{4})", re.IGNORECASE)

_DAY_S: Final = 86400
_EPOCH_DAY: Final = 719468
"""Days from 1 March of the year 0 to 1 January 1970 in the proleptic Gregorian calendar."""


def parse_date(value: bytes, now: float) -> int | None:
    """Seconds since 1970, or None for what is no HTTP-date.

    ``now`` decides the century of RFC 850's years: one that seems more than 50 years ahead is the most recent past year with the same
    digits. A leap second counts as the second before it, so that no date is taken for later than it is.
    """
    usual = _of_the_usual_format(value)
    if usual is not None:
        return usual
    match = _ASCTIME.fullmatch(value)
    if match is not None:
        month, day, hour, minute, second, year = match.groups()
        return _seconds(int(year), month, int(day), hour, minute, second)
    match = _RFC850.fullmatch(value)
    if match is None:
        return None
    day, month, year, hour, minute, second = match.groups()
    this_year = _civil(int(now // _DAY_S))[0]
    full = this_year - this_year % 100 + int(year)
    if full < this_year - 49:
        full += 100
    if full > this_year + 50:
        full -= 100
    return _seconds(full, month, int(day), hour, minute, second)


@lru_cache(maxsize=512)
def _of_the_usual_format(value: bytes) -> int | None:
    """An IMF-fixdate. Remembered, as the answers of one second, and those of one age, share theirs: 7 us each."""
    match = _IMF.fullmatch(value)
    if match is None:
        return None
    day, month, year, hour, minute, second = match.groups()
    return _seconds(int(year), month, int(day), hour, minute, second)


def format_date(seconds: float) -> bytes:
    """An IMF-fixdate, the one format that may be generated; a fraction of a second is cut off."""
    days, rest = divmod(int(seconds // 1), _DAY_S)
    year, month, day = _civil(days)
    return b"%b, %02d %b %04d %02d:%02d:%02d GMT" % (
        _DAYS[(days + 3) % 7],
        day,
        _MONTHS[month - 1],
        year,
        rest // 3600,
        rest // 60 % 60,
        rest % 60,
    )


def _seconds(year: int, month_name: bytes, day: int, hour: bytes, minute: bytes, second: bytes) -> int | None:
    month = _NUMBER_OF_MONTH[month_name.lower()]
    hours, minutes, seconds = int(hour), int(minute), int(second)
    if hours > 23 or minutes > 59 or seconds > 60:
        return None
    days = _days(year, month, day)
    if _civil(days) != (year, month, day):
        return None  # the 31st of February, the 0th of March
    return days * _DAY_S + hours * 3600 + minutes * 60 + min(seconds, 59)


def _days(year: int, month: int, day: int) -> int:
    """Days since 1970 (the calendar repeats every 400 years of 146097 days, and its years begin in March here)."""
    year -= month <= 2
    era, year_of_era = divmod(year, 400)
    day_of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return era * 146097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - _EPOCH_DAY


def _civil(days: int) -> tuple[int, int, int]:
    """The inverse of ``_days``."""
    era, day_of_era = divmod(days + _EPOCH_DAY, 146097)
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36524 - day_of_era // 146096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * day_of_year + 2) // 153
    month = shifted + 3 if shifted < 10 else shifted - 9
    return year_of_era + era * 400 + (month <= 2), month, day_of_year - (153 * shifted + 2) // 5 + 1
