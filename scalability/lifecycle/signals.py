"""Signals whose default effect, the end of the process, nobody means."""

import signal
import threading
from collections.abc import Callable
from typing import Any

from twisted.application.service import Service


class IgnoredSignal(Service):
    """Ignores ``number`` while it runs. Does nothing outside of the main thread, which alone may say what a signal does."""

    _handler: Any = signal.SIG_IGN
    _handler_before: Any = None

    def __init__(self, number: signal.Signals) -> None:
        self._number = number

    def startService(self) -> None:
        super().startService()
        if threading.current_thread() is threading.main_thread() and self._handler_before is None:
            self._handler_before = signal.signal(self._number, self._handler)

    def stopService(self) -> None:
        super().stopService()
        before, self._handler_before = self._handler_before, None
        if before is not None:
            signal.signal(self._number, before)


class OnSignal(IgnoredSignal):
    """Calls ``run`` instead, in a turn of the event loop. ``reactor`` provides IReactorFromThreads."""

    def __init__(self, reactor: Any, number: signal.Signals, run: Callable[[], None]) -> None:
        super().__init__(number)

        def received(number: int, frame: object) -> None:
            # Python calls this between any two instructions: the loop has the right moment
            reactor.callFromThread(run)

        self._handler = received
