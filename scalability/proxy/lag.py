"""How late the event loop is, sampled for ``upstream.shedding``."""

from twisted.application.service import Service
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from scalability.upstream.shedding import Shedding

SAMPLE_S = 0.1
"""Between two samples, in seconds: each tick is due so long after the last one ran, not on a grid, so that none is skipped."""


class LagSampler(Service):
    """Feeds ``shedding`` while it runs, and logs when requests begin or cease to be turned away."""

    log = Logger()

    def __init__(self, clock: IReactorTime, shedding: Shedding) -> None:
        self._clock = clock
        self._shedding = shedding
        self._due_s = 0.0
        self._next: IDelayedCall | None = None

    def startService(self) -> None:
        super().startService()
        self._wait()

    def stopService(self) -> None:
        super().stopService()
        call, self._next = self._next, None
        if call is not None:
            call.cancel()

    def _wait(self) -> None:
        self._due_s = self._clock.seconds() + SAMPLE_S
        self._next = self._clock.callLater(SAMPLE_S, self._sample)

    def _sample(self) -> None:
        shedding = self._shedding
        now = self._clock.seconds()
        if shedding.sampled(max(0.0, now - self._due_s), now):
            if shedding.fraction:
                self.log.warn("the event loop is {lag_ms:.0f} ms late all the time: requests are turned away", lag_ms=shedding.lag_s * 1e3)
            else:
                self.log.info("the event loop keeps up again: {shed} requests were turned away so far", shed=shedding.shed)
        self._wait()
