"""Child processes that do what a test says, and the clock that spawns them."""

from typing import Any

from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.task import Clock
from twisted.python.failure import Failure


class FakeProcess:
    """A child that does what the test says, and remembers the signals that it got."""

    def __init__(self, protocol: Any, argv: list[str], env: dict[str, str]) -> None:
        self.protocol = protocol
        self.argv = argv
        self.env = env
        self.signals: list[str] = []
        self.pipes_open = True
        self.dead = False
        protocol.makeConnection(self)

    def signalProcess(self, which: str) -> None:  # noqa: N802 - Twisted's name
        if self.dead:
            raise ProcessExitedAlready
        self.signals.append(which)

    def loseConnection(self) -> None:
        self.pipes_open = False
        self.protocol.processEnded(self.reason)

    def end(self, *, status: int = 0, signal: int | None = None) -> None:
        self.die(status=status, signal=signal)
        self.protocol.processEnded(self.reason)

    def die(self, *, status: int = 0, signal: int | None = None) -> None:
        """End, while something else holds the pipes open."""
        self.dead = True
        self.reason = Failure(ProcessTerminated(status or None, signal) if status or signal else ProcessDone(0))
        self.protocol.processExited(self.reason)


class ProcessClock(Clock):
    """IReactorTime and IReactorProcess: time moves when the test says so, and children are fakes, listed in ``spawned``.

    While ``refuse`` is true, nothing can be spawned.
    """

    def __init__(self) -> None:
        super().__init__()
        self.spawned: list[FakeProcess] = []
        self.refuse = False

    def spawnProcess(self, protocol: Any, executable: str, args: list[str], env: dict[str, str]) -> FakeProcess:  # noqa: N802
        if self.refuse:
            raise OSError(11, "no more processes")
        self.spawned.append(FakeProcess(protocol, args, env))
        return self.spawned[-1]
