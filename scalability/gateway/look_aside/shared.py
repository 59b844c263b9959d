"""The shared cache as looks see it: with moments of our own clock in the place of what remains, and its failures counted."""

from typing import NamedTuple

from twisted.internet.interfaces import IReactorTime

from scalability.errors import ScalelabError
from scalability.gateway.cache_clients import Changes, LookAsideCache
from scalability.gateway.look_aside.policy import lease_key


class SharedValue(NamedTuple):
    """A value of the shared cache, and when it ends there at the earliest; None where the cache does not tell.

    ``moment`` (``Changes``) is when it was asked for.
    """

    value: bytes
    expires_at: float | None
    moment: int | None = None


class SharedCache:
    """Each call fails as the cache does, with a ScalelabError, and is counted then."""

    def __init__(self, cache: LookAsideCache, clock: IReactorTime, changes: Changes | None = None) -> None:
        self.failures = 0
        self.changes = Changes() if changes is None else changes
        self._cache = cache
        self._clock = clock

    async def get(self, key: str) -> SharedValue | None:
        """The value of ``key``, or None."""
        asked_at = self._clock.seconds()  # what remains was told later than this: nothing is taken to live too long
        moment = self.changes.moment()
        try:
            kept = await self._cache.get(key)
        except ScalelabError:
            self.failures += 1
            raise
        if kept is None:
            return None
        return SharedValue(kept.value, None if kept.remaining_s is None else asked_at + kept.remaining_s, moment)

    async def set(self, key: str, value: bytes, ttl_s: float) -> int | None:
        """Keep ``value`` for ``ttl_s`` seconds. The moment at which that was asked for."""
        moment = self.changes.moment()
        try:
            await self._cache.set(key, value, ttl_s)
        except ScalelabError:
            self.failures += 1
            raise
        return moment

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
