"""Work that would hold the event loop up, done in processes: each is asked one thing at a time, and answers with a line.

    waiting   for a process: first come, first served, up to a limit
    asked     a process has it; at its deadline, if there is one, that process is killed
    over      its line is there, or the reason why there is none

A program for this reads its standard input and ends with it: the kernel closes that when the server dies, however it dies. Ctrl-C goes to
the whole process group, and work in progress is to be finished: the program ignores SIGINT and SIGTERM.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from twisted.application.service import Service
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.interfaces import IDelayedCall, IProcessTransport
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from scalability.errors import Overloaded, ScalelabError

MAX_ANSWER_BYTES: Final = 16 << 20
"""Of one line; a process that says more is killed."""


class PooledProcess(ProcessProtocol):
    """One process. ``told`` is for whoever asks: what this very process knows already."""

    transport: IProcessTransport

    def __init__(self, pool: "ProcessPool") -> None:
        self._pool = pool
        self._said = bytearray()
        self.told: set[int] = set()
        self.job: _Job | None = None
        self.ending = False
        """It is given no more work."""
        self.late = False

    def write(self, data: bytes) -> None:
        """Say ``data`` to the program."""
        self.transport.writeToChild(0, data)

    def connectionMade(self) -> None:
        self._pool.idle(self)

    def outReceived(self, data: bytes) -> None:
        self._said += data
        end = data.find(b"\n")
        if end < 0 and len(self._said) <= MAX_ANSWER_BYTES:
            return
        said, self._said = bytes(self._said), bytearray()
        if self.job is not None and end == len(data) - 1 and len(said) <= MAX_ANSWER_BYTES:
            self._pool.answered(self, said)
        else:
            # nobody could tell any more which answer belongs to what
            self.transport.closeStdout()
            self._pool.end(self)

    def errReceived(self, data: bytes) -> None:
        self._pool.log.warn("a process that {work} says {said}", work=self._pool.work, said=data.decode(errors="replace"))

    def inConnectionLost(self) -> None:
        # it is dead, or as good as that: Twisted tells of its end only some turns later, and what is written until then raises KeyError
        self._pool.end(self)

    def processEnded(self, reason: Failure) -> None:
        self._pool.ended(self)


Ask = Callable[[PooledProcess], None]


class _Job:
    """One question. ``answer`` fires once, whatever becomes of it."""

    __slots__ = ("answer", "ask", "deadline")

    def __init__(self, ask: Ask, waiting: "deque[_Job]") -> None:
        self.ask = ask
        self.deadline: IDelayedCall | None = None
        # what a process has been asked it does to the end, whoever waits for it
        self.answer: Deferred[bytes] = Deferred(lambda _: waiting.remove(self) if self in waiting else None)

    def over(self, outcome: bytes | ScalelabError) -> None:
        if self.deadline is not None and self.deadline.active():
            self.deadline.cancel()
        if self.answer.called:
            return
        if isinstance(outcome, bytes):
            self.answer.callback(outcome)
        else:
            self.answer.errback(outcome)


class ProcessPool(Service):
    """At most ``size`` processes, started when they are first needed, and at most ``max_waiting`` jobs in line for them.

    A process that dies takes its job with it (Overloaded: it may be tried again); the next job gets a new one.
    """

    log = Logger()

    # what those are told who get no answer
    full = "every process is busy; try again later"
    interrupted = "the work was interrupted"

    def __init__(
        self,
        reactor: Any,
        command: Sequence[str],
        *,
        work: str,
        size: int,
        max_waiting: int,
        timeout_s: float | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """``reactor`` tells the time and starts processes; ``work`` is what they do, for the log: "checks bodies".

        ``timeout_s`` is for one answer, the start of the process included; None: the work itself says how long it takes.
        """
        self._reactor = reactor
        self._command = command
        self._size = size
        self._max_waiting = max_waiting
        self._timeout_s = timeout_s
        self._env = dict(env or {})
        self._waiting: deque[_Job] = deque()
        self._all: set[PooledProcess] = set()
        self._idle: list[PooledProcess] = []
        self._stopping: list[Deferred[None]] = []
        self.work = work
        self.given_up = 0
        """Jobs that took too long."""

    @property
    def waiting(self) -> int:
        """Jobs in line."""
        return len(self._waiting)

    def ask(self, ask: Ask) -> Deferred[bytes]:
        """Have ``ask`` write to a process as soon as one is free. Fires with the line that it answers, its end included.

        Fails with Overloaded or with what ``too_late`` makes. Cancelling takes it out of the line, and changes nothing for a process
        that has been asked.
        """
        if not self.running:
            return fail(Overloaded("this server is stopping"))
        if len(self._waiting) >= self._max_waiting:
            return fail(Overloaded(self.full))
        job = _Job(ask, self._waiting)
        self._waiting.append(job)
        self._next()
        return job.answer

    def too_late(self) -> ScalelabError:
        """What a job fails with that was not done at its deadline."""
        return Overloaded("the work took too long")

    def stopService(self) -> Deferred[None]:
        """Ends the processes, and fires when they are gone: there are no requests any more when this is called."""
        super().stopService()
        self._refuse_waiting("this server is stopping")
        if not self._all:
            return succeed(None)
        gone: Deferred[None] = Deferred()
        self._stopping.append(gone)
        for process in tuple(self._all):
            self.end(process)
        return gone

    # told by the processes

    def idle(self, process: PooledProcess) -> None:
        """``process`` can take the next job."""
        if not process.ending:
            self._idle.append(process)
            self._next()

    def answered(self, process: PooledProcess, line: bytes) -> None:
        """``process`` has done its job."""
        job, process.job = process.job, None
        self.idle(process)
        if job is not None:
            job.over(line)

    def end(self, process: PooledProcess) -> None:
        """Give ``process`` no more work, and kill it."""
        process.ending = True
        if process in self._idle:
            self._idle.remove(process)
        with suppress(ProcessExitedAlready):
            process.transport.signalProcess("KILL")

    def ended(self, process: PooledProcess) -> None:
        """``process`` is gone."""
        self._all.discard(process)
        if process in self._idle:
            self._idle.remove(process)
        job, process.job = process.job, None
        if self.running:
            self.log.warn("a process that {work} ended", work=self.work)
        if job is not None:
            job.over(self.too_late() if process.late else Overloaded(self.interrupted))
        if not self._all:
            stopping, self._stopping = self._stopping, []
            for gone in stopping:
                gone.callback(None)
        self._next()

    def _next(self) -> None:
        if not self.running:
            return
        while self._waiting and self._idle:
            process, job = self._idle.pop(), self._waiting.popleft()
            process.job = job
            if self._timeout_s is not None:
                job.deadline = self._reactor.callLater(self._timeout_s, self._late, process)
            job.ask(process)
        if self._waiting and len(self._all) < self._size:
            self._start()

    def _start(self) -> None:
        process = PooledProcess(self)
        self._all.add(process)
        try:
            self._reactor.spawnProcess(process, self._command[0], list(self._command), env=self._env)
        except OSError as error:
            self._all.discard(process)
            self.log.error("a process that {work} cannot be started: {error}", work=self.work, error=error)
            if not self._all:
                # nothing would ever take them
                self._refuse_waiting(self.full)

    def _refuse_waiting(self, why: str) -> None:
        while self._waiting:
            self._waiting.popleft().over(Overloaded(why))

    def _late(self, process: PooledProcess) -> None:
        process.late = True
        self.given_up += 1
        self.end(process)
