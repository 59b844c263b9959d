"""A cache in the process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from twisted.internet.task import Clock

from scalability.gateway.cache_clients import LookAsideCache, MemoryCache
from scalability.testing.cache_conformance import CacheConformance
from scalability.ttlcache import TTLCache


class TestMemoryCache(CacheConformance):
    def setup_method(self) -> None:
        self.clock = Clock()
        self.cache = MemoryCache(TTLCache(max_bytes=4 << 20), self.clock)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[LookAsideCache]:
        yield self.cache

    async def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    async def test_what_is_too_large_is_not_kept(self) -> None:
        await self.cache.set("k", b"x" * (5 << 20), 30.0)
        assert await self.cache.get("k") is None
