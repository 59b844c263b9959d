"""The look-aside cache over HTTP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from scalability.cache.config import CacheOptions
from scalability.cache.entries import Entries
from scalability.cache.http_api import cache_app
from scalability.errors import BadAnswer
from scalability.gateway.cache_clients import HTTPCache, Kept, LookAsideCache
from scalability.gateway.dependencies import Dependency
from scalability.net.service_client import Answer
from scalability.testing.asking import Asking
from scalability.testing.cache_conformance import CacheConformance
from scalability.testing.services import Asked, FakeService, answer
from scalability.ttlcache import TTLCache


class TestHTTPCache(CacheConformance):
    """On the real application of the cache server."""

    def setup_method(self) -> None:
        self.clock = Clock()
        self.asking = Asking(cache_app(Entries(TTLCache(max_bytes=4 << 20), self.clock.seconds), self.clock, CacheOptions()), self.clock)

    def serve(self, asked: Asked) -> Answer:
        headers = {name.decode(): value.decode() for name, value in asked.fields}
        got = self.asking.ask(asked.method.decode(), asked.target, body=asked.body or None, headers=headers)
        told = [(b"Cache-TTL", got.headers["cache-ttl"].encode())] if "cache-ttl" in got.headers else []
        return answer(got.status, got.body, told)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[LookAsideCache]:
        yield HTTPCache(Dependency("cache", FakeService(self.serve), self.clock))

    async def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)


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
