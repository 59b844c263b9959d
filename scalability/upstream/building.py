"""Has an upstream's selection build what it chooses by, a piece in a turn of the loop: requests go on in between."""

from twisted.application.service import Service
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from scalability.upstream.servers import Upstream


class SelectionBuilder(Service):
    """Builds whenever the servers have changed, and is idle otherwise."""

    def __init__(self, clock: IReactorTime, upstream: Upstream) -> None:
        self._clock = clock
        self._upstream = upstream
        self._next: IDelayedCall | None = None
        upstream.when_changed(self._begin)

    def startService(self) -> None:
        super().startService()
        self._begin()

    def stopService(self) -> None:
        super().stopService()
        call, self._next = self._next, None
        if call is not None:
            call.cancel()

    def _begin(self) -> None:
        if self.running and self._next is None:
            self._next = self._clock.callLater(0, self._piece)

    def _piece(self) -> None:
        self._next = None
        if self._upstream.step():
            self._begin()
