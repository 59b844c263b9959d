"""Moments as clients write them, and the options of SET and GETEX. PURE.

Redis counts whole milliseconds in 64 bits; here a moment is a float of unix seconds, exact to the millisecond until the year 200,000.
"""

from dataclasses import dataclass
from math import inf
from typing import NamedTuple

from scalability.cache.resp.commands import SYNTAX, CommandError, Request, integer_of

_MAX = (1 << 63) - 1
_USUAL_DIGITS = 13
"""Numbers of fewer digits than these are nowhere near 64 bits, of milliseconds either."""
_ZERO = ord("0")


def milliseconds_of(moment: float) -> int:
    """Seconds, of a moment or of a span, in whole milliseconds."""
    return round(moment * 1000)


class Unit(NamedTuple):
    """How a moment is written."""

    name: str
    step_ms: int
    """Milliseconds of one."""
    relative: bool
    """Counted from now, not from 1970."""


EX = Unit("EX", 1000, relative=True)
PX = Unit("PX", 1, relative=True)
EXAT = Unit("EXAT", 1000, relative=False)
PXAT = Unit("PXAT", 1, relative=False)

UNITS = {unit.name.encode(): unit for unit in (EX, PX, EXAT, PXAT)}


def wrong_expiry(command: bytes) -> CommandError:
    """The error about a moment that ``command`` (as the client wrote it) cannot mean."""
    return CommandError(b"ERR invalid expire time in '%b' command" % command.lower())


def positive_moment(text: bytes, unit: Unit, now: float, command: bytes) -> float:
    """The moment of a value's end, in unix seconds. Raises CommandError for what is no number, not above 0, or beyond 64 bits."""
    if len(text) < _USUAL_DIGITS and text.isdigit() and text[0] != _ZERO and unit.relative:
        return now + int(text) * unit.step_ms / 1000  # the case of nearly every value in a cache
    number = integer_of(text)
    if number <= 0:
        raise wrong_expiry(command)
    return any_moment(number, unit, now, command)


def any_moment(number: int, unit: Unit, now: float, command: bytes) -> float:
    """The moment that ``number`` means, over or to come, in unix seconds. Raises CommandError for one beyond 64 bits of milliseconds."""
    span = number * unit.step_ms
    if not -_MAX - 1 <= span <= _MAX or (unit.relative and span + milliseconds_of(now) > _MAX):
        raise wrong_expiry(command)
    return now + span / 1000 if unit.relative else span / 1000


@dataclass(slots=True)
class ExpiryOptions:
    """What SET and GETEX were told beyond key and value."""

    unit: Unit | None = None
    moment: bytes = b""
    """As written, to be read in ``unit``."""
    absent: bool = False
    """NX: only when there is no such key."""
    present: bool = False
    """XX: only when there is one."""
    get: bool = False
    keep: bool = False
    """KEEPTTL"""
    persist: bool = False

    def ends_at(self, now: float, command: bytes) -> float:
        """The moment that was told, or ``inf`` without one. Raises CommandError."""
        return inf if self.unit is None else positive_moment(self.moment, self.unit, now, command)


def options_of_set(request: Request) -> ExpiryOptions:
    """The options of ``SET key value ...``, in any order. Raises CommandError for unknown ones and for two that contradict."""
    options = ExpiryOptions()
    words = iter(request[3:])
    for word in words:
        word = word.upper()
        if word == b"NX" and not options.present:
            options.absent = True
        elif word == b"XX" and not options.absent:
            options.present = True
        elif word == b"GET":
            options.get = True
        elif word == b"KEEPTTL" and options.unit is None:
            options.keep = True
        elif options.keep:
            raise CommandError(SYNTAX)
        else:
            _moment(options, word, next(words, None))
    return options


def options_of_getex(request: Request) -> ExpiryOptions:
    """The options of ``GETEX key ...``. Raises CommandError as ``options_of_set``."""
    options = ExpiryOptions()
    words = iter(request[2:])
    for word in words:
        word = word.upper()
        if word == b"PERSIST" and options.unit is None:
            options.persist = True
        elif options.persist:
            raise CommandError(SYNTAX)
        else:
            _moment(options, word, next(words, None))
    return options


def _moment(options: ExpiryOptions, word: bytes, moment: bytes | None) -> None:
    # The same unit twice is allowed, and the last one counts: so does Redis.
    unit = UNITS.get(word)
    if unit is None or moment is None or (options.unit is not None and options.unit is not unit):
        raise CommandError(SYNTAX)
    options.unit, options.moment = unit, moment
