"""A cache by its URL."""

from twisted.internet.task import Clock

from scalability.gateway.cache_clients import HTTPCache, MemoryCache
from scalability.gateway.config import CacheURL
from scalability.gateway.look_aside.building import build_cache
from scalability.lifecycle import DeadlineWheel
from scalability.ttlcache import Sweeper


def test_a_server_is_a_dependency_of_that_name() -> None:
    clock = Clock()
    built = build_cache(clock, CacheURL.parse("http://127.0.0.1:5004"), DeadlineWheel(clock), timeout_s=0.5)
    assert isinstance(built.cache, HTTPCache)
    assert built.server is not None
    assert (built.server.name, built.parts) == ("cache", ())


def test_memory_needs_no_server_and_is_swept() -> None:
    clock = Clock()
    built = build_cache(clock, CacheURL.parse("memory:"), DeadlineWheel(clock), timeout_s=0.5)
    assert isinstance(built.cache, MemoryCache)
    assert built.server is None
    assert [type(part) for part in built.parts] == [Sweeper]
