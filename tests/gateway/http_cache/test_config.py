"""A route's table for its cache."""

import msgspec
import pytest

from scalability.gateway.http_cache.config import CacheOptions
from scalability.gateway.http_cache.storing import DEFAULT_STORING


def test_by_default_the_cache_is_on_and_its_rules_are_the_rfcs() -> None:
    options = msgspec.convert({}, CacheOptions)
    assert options.enabled
    assert options.storing() == DEFAULT_STORING


def test_what_is_said_reaches_the_rules() -> None:
    options = msgspec.convert({"store_set_cookie": True, "heuristic_fraction": 0.5, "store_partial": False}, CacheOptions)
    storing = options.storing()
    assert (storing.set_cookie, storing.partial, storing.heuristics.fraction) == (True, False, 0.5)


@pytest.mark.parametrize("table", [{"heuristic_fraction": 2}, {"stale_if_disconnected_s": -1}, {"enable": True}])
def test_what_cannot_be_meant_is_refused(table: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(table, CacheOptions)
