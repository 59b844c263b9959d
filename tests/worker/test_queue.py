"""The queue against a model of it, on a real SQLite file, and the promises that a model cannot show."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from scalability.errors import QueueFull, StoreError
from scalability.testing.stores import InlineStore
from scalability.worker.machine import Policy, State
from scalability.worker.queue import BATCH, Claim, TaskQueue
from scalability.worker.schema import SCHEMA

T = TypeVar("T")

POLICY = Policy(lease_s=30.0, max_attempts=4, retry_base_s=5.0, retry_jitter=0.25)


def fired(deferred: Deferred[T]) -> T:
    outcomes: list[Any] = []
    deferred.addBoth(outcomes.append)
    (outcome,) = outcomes
    if isinstance(outcome, Failure):
        outcome.raiseException()
    return outcome  # type: ignore[no-any-return]  # addBoth loses the type


class Bench:
    """A queue on a file, its clock and its store."""

    def __init__(self, folder: Path, max_waiting: int = 1000) -> None:
        self.clock = Clock()
        self.clock.advance(1_000_000)
        self.path = folder / "tasks"
        self.max_waiting = max_waiting
        self.chances = 0
        self.start()

    def start(self) -> None:
        self.store = InlineStore(SCHEMA, self.path)
        self.store.startService()
        self.queue = TaskQueue(
            self.store,
            policy=POLICY,
            max_waiting=self.max_waiting,
            wall=self.clock.seconds,
            chance=lambda: 0.5,
            chance_bits=self.count,
        )
        self.woken = 0
        self.queue.ready = self.wake
        self.queue.startService()

    def wake(self) -> None:
        self.woken += 1

    def count(self, bits: int) -> int:
        self.chances += 1
        return self.chances

    def crash(self) -> None:
        """The process ends and another begins."""
        self.store.stopService()
        self.start()

    def claim(self, limit: int = 10, *, suspects: bool = True) -> list[Claim]:
        taken: list[Claim] = []
        found = fired(self.queue.claim(limit, taken.extend, suspects=suspects))
        assert found == len(taken)
        return taken

    def state(self, uid: str) -> State:
        view = fired(self.queue.find(uid))
        assert view is not None
        return view.job.state


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.store.stopService()


@dataclass
class Expected:
    """A task as the model knows it."""

    uid: str
    order: int
    state: State = State.AVAILABLE
    attempts: int = 0
    crashes: int = 0
    claim_no: int = 0
    run_at: float = 0.0
    lease_until: float = 0.0
    finished_at: float = 0.0


class QueueMachine(RuleBasedStateMachine):
    """Every operation in any order, with restarts in between; late outcomes of old claims included."""

    claims = Bundle("claims")

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.bench = Bench(Path(self.folder.name), max_waiting=30)
        self.tasks: dict[str, Expected] = {}
        self.made = 0

    def teardown(self) -> None:
        self.bench.store.stopService()
        self.folder.cleanup()

    @property
    def now(self) -> float:
        return self.bench.clock.seconds()

    def holder(self, claim: Claim) -> Expected | None:
        task = self.tasks.get(claim.uid)
        return task if task is not None and task.state is State.LEASED and task.claim_no == claim.claim_no else None

    def crash(self, task: Expected) -> None:
        task.crashes += 1
        if task.crashes >= 3 or task.attempts >= 4:
            task.state, task.finished_at = State.DEAD, self.now
        else:
            task.state, task.run_at = State.AVAILABLE, self.now

    @rule(number=st.integers(1, 8))
    def add(self, number: int) -> None:
        for _ in range(number):
            waiting = sum(task.state in (State.AVAILABLE, State.SCHEDULED) for task in self.tasks.values())
            if waiting >= 30:
                with pytest.raises(QueueFull):
                    fired(self.bench.queue.add("kind", b"{}"))
                continue
            uid = fired(self.bench.queue.add("kind", b"{}"))
            assert uid not in self.tasks
            self.made += 1
            self.tasks[uid] = Expected(uid, self.made, run_at=self.now)

    @rule(target=claims, limit=st.integers(1, 12), suspects=st.booleans())
    def claim(self, limit: int, suspects: bool) -> Any:
        for task in self.tasks.values():
            if task.state is State.SCHEDULED and task.run_at <= self.now:
                task.state = State.AVAILABLE
        available = sorted((t for t in self.tasks.values() if t.state is State.AVAILABLE), key=lambda t: t.order)
        expected = [task for task in available if task.crashes < 2][:limit]
        if suspects and len(expected) < limit:
            expected += sorted((task for task in available if task.crashes >= 2), key=lambda t: (t.crashes, t.order))[:1]
        taken = self.bench.claim(limit, suspects=suspects)
        assert [claim.uid for claim in taken] == [task.uid for task in expected]
        for task, claim in zip(expected, taken, strict=True):
            task.state = State.LEASED
            task.attempts += 1
            task.claim_no += 1
            task.lease_until = self.now + 30
            assert (claim.attempt, claim.claim_no, claim.suspect) == (task.attempts, task.claim_no, task.crashes >= 2)
        return multiple(*taken)

    @rule(claim=claims)
    def succeed(self, claim: Claim) -> None:
        task = self.holder(claim)
        assert fired(self.bench.queue.succeed(claim, b"1")) == (task is not None)
        if task is not None:
            task.state, task.crashes, task.finished_at = State.SUCCEEDED, 0, self.now

    @rule(claim=claims, hopeless=st.booleans())
    def fail(self, claim: Claim, hopeless: bool) -> None:
        task = self.holder(claim)
        outcome = fired(self.bench.queue.fail(claim, "no", hopeless=hopeless))
        if task is None:
            assert outcome is None
            return
        task.crashes = 0
        if hopeless or task.attempts >= 4:
            task.state, task.finished_at = State.DEAD, self.now
        else:
            task.state, task.run_at = State.SCHEDULED, self.now + 5 * 2 ** (task.attempts - 1)
        assert outcome is task.state

    @rule(claim=consumes(claims))
    def release(self, claim: Claim) -> None:
        task = self.holder(claim)
        assert fired(self.bench.queue.release([claim])) == (task is not None)
        if task is not None:
            task.state, task.run_at = State.AVAILABLE, self.now
            task.attempts -= 1

    @rule(held=st.lists(claims, max_size=4))
    def tend(self, held: list[Claim]) -> None:
        lost = fired(self.bench.queue.tend(held))
        assert lost == {claim for claim in held if self.holder(claim) is None}
        for claim in held:
            task = self.holder(claim)
            if task is not None:
                task.lease_until = self.now + 30
        for task in self.tasks.values():
            if task.state is State.LEASED and task.lease_until < self.now:
                self.crash(task)

    @rule(seconds=st.sampled_from([0.5, 4.0, 11.0, 31.0, 100.0]))
    def wait(self, seconds: float) -> None:
        self.bench.clock.advance(seconds)

    @rule()
    def restart(self) -> None:
        self.bench.crash()
        for task in self.tasks.values():
            if task.state is State.LEASED:
                self.crash(task)

    @rule(state=st.sampled_from([State.SUCCEEDED, State.DEAD]), keep_s=st.sampled_from([0.0, 20.0]))
    def prune(self, state: State, keep_s: float) -> None:
        gone = [task.uid for task in self.tasks.values() if task.state is state and task.finished_at < self.now - keep_s]
        assert fired(self.bench.queue.prune(state, keep_s)) == len(gone)
        for uid in gone:
            del self.tasks[uid]

    @invariant()
    def the_queue_equals_the_model(self) -> None:
        queue = self.bench.queue
        for task in self.tasks.values():
            view = fired(queue.find(task.uid))
            assert view is not None
            job = view.job
            assert (job.state, job.attempts, job.crashes, job.claim_no) == (task.state, task.attempts, task.crashes, task.claim_no)
            if job.state in (State.AVAILABLE, State.SCHEDULED):
                assert job.run_at == task.run_at
        counted = {state: sum(task.state is state for task in self.tasks.values()) for state in State}
        assert queue.counts == counted
        rows = self.bench.store.connection.execute("SELECT count(*) FROM task").fetchone()[0]
        assert rows == len(self.tasks)

    @invariant()
    def the_next_due_time_is_never_missed(self) -> None:
        due = [task.run_at for task in self.tasks.values() if task.state is State.SCHEDULED]
        if due:
            assert self.bench.queue.next_due is not None
            assert self.bench.queue.next_due <= min(due)


QueueMachine.TestCase.settings = settings(
    max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)
TestQueueMachine = QueueMachine.TestCase


def test_tasks_are_claimed_in_the_order_of_their_arrival(bench: Bench) -> None:
    uids = [fired(bench.queue.add("kind", b'{"n":1}')) for _ in range(5)]
    assert [claim.uid for claim in bench.claim(3)] == uids[:3]
    assert [claim.uid for claim in bench.claim(3)] == uids[3:]
    assert bench.claim() == []


def test_what_can_be_run_wakes_the_runner(bench: Bench) -> None:
    fired(bench.queue.add("kind", b"{}"))
    assert bench.woken == 1
    fired(bench.queue.release(bench.claim()))
    assert bench.woken == 2


def test_a_full_queue_is_refused_with_retry_after_and_running_tasks_leave_room(tmp_path: Path) -> None:
    bench = Bench(tmp_path, max_waiting=2)
    for _ in range(2):
        fired(bench.queue.add("kind", b"{}"))
    with pytest.raises(QueueFull) as refused:
        fired(bench.queue.add("kind", b"{}"))
    assert (refused.value.status, refused.value.retry_after_s) == (429, 1)
    assert bench.queue.counters.refused == 1
    bench.claim(1)
    fired(bench.queue.add("kind", b"{}"))
    bench.store.stopService()


def test_tasks_whose_commit_is_under_way_count_too(tmp_path: Path) -> None:
    bench = Bench(tmp_path, max_waiting=2)
    bench.store.held = True
    adding = [bench.queue.add("kind", b"{}") for _ in range(2)]
    with pytest.raises(QueueFull):
        fired(bench.queue.add("kind", b"{}"))
    adding[1].addErrback(lambda failure: failure.trap(CancelledError) and None)
    adding[1].cancel()
    adding.append(bench.queue.add("kind", b"{}"))
    bench.store.release()
    assert fired(adding[0]) != fired(adding[2])
    assert bench.queue.waiting == 2
    bench.store.stopService()


def test_the_id_is_given_after_the_commit_and_not_before(bench: Bench) -> None:
    bench.store.held = True
    adding = bench.queue.add("kind", b"{}")
    assert not adding.called
    assert bench.queue.waiting == 0
    bench.store.release()
    assert bench.state(fired(adding)) is State.AVAILABLE


def test_a_store_that_refuses_keeps_nothing_and_counts_nothing(bench: Bench) -> None:
    bench.store.broken = "disk full"
    with pytest.raises(StoreError):
        fired(bench.queue.add("kind", b"{}"))
    bench.store.broken = None
    assert bench.queue.waiting == 0
    assert bench.claim() == []


def test_a_claim_that_comes_late_is_still_taken(bench: Bench) -> None:
    fired(bench.queue.add("kind", b"{}"))
    bench.store.held = True
    taken: list[Claim] = []
    claiming = bench.queue.claim(1, taken.extend, suspects=True)
    bench.store.release()
    assert fired(claiming) == 1
    assert len(taken) == 1


def test_a_stopped_process_does_not_take_its_own_tasks_for_lost(bench: Bench) -> None:
    fired(bench.queue.add("kind", b"{}"))
    (claim,) = bench.claim()
    bench.clock.advance(3600)
    assert fired(bench.queue.tend([claim])) == set()
    assert fired(bench.queue.succeed(claim, b"1"))


def test_after_a_restart_what_ran_is_available_at_once_and_the_old_outcome_is_refused(bench: Bench) -> None:
    uid = fired(bench.queue.add("kind", b"{}"))
    (old,) = bench.claim()
    bench.crash()
    assert bench.state(uid) is State.AVAILABLE
    (new,) = bench.claim()
    assert not fired(bench.queue.succeed(old, b'"old"'))
    assert fired(bench.queue.succeed(new, b'"new"'))
    view = fired(bench.queue.find(uid))
    assert view is not None
    assert view.job.result == b'"new"'
    assert bench.queue.counters.stale == 1


def test_poison_is_dead_after_three_crashes_and_takes_no_bystander_with_it(bench: Bench) -> None:
    poison = fired(bench.queue.add("poison", b"{}"))
    innocent = [fired(bench.queue.add("innocent", b"{}")) for _ in range(9)]
    for _ in range(2):
        assert len(bench.claim(10)) == 10
        bench.crash()
    # from here on they run one by one
    for _ in range(10):
        (claim,) = bench.claim(10)
        assert bench.claim(10, suspects=False) == []
        if claim.uid == poison:
            bench.crash()
            assert bench.state(poison) is State.DEAD
        else:
            assert fired(bench.queue.succeed(claim, b"1"))
    assert bench.claim(10) == []
    assert {bench.state(uid) for uid in innocent} == {State.SUCCEEDED}
    assert bench.queue.counters.dead == 1


def test_pruning_goes_in_steps(bench: Bench) -> None:
    rows = [(f"{n}", State.SUCCEEDED) for n in range(BATCH * 3 // 2)]
    bench.store.connection.execute("BEGIN")
    bench.store.connection.executemany(
        "INSERT INTO task (uid, kind, payload, state, attempts, max_attempts, crashes, claim_no, created_at, run_at, finished_at)"
        " VALUES (?, 'kind', '', ?, 1, 1, 0, 1, 0, 0, 0)",
        rows,
    )
    bench.store.connection.execute("COMMIT")
    bench.crash()
    assert fired(bench.queue.prune(State.SUCCEEDED, 10.0)) == BATCH
    assert fired(bench.queue.prune(State.SUCCEEDED, 10.0)) == BATCH // 2
    assert bench.queue.counts[State.SUCCEEDED] == 0


def test_the_age_of_the_first_in_the_line_is_known_after_tending(bench: Bench) -> None:
    fired(bench.queue.add("kind", b"{}"))
    bench.clock.advance(7)
    fired(bench.queue.tend([]))
    assert bench.queue.oldest_ready_s == 7
    bench.claim()
    assert bench.queue.oldest_ready_s == 0
