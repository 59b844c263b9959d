"""Values with variables: checked when read, harmless when expanded."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalability.gateway.transform.templates import MAX_BYTES, VARIABLES, Template, harmless


def test_variables_and_dollars_are_put_in() -> None:
    template = Template.parse("$$${route} by ${consumer}")
    assert template.variables == {"route", "consumer"}
    assert template.expand({"route": b"/api", "consumer": b"ann"}) == b"$/api by ann"
    assert str(template) == "$$${route} by ${consumer}"


def test_text_without_variables_needs_no_values() -> None:
    assert Template.parse("a b").expand({}) == b"a b"
    assert Template.parse("").expand({}) == b""


@pytest.mark.parametrize("values", [{}, {"consumer": b""}])
def test_there_is_no_value_where_a_variable_has_none(values: dict[str, bytes]) -> None:
    assert Template.parse("by ${consumer}").expand(values) is None


@pytest.mark.parametrize(
    "text", ["a\r\nb: c", "a\x00", "é", "$", "$5", "${", "${}", "${nobody}", "${route", "$route", " a", "a ", "x" * (MAX_BYTES + 1)]
)
def test_what_is_no_template_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Template.parse(text)


@given(st.binary(max_size=200))
def test_no_value_ends_a_line(value: bytes) -> None:
    assert re.fullmatch(rb"[!-~]*", harmless(value))
    expanded = Template.parse("<${consumer}>").expand({"consumer": value})
    assert (expanded is None) == (not value)
    assert expanded is None or re.fullmatch(rb"<[!-~]+>", expanded)


def test_a_long_value_is_cut() -> None:
    expanded = Template.parse("${path}").expand({"path": b"x" * 100_000})
    assert expanded is not None
    assert len(expanded) == MAX_BYTES


def test_every_variable_is_explained() -> None:
    for name in VARIABLES:
        assert Template.parse("${" + name + "}").expand({name: b"x"}) == b"x"
