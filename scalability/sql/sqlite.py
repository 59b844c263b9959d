"""SQLite behind ``Store``: one writer thread with group commit, reader connections on threads of their own.

Exactly one connection writes and checkpoints: SQLite before 3.51.3 can corrupt a WAL that two connections reset at once
(sqlite.org/wal.html#walresetbug), and two writing processes stall each other for hundreds of milliseconds. A lock file
beside the database holds a second process off. ``synchronous=FULL``: a COMMIT that returned survives a power loss; with
group commit it costs the same as NORMAL as soon as operations come in numbers.
"""

import fcntl
import os
import sqlite3
from collections import deque
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from threading import Condition, Thread
from typing import Any, Generic, TypeVar

from twisted.application.service import Service
from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from scalability.config import fail
from scalability.errors import StoreError
from scalability.lifecycle import Deadline, DeadlineWheel, Ticker
from scalability.lifecycle.threads import Threads
from scalability.sql.group import Outcome, commit_group, converted
from scalability.sql.schema import Schema, migrate
from scalability.sql.store import Session, StoreCounters

T = TypeVar("T")

BACKLOG = 20_000
"""Operations that may wait for the writer; one more is a StoreError."""
GROUP = 1_000
"""Operations in one transaction at most: bounds how long the first of them waits for its commit."""
READERS = 2
DEADLINE_S = 10.0
"""How long an operation or a query may take, waiting included, before its caller is told that the store does not answer."""
PROBE_S = 1.0
"""How often a store that refuses is tried again when nobody else tries it: else it would never be found to work again."""
JOURNAL_BYTES = 64 << 20
"""What the WAL file is cut back to after a burst."""


