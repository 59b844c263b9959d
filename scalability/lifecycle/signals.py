"""Signals whose default effect, the end of the process, nobody means."""

import signal
import threading
from typing import Any

from twisted.application.service import Service


class IgnoredSignal(Service):
    """Ignores ``number`` while it runs. Does nothing outside of the main thread, which alone may say what a signal does."""

    _handler_before: Any = None

    def __init__(self, number: signal.Signals) -> None:
        self._number = number

    def startService(self) -> None:
        super().startService()
        if threading.current_thread() is threading.main_thread() and self._handler_before is None:
            self._handler_before = signal.signal(self._number, signal.SIG_IGN)

    def stopService(self) -> None:
        super().stopService()
        before, self._handler_before = self._handler_before, None
        if before is not None:
            signal.signal(self._number, before)
