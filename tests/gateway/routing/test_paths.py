"""Which route a path belongs to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalability.gateway.routing.paths import DottedPath, OwnPaths, Prefixes, path_of, without_prefix

PLACES = {b"/a": "a", b"/a/b": "ab", b"/ab": "other"}


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (b"/a", "a"),
        (b"/a/", "a"),
        (b"/a/c/d", "a"),
        (b"/a/b", "ab"),
        (b"/a/b/c", "ab"),
        (b"/a/bc", "a"),
        (b"/ab", "other"),
        (b"/abc", None),
        (b"/", None),
        (b"*", None),
    ],
)
def test_the_longest_prefix_of_whole_segments_wins(path: bytes, place: str | None) -> None:
    assert Prefixes(PLACES).find(path) == place


def test_a_slash_alone_is_the_prefix_of_everything() -> None:
    assert Prefixes({**PLACES, b"/": "all"}).find(b"/x/y") == "all"
    assert Prefixes({b"/": "all"}).find(b"/") == "all"
    assert Prefixes({}).find(b"/a") is None


segment = st.sampled_from([b"a", b"b", b"ab", b""])
paths = st.lists(segment, min_size=1, max_size=6).map(lambda parts: b"/" + b"/".join(parts))


@given(paths, st.dictionaries(st.sampled_from([b"/a", b"/a/b", b"/b/a/a", b"/ab", b"/"]), st.integers()))
def test_it_finds_what_trying_every_prefix_finds(path: bytes, places: dict[bytes, int]) -> None:
    fitting = [prefix for prefix in places if prefix == b"/" or path == prefix or path.startswith(prefix + b"/")]
    assert Prefixes(places).find(path) == (places[max(fitting, key=len)] if fitting else None)


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (b"/a?/../b", b"/a"),
        (b"/%61dmin", b"/admin"),
        (b"/a%2fb", b"/a%2Fb"),
        (b"//a///b", b"/a/b"),
        (b"/a.b/..c", b"/a.b/..c"),
        (b"/%zz%", b"/%zz%"),
        (b"*", b"*"),
    ],
)
def test_paths_that_servers_may_take_for_the_same_are_the_same(target: bytes, path: bytes) -> None:
    assert path_of(target) == path


@pytest.mark.parametrize("target", [b"/a/../b", b"/..", b"/./a", b"/a/%2e%2E/b", b"/a/.", b"/a/.%2e?x"])
def test_segments_of_dots_are_refused(target: bytes) -> None:
    with pytest.raises(DottedPath):
        path_of(target)


@pytest.mark.parametrize(
    ("target", "rest"),
    [
        (b"/shop", b"/"),
        (b"/shop/", b"/"),
        (b"/shop?x", b"/?x"),
        (b"/shop/a?b=/c", b"/a?b=/c"),
        (b"/%73hop/a%2f?b", b"/a%2F?b"),
        (b"//shop/a", b"/a"),
        (b"/shop//a", b"//a"),
    ],
)
def test_a_prefix_is_taken_off_a_target(target: bytes, rest: bytes) -> None:
    assert without_prefix(target, b"/shop") == rest
    assert without_prefix(target, b"") == target


def test_the_gateways_own_paths_are_exact_or_have_a_variable() -> None:
    own = OwnPaths(["/data", "/tasks/<task_id>", "/health"])
    assert b"/data" in own
    assert b"/tasks/x" in own
    assert b"/data/x" not in own
    assert b"/tasks" not in own
    assert b"/data" not in OwnPaths([])
