"""The suite finds what it is for: a cache that keeps its promises passes, one that breaks one does not."""

import pytest

from scalability.gateway.cache_clients import Kept
from scalability.testing.cache_conformance import CacheConformance
from tests.gateway.cache_clients.test_memory import TestMemoryCache


def test_the_suite_has_a_test_of_every_call() -> None:
    named = [name for name in dir(CacheConformance) if name.startswith("test_")]
    assert len(named) >= 12


async def test_a_cache_that_forgets_at_once_does_not_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    suite = TestMemoryCache()
    suite.setup_method()

    async def nothing(key: str) -> Kept | None:
        return None

    monkeypatch.setattr(suite.cache, "get", nothing)
    with pytest.raises(AssertionError):
        await suite.test_a_value_is_found_by_all_until_its_time_is_over()
