"""What every ``Store`` promises, as tests: subclass ``StoreConformance`` for each engine and each fake."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from twisted.internet.defer import CancelledError, Deferred

from scalability.errors import Conflict, StoreError
from scalability.sql import Schema, Session, Store

T = TypeVar("T")

NOTES = Schema("note", 0x5CA1_0000, (("CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE)",),))
"""A small schema for tests."""


def insert(text: str) -> Callable[[Session], str]:
    """The operation that adds the note ``text`` and returns it."""

    def operation(session: Session) -> str:
        session.execute("INSERT INTO note (text) VALUES (?)", (text,))
        return text

    return operation


def texts(session: Session) -> list[str]:
    """The query for all notes, in the order of their insertion."""
    return [text for (text,) in session.execute("SELECT text FROM note ORDER BY id")]


class StoreConformance:
    """Mix into a test class that implements ``open``, ``close`` and ``wait``."""

    def open(self, path: Path) -> Store:
        """A started store with the schema ``NOTES`` in the file ``path``."""
        raise NotImplementedError

    def close(self, store: Any) -> None:
        """Stop the store and wait for it."""
        raise NotImplementedError

    def wait(self, deferred: Deferred[T]) -> T:
        """The result of ``deferred``, or its error raised."""
        raise NotImplementedError

    def test_what_was_written_is_read(self, tmp_path: Path) -> None:
        store = self.open(tmp_path / "store")
        assert self.wait(store.write(insert("a"))) == "a"
        assert self.wait(store.read(texts)) == ["a"]
        assert store.read_now(texts) == ["a"]
        self.close(store)

    def test_what_was_written_is_there_after_a_restart(self, tmp_path: Path) -> None:
        store = self.open(tmp_path / "store")
        self.wait(store.write(insert("a")))
        self.close(store)
        store = self.open(tmp_path / "store")
        assert self.wait(store.read(texts)) == ["a"]
        self.close(store)

    def test_operations_run_in_the_order_of_the_calls(self, tmp_path: Path) -> None:
        store = self.open(tmp_path / "store")
        answers = [store.write(insert(f"{n}")) for n in range(50)]
        assert [self.wait(answer) for answer in answers] == [f"{n}" for n in range(50)]
        assert self.wait(store.read(texts)) == [f"{n}" for n in range(50)]
        self.close(store)

    def test_an_operation_that_raises_is_undone_alone_and_fails_only_its_own_deferred(self, tmp_path: Path) -> None:
        store = self.open(tmp_path / "store")

        def fails(session: Session) -> None:
            session.execute("INSERT INTO note (text) VALUES ('half')")
            raise LookupError("no")

        before, failed, after = store.write(insert("a")), store.write(fails), store.write(insert("b"))
        assert self.wait(before) == "a"
        with pytest.raises(LookupError, match="no"):
            self.wait(failed)
        assert self.wait(after) == "b"
        assert self.wait(store.read(texts)) == ["a", "b"]
        self.close(store)

    def test_a_broken_constraint_is_a_conflict(self, tmp_path: Path) -> None:
        store = self.open(tmp_path / "store")
        self.wait(store.write(insert("a")))
        with pytest.raises(Conflict):
            self.wait(store.write(insert("a")))
        self.close(store)

    def test_a_query_that_raises_fails_only_its_own_deferred(self, tmp_path: Path) -> None:
        store = self.open(tmp_path / "store")

        def fails(_: Session) -> None:
            raise LookupError("no")

        with pytest.raises(LookupError):
            self.wait(store.read(fails))
        assert self.wait(store.read(texts)) == []
        self.close(store)

    def test_committed_is_called_once_with_the_result_before_the_deferred_fires(self, tmp_path: Path) -> None:
        store = self.open(tmp_path / "store")
        seen: list[str] = []
        assert self.wait(store.write(insert("a"), committed=seen.append).addCallback(lambda _: list(seen))) == ["a"]
        with pytest.raises(Conflict):
            self.wait(store.write(insert("a"), committed=seen.append))
        assert seen == ["a"]
        self.close(store)

    def test_cancelling_ends_the_wait_and_leaves_the_store_in_order(self, tmp_path: Path) -> None:
        store = self.open(tmp_path / "store")
        answers = [store.write(insert(f"{n}")) for n in range(20)]
        pending = [answer for answer in answers if not answer.called]
        for answer in pending:
            answer.cancel()
            with pytest.raises(CancelledError):
                self.wait(answer)
        assert self.wait(store.write(insert("last"))) == "last"
        assert self.wait(store.read(texts))[-1] == "last"
        assert store.backlog == 0
        self.close(store)

    def test_a_stopped_store_refuses(self, tmp_path: Path) -> None:
        store = self.open(tmp_path / "store")
        self.close(store)
        with pytest.raises(StoreError):
            self.wait(store.write(insert("a")))
