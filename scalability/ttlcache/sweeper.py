"""The LoopingCall that removes what has expired, in batches that the reactor does not feel."""

from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from scalability.lifecycle import Ticker

BATCH = 500
"""Steps (entries removed, most of them) in one turn of the reactor: half a millisecond, or two where no processor cache holds them."""

PAUSE_S = 0.001
"""Between two batches: whatever expires at once, sweeping takes about half of the reactor's time."""


class Swept(Protocol):
    """A TTLCache, or what is made of several."""

    def sweep(self, now: float, limit: int) -> int:
        """See ``TTLCache.sweep``."""


class Sweeper(Ticker):
    """Sweep ``cache`` every ``interval_s`` seconds. Between two batches of one run the reactor serves whoever waits."""

    def __init__(self, clock: IReactorTime, interval_s: float, cache: Swept, *, batch: int = BATCH) -> None:
        super().__init__(clock, interval_s, self.sweep, now=False)
        self._cache = cache
        self._batch = batch

    def sweep(self) -> Deferred[None] | None:
        """Remove everything that is due. The Deferred (None: done at once) fires after the last batch; cancelling it ends the run."""
        if self._cache.sweep(self._clock.seconds(), self._batch) < self._batch:
            return None
        return Deferred.fromCoroutine(self._rest())

    async def _rest(self) -> None:
        swept = self._batch
        while swept == self._batch:
            await deferLater(self._clock, PAUSE_S)
            swept = self._cache.sweep(self._clock.seconds(), self._batch)
