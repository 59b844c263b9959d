"""The look-aside cache over RESP: which commands, and what becomes of odd replies and of news."""

from math import inf
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from scalability.errors import BadAnswer, CommandRefused, DependencyDown, NoAnswer
from scalability.gateway.cache_clients import Changes, Kept, RedisCache
from scalability.gateway.cache_clients.redis import key_bytes, milliseconds
from scalability.gateway.cache_clients.redis_server import RedisServer
from scalability.testing.played_redis import NO_SUCH_COMMAND, OK, PlayedRedis, bulk, invalidation
from tests.resp.test_client import ClientCase


class RedisCacheTests(ClientCase):
    def setUp(self) -> None:
        super().setUp()
        self.changes = Changes()
        self.cache = RedisCache(RedisServer("cache", self.client), self.changes)
        self.heard: list[str | None] = []
        self.changes.heard = self.heard.append

    def tracking(self) -> PlayedRedis:
        server = self.connected()
        assert server.asked() == [[b"CLIENT", b"TRACKING", b"ON", b"NOLOOP"]]
        assert not self.changes.watching
        server.say(OK)
        assert self.changes.watching
        return server

    def doing(self, coroutine: Any) -> Deferred[Any]:
        return Deferred.fromCoroutine(coroutine)

    def test_a_value_and_what_remains_are_one_round_trip(self) -> None:
        server = self.tracking()
        reading = self.doing(self.cache.get("\xfc:1"))
        assert server.asked() == [[b"GET", b"\xc3\xbc:1"], [b"PTTL", b"\xc3\xbc:1"]]
        server.say(bulk(b' {"a":1}\n') + b":1500\r\n")
        assert self.successResultOf(reading) == Kept(b'{"a":1}', 1.5)
        for replies, kept in (
            (b"_\r\n:-2\r\n", None),
            (bulk(b"1") + b":-2\r\n", None),
            (bulk(b"1") + b":-1\r\n", Kept(b"1", inf)),
            (bulk(b"null") + b":0\r\n", Kept(b"null", 0.0)),
        ):
            reading = self.doing(self.cache.get("k"))
            server.say(replies)
            assert self.successResultOf(reading) == kept

    def test_what_is_no_value_of_ours_is_a_failure_not_a_miss(self) -> None:
        server = self.tracking()
        wrong_type = b"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n:-1\r\n"
        for replies, error in (
            (bulk(b"no json") + b":1\r\n", BadAnswer),
            (bulk(b"") + b":1\r\n", BadAnswer),
            (bulk(b"[" * 100_000) + b":1\r\n", BadAnswer),
            (b"*0\r\n:1\r\n", BadAnswer),
            (bulk(b"1") + b"+soon\r\n", BadAnswer),
            (wrong_type, CommandRefused),
        ):
            reading = self.doing(self.cache.get("k"))
            server.say(replies)
            self.failureResultOf(reading, error)

    def test_while_changes_are_told_a_write_ends_with_a_read_in_one_transaction(self) -> None:
        server = self.tracking()
        writing = self.doing(self.cache.set("k", b"1", 2.5))
        assert server.asked() == [[b"MULTI"], [b"SET", b"k", b"1", b"PX", b"2500"], [b"PTTL", b"k"], [b"EXEC"]]
        server.say(b"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n:2500\r\n")
        assert self.successResultOf(writing) is None
        for replies, error in (
            (b"+OK\r\n-OOM command not allowed\r\n+QUEUED\r\n-EXECABORT discarded\r\n", CommandRefused),
            (b"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n-OOM no\r\n:1\r\n", CommandRefused),
            (b"+OK\r\n+QUEUED\r\n+QUEUED\r\n_\r\n", BadAnswer),
        ):
            writing = self.doing(self.cache.set("k", b"1", 2.5))
            server.say(replies)
            self.failureResultOf(writing, error)

    def test_without_tracking_it_is_a_plain_write(self) -> None:
        server = self.connected()
        server.say(NO_SUCH_COMMAND)
        assert not self.changes.watching
        server.asked()
        writing = self.doing(self.cache.set("k", b"1", 30))
        assert server.asked() == [[b"SET", b"k", b"1", b"PX", b"30000"]]
        server.say(OK)
        self.successResultOf(writing)

    def test_resp2_has_no_tracking(self) -> None:
        server = PlayedRedis(self.network.accept())
        server.greet(hello=NO_SUCH_COMMAND)
        assert server.asked() == []
        assert self.client.connected

    def test_claims_and_deletions(self) -> None:
        server = self.tracking()
        for reply, granted in ((OK, True), (b"_\r\n", False), (b"$-1\r\n", False)):
            claiming = self.doing(self.cache.claim("lease:k", 2.0))
            assert server.asked() == [[b"SET", b"lease:k", b"1", b"NX", b"PX", b"2000"]]
            server.say(reply)
            assert self.successResultOf(claiming) is granted
        deleting = self.doing(self.cache.delete("k"))
        assert server.asked() == [[b"DEL", b"k"]]
        server.say(b":0\r\n")
        assert self.successResultOf(deleting) is None

    def test_news_name_keys_or_mean_all(self) -> None:
        server = self.tracking()
        server.say(invalidation(b"k", b"\xff\xfe", key_bytes("\xfc")) + invalidation())
        server.say(b">1\r\n+invalidate\r\n>3\r\n+message\r\n+a\r\n+b\r\n>2\r\n+pubsub\r\n+x\r\n")
        assert self.heard == ["k", "\xfc", None]

    def test_with_the_connection_every_moment_ends(self) -> None:
        server = self.tracking()
        moment = self.changes.moment()
        reading = self.doing(self.cache.get("k"))

        def failed(failure: Failure) -> None:
            assert isinstance(failure.value, NoAnswer)
            self.heard.append(failure.value.code)

        reading.addErrback(failed)
        server.transport.finish()
        assert self.heard == [None, "no_answer"], "copies go before anybody hears that a read has failed"
        assert not self.changes.unchanged("k", moment)
        self.failureResultOf(self.doing(self.cache.get("k")), DependencyDown)
        self.network.advance(1.0)
        self.tracking()
        assert not self.changes.unchanged("k", moment)

    def test_a_reply_to_tracking_that_comes_too_late_starts_nothing(self) -> None:
        server = self.connected()
        server.transport.finish()
        assert not self.changes.watching
        self.network.advance(1.0)
        self.tracking()
        assert self.changes.clears == 0


def test_every_key_has_bytes_and_every_life_whole_milliseconds() -> None:
    assert key_bytes("\xfc\ud800") == b"\xc3\xbc\xed\xa0\x80"
    assert [milliseconds(seconds) for seconds in (0.0, 0.0001, 0.0016, 2.5, 315_360_000)] == [1, 1, 2, 2500, 315_360_000_000]
