"""The process of a worker: ``python -m scalability.balancer.workers.child NUMBER REACTOR``, started by the parent only.

Descriptor 0 is the link to the parent. What the worker has to know to begin is read from it before the reactor runs; whatever
ends the parent closes the link, and the worker then ends as after SIGTERM: it finishes its requests first.
Everything that is logged goes to the parent's log. Ctrl-C and a terminal's hang-up reach the whole process group; they are the
parent's to act on.
"""

import signal
import socket
import sys
from contextlib import suppress
from importlib import import_module
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as TookTooLong
from twisted.internet.error import ReactorNotRunning
from twisted.internet.protocol import Factory
from twisted.logger import ILogObserver, LogEvent, LogLevel, eventAsText, globalLogBeginner
from zope.interface import implementer

from scalability.balancer.workers.frames import FrameError, Frames
from scalability.balancer.workers.link import Link
from scalability.balancer.workers.messages import TO_WORKER, Line, Servers, Serving, Setup, ToWorker
from scalability.lifecycle.garbage import RareCollections

SETUP_S = 30.0
"""The parent has as long, in seconds, to say what is to be done."""
FLUSH_S = 1.0
"""As long, in seconds, the last report may take to be read."""
MAX_TEXT = 16384
"""Characters of one line for the log."""


@implementer(ILogObserver)
class ParentsLog:
    """Sends each event to the parent as its text; what is not worth it and what does not fit is left out."""

    def __init__(self, link: Link[Any]) -> None:
        self._link = link

    def __call__(self, event: LogEvent) -> None:
        level = event.get("log_level")
        if level is LogLevel.debug or self._link.full:
            return
        if level is LogLevel.info and str(event.get("log_namespace", "")).startswith(("twisted.", "log_legacy")):
            return  # of sockets that open and close
        text = eventAsText(event, includeTimestamp=False, includeSystem=False)
        if text:
            self._link.send(Line(level.name if level is not None else "info", text[:MAX_TEXT]))


def first_messages(link: socket.socket, frames: Frames[ToWorker]) -> tuple[Setup, Servers, list[ToWorker]]:
    """Wait for what the parent says first; what came along with it stands last. Raises FrameError or OSError when that never comes."""
    link.settimeout(SETUP_S)
    messages: list[ToWorker] = []
    while len(messages) < 2:
        data = link.recv(65536)
        if not data:
            raise FrameError("the parent is gone")
        messages += frames.feed(data)
    setup, servers, *rest = messages
    if not isinstance(setup, Setup) or not isinstance(servers, Servers):
        raise FrameError("the parent did not say who this worker is")
    return setup, servers, rest


class WorkerProcess:
    """The service of a worker, its link, and its end."""

    def __init__(self, reactor: Any, link: socket.socket) -> None:
        from scalability.balancer.workers.worker import WorkerService

        self._reactor = reactor
        self._lost: Deferred[None] = Deferred()
        frames = Frames(TO_WORKER)
        setup, servers, rest = first_messages(link, frames)
        self._link: Link[ToWorker] = Link(TO_WORKER, self._received, self._link_lost, frames=frames)
        factory = Factory()
        factory.noisy = False
        factory.buildProtocol = lambda addr: self._link  # type: ignore[method-assign]
        with link:
            link.setblocking(False)
            reactor.adoptStreamConnection(link.fileno(), socket.AF_UNIX, factory)
        globalLogBeginner.beginLoggingTo([ParentsLog(self._link)], redirectStandardIO=False)
        self.service = WorkerService(reactor, setup, servers, self._link.send, full=lambda: self._link.full)
        RareCollections().setServiceParent(self.service)
        for message in rest:
            self.service.received(message)

    def run(self) -> None:
        """Serve until told to end."""
        self.service.privilegedStartService()
        self.service.startService()
        self.service.report()
        self._link.send(Serving())
        self._reactor.addSystemEventTrigger("before", "shutdown", self._stop)
        self._reactor.run()

    def _received(self, message: ToWorker) -> None:
        self.service.received(message)

    def _link_lost(self) -> None:
        self._lost.callback(None)
        # it may be stopping already
        with suppress(ReactorNotRunning):
            self._reactor.stop()

    def _stop(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._end())

    async def _end(self) -> None:
        await self.service.stopService()
        if self._link.open:
            self.service.report()
            self._link.close()
            with suppress(TookTooLong):
                await self._lost.addTimeout(FLUSH_S, self._reactor)


def main() -> None:
    _, _, reactor_module = sys.argv
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # what stands without an access log, and once it is closed
    import_module(reactor_module).install()
    from twisted.internet import reactor

    try:
        worker = WorkerProcess(reactor, socket.socket(fileno=0))
    except (FrameError, OSError) as error:
        sys.exit(f"scalelab-lb: a worker cannot begin: {error}")
    worker.run()


if __name__ == "__main__":
    main()
