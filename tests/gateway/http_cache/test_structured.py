"""Dictionaries of structured fields: what the grammar has is read, everything else is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalability.gateway.http_cache.structured import Decimal, Item, Opaque, Token, parse_dictionary


@pytest.mark.parametrize(
    ("text", "members"),
    [
        (b"", {}),
        (b"  ", {}),
        (b"max-age=60", {b"max-age": 60}),
        (b"a, b , c", {b"a": True, b"b": True, b"c": True}),
        (b"a\t,\tb", {b"a": True, b"b": True}),
        (b"a=?0, b=?1", {b"a": False, b"b": True}),
        (b"a=-12, b=0", {b"a": -12, b"b": 0}),
        (b"a=1.50", {b"a": Decimal(b"1.50")}),
        (b'a="x \\"y\\" \\\\ ,z"', {b"a": b'x "y" \\ ,z'}),
        (b"a=foo:/bar*", {b"a": Token(b"foo:/bar*")}),
        (b"a=:aGk=:, b=@1659578233", {b"a": Opaque(b":aGk=:"), b"b": Opaque(b"@1659578233")}),
        (b'a=%"f%c3%bc"', {b"a": Opaque(b'%"f%c3%bc"')}),
        (b"a=( 1 2;x  b );y", {b"a": Opaque(b"( 1 2;x  b )")}),
        (b"a=()", {b"a": Opaque(b"()")}),
        (b"a=1; x=2;y, b;z=?0", {b"a": 1, b"b": True}),
        (b"a=1, b=2, a=3", {b"b": 2, b"a": 3}),
        (b"*k.-_1=1", {b"*k.-_1": 1}),
    ],
)
def test_members_are_read(text: bytes, members: dict[bytes, Item]) -> None:
    assert parse_dictionary([text]) == members


@pytest.mark.parametrize(
    "text",
    [
        b"a,",
        b",a",
        b"a,,b",
        b"a b",
        b"A=1",
        b"a =1",
        b"a= 1",
        b"a=",
        b"a=1234567890123456",
        b"a=1.",
        b"a=.5",
        b"a=1.2345",
        b"a=--1",
        b'a="x',
        b'a="\\x"',
        b'a="\xe9"',
        b"a=?2",
        b"a=:x",
        b"a=:!:",
        b"a=:A:",
        b"a=(1",
        b"a=(1,2)",
        b"a=(1\t2)",
        b"a=1;",
        b"a=1;A=2",
        b"a=1;b=(1)",
        b"a=@1.5",
        b'a=%"%C3"',
        b"max-age=60;foo bar",
        b"a=1 2",
        b"a='x'",
        b"a=12ab",
        b"9=1",
    ],
)
def test_what_the_grammar_does_not_have_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError):
        parse_dictionary([text])


def test_lines_are_joined_and_the_last_of_equal_keys_counts() -> None:
    assert parse_dictionary([b"a=1, b=2", b"a=5"]) == {b"b": 2, b"a": 5}


@given(st.lists(st.binary(max_size=40) | st.text('a=1",;?():@% \\-.', max_size=40).map(str.encode), max_size=3))
def test_nothing_but_a_dictionary_or_a_value_error_comes_of_any_bytes(lines: list[bytes]) -> None:
    try:
        members = parse_dictionary(lines)
    except ValueError:
        return
    assert all(key and key == key.lower() for key in members)
