"""Group commit: several operations in one transaction, each of which can fail alone."""

import contextlib
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

from scalability.errors import Conflict, StoreError
from scalability.sql.store import Session

Outcome = tuple[Any, BaseException | None]
"""What an operation returned, or what it raised."""

REFUSED = "the store cannot take this now"


def converted(error: BaseException) -> BaseException:
    """What callers see of ``error``: Conflict for a broken constraint, StoreError for an engine that refused.

    Everything else (a wrong statement, an operation's own error) is passed on as it is.
    """
    if isinstance(error, sqlite3.IntegrityError):
        wrapped: BaseException = Conflict()
    elif isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.ProgrammingError):
        wrapped = StoreError(REFUSED)
    else:
        return error
    wrapped.__cause__ = error
    return wrapped


def commit_group(connection: sqlite3.Connection, operations: Sequence[Callable[[Session], Any]]) -> list[Outcome]:
    """Run ``operations`` in order in one transaction; when this returns without an error in an outcome, it is on the disk.

    An operation that raises is rolled back to its savepoint. When the engine gives up the whole transaction (SQLite does so
    on a full disk and on I/O errors), or cannot commit it, all of them have failed. Never raises an ``Exception``.
    """
    outcomes: list[Outcome] = []
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.Error as error:
        return [(None, converted(error))] * len(operations)
    alone = len(operations) == 1
    for operation in operations:
        try:
            if alone:
                value = operation(connection)
            else:
                connection.execute("SAVEPOINT one")
                value = operation(connection)
                connection.execute("RELEASE one")
        except Exception as error:
            outcomes.append((None, converted(error)))
            try:
                if alone:
                    connection.execute("ROLLBACK")
                    return outcomes
                connection.execute("ROLLBACK TO one")
                connection.execute("RELEASE one")
            except sqlite3.Error:
                # the engine has rolled back the transaction itself
                return _lost(connection, operations, outcomes, error)
        else:
            outcomes.append((value, None))
    try:
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        return _lost(connection, operations, outcomes, error)
    return outcomes


def _lost(
    connection: sqlite3.Connection, operations: Sequence[Callable[[Session], Any]], outcomes: list[Outcome], cause: BaseException
) -> list[Outcome]:
    """Nothing of this transaction was kept: what had succeeded has failed, what had failed keeps its own error."""
    if connection.in_transaction:
        with contextlib.suppress(sqlite3.Error):  # then the next BEGIN fails, loudly
            connection.execute("ROLLBACK")
    lost = StoreError(REFUSED)
    lost.__cause__ = cause
    kept: list[Outcome] = [(None, error or lost) for _, error in outcomes]
    kept.extend([(None, lost)] * (len(operations) - len(kept)))
    return kept
