"""Services that start in the order they were added and stop in the opposite order, one by one."""

from typing import Any

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger


class OrderedService(MultiService):
    """Add what requests need before what accepts them: store, pool, health, listener.

    ``MultiService`` stops all its children at once, so that a store may be closed under a request
    that is still being answered. Here each child has stopped before the one below it is asked to.
    A child that fails to stop is logged, and the others are stopped all the same.
    """

    log = Logger()

    def __init__(self) -> None:
        super().__init__()
        self._stopping: list[Deferred[None]] | None = None

    def stopService(self) -> Deferred[None]:
        """Fires when every child has stopped; asked again meanwhile, it waits for the same."""
        stopped: Deferred[None] = Deferred()
        if self._stopping is not None:
            self._stopping.append(stopped)
            return stopped
        self._stopping = [stopped]
        self.running = 0
        Deferred.fromCoroutine(self._stop()).addBoth(self._stopped)
        return stopped

    def _stopped(self, result: Any) -> Any:
        waiting, self._stopping = self._stopping or [], None
        for stopped in waiting:
            stopped.callback(None)
        return result

    async def _stop(self) -> None:
        for child in reversed(list(self)):
            if not child.running:
                continue
            try:
                stopping: Deferred[Any] = maybeDeferred(child.stopService)
                await stopping
            except Exception:  # a cancelled stop too: the others must still be stopped
                self.log.failure("{child} failed to stop", child=child)
