"""The look-aside cache behind each kind of URL."""

from functools import partial
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from scalability.cache.config import CacheOptions
from scalability.cache.entries import Entries
from scalability.cache.http_api import cache_app
from scalability.errors import BadAnswer
from scalability.gateway.cache_clients import HTTPCache, Kept, LookAsideCache, MemoryCache
from scalability.gateway.dependencies import Dependency
from scalability.net.service_client import Answer
from scalability.testing.asking import Asking
from scalability.testing.services import Asked, FakeService, answer
from scalability.ttlcache import TTLCache


def result(coroutine: Any) -> Any:
    got: list[Any] = []
    Deferred.fromCoroutine(coroutine).addBoth(got.append)
    if hasattr(got[0], "raiseException"):
        got[0].raiseException()
    return got[0]


def memory(clock: Clock) -> LookAsideCache:
    return MemoryCache(TTLCache(max_bytes=1 << 20), clock)


def http(clock: Clock) -> LookAsideCache:
    asking = Asking(cache_app(Entries(TTLCache(max_bytes=1 << 20), clock.seconds), clock, CacheOptions()), clock)

    def serve(asked: Asked) -> Answer:
        headers = {name.decode(): value.decode() for name, value in asked.fields}
        got = asking.ask(asked.method.decode(), asked.target, body=asked.body or None, headers=headers)
        told = [(b"Cache-TTL", got.headers["cache-ttl"].encode())] if "cache-ttl" in got.headers else []
        return answer(got.status, got.body, told)

    return HTTPCache(Dependency("cache", FakeService(serve), clock))


@pytest.mark.parametrize("made", [memory, http])
class TestEveryCache:
    """What the gateway asks of a cache, whichever it is; ``http`` is the real application of the cache server."""

    def test_a_value_is_found_until_its_time_is_over(self, made: Any) -> None:
        clock = Clock()
        cache = made(clock)
        assert result(cache.get("data")) is None
        result(cache.set("data", b'{"a":[1,"\xc3\xa9"]}', 2.5))
        clock.advance(2.4)
        assert result(cache.get("data")).value == b'{"a":[1,"\xc3\xa9"]}'
        assert abs(result(cache.get("data")).remaining_s - 0.1) < 0.002
        clock.advance(0.2)
        assert result(cache.get("data")) is None

    def test_a_new_value_replaces_the_old_one(self, made: Any) -> None:
        cache = made(Clock())
        result(cache.set("k", b"1", 30.0))
        result(cache.set("k", b"2", 30.0))
        assert result(cache.get("k")).value == b"2"

    @pytest.mark.parametrize("key", ["a/b", "a b", "ü", "a?b", "a%2Fb", "/a", "a/"])
    def test_any_text_is_a_key(self, made: Any, key: str) -> None:
        cache = made(Clock())
        result(cache.set(key, b"1", 30.0))
        assert result(cache.get(key)).value == b"1"
        assert result(cache.get("other")) is None

    def test_null_is_a_value_that_tells_more_than_a_missing_key(self, made: Any) -> None:
        clock = Clock()
        cache = made(clock)
        result(cache.set("k", b"null", 1.0))
        assert result(cache.get("k")).value == b"null"
        clock.advance(1.1)
        assert result(cache.get("k")) is None

    def test_a_key_is_claimed_by_one_until_it_expires_or_is_deleted(self, made: Any) -> None:
        clock = Clock()
        cache = made(clock)
        assert [result(cache.claim("k", 1.0)) for _ in range(3)] == [True, False, False]
        clock.advance(1.1)
        assert [result(cache.claim("k", 1.0)) for _ in range(2)] == [True, False]
        result(cache.delete("k"))
        result(cache.delete("none"))
        assert result(cache.claim("k", 1.0)) is True


def _always(told: Answer, _: Asked) -> Answer:
    return told


class HTTPCacheTests(SynchronousTestCase):
    def cache(self, status: int, body: Any) -> HTTPCache:
        return HTTPCache(Dependency("cache", FakeService(lambda asked: answer(status, body)), Clock()))

    def test_an_answer_that_is_no_answer_of_a_cache_is_a_failure_not_a_miss(self) -> None:
        for status, body in ((500, {}), (404, {}), (200, b"<html>"), (200, b"[]"), (200, b"{}"), (200, b'{"value":')):
            self.failureResultOf(Deferred.fromCoroutine(self.cache(status, body).get("k")), BadAnswer)
        self.failureResultOf(Deferred.fromCoroutine(self.cache(413, {}).set("k", b"1", 1.0)), BadAnswer)

    def test_a_claim_is_granted_refused_or_has_failed(self) -> None:
        for status, granted in ((200, True), (409, False)):
            assert self.successResultOf(Deferred.fromCoroutine(self.cache(status, {}).claim("k", 1.0))) is granted
        self.failureResultOf(Deferred.fromCoroutine(self.cache(500, {}).claim("k", 1.0)), BadAnswer)
        self.failureResultOf(Deferred.fromCoroutine(self.cache(404, {}).delete("k")), BadAnswer)

    def test_how_long_a_value_is_kept_is_known_only_when_the_cache_tells_a_number(self) -> None:
        for field, remaining_s in ((b"1.5", 1.5), (b"inf", float("inf")), (b"nan", None), (b"-1", None), (b"soon", None), (b"", None)):
            told = answer(200, {"value": 1}, [(b"Cache-TTL", field)])
            cache = HTTPCache(Dependency("cache", FakeService(partial(_always, told)), Clock()))
            assert self.successResultOf(Deferred.fromCoroutine(cache.get("k"))) == Kept(b"1", remaining_s)

    def test_null_from_a_cache_that_does_not_tell_is_nothing(self) -> None:
        assert self.successResultOf(Deferred.fromCoroutine(self.cache(200, {"value": None}).get("k"))) is None
