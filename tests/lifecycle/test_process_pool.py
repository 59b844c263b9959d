"""Processes that answer lines: bounded, in order, with a deadline, nobody left waiting when one dies. The last tests kill real ones."""

import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.trial.unittest import SynchronousTestCase

from scalability.errors import BodyTooLarge, Overloaded
from scalability.lifecycle.process_pool import MAX_ANSWER_BYTES, Ask, PooledProcess, ProcessPool
from scalability.testing.fake_processes import ProcessClock
from scalability.testing.processes import alive, wait_gone


def line(text: bytes) -> Ask:
    return lambda process: process.write(text + b"\n")


class ProcessPoolTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = ProcessClock()
        self.pool = ProcessPool(self.reactor, ("program", "-x"), work="plays", size=2, max_waiting=3, timeout_s=10.0, env={"A": "b"})
        self.pool.startService()
        self.processes = self.reactor.spawned

    def tearDown(self) -> None:
        assert self.reactor.getDelayedCalls() == []

    def ask(self, text: bytes = b"?") -> Deferred[bytes]:
        return self.pool.ask(line(text))

    def finish(self) -> None:
        """Answer all that is asked."""
        for process in self.processes:
            while process.protocol.job is not None:
                process.says(b"\n")

    def test_a_process_is_started_when_it_is_needed_and_used_again(self) -> None:
        assert self.processes == []
        first = self.ask(b"one")
        (process,) = self.processes
        assert (process.argv, process.env, process.written) == (["program", "-x"], {"A": "b"}, [b"one\n"])
        self.assertNoResult(first)
        process.says(b"fi", b"rst\n")
        assert self.successResultOf(first) == b"first\n"
        second = self.ask(b"two")
        process.says(b"second\n")
        assert self.successResultOf(second) == b"second\n"
        assert len(self.processes) == 1

    def test_who_asks_may_note_what_that_process_knows(self) -> None:
        told: list[set[int]] = []

        def note(process: PooledProcess) -> None:
            told.append(process.told.copy())
            process.told.add(7)

        for _ in range(2):
            self.pool.ask(note)
        self.processes[0].says(b"\n")
        self.pool.ask(note)
        assert told == [set(), set(), {7}]
        self.finish()

    def test_no_more_than_so_many_run_and_no_more_wait_than_that_in_order(self) -> None:
        answers = [self.ask(b"%d" % number) for number in range(5)]
        one, two = self.processes
        assert self.pool.waiting == 3
        assert str(self.failureResultOf(self.ask(), Overloaded).value) == "every process is busy; try again later"
        two.says(b"a\n")
        assert two.written[1:] == [b"2\n"]
        assert self.successResultOf(answers[1]) == b"a\n"
        self.assertNoResult(answers[0])
        one.says(b"b\n")
        assert one.written[1:] == [b"3\n"]
        self.finish()
        for answer in answers[2:]:
            self.successResultOf(answer)

    def test_who_leaves_the_line_is_not_asked_for(self) -> None:
        for _ in range(2):
            self.ask()
        leaving = self.ask(b"left")
        self.ask(b"next")
        leaving.cancel()
        self.failureResultOf(leaving, CancelledError)
        self.processes[0].says(b"\n")
        assert self.processes[0].written[1:] == [b"next\n"]
        self.finish()

    def test_who_leaves_while_it_is_done_leaves_the_process_busy_until_it_is(self) -> None:
        leaving = self.ask()
        self.ask()
        waiting = self.ask(b"next")
        leaving.cancel()
        self.failureResultOf(leaving, CancelledError)
        self.assertNoResult(waiting)
        self.processes[0].says(b"for nobody\n")
        assert self.processes[0].written[1:] == [b"next\n"]
        self.processes[0].says(b"for it\n")
        assert self.successResultOf(waiting) == b"for it\n"
        self.finish()

    def test_a_process_that_dies_fails_its_job_and_is_replaced_for_the_next(self) -> None:
        answers = [self.ask(b"%d" % number) for number in range(3)]
        self.processes[0].end(signal=9)
        assert str(self.failureResultOf(answers[0], Overloaded).value) == "the work was interrupted"
        assert self.processes[2].written == [b"2\n"]
        self.finish()
        self.successResultOf(answers[2])

    def test_a_process_that_dies_with_a_job_that_nobody_waits_for_is_forgotten(self) -> None:
        leaving = self.ask()
        leaving.cancel()
        self.failureResultOf(leaving, CancelledError)
        self.processes[0].end(signal=9)
        self.ask()
        self.finish()
        assert len(self.processes) == 2

    def test_an_idle_process_that_dies_is_forgotten(self) -> None:
        self.ask()
        self.finish()
        self.processes[0].end()
        answer = self.ask()
        self.finish()
        self.successResultOf(answer)
        assert len(self.processes) == 2

    def test_a_process_is_given_nothing_between_its_death_and_the_moment_when_that_is_told(self) -> None:
        self.ask()
        self.finish()
        (process,) = self.processes
        process.stops_reading()
        answer = self.ask(b"next")
        assert [other.written for other in self.processes] == [[b"?\n"], [b"next\n"]]
        process.end(signal=9)
        self.finish()
        self.successResultOf(answer)

    def test_an_answer_that_came_before_the_death_counts_and_nothing_follows_it(self) -> None:
        answer = self.ask()
        (process,) = self.processes
        process.stops_reading()
        assert process.signals == ["KILL"]
        process.says(b"just in time\n")
        assert self.successResultOf(answer) == b"just in time\n"
        self.ask(b"next")
        assert [other.written for other in self.processes] == [[b"?\n"], [b"next\n"]]
        process.end(signal=9)
        self.finish()

    def test_a_job_that_takes_too_long_is_given_up_and_its_process_killed(self) -> None:
        slow, other = self.ask(), self.ask()
        waiting = self.ask(b"next")
        one, two = self.processes
        two.says(b"\n")
        self.successResultOf(other)
        self.reactor.advance(9.9)
        two.says(b"\n")
        self.successResultOf(waiting)
        self.reactor.advance(0.2)
        assert (one.signals, two.signals, self.pool.given_up) == (["KILL"], [], 1)
        self.assertNoResult(slow)
        one.end(signal=9)
        assert str(self.failureResultOf(slow, Overloaded).value) == "the work took too long"

    def test_a_pool_says_what_a_job_that_took_too_long_fails_with(self) -> None:
        class Own(ProcessPool):
            def too_late(self) -> BodyTooLarge:
                return BodyTooLarge("much")

        pool = Own(self.reactor, ("program",), work="plays", size=1, max_waiting=1, timeout_s=1.0)
        pool.startService()
        slow = pool.ask(line(b"?"))
        self.reactor.advance(1.0)
        self.processes[0].end(signal=9)
        self.failureResultOf(slow, BodyTooLarge)

    def test_without_a_deadline_there_is_none(self) -> None:
        pool = ProcessPool(self.reactor, ("program",), work="plays", size=1, max_waiting=1)
        pool.startService()
        answer = pool.ask(line(b"?"))
        self.reactor.advance(1e6)
        self.finish()
        self.successResultOf(answer)

    def test_a_process_that_says_what_it_was_not_asked_is_killed_and_believed_nothing_more(self) -> None:
        for parts in ((b"one\ntwo",), (b"one\ntwo\n", b"three\n"), (b"x" * MAX_ANSWER_BYTES, b"x"), (b"x" * MAX_ANSWER_BYTES + b"\n",)):
            answer = self.ask()
            process = self.processes[-1]
            process.says(*parts)
            assert process.signals == ["KILL"]
            self.assertNoResult(answer)
            process.end(signal=9)
            self.failureResultOf(answer, Overloaded)

    def test_an_idle_process_that_says_anything_is_killed(self) -> None:
        self.ask()
        self.finish()
        (process,) = self.processes
        process.says(b"by the way")
        assert process.signals == []
        process.says(b"\n")
        assert process.signals == ["KILL"]
        answer = self.ask()
        assert len(self.processes) == 2
        process.end(signal=9)
        self.finish()
        self.successResultOf(answer)

    def test_a_line_as_long_as_the_limit_is_an_answer(self) -> None:
        answer = self.ask()
        self.processes[0].says(b"x" * (MAX_ANSWER_BYTES - 1), b"\n")
        assert len(self.successResultOf(answer)) == MAX_ANSWER_BYTES

    def test_when_no_process_can_be_started_those_in_line_are_told(self) -> None:
        self.reactor.refuse = True
        self.failureResultOf(self.ask(), Overloaded)
        self.reactor.refuse = False
        answer = self.ask()
        self.reactor.refuse = True
        waiting = self.ask()  # the process that there is will take it
        self.assertNoResult(waiting)
        self.processes[0].says(b"\n")
        self.successResultOf(answer)
        self.finish()
        self.successResultOf(waiting)

    def test_the_last_process_dies_and_none_can_be_started(self) -> None:
        running, waiting = self.ask(), []
        self.reactor.refuse = True
        waiting = [self.ask() for _ in range(3)]
        self.processes[0].end(signal=9)
        for answer in (running, *waiting):
            self.failureResultOf(answer, Overloaded)

    def test_stopping_ends_every_process_and_waits_for_that_as_often_as_it_is_asked(self) -> None:
        answers = [self.ask() for _ in range(3)]
        stopping = [self.pool.stopService(), self.pool.stopService()]
        assert str(self.failureResultOf(answers[2], Overloaded).value) == "this server is stopping"
        one, two = self.processes
        assert "KILL" in one.signals
        assert "KILL" in two.signals
        one.end(signal=9)
        for gone in stopping:
            self.assertNoResult(gone)
        two.end(signal=9)
        for gone in stopping:
            self.successResultOf(gone)
        for answer in answers[:2]:
            self.failureResultOf(answer, Overloaded)
        assert len(self.processes) == 2

    def test_a_process_that_has_just_ended_by_itself_does_not_disturb_the_stop(self) -> None:
        interrupted = self.ask()
        (process,) = self.processes
        process.die()
        stopping = self.pool.stopService()
        process.loseConnection()
        self.successResultOf(stopping)
        self.failureResultOf(interrupted, Overloaded)

    def test_a_stopped_pool_takes_no_jobs_and_stops_twice(self) -> None:
        self.successResultOf(self.pool.stopService())
        self.failureResultOf(self.ask(), Overloaded)
        self.successResultOf(self.pool.stopService())

    def test_it_may_be_started_again(self) -> None:
        self.ask()
        self.finish()
        stopping = self.pool.stopService()
        self.processes[0].end(signal=9)
        self.successResultOf(stopping)
        self.pool.startService()
        answer = self.ask()
        self.finish()
        self.successResultOf(answer)


