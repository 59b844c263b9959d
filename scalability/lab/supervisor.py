"""The lab's processes: started, restarted, and stopped without leaving one behind.

Twisted's ``ProcessMonitor`` with what it lacks (measured with the plain one: the parent was gone 6 ms after
SIGTERM and every child was an orphan):

- ``stopService`` fires when the last child has ended. Children stop in their order, highest ``rank`` first; those of
  one rank stop together. All have ``grace_s`` from the call to ``stopService``; who then has not been asked is asked, and
  what is left at ``killTime`` is killed.
- a restart is immediate for a child that lived for ``threshold`` seconds; the next ones wait 0.1 s, 0.2 s, ... up to
  ``maxRestartDelay``. A child that dies ``restart_limit`` times in a row, each time within ``threshold`` seconds of
  its start, is given up; so is one that ends of its own accord with an error before it was ready for the first time
  (what is wrong with its configuration will be wrong again).
- each child holds the reading end of a pipe as its standard input and watches it (``lifecycle.ParentWatch``): it ends
  when this process does, however that happens.
- what a child prints is cut into bounded lines and logged under its name.

States of a child: starting -> ready -> (ended -> starting) ... | given up | stopped.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.runner.procmon import ProcessMonitor

from scalability.lab.child_output import Lines
from scalability.lifecycle.parent import VARIABLE as PARENT_PIPE
from scalability.lifecycle.process_end import how_it_ended

GRACE_S = 30.0
"""The longest time that a server of the suite takes to finish its requests after SIGTERM."""

PIPE_GRACE_S = 0.5
"""How long a dead child's output may stay open; a process that it started may hold it for ever."""

HURRY_S = 1.0
"""What a second Ctrl-C leaves the children to end."""

LAST_WORDS = 3
"""Lines of a child's standard error that stand in the message when it is given up."""


class State(Enum):
    """Where a child stands."""

    STARTING = "starting"
    READY = "ready"
    ENDED = "ended"
    GIVEN_UP = "given up"


@dataclass(frozen=True)
class ChildSpec:
    """A process to keep running. ``rank`` orders the stop: the highest first."""

    name: str
    argv: Sequence[str]
    rank: int = 0


@dataclass
class Child:
    """What the supervisor knows of one child."""

    spec: ChildSpec
    state: State = State.ENDED
    was_ready: bool = False
    restarts: int = 0
    rapid_deaths: int = 0


class ChildProtocol(ProcessProtocol):
    """One run of a child: its output to the log, its end to the supervisor."""

    def __init__(self, supervisor: "Supervisor", name: str) -> None:
        self._supervisor = supervisor
        self.name = name
        self._lines = {1: Lines(), 2: Lines()}
        self._pipes: IDelayedCall | None = None
        self.last_words: deque[str] = deque(maxlen=LAST_WORDS)

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        self._log(childFD, self._lines[childFD].feed(data))

    def processExited(self, reason: Failure) -> None:
        """It is dead; its pipes should close within moments."""
        self._pipes = self._supervisor.clock.callLater(PIPE_GRACE_S, self._close_pipes)

    def processEnded(self, reason: Failure) -> None:
        """It is dead and its output is complete."""
        if self._pipes is not None and self._pipes.active():
            self._pipes.cancel()
        for fd, lines in self._lines.items():
            self._log(fd, lines.end())
        self._supervisor.child_ended(self.name, reason)

    def _close_pipes(self) -> None:
        assert self.transport is not None
        self.transport.loseConnection()

    def _log(self, fd: int, lines: list[str]) -> None:
        for line in lines:
            if fd == 2 and line.strip():
                self.last_words.append(line)
            self._supervisor.child_printed(self.name, line)


