"""The runner, with its time, its tasks and its store under control."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from scalability.testing.stores import InlineStore
from scalability.worker.machine import Policy, State
from scalability.worker.queue import TaskQueue, TaskView
from scalability.worker.runner import MAX_RESULT_BYTES, Runner
from scalability.worker.schema import SCHEMA
from scalability.worker.tasks import CurrentTask


class FakeWork:
    """Tasks that end when the test says so: ``running`` has the Deferred of each, by its argument ``n``."""

    def __init__(self) -> None:
        self.begun: list[tuple[int, int]] = []
        self.running: dict[int, Deferred[Any]] = {}
        self.cancelled: list[int] = []

    def check(self, name: str, arguments: Mapping[str, Any]) -> None:
        pass

    def begin(self, task: CurrentTask, name: str, arguments: Mapping[str, Any]) -> Deferred[Any]:
        n = arguments["n"]
        self.begun.append((n, task.attempt))
        if name == "quick":
            return succeed(n)
        if name == "broken":
            raise ZeroDivisionError("at once")

        self.running[n] = Deferred(lambda _: self.cancelled.append(n))
        return self.running[n]


class Stubborn(Deferred[Any]):
    """Code that goes on although it was cancelled."""

    def cancel(self) -> None:
        pass


class RunnerTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.store = InlineStore(SCHEMA, Path(folder.name) / "tasks")
        self.store.startService()
        self.addCleanup(self.store.stopService)
        self.clock = Clock()
        self.clock.advance(1000)
        self.work = FakeWork()
        self.uids: dict[int, str] = {}
        self.made = 0
        self.thread_count = 0
        self.queue = TaskQueue(
            self.store,
            policy=Policy(max_attempts=3, retry_base_s=5.0),
            max_waiting=1000,
            wall=self.clock.seconds,
            chance=lambda: 0.5,
            chance_bits=self.count,
        )
        self.queue.startService()
        self.runner = Runner(
            self.clock, self.queue, self.work, concurrency=2, timeout_s=60.0, grace_s=25.0, abandoned=lambda: self.thread_count
        )
        self.queue.ready = self.runner.wake
        self.runner.startService()

    def count(self, bits: int) -> int:
        self.made += 1
        return self.made

    def add(self, n: int, kind: str = "slow") -> None:
        self.uids[n] = self.successResultOf(self.queue.add(kind, b'{"n":%d}' % n))

    def view(self, n: int) -> TaskView:
        view = self.successResultOf(self.queue.find(self.uids[n]))
        assert view is not None
        return view

    def state(self, n: int) -> State:
        return self.view(n).job.state

    def test_at_most_so_many_run_at_once_in_the_order_of_their_arrival(self) -> None:
        for n in range(4):
            self.add(n)
        assert self.work.begun == [(0, 1), (1, 1)]
        assert self.runner.attempts == 2
        self.work.running[1].callback("one")
        assert self.work.begun == [(0, 1), (1, 1), (2, 1)]
        assert self.state(1) is State.SUCCEEDED
        assert self.view(1).job.result == b'"one"'

    def test_many_quick_tasks_are_worked_off_without_a_deep_stack(self) -> None:
        self.runner.stopService()
        for n in range(1000):
            self.add(n, "quick")
        self.runner.startService()
        assert len(self.work.begun) == 1000
        assert self.queue.counts[State.SUCCEEDED] == 1000
        assert self.runner.run_seconds.count == 1000

    def test_a_failure_is_retried_when_its_time_has_come(self) -> None:
        self.add(0)
        self.work.running[0].errback(ValueError("no luck"))
        assert len(self.flushLoggedErrors(ValueError)) == 1
        assert self.state(0) is State.SCHEDULED
        assert self.view(0).job.error == "ValueError: no luck"
        self.clock.advance(4.9)
        self.runner.wake()
        assert self.work.begun == [(0, 1)]
        self.clock.advance(0.2)
        self.runner.wake()
        assert self.work.begun == [(0, 1), (0, 2)]

    def test_a_task_that_always_fails_is_dead_in_the_end(self) -> None:
        self.add(0, "broken")
        for _ in range(2):
            self.clock.advance(100)
            self.runner.wake()
        assert self.state(0) is State.DEAD
        assert [attempt for _, attempt in self.work.begun] == [1, 2, 3]
        assert len(self.flushLoggedErrors(ZeroDivisionError)) == 3

    def test_an_attempt_that_takes_too_long_is_cancelled_and_retried(self) -> None:
        self.add(0)
        self.clock.advance(60)
        assert self.work.cancelled == [0]
        assert self.state(0) is State.SCHEDULED
        assert self.view(0).job.error == "the attempt took longer than 60 s"
        assert (self.runner.attempts, self.runner.timeouts) == (0, 1)

    def test_code_that_goes_on_after_its_timeout_keeps_its_place(self) -> None:
        stubborn = Stubborn()
        self.work.begin = lambda *_: stubborn  # type: ignore[method-assign]  # one task, whatever its name
        self.add(0)
        self.clock.advance(60)
        assert self.state(0) is State.SCHEDULED
        assert self.runner.attempts == 1
        assert self.runner.held() == []
        stubborn.callback("too late")
        assert self.runner.attempts == 0
        assert self.state(0) is State.SCHEDULED

    def test_threads_that_go_on_after_their_timeout_keep_their_places(self) -> None:
        self.thread_count = 2
        self.add(0)
        assert self.work.begun == []
        self.thread_count = 1
        self.runner.wake()
        assert self.work.begun == [(0, 1)]

    def test_a_result_that_is_no_json_or_too_large_is_not_tried_again(self) -> None:
        self.add(0)
        self.add(1)
        self.work.running[0].callback(object())
        self.work.running[1].callback("x" * MAX_RESULT_BYTES)
        assert (self.state(0), self.state(1)) == (State.DEAD, State.DEAD)
        assert "is not JSON" in (self.view(0).job.error or "")
        assert f"{MAX_RESULT_BYTES} are allowed" in (self.view(1).job.error or "")

    def test_a_result_at_the_limit_is_kept(self) -> None:
        self.add(0)
        self.work.running[0].callback("x" * (MAX_RESULT_BYTES - 2))
        assert self.state(0) is State.SUCCEEDED

    def test_an_outcome_that_the_store_refuses_is_reported_again_and_the_work_not_repeated(self) -> None:
        self.add(0)
        self.store.broken = "disk full"
        self.work.running[0].callback("done")
        assert self.runner.attempts == 1
        assert [claim.uid for claim in self.runner.held()] == [self.uids[0]]
        self.clock.pump([1.0] * 3)
        self.store.broken = None
        self.clock.advance(1.0)
        assert self.state(0) is State.SUCCEEDED
        assert self.work.begun == [(0, 1)]
        assert self.runner.attempts == 0

    def test_a_store_that_refuses_a_claim_is_asked_again_at_the_next_tick(self) -> None:
        self.add(0)
        self.add(1)
        self.add(2)
        self.store.broken = "disk full"
        self.work.running[0].callback("done")
        self.store.broken = None
        self.clock.advance(1.0)
        self.runner.wake()
        assert self.work.begun == [(0, 1), (1, 1), (2, 1)]

    def test_a_lost_lease_cancels_the_attempt_and_drops_its_outcome(self) -> None:
        self.add(0)
        (claim,) = self.runner.held()
        self.store.connection.execute("UPDATE task SET claim_no = claim_no + 1")
        lost = self.successResultOf(self.queue.tend(self.runner.held()))
        assert lost == {claim}
        self.runner.lose(claim)
        assert self.work.cancelled == [0]
        assert (self.runner.attempts, self.runner.lost) == (0, 1)
        assert self.state(0) is State.LEASED
        self.runner.lose(claim)

    def test_an_outcome_that_comes_too_late_is_dropped(self) -> None:
        self.add(0)
        self.store.connection.execute("UPDATE task SET claim_no = claim_no + 1")
        self.work.running[0].callback("late")
        assert self.state(0) is State.LEASED
        assert self.queue.counters.stale == 1

    def test_stopping_waits_for_what_runs_and_claims_nothing_more(self) -> None:
        for n in range(3):
            self.add(n)
        stopping = self.runner.stopService()
        self.assertNoResult(stopping)
        assert self.runner.draining
        self.work.running[0].callback(0)
        self.assertNoResult(stopping)
        self.work.running[1].callback(1)
        self.successResultOf(stopping)
        assert [self.state(n) for n in range(3)] == [State.SUCCEEDED, State.SUCCEEDED, State.AVAILABLE]
        assert self.clock.getDelayedCalls() == []

    def test_after_the_grace_what_still_runs_is_cancelled_and_given_back_with_its_attempt(self) -> None:
        self.add(0)
        stopping = self.runner.stopService()
        self.clock.advance(24.9)
        self.assertNoResult(stopping)
        assert len(self.runner.held()) == 1
        self.clock.advance(0.1)
        self.successResultOf(stopping)
        assert self.work.cancelled == [0]
        assert (self.state(0), self.view(0).job.attempts) == (State.AVAILABLE, 0)
        assert self.clock.getDelayedCalls() == []

    def test_stopping_ends_even_when_nothing_can_be_given_back(self) -> None:
        self.add(0)
        self.add(1)
        self.store.broken = "disk full"
        self.work.running[1].callback("done")
        stopping = self.runner.stopService()
        self.clock.pump([1.0] * 25)
        self.successResultOf(stopping)
        assert self.clock.getDelayedCalls() == []
        self.store.broken = None
        assert [self.state(n) for n in range(2)] == [State.LEASED, State.LEASED]

    def test_a_claim_that_arrives_while_stopping_is_given_back(self) -> None:
        self.add(0)
        self.runner.stopService()
        self.work.running[0].callback(0)
        self.add(1)
        self.store.held = True
        self.runner.startService()  # claims, and the store takes its time
        stopping = self.runner.stopService()
        self.assertNoResult(stopping)
        self.store.release()
        self.successResultOf(stopping)
        assert self.work.begun == [(0, 1)]
        assert (self.state(1), self.view(1).job.attempts) == (State.AVAILABLE, 0)

    def test_what_cancelled_code_raises_is_nobody_s_error(self) -> None:
        self.add(0)
        self.clock.advance(60)
        assert self.flushLoggedErrors(CancelledError) == []
