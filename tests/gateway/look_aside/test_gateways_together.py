"""Several gateways on one shared cache that takes its time, over a made-up hour: what is promised of them together holds in every order."""

from dataclasses import dataclass
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock, deferLater
from twisted.python.failure import Failure

from scalability.errors import ConnectError, DependencyDown, ScalelabError
from scalability.gateway.cache_clients import Kept, MemoryCache
from scalability.gateway.look_aside import Found, LookAside, Origin, Policy
from scalability.ttlcache import TTLCache

TTL_S, LEASE_S = 5.0, 2.0
SLOWEST_CALL_S = 0.02
SLOWEST_LOAD_S = 1.0
KEYS = ("a", "b")


class FarCache:
    """A cache behind a network: each call and each answer is under way for a while, or fails."""

    def __init__(self, entries: TTLCache[str, bytes], clock: Clock, chance: Random) -> None:
        self._cache = MemoryCache(entries, clock)
        self._clock = clock
        self._chance = chance
        self.failing = False

    async def _travel(self) -> None:
        await deferLater(self._clock, self._chance.choice((0.0, 0.001, 0.005, SLOWEST_CALL_S / 2)))
        if self.failing:
            raise ConnectError

    async def get(self, key: str) -> Kept | None:
        await self._travel()
        kept = await self._cache.get(key)
        await self._travel()
        return kept

    async def set(self, key: str, value: bytes, ttl_s: float) -> None:
        await self._travel()
        await self._cache.set(key, value, ttl_s)
        await self._travel()

    async def claim(self, key: str, ttl_s: float) -> bool:
        await self._travel()
        ours = await self._cache.claim(key, ttl_s)
        await self._travel()
        return ours

    async def delete(self, key: str) -> None:
        await self._travel()
        await self._cache.delete(key)
        await self._travel()


class Source:
    """Values that say when they were read; counts how many reads of a key run at once."""

    def __init__(self, clock: Clock, chance: Random) -> None:
        self._clock = clock
        self._chance = chance
        self.running = dict.fromkeys(KEYS, 0)
        self.most = 0
        self.failing = False

    async def load(self, key: str) -> bytes:
        self.running[key] += 1
        self.most = max(self.most, self.running[key])
        read_s = self._clock.seconds()
        try:
            await deferLater(self._clock, self._chance.choice((0.0, 0.01, 0.2, SLOWEST_LOAD_S)))
            if self.failing:
                raise DependencyDown
        finally:
            self.running[key] -= 1
        return b"%r" % read_s


@dataclass(frozen=True)
class Step:
    """After a pause, one gateway is asked for a key, by several clients."""

    pause_s: float
    gateway: int
    key: str
    clients: int


SEEDS = st.builds(Random, st.integers(0, 2**32))
STEPS = st.builds(
    Step, st.sampled_from((0.0, 0.003, 0.05, 0.4, 1.1, 3.0, 5.1)), st.integers(0, 2), st.sampled_from(KEYS), st.integers(1, 3)
)


class Together:
    """Three gateways, their clients, and what those were told."""

    def __init__(self, chance: Random) -> None:
        self.clock = Clock()
        self.clock.advance(1_000)
        self.source = Source(self.clock, chance)
        entries: TTLCache[str, bytes] = TTLCache(max_bytes=1 << 20)
        self.caches = [FarCache(entries, self.clock, chance) for _ in range(3)]
        policy = Policy(ttl_s=TTL_S, near_ttl_s=1.0, lease_s=LEASE_S, stale_ttl_s=60.0)
        self.gateways = [LookAside(cache, self.clock, policy, draw=chance.random) for cache in self.caches]
        self.asked = 0
        self.answered = 0
        self.oldest_s = 0.0
        self.slowest_s = 0.0
        self.stale = 0
        self.failed: list[Failure] = []

    def ask(self, step: Step) -> None:
        self.wait(step.pause_s)
        for _ in range(step.clients):
            self.asked += 1
            asked_s = self.clock.seconds()
            looking = self.gateways[step.gateway].get(step.key, lambda: self.source.load(step.key))
            looking.addCallbacks(self._told, self._refused, callbackArgs=(asked_s,))

    def _told(self, found: Found, asked_s: float) -> None:
        now = self.clock.seconds()
        self.answered += 1
        self.slowest_s = max(self.slowest_s, now - asked_s)
        if found.origin is Origin.STALE:
            self.stale += 1
        else:
            self.oldest_s = max(self.oldest_s, now - float(found.value))

    def _refused(self, failure: Failure) -> None:
        self.answered += 1
        self.failed.append(failure)

    def wait(self, seconds: float) -> None:
        """In steps that are shorter than anything that is waited for."""
        until = self.clock.seconds() + seconds
        while (calls := self.clock.getDelayedCalls()) and (due := min(call.getTime() for call in calls)) <= until:
            self.clock.advance(max(0.0, due - self.clock.seconds()))
        self.clock.advance(max(0.0, until - self.clock.seconds()))


@given(st.lists(STEPS, min_size=1, max_size=12), SEEDS)
def test_a_key_is_read_by_one_at_a_time_answers_are_young_and_nobody_waits_for_long(steps: list[Step], chance: Random) -> None:
    together = Together(chance)
    for step in steps:
        together.ask(step)
    together.wait(10.0)
    assert together.answered == together.asked
    assert (together.failed, together.stale) == ([], 0)
    assert together.source.most == 1, "no load outlasts its lease here"
    assert together.oldest_s <= TTL_S + SLOWEST_LOAD_S + 4 * SLOWEST_CALL_S
    assert together.slowest_s <= LEASE_S + SLOWEST_LOAD_S + 0.5
    assert all(gateway.under_way == 0 for gateway in together.gateways)


@given(st.lists(st.tuples(STEPS, st.integers(0, 3), st.booleans()), min_size=1, max_size=12), SEEDS)
def test_whatever_fails_everybody_is_answered_and_nothing_stays_behind(steps: list[tuple[Step, int, bool]], chance: Random) -> None:
    together = Together(chance)
    for step, failing_cache, failing_source in steps:
        for number, cache in enumerate(together.caches):
            cache.failing = number == failing_cache
        together.source.failing = failing_source
        together.ask(step)
    together.wait(10.0)
    assert together.answered == together.asked
    assert all(failure.check(ScalelabError) for failure in together.failed)
    assert together.slowest_s <= LEASE_S + SLOWEST_LOAD_S + 0.5
    assert all(gateway.under_way == 0 for gateway in together.gateways)
    assert together.clock.getDelayedCalls() == []
