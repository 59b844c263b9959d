import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import Any, TypeVar

import pytest
from twisted.internet.defer import Deferred

from scalability.errors import StoreError
from scalability.sql import Schema, Session, SQLiteStore, Store
from scalability.testing.store_conformance import NOTES, StoreConformance, insert, texts
from scalability.testing.stores import ThreadedClock

T = TypeVar("T")


class TestSQLiteStore(StoreConformance):
    def setup_method(self) -> None:
        self.clock = ThreadedClock()

    def open(self, path: Path) -> Store:
        store = SQLiteStore(self.clock, path, NOTES, who="test")
        store.startService()
        return store

    def close(self, store: SQLiteStore) -> None:
        self.clock.wait(store.stopService())

    def wait(self, deferred: Deferred[T]) -> T:
        return self.clock.wait(deferred)


@pytest.fixture
def clock() -> ThreadedClock:
    return ThreadedClock()


@pytest.fixture
def store(clock: ThreadedClock, tmp_path: Path) -> Iterator[SQLiteStore]:
    store = SQLiteStore(clock, tmp_path / "store", NOTES, who="scalelab-test", backlog=5)
    store.startService()
    yield store
    clock.wait(store.stopService())


class Gate:
    """An operation that holds the writer until it is opened."""

    def __init__(self) -> None:
        self.entered = Event()
        self.open = Event()

    def __call__(self, session: Session) -> None:
        self.entered.set()
        assert self.open.wait(10)


def test_operations_that_wait_join_one_transaction(clock: ThreadedClock, store: SQLiteStore) -> None:
    gate = Gate()
    first = store.write(gate)
    assert gate.entered.wait(10)
    others = [store.write(insert(f"{n}")) for n in range(4)]
    gate.open.set()
    clock.wait(first)
    for other in others:
        clock.wait(other)
    assert store.counters.commits == 2
    assert store.counters.operations == 5


def test_the_deferred_fires_after_the_commit_and_not_before(clock: ThreadedClock, store: SQLiteStore) -> None:
    # another connection sees what is committed, and only that
    other = sqlite3.connect(f"{store._path}")
    seen: list[list[str]] = []
    gate = Gate()

    def operation(session: Session) -> None:
        insert("a")(session)
        gate(session)

    answer: Deferred[None] = store.write(operation).addCallback(lambda _: seen.append(texts(other)))
    assert gate.entered.wait(10)
    assert texts(other) == []
    assert not answer.called
    gate.open.set()
    clock.wait(answer)
    assert seen == [["a"]]
    other.close()


def test_a_full_backlog_is_refused_with_retry_after(clock: ThreadedClock, store: SQLiteStore) -> None:
    gate = Gate()
    first = store.write(gate)
    assert gate.entered.wait(10)
    others = [store.write(insert(f"{n}")) for n in range(4)]
    with pytest.raises(StoreError, match="too many") as refused:
        clock.wait(store.write(insert("x")))
    assert refused.value.status == 503
    assert refused.value.retry_after_s == 1
    assert store.counters.rejected == 1
    gate.open.set()
    clock.wait(first)
    for answer in others:
        clock.wait(answer)
    assert store.backlog == 0


def test_a_withdrawn_operation_never_runs(clock: ThreadedClock, store: SQLiteStore) -> None:
    gate = Gate()
    first = store.write(gate)
    assert gate.entered.wait(10)
    withdrawn = store.write(insert("withdrawn"))
    withdrawn.addErrback(lambda _: None)
    withdrawn.cancel()
    gate.open.set()
    clock.wait(first)
    clock.wait(store.write(insert("kept")))
    assert store.read_now(texts) == ["kept"]
    assert store.backlog == 0


def test_what_is_committed_after_its_caller_left_is_still_counted(clock: ThreadedClock, store: SQLiteStore) -> None:
    gate = Gate()
    seen: list[None] = []
    first = store.write(gate, committed=seen.append)
    first.addErrback(lambda _: None)
    assert gate.entered.wait(10)
    first.cancel()
    gate.open.set()
    clock.wait(store.write(insert("next")))
    assert seen == [None]


def test_a_disk_that_hangs_is_an_error_after_the_deadline(clock: ThreadedClock, store: SQLiteStore) -> None:
    gate = Gate()
    answer = store.write(gate)
    assert gate.entered.wait(10)
    clock.pump([1.0] * 12)
    with pytest.raises(StoreError, match="in time"):
        clock.wait(answer)
    gate.open.set()
    clock.wait(store.write(insert("later")))


def test_a_query_that_hangs_is_an_error_after_the_deadline(clock: ThreadedClock, store: SQLiteStore) -> None:
    gate = Gate()
    answer = store.read(gate)
    assert gate.entered.wait(10)
    clock.pump([1.0] * 12)
    with pytest.raises(StoreError, match="in time"):
        clock.wait(answer)
    gate.open.set()
    assert clock.wait(store.read(texts)) == []


def test_a_reader_cannot_write(clock: ThreadedClock, store: SQLiteStore) -> None:
    with pytest.raises(StoreError):
        clock.wait(store.read(insert("a")))


def test_a_full_disk_is_a_store_error_and_the_store_recovers(clock: ThreadedClock, store: SQLiteStore) -> None:
    def limit(pages: int) -> None:
        clock.wait(store.write(lambda session: session.execute(f"PRAGMA max_page_count = {pages}").fetchall()))

    limit(1)  # SQLite raises it to the present size
    with pytest.raises(StoreError) as refused:
        clock.wait(store.write(insert("x" * 1_000_000)))
    assert refused.value.status == 503
    assert "full" in (store.failing or "")
    assert store.counters.failures == 1
    limit(1_000_000)
    assert store.failing is None
    clock.wait(store.write(insert("x" * 1_000_000)))


