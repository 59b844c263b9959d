"""Patterns of keys."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalability.cache.resp.globs import MAX_PATTERN_BYTES, Glob, glob_of


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("h?llo", ["hello", "hallo", "h\nllo"], ["hllo", "heello"]),
        ("h*llo", ["hllo", "heeello", "h\n\nllo"], ["hell", "xhllo"]),
        ("h[ae]llo", ["hello", "hallo"], ["hillo", "hllo"]),
        ("h[^e]llo", ["hallo", "hbllo", "h^llo"], ["hello", "hllo"]),
        ("h[a-b]llo", ["hallo", "hbllo"], ["hcllo", "h-llo"]),
        ("h[b-a]llo", ["hallo", "hbllo"], ["hcllo"]),
        (r"h\*llo", ["h*llo"], ["hello", r"h\*llo"]),
        (r"h[\]a]llo", ["h]llo", "hallo"], [r"h\llo"]),
        (r"h\xllo", ["hxllo"], []),
        ("*", ["", "a", "\n"], []),
        ("**a**", ["a", "xa", "ax", "xax"], ["", "b"]),
        ("", [""], ["a"]),
        ("a*a", ["aa", "aba"], ["a"]),
        ("a*ab*ba", ["aabba", "axabxba"], ["aaba", "aba"]),
        ("*.js", ["a.js", ".js"], ["a.jsx", "ajs"]),
        ("a[", [], ["a", "a[", "ab"]),
        ("[a-", ["a", "-"], ["b"]),
        ("[^", ["a", "^"], ["", "ab"]),
        ("[]", [], ["", "]", "a"]),
        ("[a-]", ["a", "]", "^"], ["-", "b"]),
        ("a\\", ["a\\"], ["a"]),
        ("user:*:[0-9]?", ["user:ann:12", "user::1x"], ["user:ann:x2", "user:ann:1"]),
        ("a.c|d(e)", ["a.c|d(e)"], ["abc"]),
    ],
)
def test_the_language(pattern: str, matching: list[str], others: list[str]) -> None:
    glob = Glob(pattern.encode())
    assert [key for key in matching + others if glob.matches(key.encode())] == matching
    assert glob.among([key.encode() for key in matching + others]) == [key.encode() for key in matching]


def test_what_one_key_can_match_is_known() -> None:
    assert Glob(b"plain").literal == b"plain"
    assert Glob(rb"\*[a]").literal == b"*a"
    assert Glob(b"").literal == b""
    assert Glob(b"a?").literal is Glob(b"a*").literal is Glob(b"[]").literal is None
    assert Glob(b"***").everything
    assert not Glob(b"*a*").everything
    assert not Glob(b"").everything


def test_long_patterns_are_refused_and_the_others_kept_ready() -> None:
    Glob(b"x" * MAX_PATTERN_BYTES)
    with pytest.raises(ValueError, match="the pattern has 1025 bytes; 1024 are allowed"):
        glob_of(b"x" * (MAX_PATTERN_BYTES + 1))
    assert glob_of(b"a*") is glob_of(b"a*")


def stringmatch(pattern: bytes, key: bytes) -> bool:
    """Redis' own way, stars by trying all places."""
    if not pattern:
        return not key
    if pattern[:1] == b"*":
        return any(stringmatch(pattern[1:], key[at:]) for at in range(len(key) + 1))
    if not key:
        return False
    first, rest = pattern[:1], pattern[1:]
    if first == b"[":
        matched, rest = in_class(rest, key[0])
        return matched and stringmatch(rest, key[1:])
    if first == b"\\" and rest:
        first, rest = rest[:1], rest[1:]
    elif first == b"?":
        return stringmatch(rest, key[1:])
    return first == key[:1] and stringmatch(rest, key[1:])


def in_class(rest: bytes, byte: int) -> tuple[bool, bytes]:
    negated = rest[:1] == b"^"
    rest = rest[1:] if negated else rest
    matched = False
    while rest:
        if rest[:1] == b"\\" and len(rest) >= 2:
            matched |= rest[1] == byte
            rest = rest[2:]
        elif rest[:1] == b"]":
            rest = rest[1:]
            break
        elif len(rest) >= 3 and rest[1:2] == b"-":
            matched |= min(rest[0], rest[2]) <= byte <= max(rest[0], rest[2])
            rest = rest[3:]
        else:
            matched |= rest[0] == byte
            rest = rest[1:]
    return matched != negated, rest


@given(st.text("ab*?[]^-\\", max_size=10), st.lists(st.text("ab-]\\\0", max_size=8), max_size=8))
def test_matching_is_that_of_redis(pattern: str, keys: list[str]) -> None:
    glob = Glob(pattern.encode())
    for key in keys:
        assert glob.matches(key.encode()) == stringmatch(pattern.encode(), key.encode())
        if glob.literal is not None:
            assert glob.matches(key.encode()) == (glob.literal == key.encode())
        if glob.everything:
            assert glob.matches(key.encode())


def test_many_stars_cost_no_more_than_one() -> None:
    key = b"a" * 1000
    glob = Glob(b"*a" * 50 + b"*b")
    started = time.process_time()
    assert not glob.matches(key)
    assert time.process_time() - started < 0.1, "tried one inside the other, they would take years"
    assert glob.steps == 2
