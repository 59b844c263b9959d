"""The strictest of the parts."""

import pytest

from scalability.gateway.compose.cache_control import Freshness, all_varies, strictest


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([Freshness(60), Freshness(10.9)], b"max-age=10"),
        ([Freshness(60), Freshness(-5)], b"max-age=0"),
        ([Freshness(60), Freshness()], b"no-cache"),
        ([Freshness(60), Freshness(60, private=True)], b"private, max-age=60"),
        ([Freshness(60, private=True), Freshness(60, no_cache=True)], b"private, no-cache"),
        ([Freshness(60), Freshness(60, no_store=True, private=True)], b"no-store"),
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
