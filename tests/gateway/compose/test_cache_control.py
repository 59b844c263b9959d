"""The strictest of the parts."""

import pytest

from scalability.gateway.compose.cache_control import Freshness, all_varies, freshness, strictest
from scalability.http1.limits import DEFAULT_LIMITS
from scalability.http1.response_head import parse_response_head


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([Freshness(60), Freshness(10.9)], b"max-age=10"),
        ([Freshness(60), Freshness(-5)], b"max-age=0"),
        ([Freshness(60), Freshness()], b"no-cache"),
        ([Freshness(60), Freshness(60, private=True)], b"private, max-age=60"),
        ([Freshness(60, private=True), Freshness(60, no_cache=True)], b"private, no-cache"),
        ([Freshness(60), Freshness(60, no_store=True, private=True)], b"no-store"),
        ([Freshness(60, must_revalidate=True), Freshness(50, must_revalidate=True)], b"max-age=50, must-revalidate"),
        # what was answered to an Authorization may be shared when it says must-revalidate: not when a part of it does not
        ([Freshness(60), Freshness(50, must_revalidate=True)], b"private, max-age=50, must-revalidate"),
        ([], b"no-store"),
    ],
)
def test_the_whole_is_as_fresh_and_as_private_as_its_strictest_part(parts: list[Freshness], expected: bytes) -> None:
    assert strictest(parts) == expected
    assert strictest(parts[::-1]) == expected


def test_an_incomplete_whole_is_not_stored() -> None:
    assert strictest([Freshness(60)], complete=False) == b"no-store"


def test_the_whole_varies_by_whatever_a_part_varies_by() -> None:
    assert all_varies([b"Accept-Language, Origin", b"origin", b""]) == b"accept-language, origin"
    assert all_varies([b"Origin", b"a, *"]) == b"*"
    assert all_varies([]) == b""


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (b"", Freshness()),
        (b"Cache-Control: max-age=60\r\n", Freshness(58.0)),
        (b"Cache-Control: max-age=60\r\nAge: 20\r\n", Freshness(38.0)),
        (b"Cache-Control: max-age=600, s-maxage=60\r\n", Freshness(58.0)),
        (b"Cache-Control: max-age=0, s-maxage=60\r\n", Freshness(-2.0)),
        (b"CDN-Cache-Control: max-age=600\r\nCache-Control: max-age=5\r\n", Freshness(3.0)),
        (b"Expires: Thu, 01 Jan 1970 00:01:10 GMT\r\nDate: Thu, 01 Jan 1970 00:00:12 GMT\r\n", Freshness(56.0)),
        (b"Expires: never\r\n", Freshness(-2.0)),
        (b"Last-Modified: Thu, 01 Jan 1970 00:00:00 GMT\r\n", Freshness()),
        (b'Cache-Control: private="x", no-cache=y\r\n', Freshness(None, private=True, no_cache=True)),
        (b"Cache-Control: no-store, must-revalidate\r\n", Freshness(None, no_store=True, must_revalidate=True)),
        (b"Cache-Control: proxy-revalidate\r\n", Freshness(None, private=True)),
    ],
)
def test_a_part_allows_what_its_answer_says(fields: bytes, expected: Freshness) -> None:
    head = parse_response_head(b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n", DEFAULT_LIMITS)
    assert freshness(head, 10.0, 12.0, 12.0) == expected
    # the clock that the delay is measured by need not know the date
    assert freshness(head, 90010.0, 90012.0, 12.0) == expected
