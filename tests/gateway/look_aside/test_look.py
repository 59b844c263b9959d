"""Cache first, database second, the last good value last."""

from math import exp
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from scalability.errors import AnswerTimeout, ClientError, ConnectError, DependencyDown
from scalability.gateway.cache_clients import Kept
from scalability.gateway.look_aside import Found, LookAside, Origin, Policy
from scalability.gateway.look_aside.policy import lease_key

LEASE = lease_key("data")


class ScriptedCache:
    """Keeps values for ever, and claims for their time.

    ``broken`` makes it fail; ``writing`` holds writes back; ``remaining_s`` is what it says of all.
    """

    def __init__(self, clock: Clock) -> None:
        self.kept: dict[str, bytes] = {}
        self._clock = clock
        self._claimed_until = 0.0
        self.broken = False
        self.reads = 0
        self.remaining_s: float | None = None
        self.written: list[tuple[str, bytes, float]] = []
        self.writing: Deferred[None] | None = None

    @property
    def value(self) -> bytes | None:
        return self.kept.get("data")

    @value.setter
    def value(self, value: bytes | None) -> None:
        self.kept.pop("data", None)
        if value is not None:
            self.kept["data"] = value

    async def get(self, key: str) -> Kept | None:
        self.reads += 1
        if self.broken:
            raise ConnectError
        value = self.kept.get(key)
        return None if value is None else Kept(value, self.remaining_s)

    async def set(self, key: str, value: bytes, ttl_s: float) -> None:
        if self.broken:
            raise ConnectError
        if self.writing is not None:
            await self.writing
        self.written.append((key, value, ttl_s))
        self.kept[key] = value

    async def claim(self, key: str, ttl_s: float) -> bool:
        if self.broken:
            raise ConnectError
        if key in self.kept and self._clock.seconds() < self._claimed_until:
            return False
        self.kept[key] = b"1"
        self._claimed_until = self._clock.seconds() + ttl_s
        return True

    async def delete(self, key: str) -> None:
        if self.broken:
            raise ConnectError
        self.kept.pop(key, None)


