"""PURE: the public names of tasks: UUIDs of version 7 (RFC 9562 section 5.7), which grow with time.

An index of them grows at its end; random ones would touch a page of it each.
"""

import re

_SHAPE = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")

RANDOM_BITS = 74


def task_id(now: float, chance: int) -> str:
    """The id of a task that is made at Unix time ``now``; ``chance`` is a random number of 74 bits, kept secret nowhere."""
    milliseconds = int(now * 1000) & ((1 << 48) - 1)
    number = milliseconds << 80 | 0x7 << 76 | (chance >> 62 & 0xFFF) << 64 | 0b10 << 62 | chance & ((1 << 62) - 1)
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def is_task_id(text: str) -> bool:
    """Whether ``text`` can be the id of a task."""
    return _SHAPE.fullmatch(text) is not None
