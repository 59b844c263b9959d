"""Paths of a document: the fixed before the variable, and nothing twice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalability.gateway.openapi.templates import Match, PathTree, names_in


def tree(*templates: str) -> PathTree[str]:
    found: PathTree[str] = PathTree()
    for template in templates:
        found.add(template, template)
    return found


PETS = tree("/pets", "/pets/mine", "/pets/{id}", "/pets/{id}/photo.{kind}", "/pets/{other}/toys", "/{any}/mine/x", "/a%20b", "/")


@pytest.mark.parametrize(
    ("path", "template", "parameters"),
    [
        (b"/pets", "/pets", {}),
        (b"/pets/mine", "/pets/mine", {}),
        (b"/pets/m%69ne", "/pets/mine", {}),
        (b"/pets/7", "/pets/{id}", {"id": "7"}),
        (b"/pets/%C3%A9%2F", "/pets/{id}", {"id": "é/"}),
        (b"/pets/7/photo.tar.gz", "/pets/{id}/photo.{kind}", {"id": "7", "kind": "tar.gz"}),
        (b"/pets/7/toys", "/pets/{other}/toys", {"other": "7"}),
        (b"/pets/mine/toys", "/pets/{other}/toys", {"other": "mine"}),
        (b"/pets/mine/x", "/{any}/mine/x", {"any": "pets"}),
        (b"/a%20b", "/a%20b", {}),
        (b"/", "/", {}),
    ],
)
def test_the_most_fixed_path_is_found(path: bytes, template: str, parameters: dict[str, str]) -> None:
    assert PETS.match(path) == Match(template, parameters)


@pytest.mark.parametrize("path", [b"/pets/", b"/Pets", b"/pets/7/photo.", b"/pets/7/photo", b"/pets/7/8/9", b"*", b"", b"//"])
def test_what_is_not_described_is_not_found(path: bytes) -> None:
    assert PETS.match(path) is None


def test_several_parameters_of_a_segment_end_at_what_follows_them() -> None:
    versions = tree("/v{major}.{minor}-{name}x")
    assert versions.match(b"/v1.2.3-a-x") == Match("/v{major}.{minor}-{name}x", {"major": "1", "minor": "2.3", "name": "a-"})
    assert versions.match(b"/v1.2x") is None
    assert versions.match(b"/v1.2-x") is None
    assert tree("/{a}-{b}-{c}-{d}").match(b"/" + b"-" * 60_000) is not None


@pytest.mark.parametrize("template", ["a", "", "/{a", "/a}", "/{a}{b}", "/{a}/{a}", "/{}", "/{a}-{a}"])
def test_what_is_no_template_is_refused(template: str) -> None:
    with pytest.raises(ValueError, match="'"):
        tree(template)


def test_two_paths_of_one_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="same shape"):
        tree("/pets/{id}", "/pets/{name}")


def test_the_names_of_parameters_are_found() -> None:
    assert names_in("/pets/{id}/photo.{kind}") == ("id", "kind")
    assert names_in("/pets") == ()


@given(st.binary(max_size=60))
def test_any_path_has_an_answer(path: bytes) -> None:
    PETS.match(path)
    PETS.match(b"/" + path)