def lock(path: Path) -> int:
    """Take the lock of the database at ``path``: a descriptor that holds it until it is closed or the process ends.

    A file of its own, because closing any descriptor of the database itself would drop SQLite's locks. Raises StoreError.
    """
    descriptor = os.open(f"{path}-lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.read(descriptor, 20).decode(errors="replace").strip()
        os.close(descriptor)
        raise StoreError(f"is in use by process {owner or 'another'}; each server needs a file of its own") from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
    return descriptor


def connect(path: Path) -> sqlite3.Connection:
    """A connection that any one thread at a time may use, in SQLite's own transactions."""
    return sqlite3.connect(path, timeout=5.0, isolation_level=None, check_same_thread=False, cached_statements=256)


def open_writer(path: Path, schema: Schema) -> sqlite3.Connection:
    """The writing connection, its file migrated to ``schema``. Raises StoreError, OSError or sqlite3.Error."""
    connection = connect(path)
    try:
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise StoreError(f"cannot be put into WAL mode (it stays in {mode}); is it on a network file system?")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA mmap_size = 0")
        connection.execute(f"PRAGMA journal_size_limit = {JOURNAL_BYTES:d}")
        migrate(connection, schema)
    except BaseException:
        connection.close()
        raise
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """A connection that cannot write."""
    connection = connect(path)
    connection.execute("PRAGMA query_only = ON")
    connection.execute("PRAGMA mmap_size = 0")
    return connection


class _Operation(Generic[T]):
    """One caller's work. ``answer`` is None once nobody waits; the writer leaves such an operation out."""

    __slots__ = ("answer", "committed", "deadline", "function")

    def __init__(self, function: Callable[[Session], T], committed: Callable[[T], None] | None) -> None:
        self.function = function
        self.committed = committed
        self.answer: Deferred[T] | None = None
        self.deadline: Deadline | None = None


class SQLiteStore(Service):
    """The database file at ``path``, with the tables of ``schema``. ``who`` is the plugin's name, for messages.

    A file that cannot be opened, written or understood ends the process with one line when the service starts.
    Stopping runs what waits, copies the WAL into the file and closes it. ``reactor`` provides IReactorTime and
    IReactorFromThreads.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        path: Path,
        schema: Schema,
        *,
        who: str,
        readers: int = READERS,
        backlog: int = BACKLOG,
        group: int = GROUP,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        self.counters = StoreCounters()
        self.failing: str | None = None
        self._reactor = reactor
        self._path = path.absolute()
        self._shown = path
        self._schema = schema
        self._who = who
        self._limit = backlog
        self._group = group
        self._deadline_s = deadline_s
        self._wheel = DeadlineWheel(reactor, tick_s=0.5)
        self._prober = Ticker(reactor, PROBE_S, self._probe, now=False)
        self._readers = Threads(reactor, readers, name=f"{schema.name} reader", limit=backlog)
        self._spare: SimpleQueue[sqlite3.Connection] = SimpleQueue()
        self._open_readers: list[sqlite3.Connection] = []
        self._reader_count = readers
        self._ready = Condition()
        self._queue: deque[_Operation[Any]] = deque()
        self._pending = 0
        self._closing = False
        self._closed: Deferred[None] | None = None
        self._connection: sqlite3.Connection | None = None
        self._lock = -1

    @property
    def backlog(self) -> int:
        return self._pending

    def startService(self) -> None:
        try:
            self._open()
        except StoreError as error:
            self._release()
            fail(self._who, f"--store {self._shown} {error}")
        except OSError as error:
            self._release()
            fail(self._who, f"cannot open --store {self._shown}: {error.strerror}")
        except sqlite3.Error as error:
            self._release()
            fail(self._who, f"cannot open --store {self._shown}: {error}")
        super().startService()
        self._wheel.startService()
        self._readers.startService()
        self._prober.startService()
        self._closing = False
        Thread(target=self._write_loop, args=(self._connection,), name=f"{self._schema.name} writer", daemon=True).start()

    def stopService(self) -> Deferred[None]:
        if not self.running:
            return defer.succeed(None)
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    def _probe(self) -> Deferred[object] | None:
        """Write something, when the store has refused what was written last."""
        if self.failing is None:
            return None
        rewrite = f"PRAGMA user_version = {self._schema.version:d}"
        return self.write(lambda session: session.execute(rewrite).rowcount).addErrback(lambda failure: failure.trap(StoreError))

    def write(self, operation: Callable[[Session], T], *, committed: Callable[[T], None] | None = None) -> Deferred[T]:
        if not self.running:
            return defer.fail(StoreError("the store is closed"))
        if self._pending >= self._limit:
            self.counters.rejected += 1
            return defer.fail(StoreError("too many operations wait for the store"))
        work = _Operation(operation, committed)
        answer: Deferred[T] = Deferred(lambda _: self._withdraw(work))
        work.answer = answer
        work.deadline = self._wheel.after(self._deadline_s, lambda: self._late(work))
        self._pending += 1
        with self._ready:
            self._queue.append(work)
            self._ready.notify()
        return answer

    def read(self, query: Callable[[Session], T]) -> Deferred[T]:
        if not self.running:
            return defer.fail(StoreError("the store is closed"))
        reading = self._readers.run(lambda: self._query(query))
        deadline = self._wheel.after(self._deadline_s, reading.cancel)

        def over(outcome: T) -> T:
            deadline.cancel()
            self.counters.reads += 1
            return outcome

        def failed(failure: Any) -> Any:
            if not deadline.active and failure.check(defer.CancelledError):
                raise StoreError("the store does not answer in time") from failure.value
            deadline.cancel()
            return failure

        return reading.addCallbacks(over, failed)

    def read_now(self, query: Callable[[Session], T]) -> T:
        return self._query(query)

    def _query(self, query: Callable[[Session], T]) -> T:
        connection = self._spare.get()
        try:
            connection.execute("BEGIN")  # one snapshot, however many statements the query has
            try:
                return query(connection)
            finally:
                connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            raised = converted(error)
            if raised is error:
                raise
            raise raised from error
        finally:
            self._spare.put(connection)

    # opening and closing, on the reactor's thread

    def _open(self) -> None:
        if not self._path.parent.is_dir():
            raise StoreError(f"lies in {self._shown.parent}, which is not a folder")
        self._lock = lock(self._path)
        # first: recovery after a crash is the writer's
        self._connection = open_writer(self._path, self._schema)
        for _ in range(self._reader_count):
            reader = open_reader(self._path)
            self._open_readers.append(reader)
            self._spare.put(reader)

    def _release(self) -> None:
        for reader in self._open_readers:
            reader.close()
        self._open_readers = []
        self._spare = SimpleQueue()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    async def _stop(self) -> None:
        await self._prober.stopService()
        await self._readers.stopService()
        closed: Deferred[None] = Deferred()
        self._closed = closed
        with self._ready:
            self._closing = True
            self._ready.notify()
        # a little later than the last operation's own deadline: everybody has been answered then
        hung = self._reactor.callLater(self._deadline_s + 1.0, self._all_over)
        await closed
        await self._wheel.stopService()
        if hung.active():
            hung.cancel()
        else:
            self.log.error("the writer of {path} did not end in time", path=self._shown)
            return
        if not self._readers.busy:
            # a query that never came back keeps its connection; closing it under its feet would be worse
            self._release()

    # one operation, on the reactor's thread

    def _withdraw(self, work: _Operation[Any]) -> None:
        work.answer = None
        if work.deadline is not None:
            work.deadline.cancel()

    def _late(self, work: _Operation[Any]) -> None:
        answer, work.answer = work.answer, None
        if answer is not None:
            answer.errback(StoreError("the store does not answer in time"))

    def _deliver(self, batch: list[_Operation[Any]], outcomes: list[Outcome], seconds: float) -> None:
        self._pending -= len(batch)
        counters = self.counters
        refused: BaseException | None = None
        done = 0
        for work, (value, error) in zip(batch, outcomes, strict=True):
            if error is None:
                done += 1
                if work.committed is not None:
                    try:
                        work.committed(value)
                    except Exception:
                        # what comes after it in the batch is somebody else's
                        self.log.failure("what follows a commit failed")
            elif isinstance(error, StoreError) and error.__cause__ is not None:
                counters.failures += 1
                refused = error.__cause__
            if work.deadline is not None:
                work.deadline.cancel()
            answer, work.answer = work.answer, None
            if answer is None:
                continue
            if error is None:
                answer.callback(value)
            else:
                answer.errback(error)
        if done:
            counters.operations += done
            counters.commits += 1
            counters.commit_seconds.record(seconds)
        self._note(refused, done > 0)

    def _note(self, refused: BaseException | None, committed: bool) -> None:
        if refused is not None and not committed:
            if self.failing is None:
                self.log.error("the store {path} refuses: {why}", path=self._shown, why=refused)
            self.failing = f"the store refuses: {refused}"
        elif committed and self.failing is not None:
            self.log.info("the store {path} works again", path=self._shown)
            self.failing = None

    def _all_over(self) -> None:
        closed, self._closed = self._closed, None
        if closed is not None:
            closed.callback(None)

    # the writer's thread

    def _write_loop(self, connection: sqlite3.Connection) -> None:
        while batch := self._take():
            began = self._reactor.seconds()
            outcomes = commit_group(connection, [work.function for work in batch])
            self._reactor.callFromThread(self._deliver, batch, outcomes, self._reactor.seconds() - began)
        try:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except sqlite3.Error:
            self.log.failure("the WAL of {path} could not be copied into it; the next start will", path=self._shown)
        self._reactor.callFromThread(self._all_over)

    def _take(self) -> list[_Operation[Any]]:
        """The next group; nothing when the store closes. Withdrawn operations are given back at once."""
        while True:
            taken: list[_Operation[Any]] = []
            withdrawn = 0
            with self._ready:
                while not self._queue and not self._closing:
                    self._ready.wait()
                while self._queue and len(taken) < self._group:
                    work = self._queue.popleft()
                    if work.answer is None:
                        withdrawn += 1
                    else:
                        taken.append(work)
                closing = self._closing and not self._queue
            if withdrawn:
                self._reactor.callFromThread(self._forget, withdrawn)
            if taken or closing:
                return taken

    def _forget(self, withdrawn: int) -> None:
        self._pending -= withdrawn
