"""What a process does on a signal, as a service."""

import signal
import threading
from collections.abc import Callable
from typing import Any

from twisted.application.service import Service


class OnSignal(Service):
    """Calls ``run``, in a turn of the event loop, for the signal ``number``, while it runs.

    Without it most signals would end the process. Python allows for handlers in the main thread only: elsewhere nothing happens.
    ``reactor`` provides IReactorFromThreads.
    """

    _before: Any = None

    def __init__(self, reactor: Any, number: signal.Signals, run: Callable[[], None]) -> None:
        self._reactor = reactor
        self._number = number
        self._run = run

    def startService(self) -> None:
        super().startService()
        if threading.current_thread() is threading.main_thread() and self._before is None:

            def received(number: int, frame: object) -> None:
                # Python calls this between any two instructions: the loop has the right moment
                self._reactor.callFromThread(self._run)

            self._before = signal.signal(self._number, received)

    def stopService(self) -> None:
        super().stopService()
        before, self._before = self._before, None
        if before is not None:
            signal.signal(self._number, before)
