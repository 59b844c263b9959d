"""SIGUSR1 to the parent: every worker opens the access log anew."""

import signal
import threading
from typing import Any

from twisted.application.service import Service

from scalability.balancer.workers.parent import Workers


class Rotation(Service):
    """Passes SIGUSR1 on, while it runs; without it that signal would end the parent. Workers without an access log ignore it."""

    _handler_before: Any = None

    def __init__(self, reactor: Any, workers: Workers) -> None:
        self._reactor = reactor
        self._workers = workers

    def startService(self) -> None:
        super().startService()
        if threading.current_thread() is threading.main_thread() and self._handler_before is None:

            def asked(number: int, frame: object) -> None:
                # Python calls this between any two instructions: the loop has the right moment
                self._reactor.callFromThread(self._workers.reopen_logs)

            self._handler_before = signal.signal(signal.SIGUSR1, asked)

    def stopService(self) -> None:
        super().stopService()
        before, self._handler_before = self._handler_before, None
        if before is not None:
            signal.signal(signal.SIGUSR1, before)