PROGRAM = """\
import os, sys, time
for line in sys.stdin:
    if line == "deaf\\n":
        os.close(0)
    if line in ("sleep\\n", "deaf\\n"):
        time.sleep(600)
    print(os.getpid(), line, end="", flush=True)
"""


@asynccontextmanager
async def running(program: str = PROGRAM, *, executable: str = sys.executable, timeout_s: float = 30.0) -> AsyncIterator[ProcessPool]:
    from twisted.internet import reactor

    command = (executable, "-I", "-S", "-c", program)
    pool = ProcessPool(reactor, command, work="plays", size=2, max_waiting=50, timeout_s=timeout_s)
    pool.startService()
    try:
        yield pool
    finally:
        await pool.stopService()


async def asked(pool: ProcessPool, text: bytes = b"?") -> int | None:
    """The number of the process that answered; None: it may be tried again."""
    try:
        pid, said = (await pool.ask(line(text))).split(b" ", 1)
    except Overloaded:
        return None
    assert said == text + b"\n"
    return int(pid)


async def pause(seconds: float = 0.0) -> None:
    from twisted.internet import reactor

    clock: Any = reactor
    await deferLater(clock, seconds)


async def sleeping(pool: ProcessPool) -> tuple[Deferred[bytes], int]:
    """A job that does not end, and the process that has it: the only one."""
    pid = await asked(pool)
    assert pid is not None
    return pool.ask(line(b"sleep")), pid


