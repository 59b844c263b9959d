"""The cache for routes in code, in a Klein app."""

from typing import Any

import msgspec
import pytest
from klein import Klein
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.iweb import IRequest

from scalability.errors import ConnectError, DependencyDown
from scalability.gateway.look_aside import Origin, Policy, RouteCache
from scalability.testing.asking import Asking


class Shop:
    """Products, some routes to them, and a count of reads."""

    def __init__(self, clock: Clock) -> None:
        self.products: dict[int, Any] = {7: {"name": "seven", "price": 7.1}}
        self.reads = 0
        self.down = False
        self.cache = RouteCache(clock, "memory:", Policy(ttl_s=10.0, ttl_jitter=0.0))
        self.app = Klein()

        async def read(number: int) -> Any:
            self.reads += 1
            if self.down:
                raise DependencyDown
            return self.products.get(number)

        @self.app.route("/products/<int:number>", methods=["GET"])
        async def product(request: IRequest, number: int) -> bytes:
            return await self.cache.answer(request, f"product:{number}", lambda: read(number), missing="no such product")

        @self.app.route("/products/<int:number>", methods=["PUT"])
        async def change(request: IRequest, number: int) -> bytes:
            self.products[number] = msgspec.json.decode(request.content.read())
            await self.cache.forget(f"product:{number}")
            return b""


class RouteCacheTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.shop = Shop(self.clock)
        self.http = Asking(self.shop.app, self.clock)

    def test_a_route_answers_from_the_cache_until_it_expires(self) -> None:
        for _ in range(3):
            answer = self.http.get("/products/7")
            assert (answer.status, answer.json()) == (200, {"name": "seven", "price": 7.1})
            assert answer.headers["content-type"] == "application/json"
        assert self.shop.reads == 1
        self.clock.advance(10.1)
        self.http.get("/products/7")
        assert self.shop.reads == 2

    def test_what_is_not_there_is_404_and_remembered_shortly(self) -> None:
        for _ in range(3):
            answer = self.http.get("/products/8")
            assert (answer.status, answer.json()["message"]) == (404, "no such product")
        assert self.shop.reads == 1
        self.clock.advance(1.1)
        self.shop.products[8] = {"name": "eight"}
        assert self.http.get("/products/8").json() == {"name": "eight"}

    def test_a_change_is_seen_at_once_by_who_made_it(self) -> None:
        self.http.get("/products/7")
        self.http.ask("PUT", "/products/7", json={"name": "new"})
        assert self.http.get("/products/7").json() == {"name": "new"}

    def test_the_last_good_value_stands_in_for_a_source_that_fails(self) -> None:
        self.http.get("/products/7")
        self.shop.down = True
        self.clock.advance(11)
        assert self.http.get("/products/7").json()["name"] == "seven"
        refused = self.http.get("/products/9")
        assert (refused.status, refused.headers["retry-after"]) == (503, "1")

    def test_a_key_that_is_too_long_is_the_clients_fault(self) -> None:
        refused = self.http.get("/products/" + "1" * 2_000)
        assert refused.status == 400

    def test_json_text_is_taken_as_it_is(self) -> None:
        async def load() -> bytes:
            return b'{"a": 1.10}'

        found = self.successResultOf(self.shop.cache.get("k", load))
        assert (found.value, found.origin) == (b'{"a": 1.10}', Origin.LOADED)

    def test_it_starts_and_stops_with_all_its_parts(self) -> None:
        self.shop.cache.startService()
        self.successResultOf(self.shop.cache.stopService())
        assert self.clock.getDelayedCalls() == []


def test_a_url_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="none of"):
        RouteCache(Clock(), "ftp://127.0.0.1")


class NoServerTests(SynchronousTestCase):
    def test_without_its_cache_server_a_route_still_answers(self) -> None:
        reactor: Any = MemoryReactorClock()
        cache = RouteCache(reactor, "http://127.0.0.1:1")
        cache.startService()

        async def load() -> Any:
            return 7

        server: Any = cache.look_aside._cache._cache

        async def down(*_: Any) -> Any:
            raise ConnectError

        server.get = server.set = server.claim = down
        assert self.successResultOf(cache.get("k", load)).value == b"7"
        stopped = cache.stopService()
        assert isinstance(stopped, Deferred)
        self.successResultOf(stopped)
