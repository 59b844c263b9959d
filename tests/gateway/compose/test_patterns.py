"""Paths with parameters: what matches, what is made from it, what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalability.gateway.compose.patterns import PathPattern, chosen_query, safe_segment


def test_parameters_are_found_and_put_in() -> None:
    pattern = PathPattern.parse("/pages/{id}/of/{who}")
    values = pattern.match(b"/pages/a%20b/of/ann")
    assert values == {"id": b"a%20b", "who": b"ann"}
    assert PathPattern.parse("/users/{who}/{id}?full=1", query=True).expand(values, b"lang=de") == b"/users/ann/a%20b?full=1&lang=de"
    assert PathPattern.parse("/users/{who}").expand(values) == b"/users/ann"
    assert (pattern.parameters, str(pattern)) == (("id", "who"), "/pages/{id}/of/{who}")


@pytest.mark.parametrize(
    "path",
    [b"/pages", b"/pages/", b"/pages/1/", b"/pages/1/2", b"/Pages/1", b"//1", b"*", b"", b"/pages/..", b"/pages/%2e%2E", b"/pages/."],
)
def test_other_paths_do_not_match(path: bytes) -> None:
    assert PathPattern.parse("/pages/{id}").match(path) is None


@pytest.mark.parametrize("segment", [b"a%2Fb", b"a%2fb", b"%5C", b"%00", b"%0d%0a", b"a%7f"])
def test_a_parameter_never_becomes_more_than_one_segment(segment: bytes) -> None:
    assert PathPattern.parse("/pages/{id}").match(b"/pages/" + segment) is None


def test_the_root_is_a_path_too() -> None:
    assert PathPattern.parse("/").match(b"/") == {}
    assert PathPattern.parse("/").expand({}) == b"/"


@pytest.mark.parametrize(
    "text",
    ["", "a", "/a/", "//", "/a b", "/{a}{b}", "/{a", "/{a}/{a}", "/{1}", "/{}", "/..", "/%2e", "/a%2fb", "/é", "/a?b", "/a#b", "/a" * 70],
)
def test_what_is_no_pattern_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"'"):
        PathPattern.parse(text)


def test_a_target_may_have_a_query_but_no_fragment() -> None:
    for text in ("/a?b c", "/a?b#c", "/a?\r\nX: y"):
        with pytest.raises(ValueError, match="no query"):
            PathPattern.parse(text, query=True)


@given(st.binary(max_size=30).filter(lambda segment: not set(segment) & set(b"/?# ")))
def test_what_matches_comes_out_as_it_went_in(segment: bytes) -> None:
    values = PathPattern.parse("/a/{x}").match(b"/a/" + segment)
    assert (values is None) == (safe_segment(segment) is None)
    assert values is None or PathPattern.parse("/b/{x}").expand(values) == b"/b/" + segment


def test_only_allowed_arguments_are_passed_on_as_they_came() -> None:
    allowed = frozenset([b"lang", b"a b"])
    assert chosen_query(b"x=1&lang=de&l%61ng=%20&lang&a+b=2&=3&langs=4", allowed) == b"lang=de&l%61ng=%20&lang&a+b=2"
    assert chosen_query(b"x=1", frozenset()) == b""
    assert chosen_query(b"", allowed) == b""
