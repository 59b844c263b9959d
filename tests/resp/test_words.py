"""Inline commands are split as Redis splits them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalability.resp.words import split_words


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"", []),
        (b"  \t ", []),
        (b"PING\r", [b"PING"]),
        (b" set  key\tvalue ", [b"set", b"key", b"value"]),
        (b'set key "two words"', [b"set", b"key", b"two words"]),
        (b"set key 'two words'", [b"set", b"key", b"two words"]),
        (rb'"\x41\n\r\t\b\a\q\"\\"', [b'A\n\r\t\b\aq"\\']),
        (rb'"\x4"', [b"x4"]),
        (rb'"\xzz"', [b"xzz"]),
        (rb"'it\'s \n'", [rb"it's \n"]),
        (b'a""', [b"a"]),
        (b'pre"fix ed" next', [b"prefix ed", b"next"]),
        (b'""', [b""]),
        (b"\xff\xfe", [b"\xff\xfe"]),
    ],
)
def test_words(line: bytes, words: list[bytes]) -> None:
    assert split_words(line) == words


@pytest.mark.parametrize("line", [b'"', b"'", b'"abc', b"'abc", b'"a"b', b"'a'b", b'"\\"', b"'\\'", b'"abc\\'])
def test_quotes_that_are_not_closed_or_followed_at_once(line: bytes) -> None:
    with pytest.raises(ValueError, match="quote"):
        split_words(line)


@given(st.lists(st.binary()))
def test_quoted_words_come_back(words: list[bytes]) -> None:
    line = b" ".join(b'"%b"' % b"".join(b"\\x%02x" % byte for byte in word) for word in words)
    assert split_words(line) == words
