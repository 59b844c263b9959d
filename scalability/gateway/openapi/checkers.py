"""Bodies that take milliseconds to check are checked in other processes, so that the event loop never waits for one.

Threads would not do: reading JSON and jsonschema-rs hold the interpreter's lock, for 5 ms at a time and longer.

    waiting   for a process: first come, first served
    running   a process has the body; at its deadline that process is killed, and another one started for who comes next
    over      the verdict is there, or there is none
"""

import os
import sys
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

import msgspec
from twisted.application.service import Service
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.interfaces import IDelayedCall, IProcessTransport
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from scalability.errors import BodyTooLarge, Overloaded
from scalability.gateway.openapi.bodies import Verdict
from scalability.gateway.openapi.checker import frame
from scalability.gateway.openapi.document import Document
from scalability.gateway.openapi.schemas import SchemaCheck

COMMAND: Final = (sys.executable, "-P", "-m", "scalability.gateway.openapi.checker")
SIZE: Final = 2
"""Processes at most, of 20 MB each, started when they are first needed."""
MAX_WAITING: Final = 100
"""Bodies; who comes then is answered 503."""
TIMEOUT_S: Final = 10.0
"""For one check, the start of the process included. A body for which that is not enough is answered 413."""


class _Job:
    """One body. ``done`` is called when there is a verdict, or an error; None: nobody wants to know any more."""

    __slots__ = ("body", "check", "deadline", "done", "max_nesting")

    def __init__(self, check: SchemaCheck, body: bytes, max_nesting: int, done: Deferred[Verdict]) -> None:
        self.check = check
        self.body = body
        self.max_nesting = max_nesting
        self.done: Deferred[Verdict] | None = done
        self.deadline: IDelayedCall | None = None


class _Process(ProcessProtocol):
    """One process, one body at a time."""

    transport: IProcessTransport

    def __init__(self, pool: "Checkers") -> None:
        self._pool = pool
        self._known: set[int] = set()
        self._said = b""
        self.job: _Job | None = None
        self.too_slow = False

    def check(self, job: _Job) -> None:
        self.job = job
        document = job.check.document
        number = self._pool.number_of(document)
        if number not in self._known:
            self._known.add(number)
            self.transport.writeToChild(0, frame({"document": number}, msgspec.json.encode(document.root)))
        header = {"document": number, "at": job.check.at, "max_nesting": job.max_nesting}
        self.transport.writeToChild(0, frame(header, job.body))

    def connectionMade(self) -> None:
        self._pool.idle(self)

    def outReceived(self, data: bytes) -> None:
        self._said += data
        if self._said.endswith(b"\n"):
            said, self._said = self._said, b""
            self._pool.said(self, said)

    def errReceived(self, data: bytes) -> None:
        self._pool.log.warn("a process that checks bodies says {said}", said=data.decode(errors="replace"))

    def processEnded(self, reason: Failure) -> None:
        self._pool.ended(self)


class Checkers(Service):
    """At most ``size`` processes, at most ``max_waiting`` bodies in line. One for all routes of a gateway.

    A process that dies takes its body with it, whose client may try again (503); the next one gets a new process.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        *,
        size: int = SIZE,
        max_waiting: int = MAX_WAITING,
        timeout_s: float = TIMEOUT_S,
        command: Sequence[str] = COMMAND,
    ) -> None:
        self._reactor = reactor
        self._size = size
        self._max_waiting = max_waiting
        self._timeout_s = timeout_s
        self._command = command
        self._waiting: deque[_Job] = deque()
        self._all: set[_Process] = set()
        self._idle: list[_Process] = []
        self._documents: dict[int, tuple[int, Document]] = {}
        self._gone: Deferred[None] | None = None
        self.given_up = 0
        """Bodies that took too long."""

    @property
    def waiting(self) -> int:
        """Bodies in line."""
        return len(self._waiting)

    def check(self, check: SchemaCheck, body: bytes, max_nesting: int) -> Deferred[Verdict]:
        """The verdict on ``body``, as ``bodies.judged`` has it. Cancelling takes it out of the line.

        Fails with Overloaded, or with BodyTooLarge for a body that takes too long.
        """
        if not self.running or len(self._waiting) >= self._max_waiting:
            return fail(Overloaded("too many bodies are being checked; try again later"))

        def cancel(_: Deferred[Verdict]) -> None:
            job.done = None
            if job in self._waiting:
                self._waiting.remove(job)

        done: Deferred[Verdict] = Deferred(cancel)
        job = _Job(check, body, max_nesting, done)
        self._waiting.append(job)
        self._next()
        return done

    def number_of(self, document: Document) -> int:
        """What a document is called in messages."""
        return self._documents.setdefault(id(document), (len(self._documents), document))[0]

    def idle(self, process: _Process) -> None:
        """``process`` can take the next body."""
        self._idle.append(process)
        self._next()

    def said(self, process: _Process, line: bytes) -> None:
        """``process`` has a verdict."""
        job, process.job = process.job, None
        done = self._over(job)
        if not process.too_slow:
            self.idle(process)
        if done is not None:
            done.callback(msgspec.json.decode(line, type=Verdict))

    def ended(self, process: _Process) -> None:
        """``process`` is gone."""
        self._all.discard(process)
        if process in self._idle:
            self._idle.remove(process)
        job, process.job = process.job, None
        if self.running:
            self.log.warn("a process that checks bodies ended")
        done = self._over(job)
        if done is not None:
            done.errback(BodyTooLarge("The body takes too long to check.") if process.too_slow else Overloaded("the check was interrupted"))
        if not self._all and self._gone is not None:
            gone, self._gone = self._gone, None
            gone.callback(None)
        self._next()

    def stopService(self) -> Deferred[None]:
        """Ends the processes: there are no requests any more when this is called."""
        super().stopService()
        while self._waiting:
            done = self._over(self._waiting.popleft())
            if done is not None:
                done.errback(Overloaded("this server is stopping"))
        if not self._all:
            return succeed(None)
        gone: Deferred[None] = Deferred()
        self._gone = gone
        for process in self._all:
            self._kill(process)
        return gone

    def _next(self) -> None:
        if not self.running:
            return
        while self._waiting and self._idle:
            process, job = self._idle.pop(), self._waiting.popleft()
            job.deadline = self._reactor.callLater(self._timeout_s, self._too_slow, process)
            process.check(job)
        if self._waiting and len(self._all) < self._size:
            process = _Process(self)
            self._all.add(process)
            environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
            self._reactor.spawnProcess(process, self._command[0], list(self._command), env=environ)

    def _over(self, job: _Job | None) -> Deferred[Verdict] | None:
        """Whom to tell, if there is anybody."""
        if job is None:
            return None
        if job.deadline is not None and job.deadline.active():
            job.deadline.cancel()
        done, job.done = job.done, None
        return done

    def _too_slow(self, process: _Process) -> None:
        process.too_slow = True
        self.given_up += 1
        self._kill(process)

    @staticmethod
    def _kill(process: _Process) -> None:
        with suppress(ProcessExitedAlready):
            process.transport.signalProcess("KILL")