def test_a_store_that_refuses_is_tried_again_until_it_works(clock: ThreadedClock, store: SQLiteStore) -> None:
    clock.wait(store.write(lambda session: session.execute("PRAGMA max_page_count = 1").fetchall()))
    with pytest.raises(StoreError):
        clock.wait(store.write(insert("x" * 1_000_000)))
    assert store.failing is not None
    clock.advance(1.0)  # the probe needs no further page
    clock.run_handed()
    assert store.failing is None
    commits = store.counters.commits
    clock.advance(5.0)
    assert store.backlog == 0
    assert store.counters.commits == commits


def test_a_commit_survives_a_power_loss(store: SQLiteStore, clock: ThreadedClock) -> None:
    pragmas = clock.wait(
        store.write(
            lambda session: [session.execute(f"PRAGMA {name}").fetchone()[0] for name in ("synchronous", "journal_mode", "mmap_size")]
        )
    )
    assert pragmas == [2, "wal", 0]


def test_stopping_runs_what_waits_and_leaves_no_wal(clock: ThreadedClock, tmp_path: Path) -> None:
    store = SQLiteStore(clock, tmp_path / "store", NOTES, who="test")
    store.startService()
    answers = [store.write(insert(f"{n}")) for n in range(10)]
    clock.wait(store.stopService())
    assert [clock.wait(answer) for answer in answers] == [f"{n}" for n in range(10)]
    assert sorted(os.listdir(tmp_path)) == ["store", "store-lock"]
    assert clock.wait(store.stopService()) is None
    assert clock.getDelayedCalls() == []


def test_an_error_in_what_follows_a_commit_is_logged_and_hurts_nobody(
    clock: ThreadedClock, store: SQLiteStore, logged_failures: Any
) -> None:
    def broken(_: str) -> None:
        raise ZeroDivisionError

    assert clock.wait(store.write(insert("a"), committed=broken)) == "a"
    assert len(logged_failures.flush(ZeroDivisionError)) == 1
    assert clock.wait(store.write(insert("b"))) == "b"


def test_stopping_leaves_a_hung_writer_behind_after_the_deadline(clock: ThreadedClock, tmp_path: Path) -> None:
    store = SQLiteStore(clock, tmp_path / "store", NOTES, who="test")
    store.startService()
    gate = Gate()
    answer = store.write(gate)
    assert gate.entered.wait(10)
    stopping = store.stopService()
    clock.pump([1.0] * 12)
    with pytest.raises(StoreError, match="in time"):
        clock.wait(answer)
    clock.wait(stopping)
    assert clock.getDelayedCalls() == []
    gate.open.set()
    for thread in threading.enumerate():
        if thread.name == f"{NOTES.name} writer":
            thread.join(10)
    store._release()  # what a process that ends here would leave to the kernel


# what cannot start


def refusal(path: Path, schema: Schema = NOTES) -> str:
    store = SQLiteStore(ThreadedClock(), path, schema, who="scalelab-test")
    with pytest.raises(SystemExit) as ended:
        store.startService()
    message = str(ended.value)
    assert message.startswith("scalelab-test: ")
    assert "\n" not in message
    return message


def test_a_folder_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    assert "is not a folder" in refusal(tmp_path / "none" / "store")


def test_a_folder_in_the_place_of_the_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    assert "cannot open" in refusal(tmp_path / "store")


def test_a_file_that_is_no_database_is_one_line_and_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("Dear diary, " * 1000)
    assert "file is not a database" in refusal(tmp_path / "store")
    assert (tmp_path / "store").read_text().startswith("Dear diary")


def test_the_file_of_another_component_is_one_line(tmp_path: Path, clock: ThreadedClock) -> None:
    store = SQLiteStore(clock, tmp_path / "store", NOTES, who="test")
    store.startService()
    clock.wait(store.stopService())
    assert "not one of tasks" in refusal(tmp_path / "store", Schema("task", 9, NOTES.migrations))


@pytest.fixture
def folder_of_nobody() -> Iterator[Path]:
    """A folder of an ordinary user, whom this process becomes: root may write every file."""
    with TemporaryDirectory() as name:
        if os.geteuid() != 0:
            yield Path(name)
            return
        os.chown(name, 65534, 65534)
        os.seteuid(65534)
        try:
            yield Path(name)
        finally:
            os.seteuid(0)


def test_a_file_that_may_not_be_written_is_one_line(folder_of_nobody: Path, clock: ThreadedClock) -> None:
    store = SQLiteStore(clock, folder_of_nobody / "store", NOTES, who="test")
    store.startService()
    clock.wait(store.stopService())
    (folder_of_nobody / "store").chmod(0o400)
    assert "readonly" in refusal(folder_of_nobody / "store")


def test_a_folder_that_takes_no_files_is_one_line() -> None:
    assert "cannot open" in refusal(Path("/proc/store"))


def test_a_second_store_on_the_same_file_is_refused_and_the_first_unharmed(store: SQLiteStore, clock: ThreadedClock) -> None:
    assert f"is in use by process {os.getpid()}" in refusal(store._path)
    assert clock.wait(store.write(insert("a"))) == "a"


def test_the_lock_of_a_killed_process_is_free_at_once(tmp_path: Path, clock: ThreadedClock) -> None:
    program = (
        "import sys, os, signal; from pathlib import Path; from scalability.sql.sqlite import lock;"
        "lock(Path(sys.argv[1])); os.kill(os.getpid(), signal.SIGKILL)"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(tmp_path / "store")], check=False, timeout=30)
    assert ended.returncode == -9
    store = SQLiteStore(clock, tmp_path / "store", NOTES, who="test")
    store.startService()
    clock.wait(store.stopService())
