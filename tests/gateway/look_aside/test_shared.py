"""The shared cache in moments of our clock."""

from collections.abc import Awaitable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from scalability.errors import ConnectError
from scalability.gateway.cache_clients import Kept, MemoryCache
from scalability.gateway.look_aside.shared import SharedCache, SharedValue
from scalability.ttlcache import TTLCache


class SlowCache:
    """Answers when the test says so."""

    def __init__(self) -> None:
        self.waiting: Deferred[Kept | None] = Deferred()

    async def get(self, key: str) -> Kept | None:
        return await self.waiting


class SharedCacheTests(SynchronousTestCase):
    def run_now(self, work: Any) -> Any:
        return self.successResultOf(Deferred.fromCoroutine(work))

    def test_what_remains_counts_from_the_question(self) -> None:
        for remaining_s, expires_at in ((5.0, 1_005.0), (None, None)):
            clock, cache = Clock(), SlowCache()
            clock.advance(1_000)
            asking = Deferred.fromCoroutine(SharedCache(cache, clock).get("k"))  # type: ignore[arg-type]
            clock.advance(3)
            cache.waiting.callback(Kept(b"1", remaining_s))
            assert self.successResultOf(asking) == SharedValue(b"1", expires_at)

    def test_a_lease_is_anothers_until_it_ends_or_is_ended(self) -> None:
        clock = Clock()
        cache = SharedCache(MemoryCache(TTLCache(max_bytes=1 << 20), clock), clock)
        assert self.run_now(cache.claim_lease("k", 2.0)) is True
        assert self.run_now(cache.claim_lease("k", 2.0)) is False
        assert self.run_now(cache.get("k")) is None
        self.run_now(cache.end_lease("k"))
        assert self.run_now(cache.claim_lease("k", 2.0)) is True
        clock.advance(2)
        assert self.run_now(cache.claim_lease("k", 2.0)) is True

    def test_every_failure_is_counted(self) -> None:
        class Broken:
            async def get(self, *_: object) -> Any:
                raise ConnectError

            set = claim = delete = get

        cache = SharedCache(Broken(), Clock())
        calls: list[Awaitable[object]] = [cache.get("k"), cache.set("k", b"1", 1.0), cache.delete("k"), cache.claim_lease("k", 1.0)]
        for number, call in enumerate(calls, 1):
            self.failureResultOf(Deferred.fromCoroutine(call), ConnectError)  # type: ignore[arg-type]
            assert cache.failures == number