@pytest_twisted.ensureDeferred
async def test_two_processes_answer_forty_questions_each_its_own() -> None:
    async with running() as pool:
        pids = await gatherResults([Deferred.fromCoroutine(asked(pool, b"%d" % number)) for number in range(40)])
        assert None not in pids
        assert len(set(pids)) == 2
    assert wait_gone([pid for pid in set(pids) if pid]) == []


@pytest_twisted.ensureDeferred
async def test_a_process_killed_at_its_work_fails_that_and_the_next_question_is_answered_by_another() -> None:
    async with running() as pool:
        answer, pid = await sleeping(pool)
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(Overloaded, match="the work was interrupted"):
            await answer
        other = await asked(pool)
        assert other not in (None, pid)


@pytest_twisted.ensureDeferred
async def test_questions_in_each_turn_around_the_death_of_an_idle_process_all_end() -> None:
    async with running() as pool:
        for _ in range(5):
            pid = await asked(pool)
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            asking = []
            for _ in range(20):
                asking.append(Deferred.fromCoroutine(asked(pool)))
                await pause()
            await gatherResults(asking)
            assert not alive(pid)
            assert await asked(pool) not in (None, pid)


@pytest_twisted.ensureDeferred
async def test_at_its_deadline_a_process_is_killed_and_replaced() -> None:
    async with running(timeout_s=3.0) as pool:
        answer, pid = await sleeping(pool)
        with pytest.raises(Overloaded, match="the work took too long"):
            await answer
        assert not alive(pid)
        assert pool.given_up == 1
        assert await asked(pool) not in (None, pid)


@pytest_twisted.ensureDeferred
async def test_a_process_that_closes_its_input_is_killed() -> None:
    async with running() as pool:
        assert await asked(pool, b"deaf") is None
        assert await asked(pool) is not None


@pytest_twisted.ensureDeferred
async def test_a_program_that_talks_out_of_turn_is_killed() -> None:
    async with running("import time; print('hello\\nhello', flush=True); time.sleep(600)") as pool:
        assert await asked(pool) is None


@pytest_twisted.ensureDeferred
async def test_a_program_that_ends_at_once_or_is_not_there_answers_nobody_and_is_not_started_over_and_over() -> None:
    async with running("raise SystemExit(1)") as pool:
        assert [await asked(pool) for _ in range(3)] == [None] * 3
    async with running(executable="/no/such/program") as pool:
        assert [await asked(pool) for _ in range(3)] == [None] * 3


@pytest_twisted.ensureDeferred
async def test_stopping_kills_a_process_at_its_work() -> None:
    async with running() as pool:
        answer, pid = await sleeping(pool)
        await pool.stopService()
        assert not alive(pid)
        with pytest.raises(Overloaded, match="the work was interrupted"):
            await answer
