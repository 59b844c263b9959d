"""Fewer walks of Python's garbage collector through what lives long anyway.

Thousands of connections are some hundred thousand objects, none of them garbage, and requests in flight come and go by the
thousand: with Python's defaults the collector starts at every 700th object that is made and not freed. Reference counting frees
every request at its end, so there is little to find. Measured with 1,000 connections: a tenth of the balancer's CPU.
"""

import gc

from twisted.application.service import Service

YOUNG_OBJECTS = 20_000
"""So many objects must be made beyond those freed before the collector looks: at most some megabytes of garbage wait for it."""

BESIDE_MUCH_MEMORY = 1_000
"""The same for a process that holds gigabytes: whatever it makes is scattered among them, and no processor cache holds it, so that
20,000 objects that are garbage are freed in 15 to 28 ms, and 1,000 in one. It makes few objects that stay."""


class RareCollections(Service):
    """While it runs: whatever was there at its start is never looked at, the rest seldom. Add it last. Of the whole process."""

    _before: tuple[int, int, int] | None = None

    def __init__(self, young_objects: int = YOUNG_OBJECTS) -> None:
        self._young_objects = young_objects

    def startService(self) -> None:
        super().startService()
        if self._before is None:
            self._before = gc.get_threshold()
            gc.collect()
            gc.freeze()
            gc.set_threshold(self._young_objects, *self._before[1:])

    def stopService(self) -> None:
        super().stopService()
        before, self._before = self._before, None
        if before is not None:
            gc.unfreeze()
            gc.set_threshold(*before)
