"""The fakes keep to what Twisted promises of a process."""

import pytest
from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from scalability.testing.fake_processes import FakeProcess, ProcessClock


class Seen(ProcessProtocol):
    def __init__(self) -> None:
        self.calls: list[str] = []
        self.reason: Failure | None = None

    def connectionMade(self) -> None:
        self.calls.append("made")

    def outReceived(self, data: bytes) -> None:
        self.calls.append(data.decode())

    def inConnectionLost(self) -> None:
        self.calls.append("deaf")

    def processExited(self, reason: Failure) -> None:
        self.calls.append("exited")

    def processEnded(self, reason: Failure) -> None:
        self.calls.append("ended")
        self.reason = reason


def spawn() -> tuple[Seen, FakeProcess]:
    seen = Seen()
    return seen, ProcessClock().spawnProcess(seen, "/bin/x", ["/bin/x"], {})


def test_an_end_is_an_exit_and_then_the_end_of_the_output() -> None:
    seen, process = spawn()
    process.end()
    assert seen.calls == ["made", "exited", "ended"]
    assert seen.reason is not None
    assert seen.reason.check(ProcessDone)


def test_open_pipes_hold_the_end_back() -> None:
    seen, process = spawn()
    process.die(signal=9)
    assert seen.calls == ["made", "exited"]
    process.loseConnection()
    assert seen.reason is not None
    assert isinstance(seen.reason.value, ProcessTerminated)
    assert seen.reason.value.signal == 9


def test_a_dead_process_takes_no_signal() -> None:
    _, process = spawn()
    process.signalProcess("TERM")
    assert process.signals == ["TERM"]
    process.end(status=1)
    with pytest.raises(ProcessExitedAlready):
        process.signalProcess("KILL")


def test_a_process_is_written_to_until_it_stops_reading() -> None:
    seen, process = spawn()
    process.writeToChild(0, b"in")
    process.says(b"out", b"put")
    process.stops_reading()
    with pytest.raises(KeyError):
        process.writeToChild(0, b"more")
    process.closeStdout()
    process.says(b"nobody hears it")
    assert process.written == [b"in"]
    assert seen.calls == ["made", "out", "put", "deaf"]


def test_a_clock_may_refuse_to_spawn() -> None:
    clock = ProcessClock()
    clock.refuse = True
    with pytest.raises(OSError, match="no more"):
        clock.spawnProcess(Seen(), "/bin/x", ["/bin/x"], {})
