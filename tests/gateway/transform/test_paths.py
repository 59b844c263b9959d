"""Prefixes change, and nothing else does."""

import pytest

from scalability.gateway.transform.paths import check_prefix, replace_prefix


@pytest.mark.parametrize(
    ("target", "prefix", "replacement", "changed"),
    [
        (b"/api/v1/x?a=%2F", b"/api", b"/internal", b"/internal/v1/x?a=%2F"),
        (b"/api", b"/api", b"/internal", b"/internal"),
        (b"/api/", b"/api", b"/internal", b"/internal/"),
        (b"/api?q", b"/api", b"", b"/?q"),
        (b"/api", b"/api", b"", b"/"),
        (b"/api/x", b"/api", b"", b"/x"),
        (b"/api//x/%2e%2e/y", b"/api", b"/a/b", b"/a/b//x/%2e%2e/y"),
        (b"/x", b"", b"/a", b"/a/x"),
        (b"/", b"", b"/a", b"/a/"),
        (b"/apis/x", b"/api", b"/a", b"/apis/x"),
        (b"/other", b"/api", b"/a", b"/other"),
        (b"*", b"", b"/a", b"*"),
        (b"/%61pi/x?%61", b"/api", b"/a", b"/a/x?%61"),
        (b"//api//%2f", b"/api", b"/a", b"/a/%2F"),
    ],
)
def test_whole_segments_are_replaced(target: bytes, prefix: bytes, replacement: bytes, changed: bytes) -> None:
    assert replace_prefix(target, prefix, replacement) == changed


@pytest.mark.parametrize(("prefix", "read"), [("/", b""), ("/a", b"/a"), ("/a/", b"/a"), ("/a%20b/c", b"/a%20b/c")])
def test_a_prefix_is_read_without_its_last_slash(prefix: str, read: bytes) -> None:
    assert check_prefix(prefix) == read


@pytest.mark.parametrize(
    "prefix", ["", "a", "/a b", "/a?b", "/a#b", "/a\r\nX: y", "/é", "/%zz", "//evil", "/a//b", "/a/..", "/%2e%2E/a", "/."]
)
def test_what_is_no_path_is_refused(prefix: str) -> None:
    with pytest.raises(ValueError, match="/"):
        check_prefix(prefix)
