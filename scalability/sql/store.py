"""What a component asks of its store, whichever engine is behind it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from twisted.internet.defer import Deferred

from scalability.sql.url import StoreURL
from scalability.telemetry.histogram import Histogram

if TYPE_CHECKING:
    from scalability.sql.schema import Schema
    from scalability.sql.sqlite import SQLiteStore

T = TypeVar("T")


class Rows(Protocol):
    """What a statement answered."""

    @property
    def rowcount(self) -> int:
        """How many rows the statement changed."""

    def fetchone(self) -> Any: ...

    def fetchall(self) -> list[Any]: ...

    def __iter__(self) -> Iterator[Any]: ...


class Session(Protocol):
    """A connection inside a transaction. Statements belong to its engine; sequences or mappings of parameters."""

    def execute(self, statement: str, parameters: Any = ..., /) -> Rows: ...


@dataclass
class StoreCounters:
    """What a store has done so far; read by whoever exports metrics."""

    commits: int = 0
    operations: int = 0
    """Operations whose transaction was committed."""
    failures: int = 0
    """Operations that the engine refused: disk full, I/O error, locked."""
    rejected: int = 0
    """Operations that met a full backlog."""
    reads: int = 0
    commit_seconds: Histogram = field(default_factory=Histogram)
    """From BEGIN to the return of COMMIT, fsync included."""


class Store(Protocol):
    """Durable rows. Operations are functions of a ``Session``; they run on a thread of the store, never on the reactor's.

    Operations that wait while a transaction runs join the next one (group commit), in the order of the calls.
    """

    counters: StoreCounters

    @property
    def backlog(self) -> int:
        """How many operations wait or run."""

    @property
    def failing(self) -> str | None:
        """None, or why the last transaction could not be committed: for ``/readyz``."""

    def write(self, operation: Callable[[Session], T], *, committed: Callable[[T], None] | None = None) -> Deferred[T]:
        """Run ``operation`` in a transaction; fires with its result after COMMIT returned, on the reactor's thread.

        An operation that raises is rolled back alone and fails only its own Deferred, with its own error; StoreError when the
        engine refused (503: disk full, I/O error, a full backlog, no answer before the deadline).
        ``committed`` is called with the result after COMMIT even when nobody waits any more.
        Cancelling withdraws an operation that has not begun; one that has may still be committed.
        """

    def read(self, query: Callable[[Session], T]) -> Deferred[T]:
        """Run ``query``, which must not write, on one of the readers; it sees everything that was committed before the call."""

    def read_now(self, query: Callable[[Session], T]) -> T:
        """Run ``query`` at once, blocking: for what must be known before the server accepts its first request."""


def open_store(reactor: Any, url: StoreURL, schema: "Schema", *, who: str) -> "SQLiteStore":
    """The store behind ``url``, a service to be started; ``who`` is the plugin's name, for messages."""
    from scalability.sql.sqlite import SQLiteStore

    return SQLiteStore(reactor, url.path, schema, who=who)
