"""Removing keys by their beginning."""

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from scalability.cache.config import CacheOptions
from scalability.cache.entries import Entries
from scalability.cache.http_api import cache_app
from scalability.cache.http_purge import AT_ONCE, PIECE, WAITING, purged
from scalability.testing.asking import Asking
from scalability.ttlcache import TTLCache

START = 1_700_000_000.0


class Server:
    def __init__(self) -> None:
        self.clock = Clock()
        self.clock.advance(START)
        self.cache: TTLCache[bytes, bytes] = TTLCache(max_bytes=1 << 26)
        self.http = Asking(cache_app(Entries(self.cache, self.clock.seconds), self.clock, CacheOptions()), self.clock)

    def keep(self, *keys: bytes) -> None:
        for key in keys:
            self.cache.set(key, b"1", START, 30.0, size_bytes=len(key) + 1)

    def purge(self, query: str) -> Any:
        exchange = self.http.send("DELETE", f"/cache{query}")
        for _ in range(1000):
            if exchange.answered:
                return exchange.answer
            self.clock.advance(0.001)
        raise AssertionError("no answer")


@pytest.fixture
def server() -> Server:
    return Server()


def test_what_begins_so_is_removed_and_counted(server: Server) -> None:
    server.keep(b"user/1", b"user/2", b"user", b"users/1", b"other", b"")
    answer = server.purge("?prefix=user/")
    assert (answer.status, answer.json()) == (200, {"status": "ok", "deleted": 2})
    assert set(server.cache) == {b"user", b"users/1", b"other", b""}
    assert server.purge("?prefix=user/").json()["deleted"] == 0


def test_an_empty_prefix_means_all(server: Server) -> None:
    server.keep(b"a", b"b", b"\xff")
    assert server.purge("?prefix=").json()["deleted"] == 3
    assert len(server.cache) == 0


def test_a_prefix_is_bytes(server: Server) -> None:
    server.keep(b"\xff\x00a", b"a b", b"a+b", "é1".encode())
    assert server.purge("?prefix=%FF%00").json()["deleted"] == 1
    assert server.purge("?prefix=a+").json()["deleted"] == 1
    assert server.purge("?prefix=a%20").json()["deleted"] == 1
    assert server.purge("?prefix=%C3%A9").json()["deleted"] == 1


@pytest.mark.parametrize("query", ["", "?", "?prefix", "?prefix=a&prefix=b", "?prefx=a", "?prefix=a&x=1"])
def test_a_query_that_does_not_say_which_is_refused(server: Server, query: str) -> None:
    server.keep(b"a")
    answer = server.purge(query)
    assert (answer.status, answer.json()["error"]) == (400, "bad_request")
    assert len(server.cache) == 1


def test_what_has_expired_is_not_counted(server: Server) -> None:
    server.keep(b"a")
    server.clock.advance(31)
    assert server.purge("?prefix=").json()["deleted"] == 0


class Counting(TTLCache[bytes, bytes]):
    """Counts what is removed between two turns."""

    turn = 0

    def delete(self, key: bytes, now: float) -> bool:
        self.turn += 1
        return super().delete(key, now)


def test_many_keys_are_removed_in_pieces() -> None:
    clock, cache = Clock(), Counting(max_bytes=1 << 26)
    for number in range(20_000):
        cache.set(b"%d" % number, b"1", 0.0, None, size_bytes=10)
    done: list[int] = []
    Deferred.fromCoroutine(purged(cache, b"", clock, clock.seconds)).addCallback(done.append)
    turns = []
    while not done:
        turns.append(cache.turn)
        cache.turn = 0
        clock.advance(0.001)
    assert done == [20_000]
    assert max(turns) < 2 * PIECE
    assert len(turns) >= 20_000 // (2 * PIECE)


def test_a_client_that_leaves_ends_it(server: Server) -> None:
    server.keep(*(b"%d" % number for number in range(20_000)))
    exchange = server.http.send("DELETE", "/cache?prefix=")
    left = len(server.cache)
    assert 0 < left < 20_000
    exchange.leave()
    server.clock.pump([0.001] * 100)
    assert len(server.cache) == left
    assert not [call for call in server.clock.getDelayedCalls() if call.getTime() < server.clock.seconds() + 0.01]


def test_only_some_go_on_at_once_and_only_some_wait(server: Server) -> None:
    server.keep(*(b"%d" % number for number in range(20_000)))
    exchanges = [server.http.send("DELETE", f"/cache?prefix={number}") for number in range(AT_ONCE + WAITING + 1)]
    assert exchanges[-1].answer.status == 503
    assert "retry-after" in exchanges[-1].answer.headers
    server.clock.pump([0.001] * 1000)
    assert [exchange.answer.status for exchange in exchanges[:-1]] == [200] * (AT_ONCE + WAITING)
    assert sum(exchange.answer.json()["deleted"] for exchange in exchanges[:-1]) > 10_000
