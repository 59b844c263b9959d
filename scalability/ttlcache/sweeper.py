"""The LoopingCall that removes what has expired, in batches that the reactor does not feel."""

import time
from collections.abc import Callable
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from scalability.lifecycle import Ticker

BATCH = 100
"""Steps (entries removed, most of them) in one turn of the reactor at most: a tenth of a millisecond where nothing else runs."""

LEAST_BATCH = 25

LONG_S = 0.001
"""A batch that took more CPU makes the next ones smaller. Entries that no processor cache holds take four times as long to free; and the
last ones take 30 to 70 us each, as all memory between them goes back to the system with them (250 of them: 8 ms)."""

PAUSE_S = 1e-6
"""Between two batches, that is: until the reactor's next turn. It serves whoever waits, and goes on: a million entries in three seconds."""


class Swept(Protocol):
    """A TTLCache, or what is made of several."""

    def sweep(self, now: float, limit: int) -> int:
        """See ``TTLCache.sweep``."""


class Sweeper(Ticker):
    """Sweep ``cache`` every ``interval_s`` seconds. Between two batches of one run the reactor serves whoever waits."""

    def __init__(
        self,
        clock: IReactorTime,
        interval_s: float,
        cache: Swept,
        *,
        batch: int = BATCH,
        cpu_s: Callable[[], float] = time.thread_time,
        now: Callable[[], float] | None = None,
    ) -> None:
        """``cpu_s`` tells the CPU seconds of this thread; ``now`` is the clock that entries end by, ``clock``'s unless given."""
        super().__init__(clock, interval_s, self.sweep, now=False)
        self._cache = cache
        self._cpu_s = cpu_s
        self._moment = clock.seconds if now is None else now
        self._most = batch
        self._batch = min(batch, max(LEAST_BATCH, batch // 2))

    def sweep(self) -> Deferred[None] | None:
        """Remove everything that is due. The Deferred (None: done at once) fires after the last batch; cancelling it ends the run."""
        return Deferred.fromCoroutine(self._rest()) if self._sweep_some() else None

    async def _rest(self) -> None:
        await deferLater(self._clock, PAUSE_S)
        while self._sweep_some():
            await deferLater(self._clock, PAUSE_S)

    def _sweep_some(self) -> bool:
        """A batch; whether more is to be done."""
        batch, began = self._batch, self._cpu_s()
        more = self._cache.sweep(self._moment(), batch) >= batch
        took_s = self._cpu_s() - began
        if took_s > LONG_S:
            self._batch = max(min(self._most, LEAST_BATCH), batch // 2)
        elif took_s < LONG_S / 3:
            self._batch = min(self._most, batch * 2)
        return more
