"""Every hot statement uses its partial index: a plan that does not is slow only when there are a million rows."""

import sqlite3
from collections.abc import Iterator

import pytest

from scalability.sql.schema import migrate
from scalability.worker import queue
from scalability.worker.machine import SUSPECT
from scalability.worker.schema import SCHEMA


@pytest.fixture
def session() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection, SCHEMA)
    yield connection
    connection.close()


@pytest.mark.parametrize(
    ("statement", "parameters", "index"),
    [
        (queue.READY, (10,), "task_ready"),
        (queue.OLDEST, (), "task_ready"),
        (queue.SUSPECTS, (), "task_suspect"),
        (queue.PROMOTE, (1.0, 10), "task_due"),
        (queue.NEXT_DUE, (), "task_due"),
        (queue.EXPIRED, (1.0, 10), "task_leased"),
        (queue.ALL_LEASED, (), "task_leased"),
        (queue.PRUNE, (3, 1.0, 10), "task_finished"),
        (queue.FIND, ("x",), "sqlite_autoindex_task_1"),
    ],
)
def test_a_hot_statement_uses_its_index_and_sorts_nothing(
    session: sqlite3.Connection, statement: str, parameters: tuple[object, ...], index: str
) -> None:
    plan = str(session.execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall())
    assert index in plan
    assert "TEMP B-TREE" not in plan


@pytest.mark.parametrize("statement", [queue.LEASED, queue.RENEW])
def test_a_claim_is_found_by_its_row(session: sqlite3.Connection, statement: str) -> None:
    plan = str(session.execute(f"EXPLAIN QUERY PLAN {statement}", (1,) * statement.count("?")).fetchall())
    assert "INTEGER PRIMARY KEY" in plan


def test_the_indexes_are_built_on_the_machine_s_number_of_crashes() -> None:
    statements = " ".join(SCHEMA.migrations[0])
    assert f"crashes < {SUSPECT}" in statements
    assert f"crashes >= {SUSPECT}" in statements
