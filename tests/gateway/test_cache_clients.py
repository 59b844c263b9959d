"""The look-aside cache behind each kind of URL."""

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from scalability.cache.config import CacheOptions
from scalability.cache.http_api import cache_app
from scalability.errors import BadAnswer
from scalability.gateway.cache_clients import HTTPCache, LookAsideCache, MemoryCache
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
    asking = Asking(cache_app(TTLCache(max_bytes=1 << 20), clock, CacheOptions()), clock)

    def serve(asked: Asked) -> Answer:
        headers = {name.decode(): value.decode() for name, value in asked.fields}
        got = asking.ask(asked.method.decode(), asked.target, body=asked.body or None, headers=headers)
        return answer(got.status, got.body)

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
        assert result(cache.get("data")) == b'{"a":[1,"\xc3\xa9"]}'
        clock.advance(0.2)
        assert result(cache.get("data")) is None

    def test_a_new_value_replaces_the_old_one(self, made: Any) -> None:
        cache = made(Clock())
        result(cache.set("k", b"1", 30.0))
        result(cache.set("k", b"2", 30.0))
        assert result(cache.get("k")) == b"2"

    @pytest.mark.parametrize("key", ["a/b", "a b", "ü", "a?b", "a%2Fb", "/a", "a/"])
    def test_any_text_is_a_key(self, made: Any, key: str) -> None:
        cache = made(Clock())
        result(cache.set(key, b"1", 30.0))
        assert result(cache.get(key)) == b"1"
        assert result(cache.get("other")) is None


class HTTPCacheTests(SynchronousTestCase):
    def cache(self, status: int, body: Any) -> HTTPCache:
        return HTTPCache(Dependency("cache", FakeService(lambda asked: answer(status, body)), Clock()))

    def test_an_answer_that_is_no_answer_of_a_cache_is_a_failure_not_a_miss(self) -> None:
        for status, body in ((500, {}), (404, {}), (200, b"<html>"), (200, b"[]"), (200, b"{}"), (200, b'{"value":')):
            self.failureResultOf(Deferred.fromCoroutine(self.cache(status, body).get("k")), BadAnswer)
        self.failureResultOf(Deferred.fromCoroutine(self.cache(413, {}).set("k", b"1", 1.0)), BadAnswer)
