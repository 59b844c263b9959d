"""A cache by its URL."""

import pytest
from twisted.internet.task import Clock

from scalability.gateway.cache_clients import HTTPCache, MemoryCache
from scalability.gateway.config import CacheURL
from scalability.gateway.look_aside.building import build_cache
from scalability.lifecycle import DeadlineWheel
from scalability.ttlcache import Sweeper


def test_a_server_is_a_dependency_of_that_name() -> None:
    clock = Clock()
    built = build_cache(clock, CacheURL.parse("http://127.0.0.1:5004"), timeout_s=0.5)
    assert isinstance(built.cache, HTTPCache)
    assert built.server is not None
    assert built.server.name == "cache"
    assert [type(part) for part in built.parts] == [DeadlineWheel]


@pytest.mark.parametrize("url", ["http://127.0.0.1:5004", "redis://127.0.0.1:6380"])
@pytest.mark.parametrize(("timeout_s", "ticks_per_s"), [(0.5, 20), (3.0, 4), (0.001, 100)])
def test_a_deadline_is_kept_to_a_tenth(url: str, timeout_s: float, ticks_per_s: int) -> None:
    wheel = build_cache(Clock(), CacheURL.parse(url), timeout_s=timeout_s).parts[0]
    assert isinstance(wheel, DeadlineWheel)
    assert wheel.ticks_per_s == ticks_per_s


def test_memory_needs_no_server_and_is_swept() -> None:
    clock = Clock()
    built = build_cache(clock, CacheURL.parse("memory:"), timeout_s=0.5)
    assert isinstance(built.cache, MemoryCache)
    assert built.server is None
    assert [type(part) for part in built.parts] == [Sweeper]