class Supervisor(ProcessMonitor):
    """Keeps the children running; see the module for the rules.

    ``ended(name)`` is called at each end that is followed by a restart, ``given_up(name, why)`` when there will be none.
    ``environ`` is the children's environment, to which the parent pipe's variable is added.
    """

    log = Logger()

    threshold = 5
    killTime = int(GRACE_S) + 5
    minRestartDelay = 0.1  # type: ignore[assignment]  # Twisted's is the int 1; nothing needs an int
    maxRestartDelay = 30
    restart_limit = 10

    def __init__(
        self,
        reactor: Any,
        *,
        environ: Mapping[str, str],
        ended: Callable[[str], None] = lambda name: None,
        given_up: Callable[[str, str], None] = lambda name, why: None,
        grace_s: float = GRACE_S,
    ) -> None:
        super().__init__(reactor)
        self.clock = self._clock
        self.children: dict[str, Child] = {}
        self._environ = {**environ, PARENT_PIPE: "1"}
        self._on_end = ended
        self._on_given_up = given_up
        self._grace_s = grace_s
        self._told: set[str] = set()
        self._stopping = False
        self._limits: list[IDelayedCall] = []
        self._waiting: list[Deferred[None]] = []

    def add(self, spec: ChildSpec) -> None:
        """Keep this process running from now, or from ``startService`` on. Raises KeyError when the name is taken."""
        self.children.setdefault(spec.name, Child(spec))
        self.addProcess(spec.name, list(spec.argv), env=self._environ)

    def mark_ready(self, name: str) -> None:
        """The child does its work; from now on any end of it is followed by a restart, up to the limit."""
        child = self.children[name]
        child.state = State.READY
        child.was_ready = True

    # starting

    def startProcess(self, name: str) -> None:
        """Start the child unless it runs; called by ProcessMonitor, also for each restart."""
        if name in self.protocols:
            return
        spec = self.children[name].spec
        protocol: Any = ChildProtocol(self, name)
        self.protocols[name] = protocol
        self.timeStarted[name] = self._clock.seconds()
        self.children[name].state = State.STARTING
        try:
            self._reactor.spawnProcess(protocol, spec.argv[0], list(spec.argv), env=self._environ)
        except OSError as error:
            protocol.last_words.append(str(error))
            self.child_ended(name, Failure())

    # what children do

    def child_printed(self, name: str, line: str) -> None:
        """Log a line of its output under its name."""
        self.log.info("{line}", line=line, log_system=name)

    def child_ended(self, name: str, reason: Failure) -> None:
        """It is gone: restart it, give it up, or go on stopping."""
        child = self.children[name]
        protocol: Any = self.protocols[name]
        lived_s = self._clock.seconds() - self.timeStarted[name]
        child.rapid_deaths = child.rapid_deaths + 1 if lived_s < self.threshold else 0
        first_failure = not child.was_ready and _failed_by_itself(reason)
        child.state = State.ENDED
        how = how_it_ended(reason)
        self._monitoredProcessExited(name)  # plans the restart, unless we are stopping
        if self._stopping:
            self._tell_the_next()
            return
        restart = self.restart.get(name)
        if restart is None or not restart.active():
            return  # removed
        if first_failure or child.rapid_deaths >= self.restart_limit:
            restart.cancel()
            child.state = State.GIVEN_UP
            often = f", {child.rapid_deaths} times in a row, each time within {self.threshold} s of its start"
            why = f"{how}{' before it was ready' if first_failure else often}"
            words = " | ".join(protocol.last_words)
            self._on_given_up(name, f"{why}; its last words: {words}" if words else why)
            return
        child.restarts += 1
        self.log.warn(
            "{child} {how} after {lived_s:.1f} s; starting it again in {delay_s:.1f} s",
            child=name,
            how=how,
            lived_s=lived_s,
            delay_s=max(0.0, restart.getTime() - self._clock.seconds()),
            log_system="lab",
        )
        self._on_end(name)

    # stopping

    def stopService(self) -> Deferred[None]:  # type: ignore[override]  # Twisted's returns before the children have ended
        """Stop all children. Fires when the last one has ended, ``killTime`` seconds from now at the latest; twice is harmless."""
        Service.stopService(self)
        if not self._stopping:
            self._stopping = True
            for restart in self.restart.values():
                if restart.active():
                    restart.cancel()
            if self.protocols:
                self._limits = [self._clock.callLater(self._grace_s, self._tell_everyone), self._clock.callLater(self.killTime, self._kill)]
        stopped: Deferred[None] = Deferred(self._waiting.remove)
        self._waiting.append(stopped)
        self._tell_the_next()
        return stopped

    def hurry(self) -> None:
        """Ask all that are left now, and kill them a second later; harmless when nothing is being stopped."""
        if not self._stopping or not self.protocols:
            return
        self.log.warn("in a hurry: {left} have {hurry_s} s to end", left=", ".join(self.protocols), hurry_s=HURRY_S, log_system="lab")
        self._cancel_limits()
        self._limits = [self._clock.callLater(HURRY_S, self._kill)]
        self._tell_everyone()

    def _tell_the_next(self) -> None:
        """Ask the highest rank that still runs to end; tell who waits for us when there is none."""
        if self.protocols:
            highest = max(self.children[name].spec.rank for name in self.protocols)
            self._tell([name for name in self.protocols if self.children[name].spec.rank == highest])
            return
        self._cancel_limits()
        waiting, self._waiting = self._waiting, []
        for stopped in waiting:
            stopped.callback(None)

    def _tell_everyone(self) -> None:
        self._tell(list(self.protocols))

    def _tell(self, names: list[str]) -> None:
        for name in names:
            if name not in self._told:
                self._told.add(name)
                self._signal(name, "TERM")

    def _kill(self) -> None:
        for name in list(self.protocols):
            self.log.error("{child} did not end in time and is killed", child=name, log_system="lab")
            self._signal(name, "KILL")

    def _signal(self, name: str, which: str) -> None:
        transport = self.protocols[name].transport
        if transport is None:
            return
        try:
            transport.signalProcess(which)
        except ProcessExitedAlready:
            return  # its end is on the way to us

    def _cancel_limits(self) -> None:
        for limit in self._limits:
            if limit.active():
                limit.cancel()
        self._limits = []


def _failed_by_itself(reason: Failure) -> bool:
    """True for an exit status other than 0; false for a signal, which someone else sent."""
    return isinstance(reason.value, OSError) or bool(getattr(reason.value, "exitCode", None))
