"""What every look-aside cache promises, as tests: subclass ``CacheConformance`` for each kind of URL and each server behind it."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from twisted.internet.defer import Deferred, gatherResults

from scalability.gateway.cache_clients import Kept, LookAsideCache

SOON_S = 0.3
"""A life that a test waits for the end of, in seconds."""


class CacheConformance:
    """Mix into a test class that implements ``client`` and ``wait``. Each test has keys of its own: a server may be used for all."""

    def client(self) -> AbstractAsyncContextManager[LookAsideCache]:
        """A client of the cache; entered twice, two of the same."""
        raise NotImplementedError

    async def wait(self, seconds: float) -> None:
        """Let ``seconds`` go by, for the cache too."""
        raise NotImplementedError

    @asynccontextmanager
    async def two(self) -> AsyncIterator[tuple[LookAsideCache, LookAsideCache]]:
        """Two clients."""
        async with self.client() as one, self.client() as other:
            yield one, other

    async def test_a_value_is_found_by_all_until_its_time_is_over(self) -> None:
        async with self.two() as (one, other):
            assert await one.get("life") is None
            await one.set("life", b'{"a":[1,"\xc3\xa9"]}', SOON_S)
            for cache in (one, other):
                kept = await cache.get("life")
                assert kept is not None
                assert kept.value == b'{"a":[1,"\xc3\xa9"]}'
                assert kept.remaining_s is not None
                assert 0 < kept.remaining_s <= SOON_S + 0.001
            await self.wait(SOON_S + 0.1)
            assert await one.get("life") is None
            assert await other.get("life") is None

    async def test_what_remains_is_told(self) -> None:
        async with self.client() as cache:
            await cache.set("remains", b"1", 100.0)
            await self.wait(SOON_S)
            kept = await cache.get("remains")
            assert kept is not None
            assert kept.remaining_s is not None
            assert 95.0 < kept.remaining_s <= 100.0 - SOON_S + 0.05

    async def test_a_new_value_replaces_the_old_one_with_its_life(self) -> None:
        async with self.two() as (one, other):
            await one.set("new", b"1", 1000.0)
            await other.set("new", b"2", SOON_S)
            kept = await one.get("new")
            assert kept is not None
            assert kept.value == b"2"
            await self.wait(SOON_S + 0.1)
            assert await one.get("new") is None

    @pytest.mark.parametrize("key", ["a/b", "a b", "\xfc", "a?b", "a%2Fb", "/a", "a/", "a:b", "*", "\r\n", "\0", "\U0001f600", "k" * 1000])
    async def test_any_text_is_a_key(self, key: str) -> None:
        async with self.client() as cache:
            await cache.set(key, b"1", 30.0)
            kept = await cache.get(key)
            assert kept is not None
            assert kept.value == b"1"
            assert await cache.get(key[:-1] + "other") is None
            await cache.delete(key)
            assert await cache.get(key) is None

    @pytest.mark.parametrize(
        "value",
        [b"null", b"0", b"-1.5e3", b"true", b'""', b'"\\u0000\\ud83d\\ude00"', b"[]", b'{"a":{"b":[null]}}', b"12345678901234567"],
    )
    async def test_any_json_text_is_a_value_and_comes_back_as_it_was(self, value: bytes) -> None:
        async with self.client() as cache:
            await cache.set("json", value, 30.0)
            kept = await cache.get("json")
            assert isinstance(kept, Kept)
            assert kept.value == value

    async def test_a_large_value_is_kept_whole(self) -> None:
        async with self.client() as cache:
            value = b'"' + b"x" * 900_000 + b'"'
            await cache.set("large", value, 30.0)
            kept = await cache.get("large")
            assert kept is not None
            assert kept.value == value
            await cache.delete("large")

    async def test_null_is_a_value_that_tells_more_than_a_missing_key(self) -> None:
        async with self.client() as cache:
            await cache.set("null", b"null", SOON_S)
            kept = await cache.get("null")
            assert kept is not None
            assert kept.value == b"null"
            await self.wait(SOON_S + 0.1)
            assert await cache.get("null") is None

    async def test_a_key_is_claimed_by_one_until_it_expires_or_is_deleted(self) -> None:
        async with self.two() as (one, other):
            assert [await cache.claim("claim", SOON_S) for cache in (one, one, other)] == [True, False, False]
            await self.wait(SOON_S + 0.1)
            assert [await cache.claim("claim", 30.0) for cache in (other, one)] == [True, False]
            await one.delete("claim")
            await one.delete("none")
            assert await one.claim("claim", 30.0)
            await one.delete("claim")

    async def test_a_value_is_a_claim_and_a_claim_a_value(self) -> None:
        async with self.client() as cache:
            await cache.set("both", b"2", 30.0)
            assert not await cache.claim("both", 30.0)
            kept = await cache.get("both")
            assert kept is not None
            assert kept.value == b"2", "a claim that is refused changes nothing"
            await cache.delete("both")
            assert await cache.claim("both", 30.0)
            assert await cache.get("both") is not None
            await cache.set("both", b"3", 30.0)
            kept = await cache.get("both")
            assert kept is not None
            assert kept.value == b"3"
            await cache.delete("both")

    async def test_of_many_claims_at_once_one_is_granted(self) -> None:
        async with self.two() as (one, other):
            claims = [Deferred.fromCoroutine(cache.claim("crowd", 30.0)) for _ in range(50) for cache in (one, other)]
            assert sum(await gatherResults(claims)) == 1
            await one.delete("crowd")

    async def test_many_calls_at_once_have_their_own_answers(self) -> None:
        async with self.client() as cache:
            await gatherResults([Deferred.fromCoroutine(cache.set(f"many-{n}", b"%d" % n, 30.0)) for n in range(200)])
            found = await gatherResults([Deferred.fromCoroutine(cache.get(f"many-{n}")) for n in range(200)])
            assert [kept and kept.value for kept in found] == [b"%d" % n for n in range(200)]

    @pytest.mark.parametrize("ttl_s", [0.001, 0.0004, 30.0, 315_360_000.0])
    async def test_lives_are_of_any_length(self, ttl_s: float) -> None:
        async with self.client() as cache:
            await cache.set("length", b"1", ttl_s)
            if ttl_s < 1:
                await self.wait(0.05)
                assert await cache.get("length") is None
            else:
                kept = await cache.get("length")
                assert kept is not None
                assert kept.remaining_s is not None
                assert ttl_s - 10 <= kept.remaining_s <= ttl_s + 0.001
