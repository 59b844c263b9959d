"""A worker process: its start, the link to it, its end."""

import os
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import Factory, ProcessProtocol
from twisted.python.failure import Failure

import scalability
from scalability.balancer.workers.link import Link
from scalability.balancer.workers.messages import FROM_WORKER, FromWorker
from scalability.lifecycle.parent import VARIABLE as PARENT_PIPE

FIRST_SOCKET = 3
"""The descriptor under which a worker finds the first listening socket; the others follow. 0 is its link."""

LINK_GRACE_S = 1.0
"""How long a dead worker's last words may be on their way, in seconds."""


class Owner(Protocol):
    """Who is told what a worker does."""

    def received(self, message: FromWorker) -> None:
        """The worker says this."""

    def ready(self) -> None:
        """The link takes more, after it was full."""

    def ended(self, reason: Failure) -> None:
        """The process is gone, and all that it said was handed out."""


class Running(Protocol):
    """A worker process that was started."""

    @property
    def full(self) -> bool:
        """Whether what can wait should."""

    def send(self, message: msgspec.Struct) -> None:
        """Tell it this."""

    def signal(self, which: str | int) -> None:
        """Send it a signal (TERM, KILL, or a number); nothing happens when it has ended."""


Start = Callable[[int, Owner, Sequence[int]], Running]
"""Starts the worker of this index, which inherits these descriptors. Raises OSError."""


class WorkerProcess(ProcessProtocol):
    """A real one. It has ended when the process has, and its link too."""

    def __init__(self, reactor: Any, owner: Owner, link: socket.socket) -> None:
        self._reactor = reactor
        self._owner = owner
        self._link: Link[FromWorker] = Link(FROM_WORKER, owner.received, self._link_lost, owner.ready)
        self._reason: Failure | None = None
        self._late: IDelayedCall | None = None
        self._linked = True
        factory = Factory()
        factory.noisy = False
        factory.buildProtocol = lambda addr: self._link  # type: ignore[method-assign]
        reactor.adoptStreamConnection(link.fileno(), socket.AF_UNIX, factory)

    @property
    def full(self) -> bool:
        return self._link.full

    def send(self, message: msgspec.Struct) -> None:
        self._link.send(message)

    def signal(self, which: str | int) -> None:
        transport: Any = self.transport
        if transport is None or self._reason is not None:
            return
        try:
            transport.signalProcess(which)
        except ProcessExitedAlready:
            return  # its end is on the way to us

    def abandon(self) -> None:
        """It could not be started."""
        self._owner = _Nobody()
        self._link.close()

    def processEnded(self, reason: Failure) -> None:
        self._reason = reason
        if self._linked:
            self._late = self._reactor.callLater(LINK_GRACE_S, self._link.close)
        else:
            self._owner.ended(reason)

    def _link_lost(self) -> None:
        self._linked = False
        if self._late is not None and self._late.active():
            self._late.cancel()
        if self._reason is not None:
            self._owner.ended(self._reason)
        else:
            # a worker that cannot be told anything any more is of no use; most often it is ending just now
            self._reactor.callLater(LINK_GRACE_S, self.signal, "KILL")


class _Nobody:
    def received(self, message: FromWorker) -> None:
        """Nothing was started."""

    def ready(self) -> None:
        """Nothing was started."""

    def ended(self, reason: Failure) -> None:
        """Nothing was started."""


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """What a worker's environment is, in ours: it finds this very package, and watches nothing but its link."""
    ours = str(Path(scalability.__file__).resolve().parents[1])
    paths = [ours, *(path for path in environ.get("PYTHONPATH", "").split(os.pathsep) if path and path != ours)]
    return {**{key: value for key, value in environ.items() if key != PARENT_PIPE}, "PYTHONPATH": os.pathsep.join(paths)}


def starter(reactor: Any, environ: Mapping[str, str]) -> Start:
    """What starts real workers, each with a reactor like ``reactor``."""
    environ = environment(environ)

    def start(index: int, owner: Owner, sockets: Sequence[int]) -> Running:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.setblocking(False)
            process = WorkerProcess(reactor, owner, ours)
            argv = [sys.executable, "-m", "scalability.balancer.workers.child", str(index + 1), type(reactor).__module__]
            descriptors = {0: theirs.fileno(), 1: 1, 2: 2, **{FIRST_SOCKET + place: fd for place, fd in enumerate(sockets)}}
            try:
                reactor.spawnProcess(process, sys.executable, argv, env=environ, path=None, childFDs=descriptors)
            except OSError:
                process.abandon()
                raise
        return process

    return start
