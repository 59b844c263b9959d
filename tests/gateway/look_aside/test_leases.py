"""Who loads a key when several gateways miss it: real looks on one shared cache, on a clock."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from scalability.errors import ConnectError, DependencyDown
from scalability.gateway.cache_clients import Kept, MemoryCache
from scalability.gateway.look_aside import Found, LookAside, Origin, Policy
from scalability.gateway.look_aside.leases import NO_LEASE, Lease, Leases
from scalability.gateway.look_aside.policy import lease_key
from scalability.gateway.look_aside.shared import SharedCache, SharedValue
from scalability.ttlcache import TTLCache

POLICY = Policy(ttl_jitter=0.0, beta=0.0)


class Source:
    """Loads that the test ends."""

    def __init__(self) -> None:
        self.loading: list[Deferred[bytes]] = []

    async def load(self) -> bytes:
        loading: Deferred[bytes] = Deferred()
        self.loading.append(loading)
        return await loading


class GatewaysTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_000)
        self.entries: TTLCache[str, bytes] = TTLCache(max_bytes=1 << 20)
        self.cache = MemoryCache(self.entries, self.clock)
        self.source = Source()
        self.use(POLICY)

    def use(self, policy: Policy) -> None:
        self.one, self.other = (LookAside(self.cache, self.clock, policy, draw=lambda: 0.5) for _ in range(2))

    def get(self, gateway: LookAside) -> "Deferred[Found]":
        return gateway.get("data", self.source.load)

    def pump(self, seconds: float) -> None:
        self.clock.pump([0.005] * round(seconds / 0.005))

    def test_one_loads_and_the_other_finds_what_it_wrote(self) -> None:
        first, second = self.get(self.one), self.get(self.other)
        self.pump(1.0)
        assert len(self.source.loading) == 1
        self.source.loading[0].callback(b"7")
        assert self.successResultOf(first) == Found(b"7", Origin.LOADED)
        self.pump(0.11)
        assert self.successResultOf(second) == Found(b"7", Origin.HIT)
        assert (self.one.leases.counts.waits, self.other.leases.counts.waits) == (0, 1)
        assert self.entries.get(lease_key("data"), self.clock.seconds()) is None

    def test_a_holder_that_dies_delays_the_other_by_the_lease_at_most(self) -> None:
        self.get(self.one)
        second = self.get(self.other)
        self.pump(1.9)
        assert len(self.source.loading) == 1
        self.pump(0.2)
        assert len(self.source.loading) == 2
        self.source.loading[1].callback(b"7")
        assert self.successResultOf(second) == Found(b"7", Origin.LOADED)

    def test_a_holder_that_fails_leaves_it_to_the_next_at_once(self) -> None:
        first, second = self.get(self.one), self.get(self.other)
        self.source.loading[0].errback(DependencyDown())
        self.failureResultOf(first, DependencyDown)
        self.pump(0.11)
        assert len(self.source.loading) == 2
        self.source.loading[1].callback(b"7")
        assert self.successResultOf(second).origin is Origin.LOADED

    def test_of_many_waiters_one_is_next(self) -> None:
        others = [LookAside(self.cache, self.clock, POLICY, draw=lambda: 0.5) for _ in range(20)]
        first = self.get(self.one)
        waiting = [self.get(other) for other in others]
        self.source.loading[0].errback(DependencyDown())
        self.failureResultOf(first, DependencyDown)
        self.pump(0.5)
        assert len(self.source.loading) == 2
        self.source.loading[1].callback(b"7")
        self.pump(0.2)
        assert {self.successResultOf(one).value for one in waiting} == {b"7"}

    def test_a_load_that_outlasts_its_lease_leaves_the_lease_of_the_next_alone(self) -> None:
        first, _ = self.get(self.one), self.get(self.other)
        self.pump(2.1)
        assert len(self.source.loading) == 2
        self.source.loading[0].callback(b"7")
        assert self.successResultOf(first).origin is Origin.LOADED

    def test_without_a_lease_each_gateway_loads(self) -> None:
        self.use(Policy(lease_s=0.0))
        self.get(self.one)
        self.get(self.other)
        assert (len(self.source.loading), len(self.entries)) == (2, 0)


class TurnTests(SynchronousTestCase):
    """``Leases`` on a cache whose answers the test gives."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.asked: list[str] = []
        self.answers: list[Any] = []
        self.leases = Leases(SharedCache(self, self.clock), self.clock, POLICY, lambda: 0.5)

    def _answer(self, what: str) -> Any:
        self.asked.append(what)
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def get(self, key: str) -> Kept | None:
        answer: Kept | None = self._answer("get")
        return answer

    async def set(self, key: str, value: bytes, ttl_s: float) -> None:
        self._answer("set")

    async def claim(self, key: str, ttl_s: float) -> bool:
        return bool(self._answer("claim"))

    async def delete(self, key: str) -> None:
        self._answer("delete")

    def turn(self, *answers: Any) -> "Deferred[Any]":
        self.answers = list(answers)
        return Deferred.fromCoroutine(self.leases.turn("k"))

    def test_with_the_lease_in_hand_it_looks_once_more(self) -> None:
        assert self.successResultOf(self.turn(True, None)) == Lease("k", 2.0)
        assert self.asked == ["claim", "get"]

    def test_what_was_written_meanwhile_is_taken_and_the_lease_given_back(self) -> None:
        assert self.successResultOf(self.turn(True, Kept(b"7", 5.0))) == SharedValue(b"7", 5.0)
        assert self.asked == ["claim", "get", "delete"]

    def test_a_cache_that_fails_is_not_waited_for(self) -> None:
        for answers in ((ConnectError(),), (True, ConnectError())):
            assert self.successResultOf(self.turn(*answers)) is NO_LEASE
        waiting = self.turn(False, ConnectError())
        self.clock.advance(0.1)
        assert self.successResultOf(waiting) is NO_LEASE

    def test_the_number_of_looks_is_bounded(self) -> None:
        waiting = self.turn()
        self.clock.pump([0.001] * 2_100)
        assert self.successResultOf(waiting) is NO_LEASE
        assert self.leases.counts.timeouts == 1
        assert 20 < self.asked.count("get") < 40

    def test_a_wait_can_be_cancelled_and_leaves_nothing_behind(self) -> None:
        waiting = self.turn()
        waiting.cancel()
        self.failureResultOf(waiting)
        assert self.clock.getDelayedCalls() == []

    def test_a_lease_that_is_over_is_not_given_back(self) -> None:
        lease = Lease("k", 2.0)
        for now, asked in ((1.9, ["delete"]), (0.1, ["delete"])):
            self.clock.advance(now)
            self.successResultOf(Deferred.fromCoroutine(self.leases.release(lease)))
            assert self.asked == asked

    def test_giving_back_never_fails(self) -> None:
        self.answers = [ConnectError()]
        self.successResultOf(Deferred.fromCoroutine(self.leases.release(Lease("k", 2.0))))

    def test_claiming_without_waiting(self) -> None:
        for answer, got in ((True, Lease("k", 2.0)), (False, None), (ConnectError(), None)):
            self.answers = [answer]
            assert self.successResultOf(Deferred.fromCoroutine(self.leases.try_claim("k"))) == got
