"""The queue: tasks in a store, moved through their states by ``machine``, fenced by ``claim_no``.

Every method that changes something is one operation of the store: durable when its Deferred fires, and sharing its commit with
whatever else waits. The counts are kept beside the rows and follow each commit: nothing is ever counted to answer a question.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from twisted.application.service import Service
from twisted.internet.defer import Deferred, fail
from twisted.logger import Logger

from scalability.errors import QueueFull
from scalability.sql import Session, Store
from scalability.worker import machine
from scalability.worker.ids import RANDOM_BITS, task_id
from scalability.worker.machine import Job, Policy, State

T = TypeVar("T")

BATCH = 1000
"""Rows that one operation touches at most: the other operations wait meanwhile."""

_JOB = "state, attempts, max_attempts, crashes, claim_no, run_at, lease_until, started_at, finished_at, error, result"

INSERT = (
    "INSERT INTO task (uid, kind, payload, state, attempts, max_attempts, crashes, claim_no, created_at, run_at)"
    " VALUES (?, ?, ?, 0, 0, ?, 0, 0, ?, ?)"
)
READY = (
    f"SELECT id, uid, kind, payload, {_JOB} FROM task WHERE state = 0 AND crashes < 2 AND queue = 'default' ORDER BY priority, id LIMIT ?"
)
SUSPECTS = (
    f"SELECT id, uid, kind, payload, {_JOB} FROM task WHERE state = 0 AND crashes >= 2 AND queue = 'default' ORDER BY crashes, id LIMIT 1"
)
LEASED = f"SELECT {_JOB} FROM task WHERE id = ? AND claim_no = ? AND state = 2"
ALL_LEASED = f"SELECT id, {_JOB} FROM task WHERE state = 2"
EXPIRED = f"SELECT id, claim_no, {_JOB} FROM task WHERE state = 2 AND lease_until < ? ORDER BY lease_until LIMIT ?"
SAVE = (
    "UPDATE task SET state = ?, attempts = ?, max_attempts = ?, crashes = ?, claim_no = ?, run_at = ?, lease_until = ?,"
    " started_at = ?, finished_at = ?, error = ?, result = ? WHERE id = ?"
)
PROMOTE = "UPDATE task SET state = 0 WHERE id IN (SELECT id FROM task WHERE state = 1 AND run_at <= ? ORDER BY run_at LIMIT ?)"
NEXT_DUE = "SELECT min(run_at) FROM task WHERE state = 1"
OLDEST = "SELECT run_at FROM task WHERE state = 0 AND crashes < 2 AND queue = 'default' ORDER BY priority, id LIMIT 1"
RENEW = "UPDATE task SET lease_until = ? WHERE id = ? AND claim_no = ? AND state = 2"
PRUNE = "DELETE FROM task WHERE id IN (SELECT id FROM task WHERE state >= 3 AND state = ? AND finished_at < ? ORDER BY finished_at LIMIT ?)"
FIND = f"SELECT kind, created_at, {_JOB} FROM task WHERE uid = ?"
COUNT = "SELECT state, count(*) FROM task GROUP BY state"


class Claim(NamedTuple):
    """One attempt at a task, handed to one runner. ``id`` and ``claim_no`` together are its token."""

    id: int
    claim_no: int
    uid: str
    kind: str
    payload: bytes
    attempt: int
    max_attempts: int
    suspect: bool
    waited_s: float


class TaskView(NamedTuple):
    """A task as ``GET /tasks/<id>`` tells it."""

    kind: str
    created_at: float
    job: Job


@dataclass
class QueueCounters:
    """What happened since the start; read by the metrics."""

    enqueued: int = 0
    refused: int = 0
    succeeded: int = 0
    dead: int = 0
    retried: int = 0
    crashed: int = 0
    released: int = 0
    stale: int = 0
    pruned: int = 0


_Move = tuple[State | None, State | None, int]
"""So many tasks went from one state to another; None is the world outside."""


class _Done(NamedTuple, Generic[T]):
    """What an operation answered, and how it moved tasks."""

    answer: T
    moves: Sequence[_Move] = ()


class TaskQueue(Service):
    """At most ``max_waiting`` tasks wait in ``store``, which starts before this.

    ``wall`` answers the Unix time, ``chance`` a random float from 0 to 1, ``chance_bits`` a random number of so many bits.
    ``ready`` is called when a task may have become available. Every Deferred may fail with StoreError. When the service
    starts, what an earlier process held is given back: the store's lock says that it is gone.
    """

    log = Logger()

    def __init__(
        self,
        store: Store,
        *,
        policy: Policy,
        max_waiting: int,
        wall: Callable[[], float],
        chance: Callable[[], float],
        chance_bits: Callable[[int], int],
    ) -> None:
        self.counts = dict.fromkeys(State, 0)
        """How many tasks are in each state."""
        self.counters = QueueCounters()
        self.ready: Callable[[], None] = lambda: None
        self.next_due: float | None = None
        """When the next scheduled task becomes available."""
        self._oldest: float | None = None
        self._adding = 0
        self._store = store
        self._policy = policy
        self._max_waiting = max_waiting
        self._wall = wall
        self._chance = chance
        self._chance_bits = chance_bits

    @property
    def waiting(self) -> int:
        """How many tasks wait, retries included."""
        return self.counts[State.AVAILABLE] + self.counts[State.SCHEDULED]

    @property
    def claimable(self) -> bool:
        """Whether a claim may find something."""
        return self.counts[State.AVAILABLE] > 0 or (self.next_due is not None and self.next_due <= self._wall())

    @property
    def oldest_ready_s(self) -> float:
        """How long the first task in the line has been waiting, in seconds, as of the last ``tend``; 0 when none is."""
        if self._oldest is None or not self.counts[State.AVAILABLE]:
            return 0.0
        return max(0.0, self._wall() - self._oldest)

    def startService(self) -> None:
        super().startService()

        def look(session: Session) -> tuple[list[Any], float | None]:
            return session.execute(COUNT).fetchall(), session.execute(NEXT_DUE).fetchone()[0]

        counted, self.next_due = self._store.read_now(look)
        self.counts = dict.fromkeys(State, 0) | {State(state): number for state, number in counted}
        if self.counts[State.LEASED]:
            # the store runs this before anything that is asked of it later
            self._write(self._recover, self._recovered).addCallbacks(
                lambda n: self.log.info("{n} tasks were running when the server ended", n=n),
                lambda failure: self.log.failure("what was running could not be given back; its leases will run out", failure),
            )

    # into the queue, and looking at it

    def add(self, kind: str, payload: bytes) -> Deferred[str]:
        """Put a task at the end; fires with its id after the commit. Fails with QueueFull, or StoreError."""
        if self.waiting + self._adding >= self._max_waiting:
            self.counters.refused += 1
            return fail(QueueFull(f"{self._max_waiting} tasks are waiting; try again later"))
        now = self._wall()
        uid = task_id(now, self._chance_bits(RANDOM_BITS))
        row = (uid, kind, payload, self._policy.max_attempts, now, now)

        def operation(session: Session) -> _Done[str]:
            session.execute(INSERT, row)
            return _Done(uid, ((None, State.AVAILABLE, 1),))

        def over(outcome: T) -> T:
            self._adding -= 1
            return outcome

        self._adding += 1
        return self._write(operation, self._added).addBoth(over)

    def find(self, uid: str) -> Deferred[TaskView | None]:
        """The task with this id; None when there is none, or none any more."""

        def query(session: Session) -> TaskView | None:
            row = session.execute(FIND, (uid,)).fetchone()
            return None if row is None else TaskView(row[0], row[1], _job(row[2:]))

        return self._store.read(query)

    # out of the queue

    def claim(self, limit: int, take: Callable[[list[Claim]], None], *, suspects: bool) -> Deferred[int]:
        """Lease at most ``limit`` tasks, in order, and hand them to ``take`` after the commit; fires with their number.

        ``suspects``: whether one that has crashed repeatedly may be among them. ``take`` is called even when the caller has
        been told that the store is late: a lease that nobody knows of would be a task that waits for its lease to end.
        """
        now = self._wall()

        def operation(session: Session) -> _Done[_Claimed]:
            promoted = session.execute(PROMOTE, (now, BATCH)).rowcount
            rows = session.execute(READY, (limit,)).fetchall()
            if suspects and len(rows) < limit:
                rows += session.execute(SUSPECTS).fetchall()
            claims = []
            for row_id, uid, kind, payload, *rest in rows:
                before = _job(rest)
                job = machine.claimed(before, now, self._policy)
                _save(session, row_id, job)
                waited_s = max(0.0, now - before.run_at)
                claims.append(Claim(row_id, job.claim_no, uid, kind, payload, job.attempts, job.max_attempts, job.suspect, waited_s))
            due = session.execute(NEXT_DUE).fetchone()[0]
            moves = ((State.SCHEDULED, State.AVAILABLE, promoted), (State.AVAILABLE, State.LEASED, len(claims)))
            return _Done(_Claimed(claims, due), moves)

        def committed(claimed: _Claimed) -> None:
            self.next_due = claimed.next_due
            take(claimed.claims)

        return self._write(operation, committed).addCallback(lambda claimed: len(claimed.claims))

    def succeed(self, claim: Claim, result: bytes) -> Deferred[bool]:
        """The attempt is done; ``result`` is JSON. False when it came too late: the task is another claim's, the result is dropped."""
        now = self._wall()
        return self._end(claim, lambda job: machine.succeeded(job, now, result)).addCallback(lambda state: state is not None)

    def fail(self, claim: Claim, error: str, *, hopeless: bool = False) -> Deferred[State | None]:
        """The attempt failed; fires with what that makes of the task, None when it came too late."""
        now, chance = self._wall(), self._chance()
        return self._end(claim, lambda job: machine.failed(job, now, error, self._policy, chance, hopeless=hopeless))

    def release(self, claims: Collection[Claim]) -> Deferred[int]:
        """Give tasks back unfinished, the attempt unspent; fires with how many were still held."""
        now = self._wall()

        def operation(session: Session) -> _Done[int]:
            held = 0
            for claim in claims:
                job = _leased(session, claim)
                if job is not None:
                    _save(session, claim.id, machine.released(job, now))
                    held += 1
            return _Done(held, ((State.LEASED, State.AVAILABLE, held),))

        def committed(held: int) -> None:
            self.counters.released += held
            self.ready()

        return self._write(operation, committed)

    def tend(self, claims: Collection[Claim]) -> Deferred[set[Claim]]:
        """Renew the leases of ``claims`` and then take back those of everybody else that have run out, in one transaction.

        In this order and together: a process that was stopped for an hour must not take its own tasks for lost.
        Fires with those of ``claims`` that are not held any more.
        """
        now = self._wall()

        def operation(session: Session) -> _Done[_Tended]:
            lost = {
                claim for claim in claims if not session.execute(RENEW, (now + self._policy.lease_s, claim.id, claim.claim_no)).rowcount
            }
            expired = session.execute(EXPIRED, (now, BATCH)).fetchall()
            moves = self._crash(session, [(row[0], _job(row[2:])) for row in expired], now, "its lease ran out")
            oldest = session.execute(OLDEST).fetchone()
            return _Done(_Tended(lost, len(expired), oldest[0] if oldest else None), moves)

        def committed(tended: _Tended) -> None:
            self._oldest = tended.oldest
            self.counters.crashed += tended.expired
            if tended.expired:
                self.log.warn("{n} tasks were taken back: their leases had run out", n=tended.expired)
                self.ready()

        return self._write(operation, committed).addCallback(lambda tended: tended.lost)

    def prune(self, state: State, keep_s: float) -> Deferred[int]:
        """Forget at most ``BATCH`` tasks that have been in the finished ``state`` for longer than ``keep_s`` seconds."""
        before = self._wall() - keep_s

        def operation(session: Session) -> _Done[int]:
            pruned = session.execute(PRUNE, (state, before, BATCH)).rowcount
            return _Done(pruned, ((state, None, pruned),))

        def committed(pruned: int) -> None:
            self.counters.pruned += pruned

        return self._write(operation, committed)

    # how it is done

    def _write(self, operation: Callable[[Session], "_Done[T]"], committed: Callable[[T], None] = lambda _: None) -> Deferred[T]:
        def apply(done: _Done[T]) -> None:
            for before, after, number in done.moves:
                if before is not None:
                    self.counts[before] -= number
                if after is not None:
                    self.counts[after] += number
                if after is State.DEAD:
                    self.counters.dead += number
            committed(done.answer)

        return self._store.write(operation, committed=apply).addCallback(lambda done: done.answer)

    def _added(self, _: str) -> None:
        self.counters.enqueued += 1
        self.ready()

    def _end(self, claim: Claim, transition: Callable[[Job], Job]) -> Deferred[State | None]:
        def operation(session: Session) -> _Done[Job | None]:
            job = _leased(session, claim)
            if job is None:
                return _Done(None)
            job = transition(job)
            _save(session, claim.id, job)
            return _Done(job, ((State.LEASED, job.state, 1),))

        return self._write(operation, self._ended).addCallback(lambda job: None if job is None else job.state)

    def _ended(self, job: Job | None) -> None:
        counters = self.counters
        if job is None:
            counters.stale += 1
        elif job.state is State.SUCCEEDED:
            counters.succeeded += 1
        elif job.state is State.SCHEDULED:
            counters.retried += 1
            self.next_due = job.run_at if self.next_due is None else min(self.next_due, job.run_at)

    def _recover(self, session: Session) -> "_Done[int]":
        rows = session.execute(ALL_LEASED).fetchall()
        moves = self._crash(session, [(row[0], _job(row[1:])) for row in rows], self._wall(), "its server ended")
        return _Done(len(rows), moves)

    def _recovered(self, crashed: int) -> None:
        self.counters.crashed += crashed
        self.ready()

    def _crash(self, session: Session, held: Sequence[tuple[int, Job]], now: float, error: str) -> list["_Move"]:
        moves: list[_Move] = []
        for row_id, job in held:
            job = machine.crashed(job, now, error, self._policy)
            _save(session, row_id, job)
            moves.append((State.LEASED, job.state, 1))
        return moves


class _Claimed(NamedTuple):
    claims: list[Claim]
    next_due: float | None


class _Tended(NamedTuple):
    lost: set[Claim]
    expired: int
    oldest: float | None


def _job(row: Sequence[Any]) -> Job:
    return Job(State(row[0]), *row[1:])


def _leased(session: Session, claim: Claim) -> Job | None:
    row = session.execute(LEASED, (claim.id, claim.claim_no)).fetchone()
    return None if row is None else _job(row)


def _save(session: Session, row_id: int, job: Job) -> None:
    session.execute(
        SAVE,
        (
            job.state,
            job.attempts,
            job.max_attempts,
            job.crashes,
            job.claim_no,
            job.run_at,
            job.lease_until,
            job.started_at,
            job.finished_at,
            job.error,
            job.result,
            row_id,
        ),
    )
