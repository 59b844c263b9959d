"""Cache first, database second, the last good value last."""

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from scalability.errors import AnswerTimeout, ConnectError, DependencyDown
from scalability.gateway.look_aside import Found, LookAside, Origin


class ScriptedCache:
    """Keeps one value; ``broken`` makes it fail; ``slow`` holds writes back."""

    def __init__(self) -> None:
        self.value: bytes | None = None
        self.broken = False
        self.reads = 0
        self.written: list[tuple[str, bytes, float]] = []
        self.writing: Deferred[None] | None = None

    async def get(self, key: str) -> bytes | None:
        self.reads += 1
        if self.broken:
            raise ConnectError
        return self.value

    async def set(self, key: str, value: bytes, ttl_s: float) -> None:
        if self.broken:
            raise ConnectError
        if self.writing is not None:
            await self.writing
        self.written.append((key, value, ttl_s))
        self.value = value


class LookAsideTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.cache = ScriptedCache()
        self.look_aside = LookAside(self.cache, self.clock, ttl_s=30.0, stale_ttl_s=300.0)
        self.loading: list[Deferred[bytes]] = []

    async def load(self) -> bytes:
        loading: Deferred[bytes] = Deferred()
        self.loading.append(loading)
        return await loading

    def get(self) -> Deferred[Found]:
        return self.look_aside.get("data", self.load)

    def load_once(self) -> None:
        waiting = self.get()
        self.loading.pop().callback(b'"good"')
        self.successResultOf(waiting)

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
        assert (len(self.loading), self.cache.reads) == (1, 1)
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
            assert self.look_aside.counts.cache_failures == 2 * number

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
        self.look_aside = LookAside(self.cache, self.clock, ttl_s=30.0, stale_ttl_s=0.0)
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
        assert len(self.look_aside.looks) == 0
