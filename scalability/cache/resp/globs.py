"""Patterns of keys, as KEYS and SCAN take them. PURE.

The language is that of Redis (util.c: stringmatchlen): ``*`` any bytes, ``?`` any byte, ``[a-z]`` and ``[^a-z]`` one byte of a class or
outside of it, ``\\`` takes the special meaning from the byte behind it. A class that is not closed ends with the pattern.

Redis tries all the places for every ``*`` one inside the other. What stands between two stars matches as early as it can or never, as
its length is fixed: each is looked for once, and found places are not tried again (an atomic group). So a key costs at most its length
times the longest of those parts.
"""

import re
from collections.abc import Iterable
from functools import lru_cache

MAX_PATTERN_BYTES = 1024
"""What is longer takes long to compile."""

_STAR, _QUESTION, _OPEN, _CLOSE, _ESCAPE, _NOT, _DASH = b"*?[]\\^-"


class Glob:
    """One pattern, ready to be matched with many keys. Raises ValueError when it is longer than ``MAX_PATTERN_BYTES``."""

    def __init__(self, pattern: bytes) -> None:
        if len(pattern) > MAX_PATTERN_BYTES:
            raise ValueError(f"the pattern has {len(pattern)} bytes; {MAX_PATTERN_BYTES} are allowed")
        parts = _parts(pattern)
        self.everything = len(parts) > 1 and not any(parts)
        """It matches every key."""
        self.literal = bytes(map(min, parts[0])) if len(parts) == 1 and all(len(one) == 1 for one in parts[0]) else None
        """The only key that it matches, when there are no others."""
        self.steps = 1 + max((len(part) for part in parts[1:-1]), default=0)
        """What a byte of a key may cost, about, in steps of the matching."""
        self._match = re.compile(_expression(parts), re.DOTALL).fullmatch

    def matches(self, key: bytes) -> bool:
        """Whether ``key`` is one of those meant."""
        return self._match(key) is not None

    def among(self, keys: Iterable[bytes]) -> list[bytes]:
        """Those of ``keys`` that match."""
        return list(keys) if self.everything else list(filter(self._match, keys))


def _parts(pattern: bytes) -> list[list[frozenset[int]]]:
    """What stands before, between and behind the stars: for each byte of a key, those that it may be."""
    parts: list[list[frozenset[int]]] = [[]]
    at, end = 0, len(pattern)
    while at < end:
        byte = pattern[at]
        at += 1
        if byte == _STAR:
            parts.append([])
        elif byte == _QUESTION:
            parts[-1].append(_ANY)
        elif byte == _OPEN:
            allowed, at = _class(pattern, at)
            parts[-1].append(allowed)
        else:
            if byte == _ESCAPE and at < end:
                byte = pattern[at]
                at += 1
            parts[-1].append(frozenset((byte,)))
    # several stars in a row are one
    return [part for place, part in enumerate(parts) if part or place in (0, len(parts) - 1)]


_ANY = frozenset(range(256))


def _class(pattern: bytes, at: int) -> tuple[frozenset[int], int]:
    """The bytes that the class beginning at ``at`` allows, and where the pattern goes on."""
    end = len(pattern)
    negated = at < end and pattern[at] == _NOT
    if negated:
        at += 1
    allowed: set[int] = set()
    while at < end:
        byte = pattern[at]
        if byte == _ESCAPE and end - at >= 2:
            allowed.add(pattern[at + 1])
            at += 2
        elif byte == _CLOSE:
            at += 1
            break
        elif end - at >= 3 and pattern[at + 1] == _DASH:
            first, last = sorted((byte, pattern[at + 2]))
            allowed.update(range(first, last + 1))
            at += 3
        else:
            allowed.add(byte)
            at += 1
    return _ANY - allowed if negated else frozenset(allowed), at


def _expression(parts: list[list[frozenset[int]]]) -> bytes:
    text = [b"".join(map(_one, parts[0]))]
    text += [b"(?>.*?%b)" % b"".join(map(_one, part)) for part in parts[1:-1]]
    if len(parts) > 1:
        last = b"".join(map(_one, parts[-1]))
        text.append(b".{%d,}+(?<=%b)" % (len(parts[-1]), last) if last else b".*")
    return b"".join(text)


def _one(allowed: frozenset[int]) -> bytes:
    if allowed == _ANY:
        return b"."
    if not allowed:
        return b"(?!)"
    return re.escape(bytes(allowed)) if len(allowed) == 1 else b"[%b]" % b"".join(_ranges(allowed))


def _ranges(allowed: frozenset[int]) -> Iterable[bytes]:
    """As runs: a class is never much longer than it was in the pattern."""
    first, last = -1, -2
    for byte in (*sorted(allowed), 256):
        if byte != last + 1 or byte == 256:
            if first >= 0:
                yield b"\\x%02x-\\x%02x" % (first, last)
            first = byte
        last = byte


@lru_cache(maxsize=64)
def glob_of(pattern: bytes) -> Glob:
    """``Glob(pattern)``, kept for a while: SCAN comes with the same one again and again."""
    return Glob(pattern)
