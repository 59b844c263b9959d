"""The shared cache as looks see it: with moments of our own clock in the place of what remains, and its failures counted."""

from typing import NamedTuple

from twisted.internet.interfaces import IReactorTime

from scalability.errors import ScalelabError
from scalability.gateway.cache_clients import LookAsideCache
from scalability.gateway.look_aside.policy import lease_key


class SharedValue(NamedTuple):
    """A value of the shared cache, and when it ends there at the earliest; None where the cache does not tell."""

    value: bytes
    expires_at: float | None


class SharedCache:
    """Each call fails as the cache does, with a ScalelabError, and is counted then."""

    def __init__(self, cache: LookAsideCache, clock: IReactorTime) -> None:
        self.failures = 0
        self._cache = cache
        self._clock = clock

    async def get(self, key: str) -> SharedValue | None:
        """The value of ``key``, or None."""
        asked_at = self._clock.seconds()  # what remains was told later than this: nothing is taken to live too long
        try:
            kept = await self._cache.get(key)
        except ScalelabError:
            self.failures += 1
            raise
        if kept is None:
            return None
        return SharedValue(kept.value, None if kept.remaining_s is None else asked_at + kept.remaining_s)

    async def set(self, key: str, value: bytes, ttl_s: float) -> None:
        """Keep ``value`` for ``ttl_s`` seconds."""
        try:
            await self._cache.set(key, value, ttl_s)
        except ScalelabError:
            self.failures += 1
            raise

    async def delete(self, key: str) -> None:
        """Keep nothing for ``key``."""
        try:
            await self._cache.delete(key)
        except ScalelabError:
            self.failures += 1
            raise

    async def claim_lease(self, key: str, lease_s: float) -> bool:
        """Whether the lease for ``key`` is ours now, for ``lease_s`` seconds."""
        try:
            return await self._cache.claim(lease_key(key), lease_s)
        except ScalelabError:
            self.failures += 1
            raise

    async def end_lease(self, key: str) -> None:
        """Whoever has the lease for ``key``, has it no longer."""
        await self.delete(lease_key(key))