class Looking(SynchronousTestCase):
    """A look-aside cache on a clock, a cache and a source that the test plays; without near cache and chance unless asked for."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_000)
        self.cache = ScriptedCache(self.clock)
        self.loading: list[Deferred[bytes | None]] = []
        self.draws: list[float] = []
        self.use(Policy(near_ttl_s=0.0, ttl_jitter=0.0, beta=0.0))

    def use(self, policy: Policy, **bounds: Any) -> None:
        self.look_aside = LookAside(self.cache, self.clock, policy, draw=lambda: self.draws.pop(0) if self.draws else 0.5, **bounds)

    async def load(self) -> bytes | None:
        loading: Deferred[bytes | None] = Deferred()
        self.loading.append(loading)
        return await loading

    def get(self, key: str = "data") -> Deferred[Found]:
        return self.look_aside.get(key, self.load)

    def load_once(self, value: bytes | None = b'"good"', *, load_s: float = 0.0) -> None:
        waiting = self.get()
        self.clock.advance(load_s)
        self.loading.pop().callback(value)
        self.successResultOf(waiting)


class LookAsideTests(Looking):
    def test_a_hit_asks_no_database(self) -> None:
        self.cache.value = b'"x"'
        assert self.successResultOf(self.get()) == Found(b'"x"', Origin.HIT)
        assert self.loading == []

    def test_a_miss_is_loaded_and_written_before_it_is_answered(self) -> None:
        self.cache.writing = Deferred()
        waiting = self.get()
        self.loading[0].callback(b'"x"')
        self.assertNoResult(waiting)
        self.cache.writing.callback(None)
        assert self.successResultOf(waiting) == Found(b'"x"', Origin.LOADED)
        assert self.cache.written == [("data", b'"x"', 30.0)]
        assert self.successResultOf(self.get()).origin is Origin.HIT

    def test_concurrent_misses_cost_one_load(self) -> None:
        waiting = [self.get() for _ in range(1_000)]
        assert (len(self.loading), self.cache.reads) == (1, 2)  # the second: with the lease in hand
        waiting[0].cancel()
        self.failureResultOf(waiting[0], CancelledError)
        self.loading[0].callback(b'"x"')
        assert {self.successResultOf(d) for d in waiting[1:]} == {Found(b'"x"', Origin.LOADED)}
        assert self.look_aside.counts.loads == 1

    def test_a_cache_that_is_down_is_counted_and_the_database_answers(self) -> None:
        self.cache.broken = True
        for number in range(1, 4):
            waiting = self.get()
            self.loading.pop().callback(b'"x"')
            assert self.successResultOf(waiting).origin is Origin.LOADED
            assert self.look_aside.cache_failures == 2 * number

    def test_a_failing_database_is_every_waiters_failure_when_there_is_nothing_else(self) -> None:
        waiting = [self.get() for _ in range(3)]
        self.loading[0].errback(DependencyDown())
        for one in waiting:
            self.failureResultOf(one, DependencyDown)
        assert self.look_aside.counts.load_failures == 1

    def test_the_last_good_value_stands_in_for_the_stale_time_and_no_longer(self) -> None:
        self.load_once()
        self.cache.value = None
        self.clock.advance(299.9)
        waiting = self.get()
        self.loading.pop().errback(DependencyDown())
        assert self.successResultOf(waiting) == Found(b'"good"', Origin.STALE)
        self.clock.advance(0.2)
        waiting = self.get()
        self.loading.pop().errback(DependencyDown())
        self.failureResultOf(waiting, DependencyDown)

    def test_a_hit_is_a_good_value_too(self) -> None:
        self.cache.value = b'"hit"'
        self.successResultOf(self.get())
        self.cache.value = None
        waiting = self.get()
        self.loading.pop().errback(DependencyDown())
        assert self.successResultOf(waiting) == Found(b'"hit"', Origin.STALE)

    def test_a_stale_time_of_zero_means_never(self) -> None:
        self.use(Policy(near_ttl_s=0.0, stale_ttl_s=0.0))
        self.load_once()
        self.cache.value = None
        waiting = self.get()
        self.loading.pop().errback(DependencyDown())
        self.failureResultOf(waiting, DependencyDown)

    def test_a_stale_value_is_not_written_to_the_shared_cache(self) -> None:
        self.load_once()
        self.cache.value = None
        waiting = self.get()
        self.loading.pop().errback(DependencyDown())
        self.successResultOf(waiting)
        assert self.cache.value is None

    def test_a_database_that_refuses_at_once_is_asked_each_time(self) -> None:
        self.load_once()
        self.cache.value = None
        waiting = self.get()
        self.loading.pop().errback(DependencyDown())
        self.successResultOf(waiting)
        waiting = self.get()
        self.assertNoResult(waiting)
        self.loading.pop().callback(b'"new"')
        assert self.successResultOf(waiting) == Found(b'"new"', Origin.LOADED)

    def test_while_the_database_hangs_only_the_first_waits_for_the_deadline(self) -> None:
        self.load_once()
        self.cache.value = None
        first = self.get()
        self.clock.advance(5)
        self.loading.pop().errback(AnswerTimeout())
        assert self.successResultOf(first).origin is Origin.STALE
        for _ in range(10):
            assert self.successResultOf(self.get()) == Found(b'"good"', Origin.STALE)
        assert len(self.loading) == 1
        self.loading.pop().callback(b'"new"')
        assert self.successResultOf(self.get()) == Found(b'"new"', Origin.HIT)

    def test_a_database_that_hangs_on_is_asked_behind_the_clients_backs_and_without_noise(self) -> None:
        self.load_once()
        self.cache.value = None
        self.get()
        self.clock.advance(5)
        self.loading.pop().errback(AnswerTimeout())
        for _ in range(3):
            self.successResultOf(self.get())
            self.clock.advance(5)
            self.loading.pop().errback(AnswerTimeout())
        self.clock.advance(300)
        waiting = self.get()
        self.assertNoResult(waiting)
        self.loading.pop().errback(AnswerTimeout())
        self.failureResultOf(waiting, AnswerTimeout)

    def test_stopping_cancels_what_is_under_way(self) -> None:
        self.look_aside.startService()
        waiting = self.get()
        self.look_aside.stopService()
        self.failureResultOf(waiting, CancelledError)
        assert self.look_aside.under_way == 0

    def test_a_key_that_cannot_be_used_is_the_clients_fault(self) -> None:
        for key in ("k" * 1_001, LEASE):
            self.failureResultOf(self.get(key), ClientError)
        assert self.cache.reads == 0

    def test_a_look_that_fails_with_a_bug_gives_its_lease_back(self) -> None:
        waiting = self.get()
        self.loading.pop().errback(ZeroDivisionError())
        self.failureResultOf(waiting, ZeroDivisionError)
        assert LEASE not in self.cache.kept


class NearTests(Looking):
    def setUp(self) -> None:
        super().setUp()
        self.use(Policy(ttl_jitter=0.0, beta=0.0))

    def test_a_near_hit_asks_neither_cache_nor_source(self) -> None:
        self.load_once()
        reads = self.cache.reads
        self.clock.advance(0.99)
        assert self.successResultOf(self.get()) == Found(b'"good"', Origin.HIT)
        assert (self.cache.reads, self.look_aside.counts.near_hits) == (reads, 1)
        self.clock.advance(0.02)
        assert self.successResultOf(self.get()) == Found(b'"good"', Origin.HIT)
        assert (self.cache.reads, self.look_aside.counts.near_hits) == (reads + 1, 1)

    def test_what_the_shared_cache_had_is_near_for_what_remains_of_it_and_no_longer(self) -> None:
        self.cache.value, self.cache.remaining_s = b'"x"', 0.4
        self.successResultOf(self.get())
        self.cache.value = None
        self.clock.advance(0.39)
        assert self.successResultOf(self.get()).value == b'"x"'
        self.clock.advance(0.02)
        self.assertNoResult(self.get())

    def test_of_what_the_shared_cache_tells_no_end_nothing_is_kept(self) -> None:
        self.cache.value = b'"x"'
        self.successResultOf(self.get())
        assert len(self.look_aside.near.entries) == 0

    def test_while_the_cache_is_down_a_loaded_value_is_near_all_the_same(self) -> None:
        self.cache.broken = True
        self.load_once()
        assert self.successResultOf(self.get()).origin is Origin.HIT
        assert self.look_aside.counts.loads == 1

    def test_the_near_cache_is_bounded_in_entries_and_bytes(self) -> None:
        for bounds in ({"max_entries": 10}, {"max_bytes": 5_000}):
            self.use(Policy(), **bounds)
            self.cache.kept.clear()
            for number in range(100):
                waiting = self.get(f"key:{number}")
                self.loading.pop().callback(b'"good"')
                self.successResultOf(waiting)
            assert 5 <= len(self.look_aside.near.entries) <= 17

    def test_what_is_larger_than_the_near_cache_is_served_and_not_kept(self) -> None:
        self.use(Policy(), max_bytes=2_000)
        self.load_once(b'"%b"' % (b"x" * 3_000))
        assert len(self.look_aside.near.entries) == 0
        self.cache.remaining_s = 30.0
        assert self.successResultOf(self.get()).origin is Origin.HIT

    def test_what_is_forgotten_is_loaded_anew(self) -> None:
        self.load_once()
        self.successResultOf(Deferred.fromCoroutine(self.look_aside.forget("data")))
        waiting = self.get()
        self.loading.pop().errback(DependencyDown())
        self.failureResultOf(waiting, DependencyDown)

    def test_expired_entries_are_swept(self) -> None:
        self.look_aside.startService()
        self.load_once()
        self.clock.pump([1.0] * 3)
        assert len(self.look_aside.near.entries) == 0
        self.look_aside.stopService()
        assert self.clock.getDelayedCalls() == []


class NegativeTests(Looking):
    def test_that_there_is_nothing_is_remembered_shortly_near_and_shared(self) -> None:
        self.use(Policy(ttl_jitter=0.0, near_ttl_s=0.5, negative_ttl_s=3.0))
        for nothing in (None, b"null"):
            self.cache.value = None
            waiting = self.get()
            self.loading.pop().callback(nothing)
            found = self.successResultOf(waiting)
            assert (found.absent, found.origin, found.value) == (True, Origin.LOADED, b"null")
            assert self.cache.written.pop() == ("data", b"null", 3.0)
            assert self.successResultOf(self.get()).absent
            self.cache.remaining_s = 2.5
            self.clock.advance(0.51)
            found = self.successResultOf(self.get())
            assert (found.absent, found.origin) == (True, Origin.HIT)
            self.clock.advance(0.51)
        assert self.look_aside.counts.negative_hits == 4

    def test_with_no_time_for_it_nothing_is_not_remembered(self) -> None:
        self.use(Policy(negative_ttl_s=0.0))
        self.load_once(None)
        assert (self.cache.written, len(self.look_aside.near.entries)) == ([], 0)
        self.assertNoResult(self.get())

    def test_nothing_is_never_remembered_for_longer_than_something(self) -> None:
        self.use(Policy(ttl_s=2.0, negative_ttl_s=60.0, ttl_jitter=0.0))
        self.load_once(None)
        assert self.cache.written == [("data", b"null", 2.0)]

    def test_a_value_that_appears_takes_the_place_of_nothing(self) -> None:
        self.use(Policy())
        self.load_once(None)
        self.cache.value = None
        self.clock.advance(1.1)
        self.load_once(b'"new"')
        assert self.successResultOf(self.get()) == Found(b'"new"', Origin.HIT)


class JitterTests(Looking):
    def test_lives_are_shorter_by_up_to_the_jitter_and_never_longer(self) -> None:
        for draw, life_s in ((0.0, 30.0), (0.5, 28.5), (0.999_999, 27.000_003)):
            self.use(Policy(ttl_jitter=0.1, near_ttl_s=0.0))
            self.draws = [draw, draw]
            self.load_once()
            (_, _, written_s) = self.cache.written.pop()
            assert written_s == pytest.approx(life_s)
            self.cache.value = None


class EarlyTests(Looking):
    """XFetch: with ``draw`` = 1 - 1/e a value is due exactly ``load_s * beta`` before its end."""

    DRAW = 1.0 - exp(-1.0)

    def setUp(self) -> None:
        super().setUp()
        self.use(Policy(ttl_s=10.0, ttl_jitter=0.0, near_ttl_s=60.0))
        self.draws = [0.5, self.DRAW]
        self.load_once(load_s=2.0)

    def test_one_hit_within_the_load_time_before_the_end_starts_a_load_and_no_hit_waits_for_it(self) -> None:
        self.clock.advance(7.9)
        self.successResultOf(self.get())
        assert self.loading == []
        self.clock.advance(0.2)
        for _ in range(10):
            assert self.successResultOf(self.get()) == Found(b'"good"', Origin.HIT)
        assert (len(self.loading), self.look_aside.counts.early_refreshes) == (1, 1)
        self.loading.pop().callback(b'"new"')
        assert self.successResultOf(self.get()) == Found(b'"new"', Origin.HIT)
        assert (self.cache.value, LEASE in self.cache.kept) == (b'"new"', False)

    def test_who_misses_while_a_refresh_is_under_way_waits_for_it(self) -> None:
        self.clock.advance(8.1)
        self.successResultOf(self.get())
        self.cache.value = None
        self.clock.advance(2)
        waiting = self.get()
        assert len(self.loading) == 1
        self.loading.pop().callback(b'"new"')
        assert self.successResultOf(waiting) == Found(b'"new"', Origin.LOADED)

    def test_while_another_gateway_refreshes_this_one_does_not(self) -> None:
        self.clock.advance(8.1)
        self.successResultOf(Deferred.fromCoroutine(self.cache.claim(LEASE, 2.0)))
        self.successResultOf(self.get())
        assert (self.loading, self.look_aside.counts.early_refreshes) == ([], 0)
        assert LEASE in self.cache.kept, "another's"

    def test_what_another_gateway_has_just_refreshed_is_taken(self) -> None:
        self.clock.advance(8.1)
        self.cache.value, self.cache.remaining_s = b'"theirs"', 9.5
        assert self.successResultOf(self.get()).value == b'"good"'
        assert self.successResultOf(self.get()).value == b'"theirs"'
        assert (self.loading, self.look_aside.counts.early_refreshes, LEASE in self.cache.kept) == ([], 0, False)

    def test_a_refresh_that_fails_is_nobodys_failure(self) -> None:
        self.clock.advance(8.1)
        self.successResultOf(self.get())
        self.loading.pop().errback(DependencyDown())
        assert self.successResultOf(self.get()) == Found(b'"good"', Origin.HIT)
        assert (self.look_aside.counts.load_failures, LEASE in self.cache.kept) == (1, False)
        assert self.loading == [], "not again at once"

    def test_a_cache_that_is_down_is_no_reason_to_load_early(self) -> None:
        self.cache.broken = True
        self.clock.advance(8.1)
        self.successResultOf(self.get())
        assert self.loading == []

    def test_a_shared_hit_may_be_due_as_well(self) -> None:
        self.use(Policy(ttl_s=10.0, ttl_jitter=0.0, near_ttl_s=0.0, lease_s=0.0))
        self.load_once_more(load_s=2.0)
        self.cache.remaining_s = 1.9
        self.draws = [self.DRAW]
        assert self.successResultOf(self.get()) == Found(b'"good"', Origin.HIT)
        assert len(self.loading) == 1

    def load_once_more(self, *, load_s: float) -> None:
        self.cache.value = None
        self.load_once(load_s=load_s)

    def test_with_beta_zero_a_value_is_never_due(self) -> None:
        self.use(Policy(ttl_s=10.0, ttl_jitter=0.0, near_ttl_s=60.0, beta=0.0))
        self.draws = [0.5, 0.999_999]
        self.load_once_more(load_s=2.0)
        self.clock.advance(9.99)
        self.successResultOf(self.get())
        assert self.loading == []
