"""What is asked of a cache."""

from math import inf

from scalability.gateway.cache_clients import HTTPCache, MemoryCache, RedisCache
from scalability.gateway.cache_clients.interface import Kept, LookAsideCache


def test_every_cache_has_every_call() -> None:
    calls = [name for name in vars(LookAsideCache) if not name.startswith("_")]
    assert sorted(calls) == ["claim", "delete", "get", "set"]
    for kind in (HTTPCache, MemoryCache, RedisCache):
        assert all(callable(getattr(kind, call)) for call in calls)


def test_a_value_without_an_end_is_told_from_one_whose_end_is_not_known() -> None:
    assert Kept(b"1", inf) != Kept(b"1", None)
