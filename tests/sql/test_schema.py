import sqlite3
from collections.abc import Iterator

import pytest

from scalability.errors import StoreError
from scalability.sql.schema import Schema, migrate

FIRST = Schema("note", 7, (("CREATE TABLE note (text TEXT)", "INSERT INTO note VALUES ('first')"),))
SECOND = Schema("note", 7, (*FIRST.migrations, ("ALTER TABLE note ADD COLUMN at INTEGER NOT NULL DEFAULT 5",)))


@pytest.fixture
def session() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    yield connection
    connection.close()


def test_an_empty_file_gets_all_migrations(session: sqlite3.Connection) -> None:
    assert migrate(session, SECOND) == 0
    assert session.execute("SELECT * FROM note").fetchall() == [("first", 5)]


def test_an_older_file_gets_only_the_missing_migrations(session: sqlite3.Connection) -> None:
    migrate(session, FIRST)
    session.execute("INSERT INTO note VALUES ('mine')")
    assert migrate(session, SECOND) == 1
    assert session.execute("SELECT * FROM note").fetchall() == [("first", 5), ("mine", 5)]
    assert migrate(session, SECOND) == 2


def test_a_newer_file_is_refused(session: sqlite3.Connection) -> None:
    migrate(session, SECOND)
    with pytest.raises(StoreError, match="has version 2; this program knows notes up to version 1"):
        migrate(session, FIRST)


def test_the_file_of_another_component_is_refused(session: sqlite3.Connection) -> None:
    migrate(session, FIRST)
    with pytest.raises(StoreError, match="not one of tasks"):
        migrate(session, Schema("task", 8, FIRST.migrations))


def test_the_file_of_another_program_is_refused_and_left_alone(session: sqlite3.Connection) -> None:
    session.execute("CREATE TABLE theirs (x)")
    with pytest.raises(StoreError, match="not one of notes"):
        migrate(session, FIRST)
    assert session.execute("SELECT name FROM sqlite_master").fetchall() == [("theirs",)]


def test_a_migration_that_fails_leaves_the_file_as_it_was(session: sqlite3.Connection) -> None:
    migrate(session, FIRST)
    with pytest.raises(sqlite3.OperationalError):
        migrate(session, Schema("note", 7, (*FIRST.migrations, ("ALTER TABLE note ADD COLUMN x", "no such statement"))))
    assert session.execute("PRAGMA user_version").fetchone() == (1,)
    assert session.execute("SELECT * FROM note").fetchall() == [("first",)]
