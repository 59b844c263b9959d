"""Single flight across gateways: a short lease in the shared cache says who loads a key; the others wait for the value.

A gateway that misses a key has its *turn* in one of these ways:

    claim the lease --ours--> look once more: the value is there (who had the lease wrote it meanwhile) -> SharedValue
                                              it is not -> Lease: load, write, release
                    --another's--> pause, look: the value is there -> SharedValue
                                                it is not -> claim again, until ``lease_s`` is over -> NO_LEASE: load without
    the cache cannot be asked -> NO_LEASE

A lease ends by itself after ``lease_s``: a holder that was killed delays the others by that at most, and a holder that fails
releases it at once, so that the next one tries. Nothing depends on it but the number of loads: a lease that was lost, or
deleted by a clock that runs slow, costs one load more.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from scalability.errors import ScalelabError
from scalability.gateway.look_aside.policy import Policy
from scalability.gateway.look_aside.shared import SharedCache, SharedValue


class Alone(Enum):
    """A turn without a lease."""

    NO_LEASE = "no lease"


NO_LEASE = Alone.NO_LEASE


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to load ``key``, until the caller's clock shows ``until``."""

    key: str
    until: float


@dataclass(slots=True)
class LeaseCounts:
    """What became of the turns."""

    waits: int = 0
    """Turns that found another gateway loading."""
    timeouts: int = 0
    """Those of them that waited in vain, and loaded themselves."""


class Leases:
    """Leases of this process in ``cache``. ``draw`` is the random source, evenly spread over [0, 1)."""

    def __init__(self, cache: SharedCache, clock: IReactorTime, policy: Policy, draw: Callable[[], float]) -> None:
        self.counts = LeaseCounts()
        self._cache = cache
        self._clock = clock
        self._policy = policy
        self._draw = draw

    async def turn(self, key: str) -> Lease | SharedValue | Alone:
        """Who loads ``key``: we do, with or without a lease, or somebody has. Takes ``lease_s`` at most, beside the cache's own time."""
        policy = self._policy
        if not policy.lease_s:
            return NO_LEASE
        gives_up_at = self._clock.seconds() + policy.lease_s
        attempt = 0
        try:
            while True:
                lease = await self._claim(key)
                if lease is not None:
                    kept = await self._cache.get(key)
                    if kept is None:
                        return lease
                    await self.release(lease)
                    return kept
                left_s = gives_up_at - self._clock.seconds()
                if not attempt:
                    self.counts.waits += 1
                if left_s <= 0:
                    self.counts.timeouts += 1
                    return NO_LEASE
                await deferLater(self._clock, min(left_s, policy.pause_s(attempt, self._draw())))
                attempt += 1
                kept = await self._cache.get(key)
                if kept is not None:
                    return kept
        except ScalelabError:
            return NO_LEASE

    async def try_claim(self, key: str) -> Lease | None:
        """The lease for ``key``, if nobody has it and the cache can be asked. With ``lease_s`` 0 everybody gets one."""
        if not self._policy.lease_s:
            return Lease(key, self._clock.seconds())
        try:
            return await self._claim(key)
        except ScalelabError:
            return None

    async def release(self, lease: Lease) -> None:
        """Let the others have it. What is over by our clock is another's by now, perhaps, and left alone. Never fails."""
        if self._clock.seconds() >= lease.until:
            return
        with suppress(ScalelabError):
            await self._cache.end_lease(lease.key)

    async def _claim(self, key: str) -> Lease | None:
        until = self._clock.seconds() + self._policy.lease_s  # before the cache's own time begins: never later than it
        return Lease(key, until) if await self._cache.claim_lease(key, self._policy.lease_s) else None
