"""Rounds of questions to all workers: whoever wants fresh numbers waits for one round that began after it asked.

Rounds begin at least ``SPACING_S`` apart, however many ask, and a worker that says nothing holds one up for at most ``DEADLINE_S``.
"""

from collections.abc import Callable, Iterable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

SPACING_S = 0.05
DEADLINE_S = 1.0


class Rounds:
    """``ask(round)`` asks all workers, and returns those that will answer."""

    def __init__(self, clock: IReactorTime, ask: Callable[[int], Iterable[int]]) -> None:
        self._clock = clock
        self._ask = ask
        self._round = 0
        self._began_s = -SPACING_S
        self._missing: set[int] = set()
        self._now: list[Deferred[None]] = []
        self._next: list[Deferred[None]] = []
        self._timer: IDelayedCall | None = None
        """While a round runs its deadline, else the beginning of the next one."""

    def fresh(self) -> Deferred[None]:
        """Fires when every worker has reported, or had its time to."""
        waiter: Deferred[None] = Deferred(self._gave_up)
        self._next.append(waiter)
        if self._timer is None:
            wait_s = self._began_s + SPACING_S - self._clock.seconds()
            if wait_s > 0:
                self._timer = self._clock.callLater(wait_s, self._begin)
            else:
                self._begin()
        return waiter

    def reported(self, worker: int, number: int) -> None:
        """``worker`` has answered round ``number``."""
        if number == self._round and worker in self._missing:
            self._missing.discard(worker)
            self._end_if_complete()

    def gone(self, worker: int) -> None:
        """``worker`` will not answer."""
        if worker in self._missing:
            self._missing.discard(worker)
            self._end_if_complete()

    def stop(self) -> None:
        """Wait for nobody any more."""
        self._missing.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._now += self._next
        self._next = []
        self._fire()

    def _gave_up(self, waiter: Deferred[None]) -> None:
        for waiting in (self._now, self._next):
            if waiter in waiting:
                waiting.remove(waiter)

    def _begin(self) -> None:
        self._now, self._next = self._next, []
        self._round += 1
        self._began_s = self._clock.seconds()
        self._timer = self._clock.callLater(DEADLINE_S, self._too_late)
        self._missing = set(self._ask(self._round))
        self._end_if_complete()

    def _too_late(self) -> None:
        self._missing.clear()
        self._timer = None
        self._finish()

    def _end_if_complete(self) -> None:
        if not self._missing:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            self._finish()

    def _finish(self) -> None:
        if self._next:
            wait_s = max(0.0, self._began_s + SPACING_S - self._clock.seconds())
            self._timer = self._clock.callLater(wait_s, self._begin)
        self._fire()

    def _fire(self) -> None:
        now, self._now = self._now, []
        for waiter in now:
            waiter.callback(None)
