"""Stores for tests: one that runs every operation at once, and a clock that real store threads can call back to."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from twisted.application.service import Service
from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from scalability.errors import StoreError
from scalability.sql import Schema, Session
from scalability.sql.group import commit_group
from scalability.sql.sqlite import open_writer
from scalability.sql.store import StoreCounters

T = TypeVar("T")


class ThreadedClock(Clock):
    """A ``Clock`` with ``callFromThread``: what threads hand over runs when the test asks for it. Nothing sleeps or polls."""

    def __init__(self) -> None:
        super().__init__()
        self._handed: SimpleQueue[Callable[[], object]] = SimpleQueue()

    def callFromThread(self, function: Callable[..., object], *args: Any) -> None:  # noqa: N802 - Twisted's name
        self._handed.put(lambda: function(*args))

    def run_handed(self, *, timeout_s: float = 10.0) -> None:
        """Run one call that a thread has handed over, waiting for it. AssertionError when none comes."""
        try:
            call = self._handed.get(timeout=timeout_s)
        except Empty:
            raise AssertionError(f"no thread called back within {timeout_s} s") from None
        call()

    def wait(self, deferred: Deferred[T]) -> T:
        """Run what threads hand over until ``deferred`` has fired; its result, or its error raised."""
        outcomes: list[Any] = []
        deferred.addBoth(outcomes.append)
        while not outcomes:
            self.run_handed()
        (outcome,) = outcomes
        if isinstance(outcome, Failure):
            outcome.raiseException()
        return outcome  # type: ignore[no-any-return]  # addBoth loses the type


class InlineStore(Service):
    """A ``Store`` on a real SQLite file without threads: an operation runs in its own transaction within the call.

    While ``held``, operations wait for ``release``, as they do for a slow disk. While ``broken`` is set, every commit
    fails with it and nothing is kept.
    """

    def __init__(self, schema: Schema, path: Path) -> None:
        self.counters = StoreCounters()
        self.broken: str | None = None
        self.held = False
        self._waiting: list[Callable[[], None]] = []
        self._schema = schema
        self._path = path
        self._connection: sqlite3.Connection | None = None

    @property
    def backlog(self) -> int:
        return len(self._waiting)

    @property
    def failing(self) -> str | None:
        return self.broken

    @property
    def connection(self) -> sqlite3.Connection:
        assert self._connection is not None, "start the service first"
        return self._connection

    def startService(self) -> None:
        super().startService()
        self._connection = open_writer(self._path, self._schema)
        # what outlives a process need not outlive a power loss here
        self._connection.execute("PRAGMA synchronous = OFF")

    def stopService(self) -> None:
        super().stopService()
        if self._connection is not None:
            self.release()
            self._connection.close()
            self._connection = None

    def release(self) -> None:
        """Run what waits, and hold nothing any more."""
        self.held = False
        waiting, self._waiting = self._waiting, []
        for run in waiting:
            run()

    def write(self, operation: Callable[[Session], T], *, committed: Callable[[T], None] | None = None) -> Deferred[T]:
        if not self.running:
            return defer.fail(StoreError("the store is closed"))
        withdrawn: list[object] = []
        answer: Deferred[T] = Deferred(withdrawn.append)

        def run() -> None:
            if withdrawn:
                return
            if self.broken is not None:
                self.counters.failures += 1
                answer.errback(StoreError(self.broken))
                return
            ((value, error),) = commit_group(self.connection, [operation])
            if error is not None:
                answer.errback(error)
                return
            self.counters.commits += 1
            self.counters.operations += 1
            if committed is not None:
                committed(value)
            answer.callback(value)

        if self.held:
            self._waiting.append(run)
        else:
            run()
        return answer

    def read(self, query: Callable[[Session], T]) -> Deferred[T]:
        return defer.execute(self.read_now, query)

    def read_now(self, query: Callable[[Session], T]) -> T:
        self.counters.reads += 1
        return query(self.connection)
