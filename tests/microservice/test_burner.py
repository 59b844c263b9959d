"""Burners: a bounded number of processes, jobs in order, nothing lost when a process dies."""

import signal
import subprocess
import time
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from scalability.errors import Overloaded
from scalability.microservice.burner import COMMAND, Burner, Burners


class FakeProcess:
    def __init__(self, burner: Burner) -> None:
        self.burner = burner
        self.gone = False
        self.written: list[bytes] = []
        self.signals: list[str] = []

    def writeToChild(self, fd: int, data: bytes) -> None:  # noqa: N802 - Twisted's name
        assert fd == 0
        self.written.append(data)

    def signalProcess(self, name: str) -> None:  # noqa: N802 - Twisted's name
        if self.gone:
            raise ProcessExitedAlready
        self.signals.append(name)


class FakeReactor:
    """spawnProcess that keeps what it was asked to start."""

    def __init__(self) -> None:
        self.processes: list[FakeProcess] = []

    def spawnProcess(self, protocol: Any, executable: str, args: list[str], env: dict[str, str]) -> FakeProcess:  # noqa: N802 - Twisted's name
        process = FakeProcess(protocol)
        self.processes.append(process)
        protocol.makeConnection(process)
        return process


class BurnersTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = FakeReactor()
        self.burners = Burners(self.reactor, 2)  # type: ignore[arg-type]  # narrower than the interface
        self.burners.startService()

    def test_no_process_is_started_before_it_is_needed(self) -> None:
        assert self.reactor.processes == []

    def test_a_job_is_sent_its_seconds_and_ends_when_the_process_says_so(self) -> None:
        job = self.burners.burn(0.25)
        assert self.reactor.processes[0].written == [b"0.250000\n"]
        self.assertNoResult(job)
        self.reactor.processes[0].burner.outReceived(b"done\n")
        self.successResultOf(job)

    def test_there_are_no_more_processes_than_the_limit_and_the_rest_waits_in_order(self) -> None:
        jobs = [self.burners.burn(1.0 + i) for i in range(4)]
        one, two = self.reactor.processes
        assert (one.written, two.written) == ([b"1.000000\n"], [b"2.000000\n"])
        two.burner.outReceived(b"done\n")
        assert two.written[1:] == [b"3.000000\n"]
        self.assertNoResult(jobs[0])
        self.successResultOf(jobs[1])

    def test_a_free_process_is_used_again(self) -> None:
        for _ in range(3):
            self.burners.burn(1.0)
            self.reactor.processes[0].burner.outReceived(b"done\n")
        assert len(self.reactor.processes) == 1

    def test_who_leaves_the_line_is_not_burnt_for(self) -> None:
        for _ in range(2):
            self.burners.burn(1.0)
        leaving = self.burners.burn(7.0)
        self.burners.burn(8.0)
        leaving.cancel()
        self.failureResultOf(leaving, CancelledError)
        self.reactor.processes[0].burner.outReceived(b"done\n")
        assert self.reactor.processes[0].written[1:] == [b"8.000000\n"]

    def test_who_leaves_while_it_burns_leaves_the_process_busy_until_it_is_done(self) -> None:
        burners = Burners(self.reactor, 1)  # type: ignore[arg-type]  # narrower than the interface
        burners.startService()
        leaving = burners.burn(1.0)
        burners.burn(2.0)
        leaving.cancel()
        self.failureResultOf(leaving, CancelledError)
        (process,) = self.reactor.processes
        assert process.written == [b"1.000000\n"]
        process.burner.outReceived(b"done\n")
        assert process.written[1:] == [b"2.000000\n"]

    def test_a_process_that_dies_fails_its_job_and_is_replaced_for_the_next(self) -> None:
        jobs = [self.burners.burn(float(i)) for i in range(1, 4)]
        self.reactor.processes[0].burner.processEnded(Failure(ProcessTerminated(signal=9)))
        self.failureResultOf(jobs[0], Overloaded)
        assert self.reactor.processes[2].written == [b"3.000000\n"]

    def test_stopping_ends_every_process_and_waits_for_that(self) -> None:
        jobs = [self.burners.burn(1.0) for _ in range(3)]
        stopping = self.burners.stopService()
        self.failureResultOf(jobs[2], Overloaded)
        assert [process.signals for process in self.reactor.processes] == [["KILL"], ["KILL"]]
        self.reactor.processes[0].burner.processEnded(Failure(ProcessTerminated(signal=9)))
        self.assertNoResult(stopping)
        self.reactor.processes[1].burner.processEnded(Failure(ProcessDone(0)))
        self.successResultOf(stopping)
        for job in jobs[:2]:
            self.failureResultOf(job, Overloaded)

    def test_a_process_that_has_just_ended_by_itself_does_not_disturb_the_stop(self) -> None:
        interrupted = self.burners.burn(1.0)
        (process,) = self.reactor.processes
        process.gone = True
        stopping = self.burners.stopService()
        process.burner.processEnded(Failure(ProcessDone(0)))
        self.successResultOf(stopping)
        self.failureResultOf(interrupted, Overloaded)

    def test_a_stopped_pool_takes_no_jobs_and_stops_twice(self) -> None:
        self.successResultOf(self.burners.stopService())
        self.failureResultOf(self.burners.burn(1.0), Overloaded)
        self.successResultOf(self.burners.stopService())


def test_the_program_burns_what_it_is_told_and_ends_with_its_input() -> None:
    before = time.monotonic()
    done = subprocess.run(COMMAND, input=b"0.05\n0.05\n", capture_output=True, timeout=20, check=True)
    assert done.stdout == b"done\ndone\n"
    assert time.monotonic() - before >= 0.1


def test_the_program_finishes_its_job_when_the_terminal_sends_ctrl_c() -> None:
    with subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"0.0\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"done\n"
        for number in (signal.SIGINT, signal.SIGTERM):
            process.send_signal(number)
        process.stdin.write(b"0.01\n")
        process.stdin.close()
        assert process.stdout.readline() == b"done\n"
        assert process.wait(20) == 0
