"""Processor time, burnt in processes of their own.

A thread would burn it too, but while it does it holds the interpreter's lock for 5 ms at a time, and so would each of its
neighbours: with a few of them ``/health`` takes as long as the work. A process costs the event loop nothing, and
several use several processors. Each burner reads a number of seconds from its standard input, burns that much processor
time and says so; at the end of its input, which the kernel closes when the server dies however it dies, it ends.
"""

import sys
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

from twisted.application.service import Service
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.interfaces import IProcessTransport, IReactorProcess
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from scalability.errors import Overloaded

PROGRAM = """\
import signal, sys, time
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, signal.SIG_IGN)
for line in sys.stdin:
    end = time.process_time() + float(line)
    while time.process_time() < end:
        pass
    print("done", flush=True)
"""
COMMAND = (sys.executable, "-I", "-S", "-c", PROGRAM)
"""Ctrl-C goes to the whole process group, and the work in progress is to be finished: the end of its input ends a burner.

Isolated and without site packages: it starts in 15 ms and needs 8 MB."""


class Job:
    """One wait for one burn. ``done`` fires when the processor time is spent."""

    __slots__ = ("done", "seconds")

    def __init__(self, seconds: float, leave: "deque[Job]") -> None:
        self.seconds = seconds
        # a job that has begun is burnt to its end, whoever waits for it
        self.done: Deferred[None] = Deferred(lambda _: leave.remove(self) if self in leave else None)


class Burner(ProcessProtocol):
    """One process, one job at a time."""

    transport: IProcessTransport

    def __init__(self, pool: "Burners") -> None:
        self._pool = pool
        self.job: Job | None = None

    def burn(self, job: Job) -> None:
        self.job = job
        self.transport.writeToChild(0, b"%f\n" % job.seconds)

    def connectionMade(self) -> None:
        self._pool.idle(self)

    def outReceived(self, data: bytes) -> None:
        job, self.job = self.job, None
        self._pool.idle(self)
        if job is not None and not job.done.called:
            job.done.callback(None)

    def processEnded(self, reason: Failure) -> None:
        self._pool.ended(self)


class Burners(Service):
    """At most ``size`` processes, started when they are first needed, jobs served first come, first served.

    A process that dies takes its job with it (Overloaded: it may be tried again); the next job gets a new one.
    """

    log = Logger()

    def __init__(self, reactor: IReactorProcess, size: int, *, command: Sequence[str] = COMMAND) -> None:
        self._reactor = reactor
        self._size = size
        self._command = command
        self._waiting: deque[Job] = deque()
        self._all: set[Burner] = set()
        self._idle: list[Burner] = []
        self._gone: Deferred[None] | None = None

    def burn(self, seconds: float) -> Deferred[None]:
        """Fires when a processor has worked ``seconds`` for this. Cancelling takes a waiting job out of the line."""
        if not self.running:
            return fail(Overloaded("this server is stopping"))
        job = Job(seconds, self._waiting)
        self._waiting.append(job)
        self._next()
        return job.done

    def idle(self, burner: Burner) -> None:
        """``burner`` can take the next job."""
        self._idle.append(burner)
        self._next()

    def ended(self, burner: Burner) -> None:
        """The process of ``burner`` is gone."""
        self._all.discard(burner)
        if burner in self._idle:
            self._idle.remove(burner)
        job, burner.job = burner.job, None
        if self.running:
            self.log.warn("a process that burns processor time ended")
        if job is not None and not job.done.called:
            job.done.errback(Overloaded("the work was interrupted"))
        if not self._all and self._gone is not None:
            gone, self._gone = self._gone, None
            gone.callback(None)
        self._next()

    def stopService(self) -> Deferred[None]:
        """Ends the processes: there are no requests any more when this is called."""
        super().stopService()
        while self._waiting:
            self._waiting.popleft().done.errback(Overloaded("this server is stopping"))
        if not self._all:
            return succeed(None)
        gone: Deferred[None] = Deferred()
        self._gone = gone
        for burner in self._all:
            with suppress(ProcessExitedAlready):
                burner.transport.signalProcess("KILL")
        return gone

    def _next(self) -> None:
        if not self.running:
            return
        while self._waiting and self._idle:
            self._idle.pop().burn(self._waiting.popleft())
        if self._waiting and len(self._all) < self._size:
            burner = Burner(self)
            self._all.add(burner)
            self._reactor.spawnProcess(burner, self._command[0], list(self._command), env={})
