"""Several JSON bodies become one object."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalability.gateway.compose.merge import NotMergeable, members_of, merged


def whole(*parts: tuple[bytes, str | None, list[str] | None]) -> bytes:
    return merged(members_of(*part) for part in parts)


def test_members_stand_at_the_top_or_in_a_group() -> None:
    assert whole((b'{"name": "Ann"}', None, None), (b"[1, 2]", "orders", None)) == b'{"name":"Ann","orders":[1, 2]}'


def test_only_what_is_picked_is_taken() -> None:
    user = b'{"name": "Ann", "secret": 1, "city": null}'
    assert whole((user, None, ["city", "name", "missing"])) == b'{"city":null,"name":"Ann"}'
    assert whole((user, "user", ["name"])) == b'{"user":{"name":"Ann"}}'


def test_numbers_and_text_stay_as_they_were_written() -> None:
    assert whole((b'{"n": 1.10, "big": 123456789012345678901234567890, "t": "\\u00e9\xc3\xa9"}', None, None)) == (
        b'{"n":1.10,"big":123456789012345678901234567890,"t":"\\u00e9\xc3\xa9"}'
    )


def test_the_later_part_wins() -> None:
    assert whole((b'{"a": 1, "b": 1}', None, None), (b'{"a": 2}', None, None)) == b'{"a":2,"b":1}'


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b'{"a": 1} x', "not JSON"),
        (b"<html>", "not JSON"),
        (b"[1]", "no object"),
        (b"null", "no object"),
        (b'{"a": "\xff"}', "not UTF-8"),
        (b'{"a": ' + b"[" * 200_000, "nested too deeply|not JSON"),
    ],
)
def test_what_cannot_be_merged_says_why(body: bytes, why: str) -> None:
    with pytest.raises(NotMergeable, match=why):
        members_of(body, None, None)


def test_a_group_takes_any_json_but_only_json() -> None:
    assert members_of(b" null ", "g", None) == {"g": msgspec.Raw(b"null")}
    for body in (b"", b"{]", b"1 2", b'"\xff"', b"[" * 200_000):
        with pytest.raises(NotMergeable):
            members_of(body, "g", None)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3), max_leaves=5
)


@given(st.lists(st.tuples(st.sampled_from([None, "g", "h"]), st.dictionaries(st.sampled_from("abcd"), _JSON, max_size=3)), max_size=5))
def test_the_whole_is_what_dictionaries_would_make(parts: list[tuple[str | None, dict[str, object]]]) -> None:
    expected: dict[str, object] = {}
    for group, members in parts:
        expected.update(members if group is None else {group: members})
    assert json.loads(whole(*((json.dumps(members).encode(), group, None) for group, members in parts))) == expected
