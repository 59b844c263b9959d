"""Near entries that live for their whole time, because the shared cache tells of changes."""

from twisted.internet.defer import Deferred

from scalability.errors import ConnectError
from scalability.gateway.cache_clients import Changes, Kept
from scalability.gateway.look_aside import Found, Origin, Policy
from tests.gateway.look_aside.test_look import Looking


class CoherentTests(Looking):
    """The near cache keeps a value for a second where nobody tells of changes."""

    def setUp(self) -> None:
        super().setUp()
        self.changes = Changes()
        self.changes.began()
        self.use(Policy(near_ttl_s=1.0, ttl_jitter=0.0, beta=0.0), changes=self.changes)
        self.cache.value = b"1"
        self.cache.remaining_s = 30.0

    def near(self) -> bytes | None:
        return self.look_aside.near_hit("data", self.load, self.clock.seconds())

    def test_a_value_that_is_watched_stays_until_it_ends(self) -> None:
        self.successResultOf(self.get())
        self.clock.advance(29.9)
        assert self.near() == b"1"
        self.clock.advance(0.2)
        assert self.near() is None

    def test_a_value_without_an_end_stays_until_it_changes(self) -> None:
        self.cache.remaining_s = float("inf")
        self.successResultOf(self.get())
        self.clock.advance(1e6)
        assert self.near() == b"1"
        self.changes.changed(["data"])
        assert self.near() is None

    def test_a_change_is_seen_at_once_and_only_by_those_it_concerns(self) -> None:
        self.successResultOf(self.get())
        self.changes.changed(["other"])
        assert self.near() == b"1"
        self.cache.value = b"2"
        self.changes.changed(["data"])
        assert self.successResultOf(self.get()) == Found(b"2", Origin.HIT)
        self.changes.all_changed()
        assert self.near() is None

    def test_a_change_that_overtakes_the_reply_keeps_the_value_out(self) -> None:
        for news in (lambda: self.changes.changed(["data"]), self.changes.all_changed, self.changes.lost):
            reply: Deferred[Kept | None] = Deferred()

            async def slow(key: str, reply: Deferred[Kept | None] = reply) -> Kept | None:
                return await reply

            self.cache.get, quick = slow, self.cache.get  # type: ignore[method-assign]
            looking = self.get()
            news()
            reply.callback(Kept(b"old", 30.0))
            assert self.successResultOf(looking) == Found(b"old", Origin.HIT)
            assert self.near() is None
            self.cache.get = quick  # type: ignore[method-assign]

    def test_a_loaded_value_is_watched_from_its_write_on(self) -> None:
        self.cache.value = None
        looking = self.get()
        self.loading[0].callback(b"new")
        self.successResultOf(looking)
        self.clock.advance(29.0)
        assert self.near() == b"new"
        self.changes.changed(["data"])
        assert self.near() is None

    def test_a_change_during_the_write_keeps_the_loaded_value_out(self) -> None:
        self.cache.value = None
        writing = self.cache.writing = Deferred()
        looking = self.get()
        self.loading[0].callback(b"new")
        assert self.near() == b"new", "those who ask meanwhile need not wait"
        self.changes.changed(["data"])
        writing.callback(None)
        self.successResultOf(looking)
        assert self.near() is None

    def test_what_we_forget_ourselves_is_not_kept_by_a_write_under_way(self) -> None:
        self.cache.value = None
        writing = self.cache.writing = Deferred()
        looking = self.get()
        self.loading[0].callback(b"old")
        self.successResultOf(Deferred.fromCoroutine(self.look_aside.forget("data")))
        writing.callback(None)
        self.successResultOf(looking)
        assert self.near() is None

    def test_a_write_that_fails_leaves_the_value_for_near_ttl(self) -> None:
        self.cache.value = None

        async def failing(key: str, value: bytes, ttl_s: float) -> None:
            raise ConnectError

        self.cache.set = failing  # type: ignore[method-assign]
        looking = self.get()
        self.loading[0].callback(b"new")
        self.successResultOf(looking)
        self.clock.advance(0.9)
        assert self.near() == b"new"
        self.clock.advance(0.2)
        assert self.near() is None

    def test_a_lost_connection_empties_the_near_cache_and_then_near_ttl_holds(self) -> None:
        self.successResultOf(self.get())
        self.changes.lost()
        assert self.near() is None
        self.successResultOf(self.get())
        self.clock.advance(0.9)
        assert self.near() == b"1"
        self.clock.advance(0.2)
        assert self.near() is None
        self.changes.began()
        self.successResultOf(self.get())
        self.clock.advance(20)
        assert self.near() == b"1"

    def test_without_a_near_cache_there_is_none(self) -> None:
        self.use(Policy(near_ttl_s=0.0, ttl_jitter=0.0, beta=0.0), changes=self.changes)
        self.successResultOf(self.get())
        assert self.near() is None
