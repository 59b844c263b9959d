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

    def stopService(self) -> Deferred[None]:
        self.running = 0
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        for child in reversed(list(self)):
            if not child.running:
                continue
            try:
                stopping: Deferred[Any] = maybeDeferred(child.stopService)
                await stopping
            except Exception:
                self.log.failure("{child} failed to stop", child=child)
