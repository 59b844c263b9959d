"""Fewer walks of Python's garbage collector through what lives long anyway.

Thousands of connections are some hundred thousand objects, none of them garbage, and requests in flight come and go by the
thousand: with Python's defaults the collector starts at every 700th object that is made and not freed. Reference counting frees
every request at its end, so there is little to find. Measured with 1,000 connections: a tenth of the balancer's CPU.
"""

import gc

from twisted.application.service import Service

YOUNG_OBJECTS = 20_000
"""So many objects must be made beyond those freed before the collector looks: at most some megabytes of garbage wait for it."""


class RareCollections(Service):
    """While it runs: whatever was there at its start is never looked at, the rest seldom. Add it last. Of the whole process."""

    _before: tuple[int, int, int] | None = None

    def startService(self) -> None:
        super().startService()
        if self._before is None:
            self._before = gc.get_threshold()
            gc.collect()
            gc.freeze()
            gc.set_threshold(YOUNG_OBJECTS, *self._before[1:])

    def stopService(self) -> None:
        super().stopService()
        before, self._before = self._before, None
        if before is not None:
            gc.unfreeze()
            gc.set_threshold(*before)
