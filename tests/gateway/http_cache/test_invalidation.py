"""Invalidation by unsafe methods, by the sentences of RFC 9111 section 4.4."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalability.gateway.http_cache.invalidation import invalidated
from scalability.gateway.http_cache.key import primary_key
from scalability.testing.messages import request, response


def keys(*lines: bytes, method: bytes = b"POST", status: int = 200, host: bytes = b"site", target: bytes = b"/a/b?q") -> list[bytes]:
    return invalidated(b"http", request(method=method, host=host, target=target), response(*lines, status=status))


TARGET = primary_key(b"http", b"site", b"/a/b?q")


@pytest.mark.parametrize("method", [b"POST", b"PUT", b"DELETE", b"PATCH", b"UNKNOWN", b"post"])
@pytest.mark.parametrize("status", [200, 201, 204, 299, 301, 303, 399])
def test_rfc9111_4_4_a_non_error_answer_to_an_unsafe_method_invalidates_the_target(method: bytes, status: int) -> None:
    """A cache MUST invalidate the target URI when it receives a non-error status code in response to an unsafe request method."""
    assert keys(method=method, status=status) == [TARGET]


@pytest.mark.parametrize("status", [100, 400, 404, 409, 500, 503, 599])
def test_rfc9111_4_4_an_error_invalidates_nothing(status: int) -> None:
    """A non-error response is one with a 2xx (Successful) or 3xx (Redirection) status code."""
    assert keys(b"Location: /x", status=status) == []


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"OPTIONS", b"TRACE"])
def test_safe_methods_invalidate_nothing(method: bytes) -> None:
    assert keys(method=method) == []


@pytest.mark.parametrize(
    ("reference", "target"),
    [
        (b"/x?y", b"/x?y"),
        (b"c", b"/a/c"),
        (b"../c", b"/c"),
        (b"?z", b"/a/b?z"),
        (b"http://site/x", b"/x"),
        (b"HTTP://SITE:80/x#f", b"/x"),
        (b"//site/x", b"/x"),
        (b"http://site", b"/"),
        (b"/%7ex", b"/~x"),
    ],
)
@pytest.mark.parametrize("name", [b"Location", b"Content-Location"])
def test_rfc9111_4_4_location_and_content_location_are_invalidated(name: bytes, reference: bytes, target: bytes) -> None:
    """The URIs in the Location and Content-Location response header fields (if present) are candidates for invalidation."""
    assert keys(name + b": " + reference) == [TARGET, primary_key(b"http", b"site", target)]


@pytest.mark.parametrize(
    "reference",
    [
        b"http://other/x",
        b"https://site/x",
        b"http://site:81/x",
        b"//other/x",
        b"http://site@other/x",
        b"ftp://site/x",
        b"mailto:x",
        b"http://[",
        b"http://x y/",
    ],
)
def test_rfc9111_4_4_another_origin_is_not_invalidated(reference: bytes) -> None:
    """A cache MUST NOT trigger an invalidation if the origin of the URI to be invalidated differs from that of the target URI."""
    assert keys(b"Location: " + reference, b"Content-Location: " + reference) == [TARGET]


def test_both_fields_count_and_nothing_twice() -> None:
    assert keys(b"Location: /x", b"Content-Location: /y", b"location: /x", b"Content-Location: /a/b?q") == [
        TARGET,
        primary_key(b"http", b"site", b"/x"),
        primary_key(b"http", b"site", b"/y"),
    ]


@given(st.text(st.characters(min_codepoint=33, max_codepoint=255, exclude_characters="\x7f"), max_size=30))
def test_no_reference_makes_it_fail(text: str) -> None:
    reference = bytes(octet for octet in text.encode("latin-1") if octet > 32 and not 127 <= octet < 128)
    found = keys(b"Location: " + reference)
    assert found[0] == TARGET
    assert all(key.startswith(b"http site ") for key in found)
