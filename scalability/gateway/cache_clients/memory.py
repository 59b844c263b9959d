"""``memory:``: a look-aside cache of this process's own."""

from twisted.internet.interfaces import IReactorTime

from scalability.gateway.cache_clients.interface import Kept
from scalability.ttlcache import Outcome, TTLCache


class MemoryCache:
    """Every gateway then reads the database for itself."""

    def __init__(self, cache: TTLCache[str, bytes], clock: IReactorTime) -> None:
        self._cache = cache
        self._clock = clock

    async def get(self, key: str) -> Kept | None:
        """From memory, at once."""
        now = self._clock.seconds()
        value = self._cache.get(key, now)
        expires_at = self._cache.expires_at(key, now)
        return None if value is None or expires_at is None else Kept(value, expires_at - now)

    async def set(self, key: str, value: bytes, ttl_s: float) -> None:
        """Into memory, at once. What is too large is not kept."""
        self._cache.set(key, value, self._clock.seconds(), ttl_s, size_bytes=len(key) + len(value))

    async def claim(self, key: str, ttl_s: float) -> bool:
        """Among those who share this object."""
        outcome = self._cache.set(key, b"1", self._clock.seconds(), ttl_s, size_bytes=len(key) + 1, if_absent=True)
        return outcome is not Outcome.EXISTS

    async def delete(self, key: str) -> None:
        """From memory, at once."""
        self._cache.delete(key, self._clock.seconds())
