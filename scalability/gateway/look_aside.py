"""Cache first, then the source; one look a key at a time; the last good value when the source does not answer.

A look goes: cache hit -> HIT. Miss, or the cache cannot be asked -> load; loaded -> written to the cache -> LOADED.
Load failed -> the last good value, if it is young enough -> STALE, else the failure.
While a load fails *slowly* (a database that hangs), whoever comes gets the stale value at once and the look goes on
behind their backs: waiting for the deadline again and again would help nobody.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from scalability.errors import ScalelabError
from scalability.gateway.cache_clients import LookAsideCache
from scalability.gateway.dependencies import SLOW_S
from scalability.gateway.single_flight import SingleFlight


class Origin(Enum):
    """Where a value came from."""

    HIT = "hit"
    LOADED = "loaded"
    STALE = "stale"


class Found(NamedTuple):
    """A value as JSON text, and where it came from."""

    value: bytes
    origin: Origin


Load = Callable[[], Awaitable[bytes]]
"""Reads a value from its source, as JSON text. Fails with a ScalelabError."""


@dataclass(slots=True)
class LookAsideCounts:
    """Counts of looks, not of requests: many requests may share one."""

    loads: int = 0
    load_failures: int = 0
    cache_failures: int = 0
    """Reads and writes of the cache that failed or were skipped: each cost a load or left nothing for the next look."""


class _LastGood(NamedTuple):
    value: bytes
    seen_s: float


class LookAside(Service):
    """Values by key. The keys stand in the gateway's code, so the last good values need no bound but their number.

    ``ttl_s`` is the life of a loaded value in the cache; ``stale_ttl_s`` how long after it was last seen good a value
    may stand in for a failing source. Stopping cancels the looks under way.
    """

    log = Logger()

    def __init__(self, cache: LookAsideCache, clock: IReactorTime, *, ttl_s: float, stale_ttl_s: float) -> None:
        self.counts = LookAsideCounts()
        self.looks: SingleFlight[str, Found] = SingleFlight()
        self._cache = cache
        self._clock = clock
        self._ttl_s = ttl_s
        self._stale_ttl_s = stale_ttl_s
        self._last_good: dict[str, _LastGood] = {}
        self._hanging: set[str] = set()
        """Keys whose last load failed slowly."""

    def get(self, key: str, load: Load) -> Deferred[Found]:
        """The value of ``key``. Fails as ``load`` does when there is nothing else."""
        if key in self._hanging:
            stale = self._stale(key)
            if stale is not None:
                self.looks.start(key, lambda: self._look(key, load))
                return succeed(stale)
        return self.looks.do(key, lambda: self._look(key, load))

    def stopService(self) -> None:
        super().stopService()
        self.looks.cancel()

    async def _look(self, key: str, load: Load) -> Found:
        value = await self._from_cache(key)
        if value is not None:
            self._good(key, value)
            return Found(value, Origin.HIT)
        self.counts.loads += 1
        started = self._clock.seconds()
        try:
            value = await load()
        except ScalelabError:
            self.counts.load_failures += 1
            if self._clock.seconds() - started > SLOW_S:
                self._hanging.add(key)
            else:
                self._hanging.discard(key)
            stale = self._stale(key)
            if stale is None:
                raise
            return stale
        self._good(key, value)
        try:
            # Before the answer: whoever asks next, anywhere, must find it.
            await self._cache.set(key, value, self._ttl_s)
        except ScalelabError:
            self.counts.cache_failures += 1
        return Found(value, Origin.LOADED)

    async def _from_cache(self, key: str) -> bytes | None:
        try:
            return await self._cache.get(key)
        except ScalelabError:
            self.counts.cache_failures += 1
            return None

    def _good(self, key: str, value: bytes) -> None:
        self._hanging.discard(key)
        self._last_good[key] = _LastGood(value, self._clock.seconds())

    def _stale(self, key: str) -> Found | None:
        last = self._last_good.get(key)
        if last is None or self._clock.seconds() - last.seen_s >= self._stale_ttl_s:
            return None
        return Found(last.value, Origin.STALE)
