"""What bytes are over HTTP."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalability.cache.json_text import json_of
from scalability.errors import Conflict


@pytest.mark.parametrize("text", [b"null", b"1e999", b"1.10", b'"a"', b'{"a": [true, {}]}', b"-0.0", b"123456789012345678901234567890"])
def test_json_stays_what_it_is(text: bytes) -> None:
    assert json_of(text) == text


@pytest.mark.parametrize("text", ["", "hello", "NaN", "01", "1 2", "[1,]", '"open', "a\nb", "{'a': 1}", "\ufeff1", "é" * 10])
def test_other_text_is_a_string(text: str) -> None:
    assert json.loads(json_of(text.encode())) == text


def test_text_that_no_reader_would_follow_is_a_string() -> None:
    deep = b"[" * 100_000 + b"]" * 100_000
    assert json_of(deep) == b'"' + deep + b'"'


@pytest.mark.parametrize("value", [b"\xff", b'"\xff"', b"\xed\xa0\x80", b"abc\x80"])
def test_what_is_no_text_is_refused(value: bytes) -> None:
    with pytest.raises(Conflict, match="read it over RESP"):
        json_of(value)


@given(st.binary())
def test_every_value_has_an_answer(value: bytes) -> None:
    try:
        text = json_of(value)
    except Conflict:
        return
    read = json.loads(text)
    assert isinstance(read, str) or json.loads(value) == read
