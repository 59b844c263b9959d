"""What an upstream has to do from time to time: end what has waited too long, let breakers cool, compare servers, warm them up."""

from twisted.internet.interfaces import IReactorTime

from scalability.lifecycle import Ticker
from scalability.upstream.servers import Upstream

TICK_S = 0.25
"""How late what it does may be, in seconds."""
SWEEP_TICKS = 4


class Upkeep(Ticker):
    """Looks after ``upstream``, four times a second."""

    def __init__(self, clock: IReactorTime, upstream: Upstream) -> None:
        super().__init__(clock, TICK_S, self.look)
        self._upstream = upstream
        self._ticks = 0

    def look(self) -> None:
        """Called at each tick."""
        upstream = self._upstream
        if upstream.queueing:
            upstream.expire_line()
        upstream.cool()
        self._ticks += 1
        if self._ticks % SWEEP_TICKS == 0:
            upstream.sweep()
            upstream.warm_up()
