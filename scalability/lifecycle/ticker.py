"""A LoopingCall that an error cannot end."""

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger


class Ticker(Service):
    """Call ``run`` at once and then every ``interval_s`` seconds, as long as the service runs.

    ``run`` may be a plain function or return a Deferred or coroutine; runs never overlap (a slow one
    makes the next late). A failure is logged and the loop goes on: a bare LoopingCall stops for good
    at the first error. Stopping waits for the run in progress; after ``grace_s`` it cancels it, and after as long
    again it leaves a run that does not heed that to itself.
    """

    log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        interval_s: float,
        run: Callable[[], Deferred[Any] | Coroutine[Deferred[Any], Any, Any] | None],
        *,
        now: bool = True,
        grace_s: float = 5.0,
    ) -> None:
        self._clock = clock
        self._interval_s = interval_s
        self._run = run
        self._now = now
        self._grace_s = grace_s
        self._loop = LoopingCall(self._once)
        self._ended: Deferred[Any] | None = None
        self._current: Deferred[Any] | None = None
        self._waiting: list[Deferred[None]] = []
        self._limit: IDelayedCall | None = None

    def startService(self) -> None:
        super().startService()
        if self._ended is None:
            # a new one: the last one's run may be in progress still
            self._loop = LoopingCall(self._once)
            self._loop.clock = self._clock
            self._ended = self._loop.start(self._interval_s, now=self._now)

    def every(self, interval_s: float) -> None:
        """Call ``run`` as often from now on, the next time in ``interval_s`` seconds."""
        self._interval_s = interval_s
        if self._loop.running:
            self._loop.interval = interval_s
            self._loop.reset()

    def stopService(self) -> Deferred[None]:
        """Fires when no run is in progress any more; asked again meanwhile, it waits for the same."""
        super().stopService()
        ended, self._ended = self._ended, None
        if ended is not None:
            self._loop.stop()
        if self._current is None:
            return succeed(None)
        stopped: Deferred[None] = Deferred()
        self._waiting.append(stopped)
        if self._limit is None:
            self._limit = self._clock.callLater(self._grace_s, self._cancel, self._current)
        return stopped

    def _cancel(self, run: Deferred[Any]) -> None:
        self._limit = self._clock.callLater(self._grace_s, self._leave)
        run.cancel()

    def _leave(self) -> None:
        self.log.warn("a periodic run goes on although it was cancelled {grace_s} s ago", grace_s=self._grace_s)
        self._fire()

    def _fire(self) -> None:
        limit, self._limit = self._limit, None
        if limit is not None and limit.active():
            limit.cancel()
        waiting, self._waiting = self._waiting, []
        for stopped in waiting:
            stopped.callback(None)

    def _once(self) -> Deferred[None] | None:
        if self._current is not None:
            # stopped and started again during a run: it is this loop's run too
            return None
        run: Deferred[Any] = maybeDeferred(self._run)
        if run.called and not run.paused:
            # synchronous: nothing to wait for, nothing to remember
            run.addErrback(self._failed)
            return None
        self._current = run
        run.addErrback(self._failed)
        run.addBoth(self._over)
        return run

    def _over(self, _: object) -> None:
        self._current = None
        self._fire()

    def _failed(self, failure: Any) -> None:
        if failure.check(CancelledError) and self._ended is None:
            return
        self.log.failure("a periodic run failed; the next one is due in {interval_s} s", failure, interval_s=self._interval_s)
