import sqlite3
from collections.abc import Callable, Iterator

import pytest

from scalability.errors import Conflict, StoreError
from scalability.sql.group import commit_group, converted
from scalability.sql.store import Session
from scalability.testing.store_conformance import insert, texts


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute("CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE)")
    yield connection
    connection.close()


def large(session: Session) -> None:
    session.execute("INSERT INTO note (text) VALUES (hex(randomblob(200000)))")


def fails(session: Session) -> None:
    session.execute("INSERT INTO note (text) VALUES ('half')")
    raise LookupError


def test_operations_share_a_transaction(connection: sqlite3.Connection) -> None:
    statements: list[str] = []
    connection.set_trace_callback(statements.append)
    assert commit_group(connection, [insert("a"), insert("b")]) == [("a", None), ("b", None)]
    assert statements.count("COMMIT") == 1


@pytest.mark.parametrize("others", [[], [insert("a")]])
def test_one_failure_is_rolled_back_alone(connection: sqlite3.Connection, others: list[Callable[[Session], str]]) -> None:
    outcomes = commit_group(connection, [*others, fails])
    assert isinstance(outcomes[-1][1], LookupError)
    assert [value for value, _ in outcomes[:-1]] == ["a"] * len(others)
    assert texts(connection) == ["a"] * len(others)
    assert not connection.in_transaction


def test_a_full_disk_fails_the_whole_transaction_and_the_next_one_works(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA max_page_count = 10")
    outcomes = commit_group(connection, [insert("a"), fails, large, insert("b")])
    kinds = [type(error) for _, error in outcomes]
    assert kinds in ([StoreError, LookupError, StoreError, StoreError], [type(None), LookupError, StoreError, type(None)])
    assert texts(connection) == [value for value, error in outcomes if error is None]
    connection.execute("PRAGMA max_page_count = 10000")
    assert commit_group(connection, [large])[0][1] is None


def test_a_full_disk_fails_an_operation_that_is_alone(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA max_page_count = 10")
    ((value, error),) = commit_group(connection, [large])
    assert value is None
    assert isinstance(error, StoreError)
    assert isinstance(error.__cause__, sqlite3.OperationalError)
    assert not connection.in_transaction


def test_a_commit_that_fails_fails_every_operation(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("CREATE TABLE child (note INTEGER REFERENCES note DEFERRABLE INITIALLY DEFERRED)")

    def orphan(session: Session) -> None:
        session.execute("INSERT INTO child VALUES (99)")

    outcomes = commit_group(connection, [insert("a"), orphan])
    assert [type(error) for _, error in outcomes] == [StoreError, StoreError]
    assert texts(connection) == []
    assert commit_group(connection, [insert("b")]) == [("b", None)]


def test_a_connection_that_cannot_begin_fails_every_operation(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN")
    outcomes = commit_group(connection, [insert("a"), insert("b")])
    assert [type(error) for _, error in outcomes] == [StoreError, StoreError]


def test_errors_become_ours_with_their_cause_kept() -> None:
    broken = sqlite3.IntegrityError("UNIQUE")
    assert isinstance(converted(broken), Conflict)
    assert converted(broken).__cause__ is broken
    assert isinstance(converted(sqlite3.OperationalError("disk I/O error")), StoreError)
    ours = sqlite3.ProgrammingError("wrong number of parameters")
    assert converted(ours) is ours
