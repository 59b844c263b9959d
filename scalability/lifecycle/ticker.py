"""A LoopingCall that an error cannot end."""

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger


class Ticker(Service):
    """Call ``run`` at once and then every ``interval_s`` seconds, as long as the service runs.

    ``run`` may be a plain function or return a Deferred or coroutine; runs never overlap (a slow one
    makes the next late). A failure is logged and the loop goes on: a bare LoopingCall stops for good
    at the first error. Stopping waits for the run in progress, at most ``grace_s``, then cancels it.
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
        self._loop.clock = clock
        self._ended: Deferred[Any] | None = None
        self._current: Deferred[Any] | None = None

    def startService(self) -> None:
        super().startService()
        if self._ended is None:
            self._ended = self._loop.start(self._interval_s, now=self._now)

    def stopService(self) -> Deferred[None]:
        super().stopService()
        ended, self._ended = self._ended, None
        if ended is None:
            return succeed(None)
        self._loop.stop()
        if self._current is None:
            return succeed(None)
        current = self._current
        stopped: Deferred[None] = Deferred()
        limit = self._clock.callLater(self._grace_s, current.cancel)

        def done(_: object) -> None:
            if limit.active():
                limit.cancel()
            stopped.callback(None)

        ended.addBoth(done)
        return stopped

    def _once(self) -> Deferred[None] | None:
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

    def _failed(self, failure: Any) -> None:
        if failure.check(CancelledError) and self._ended is None:
            return
        self.log.failure("a periodic run failed; the next one is due in {interval_s} s", failure, interval_s=self._interval_s)
