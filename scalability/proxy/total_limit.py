"""How long a whole exchange may take, from its head to the last byte of its answer, whatever becomes of it meanwhile.

One deadline for each client's connection, on which one request follows another: it is put off by each, and looks only when it expires
whether the last one is still going on.
"""

from collections.abc import Callable
from typing import Protocol
from weakref import WeakKeyDictionary, ref

from scalability.lifecycle import DeadlineWheel
from scalability.lifecycle.deadlines import MovingDeadline
from scalability.net.server_connection import ServerConnection


class Limited(Protocol):
    """A request on its way."""

    def took_too_long(self) -> None:
        """End now, if it has not ended."""


class TotalLimit:
    """Of every request that is told to ``begin``, in ticks of ``wheel``."""

    def __init__(self, wheel: DeadlineWheel, ticks: int) -> None:
        self._wheel = wheel
        self.ticks = ticks
        """May be changed; what has begun keeps its limit."""
        self._of: WeakKeyDictionary[ServerConnection, _Watch] = WeakKeyDictionary()

    def begin(self, connection: ServerConnection, request: Limited) -> None:
        """``request`` begins on ``connection``; those before it are over."""
        watch = self._of.get(connection)
        if watch is None:
            watch = self._of[connection] = _Watch(self._wheel)
        watch.request = ref(request)
        watch.deadline.move(self.ticks)


class _Watch:
    __slots__ = ("deadline", "request")

    def __init__(self, wheel: DeadlineWheel) -> None:
        self.request: Callable[[], Limited | None] = lambda: None
        self.deadline = MovingDeadline(wheel, self._expired)

    def _expired(self) -> None:
        request = self.request()
        if request is not None:
            request.took_too_long()
