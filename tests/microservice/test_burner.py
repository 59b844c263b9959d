"""Burners: what they are asked and what comes of it. ``tests/lifecycle/test_process_pool.py`` has the rest of a pool's life."""

import signal
import subprocess
import time

from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from scalability.errors import Overloaded
from scalability.microservice.burner import COMMAND, Burners
from scalability.testing.fake_processes import ProcessClock


class BurnersTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = ProcessClock()
        self.burners = Burners(self.reactor, 2, max_waiting=3)
        self.burners.startService()

    def test_no_process_is_started_before_it_is_needed(self) -> None:
        assert self.reactor.spawned == []

    def test_a_job_is_sent_its_seconds_and_ends_when_the_process_says_so(self) -> None:
        job = self.burners.burn(0.25)
        (process,) = self.reactor.spawned
        assert (process.argv, process.env, process.written) == (list(COMMAND), {}, [b"0.250000\n"])
        self.assertNoResult(job)
        process.says(b"done\n")
        assert self.successResultOf(job) is None

    def test_there_are_no_more_processes_than_the_limit_and_the_rest_waits_in_order(self) -> None:
        jobs = [self.burners.burn(1.0 + i) for i in range(5)]
        self.failureResultOf(self.burners.burn(1.0), Overloaded)
        one, two = self.reactor.spawned
        assert (one.written, two.written) == ([b"1.000000\n"], [b"2.000000\n"])
        two.says(b"done\n")
        assert two.written[1:] == [b"3.000000\n"]
        self.assertNoResult(jobs[0])
        self.successResultOf(jobs[1])

    def test_who_leaves_while_it_burns_leaves_the_process_busy_until_it_is_done(self) -> None:
        leaving, _, _ = (self.burners.burn(seconds) for seconds in (1.0, 2.0, 3.0))
        leaving.cancel()
        self.failureResultOf(leaving, CancelledError)
        process = self.reactor.spawned[0]
        assert process.written == [b"1.000000\n"]
        process.says(b"done\n")
        assert process.written[1:] == [b"3.000000\n"]

    def test_burning_has_no_deadline_but_its_own(self) -> None:
        job = self.burners.burn(3600.0)
        assert self.reactor.getDelayedCalls() == []
        self.reactor.spawned[0].says(b"done\n")
        self.successResultOf(job)

    def test_a_process_that_dies_fails_its_job(self) -> None:
        job = self.burners.burn(1.0)
        self.reactor.spawned[0].end(signal=9)
        self.failureResultOf(job, Overloaded)


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
