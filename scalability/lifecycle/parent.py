"""A child that ends when its parent does, even a parent killed with SIGKILL.

The supervisor starts each child with ``SCALELAB_PARENT_PIPE=1`` and keeps the write end of the child's
standard input. Whatever happens to the parent, the kernel closes that pipe, and the child sees EOF.
"""

import os
from collections.abc import Mapping
from contextlib import suppress

from twisted.application.service import Service
from twisted.internet.error import ReactorNotRunning
from twisted.internet.interfaces import IReactorCore, IReactorFDSet, IReadDescriptor
from twisted.internet.main import CONNECTION_LOST
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

VARIABLE = "SCALELAB_PARENT_PIPE"


def wanted(environ: Mapping[str, str]) -> bool:
    """True when the parent asked this process to watch its standard input."""
    return environ.get(VARIABLE) == "1"


@implementer(IReadDescriptor)
class ParentWatch(Service):
    """Reads descriptor ``fd`` until EOF, then stops the reactor: the ordinary, draining end of a twistd process."""

    log = Logger()

    def __init__(self, reactor: IReactorFDSet, stop: "IReactorCore", fd: int = 0) -> None:
        self._reactor = reactor
        self._stop = stop
        self._fd = fd

    def startService(self) -> None:
        super().startService()
        os.set_blocking(self._fd, False)
        self._reactor.addReader(self)

    def stopService(self) -> None:
        if self.running:
            self._reactor.removeReader(self)
        super().stopService()

    def fileno(self) -> int:
        return self._fd

    def logPrefix(self) -> str:
        return "parent"

    def doRead(self) -> Failure | None:
        try:
            if os.read(self._fd, 4096):
                return None
        except BlockingIOError:
            return None
        except OSError:
            pass
        self._parent_gone()
        return None

    def connectionLost(self, reason: Failure = Failure(CONNECTION_LOST)) -> None:  # noqa: B008 - Twisted's signature
        """Called instead of ``doRead`` when the writing end is closed and nothing is left to read: epoll calls that a hang-up."""
        if self.running:
            self._parent_gone()

    def _parent_gone(self) -> None:
        self.log.warn("the parent process is gone; stopping")
        self._reactor.removeReader(self)
        # the process may be stopping already: Ctrl-C reaches the parent and its children alike
        with suppress(ReactorNotRunning):
            self._stop.stop()
