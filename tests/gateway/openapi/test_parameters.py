"""From text to values, and JSON that two readers cannot take for different things."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalability.gateway.openapi.parameters import NotJSON, Parameter, Types, parse_cookies, parse_json, parse_query, primitive


def parameter(
    where: str = "query", style: str = "form", explode: bool = True, types: Types | None = None, content: bool = False
) -> Parameter:
    return Parameter("p", where, False, style, explode, types or Types(), content, lambda value: [])


NUMBERS = Types(frozenset(["array"]), frozenset(["integer"]))


@pytest.mark.parametrize(
    ("text", "types", "value"),
    [
        ("5", ["integer"], 5),
        ("5", ["number"], 5),
        ("-5.5e1", ["number"], -55.0),
        ("5", ["string"], "5"),
        ("5.5", ["integer"], "5.5"),
        ("+5", ["integer"], "+5"),
        ("5" * 65, ["integer"], "5" * 65),
        ("1e999", ["number"], "1e999"),
        ("nan", ["number"], "nan"),
        ("true", ["boolean"], True),
        ("True", ["boolean"], "True"),
        ("", ["null", "integer"], None),
        ("null", ["null", "string"], "null"),
        ("x", [], "x"),
    ],
)
def test_text_becomes_what_the_schema_names(text: str, types: list[str], value: object) -> None:
    found = primitive(text, frozenset(types))
    assert (found, type(found)) == (value, type(value))


def test_arrays_come_repeated_or_separated() -> None:
    assert parameter(types=NUMBERS).read(["1", "2"], {}) == [1, 2]
    assert parameter(types=NUMBERS).read(["1,2"], {}) == ["1,2"]
    assert parameter(types=NUMBERS, explode=False).read(["1,2"], {}) == [1, 2]
    assert parameter(types=NUMBERS, explode=False).read([""], {}) == []
    assert parameter(types=NUMBERS, explode=False, style="pipeDelimited").read(["1|2"], {}) == [1, 2]
    assert parameter(types=NUMBERS, explode=False, style="spaceDelimited").read(["1 2"], {}) == [1, 2]
    assert parameter("header", "simple", False, NUMBERS).read(["1, 2", "3"], {}) == [1, 2, 3]
    assert parameter("path", "simple", False, NUMBERS).read(["1,x"], {}) == [1, "x"]


def test_what_is_one_value_is_given_once() -> None:
    with pytest.raises(ValueError, match="more than once"):
        parameter().read(["1", "2"], {})
    with pytest.raises(ValueError, match="more than once"):
        parameter(types=NUMBERS, explode=False).read(["1", "2"], {})
    assert parameter("header", "simple", False).read(["a", "b"], {}) == "a, b"


def test_deep_objects_and_json_are_read() -> None:
    types = Types(frozenset(["object"]), frozenset(), {"a": frozenset(["integer"])})
    query = parse_query(b"p[a]=1&p%5Bb%5D=x+y&q[a]=2&p=3")
    assert parameter(style="deepObject", types=types).read([""], query) == {"a": 1, "b": "x y"}
    with pytest.raises(ValueError, match="a is given more than once"):
        parameter(style="deepObject", types=types).read([""], {"p[a]": ["1", "2"]})
    assert parameter(content=True).read(['{"a": [1]}'], {}) == {"a": [1]}
    with pytest.raises(NotJSON):
        parameter(content=True).read(["{"], {})


def test_queries_and_cookies_are_split() -> None:
    assert parse_query(b"a=1&a=2&b&c=%26+&=x") == {"a": ["1", "2"], "b": [""], "c": ["& "], "": ["x"]}
    assert parse_query(b"") == {}
    assert parse_cookies([b"a=1; b=x=y", b"a=2;c"]) == {"a": ["1", "2"], "b": ["x=y"]}
    with pytest.raises(UnicodeDecodeError):
        parse_query(b"a=%ff")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "Expecting value"),
        (b"{", "character 1"),
        (b'{"a": 1, "a": 2}', "'a' twice"),
        (b'{"a": {"b": 1, "b": 1}}', "'b' twice"),
        (b"NaN", "NaN is no JSON"),
        (b"[-Infinity]", "no JSON"),
        (b"1e999", "too large"),
        (b"1" * 5000, "too large"),
        (b'"\xff"', r"not UTF-8 \(byte 1\)"),
        (b"[" * 65 + b"]" * 65, "nested more than 64 deep"),
        (b'{"a":' * 100_000, "nested more than 64 deep"),
        (b"\xef\xbb\xbf{}", "BOM"),
    ],
)
def test_json_that_cannot_be_relied_on_is_refused(text: bytes, why: str) -> None:
    with pytest.raises(NotJSON, match=why):
        parse_json(text)


def test_brackets_in_text_and_one_after_the_other_are_no_nesting() -> None:
    assert parse_json(b'["' + b"[{" * 500 + b'", "\\"' + b"{" * 100 + b'"]')
    assert parse_json(b"[" + b"[]," * 500 + b"[]]")
    assert parse_json(b"[" * 64 + b"]" * 64)


_JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(_JSON)
def test_json_is_read_as_it_was_written(value: object) -> None:
    assert parse_json(json.dumps(value).encode()) == value


@given(st.binary(max_size=80))
def test_any_bytes_are_json_or_refused(data: bytes) -> None:
    with suppress(NotJSON):
        parse_json(data)
