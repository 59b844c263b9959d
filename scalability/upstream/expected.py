"""What the answer to a check must be for the check to pass: its status, and what its body holds. PURE."""

import re
from collections.abc import Callable, Iterable
from re import _parser  # type: ignore[attr-defined]  # private, and the only one who knows what a pattern repeats
from typing import Any, NamedTuple, Self

MAX_PATTERN_CHARS = 1000
FIRST_PART_CHARS = 4096
PART_S = 0.005
"""As long, in seconds, a search may take in a part of a body before it is tried on four times as much."""


class Statuses(NamedTuple):
    """A set of statuses as ranges, ends included."""

    ranges: tuple[tuple[int, int], ...] = ((200, 399),)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``200-399`` or ``200,204,300-399``, each from 200 to 599. Raises ValueError, saying what is wrong."""
        ranges = []
        for part in text.split(","):
            first, dash, last = part.partition("-")
            if not dash:
                last = first
            if re.fullmatch(r"[2-5]\d\d", first, re.ASCII) is None or re.fullmatch(r"[2-5]\d\d", last, re.ASCII) is None:
                raise ValueError(f"{part!r} is neither a status from 200 to 599 nor a range as 300-399")
            if last < first:
                raise ValueError(f"the range {part!r} has no status in it")
            ranges.append((int(first), int(last)))
        return cls(tuple(ranges))

    def include(self, status: int) -> bool:
        """Whether ``status`` is one of them."""
        return any(first <= status <= last for first, last in self.ranges)

    def __str__(self) -> str:
        return ",".join(f"{first}" if first == last else f"{first}-{last}" for first, last in self.ranges)


class PatternTooSlow(Exception):
    """The search was given up: on the whole body it would hold up everything else."""


class BodyPattern(NamedTuple):
    """A regular expression that the body must have a match of, somewhere."""

    pattern: re.Pattern[str]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Compile a pattern of Python's ``re``. Raises ValueError, saying what is wrong.

        A repeat within a repeat is refused: on a body that almost matches, ``(a+)+b`` tries every way to share out the letters.
        """
        if len(text) > MAX_PATTERN_CHARS:
            raise ValueError(f"the pattern is longer than {MAX_PATTERN_CHARS} characters")
        try:
            pattern = re.compile(text)
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"{text!r} is not a regular expression: {error}") from None
        if _nested(_parser.parse(text)):
            raise ValueError(f"{text!r} has a repeat within a repeat, which may take for ever; a possessive one inside (a++) does not")
        return cls(pattern)

    def __str__(self) -> str:
        return self.pattern.pattern

    def found_in(self, body: bytes, seconds: Callable[[], float]) -> bool:
        """Whether ``body``, as UTF-8, has a match; ``seconds`` is a clock.

        Raises PatternTooSlow when the search takes longer than 5 ms already in a part of the body. The parts grow fourfold, so that
        what needs the square of the time for twice the body is noticed before it has held up the event loop for 0.1 s.
        """
        text = body.decode("utf-8", "replace")
        size = FIRST_PART_CHARS
        while size < len(text):
            begun_s = seconds()
            self.pattern.search(text, 0, size)
            if seconds() - begun_s > PART_S:
                raise PatternTooSlow
            size *= 4
        return self.pattern.search(text) is not None


def _nested(parsed: Iterable[Any], *, repeated: bool = False) -> bool:
    """Whether an unbounded repeat that can go back stands within another."""
    for operator, argument in parsed:
        if operator is _parser.POSSESSIVE_REPEAT or operator is _parser.ATOMIC_GROUP:
            continue  # never goes back
        unbounded = operator in (_parser.MAX_REPEAT, _parser.MIN_REPEAT) and argument[1] is _parser.MAXREPEAT
        if unbounded and repeated:
            return True
        if any(_nested(part, repeated=repeated or unbounded) for part in _parts(argument)):
            return True
    return False


def _parts(argument: Any) -> Iterable[Any]:
    """The patterns within an operator's argument."""
    if isinstance(argument, _parser.SubPattern):
        yield argument
    elif isinstance(argument, tuple | list):
        for member in argument:
            yield from _parts(member)
