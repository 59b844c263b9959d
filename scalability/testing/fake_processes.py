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
        self.written: list[bytes] = []
        self.pipes_open = True
        self.reads = True
        self.dead = False

    def signalProcess(self, which: str) -> None:  # noqa: N802 - Twisted's name
        if self.dead:
            raise ProcessExitedAlready
        self.signals.append(which)

    def writeToChild(self, fd: int, data: bytes) -> None:  # noqa: N802 - Twisted's name
        if fd or not self.reads:
            raise KeyError(fd)
        self.written.append(data)

    def closeStdout(self) -> None:  # noqa: N802 - Twisted's name
        """What ``says`` brings from now on reaches nobody."""
        self.pipes_open = False

    def says(self, *parts: bytes) -> None:
        """Write ``parts`` to the standard output."""
        for part in parts:
            if self.pipes_open:
                self.protocol.childDataReceived(1, part)

    def stops_reading(self) -> None:
        """The standard input is closed, as it is between a death and the moment when that is told."""
        self.reads = False
        self.protocol.childConnectionLost(0)

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
        process = FakeProcess(protocol, args, env)
        self.spawned.append(process)
        protocol.makeConnection(process)
        return process
