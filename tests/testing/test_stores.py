"""The stores that other tests stand on."""

from pathlib import Path
from typing import TypeVar

import pytest
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from scalability.errors import StoreError
from scalability.sql import Store
from scalability.testing.store_conformance import NOTES, StoreConformance, insert, texts
from scalability.testing.stores import InlineStore, ThreadedClock

T = TypeVar("T")


class TestInlineStore(StoreConformance):
    def open(self, path: Path) -> Store:
        store = InlineStore(NOTES, path)
        store.startService()
        return store

    def close(self, store: InlineStore) -> None:
        store.stopService()

    def wait(self, deferred: Deferred[T]) -> T:
        outcomes: list[object] = []
        deferred.addBoth(outcomes.append)
        (outcome,) = outcomes
        if isinstance(outcome, Failure):
            outcome.raiseException()
        return outcome  # type: ignore[return-value]  # addBoth loses the type

    def test_a_held_operation_waits_for_its_release(self, tmp_path: Path) -> None:
        store = InlineStore(NOTES, tmp_path / "store")
        store.startService()
        store.held = True
        answer = store.write(insert("a"))
        assert not answer.called
        assert store.backlog == 1
        store.release()
        assert self.wait(answer) == "a"
        store.stopService()

    def test_a_broken_store_keeps_nothing(self, tmp_path: Path) -> None:
        store = InlineStore(NOTES, tmp_path / "store")
        store.startService()
        store.broken = "disk full"
        with pytest.raises(StoreError, match="disk full"):
            self.wait(store.write(insert("a")))
        store.broken = None
        assert store.read_now(texts) == []
        store.stopService()


def test_the_clock_runs_what_threads_hand_over_when_it_is_asked_to() -> None:
    clock = ThreadedClock()
    waiting: Deferred[str] = Deferred()
    clock.callFromThread(waiting.callback, "done")
    assert not waiting.called
    assert clock.wait(waiting) == "done"


def test_the_clock_says_when_no_thread_calls_back() -> None:
    with pytest.raises(AssertionError, match="no thread"):
        ThreadedClock().run_handed(timeout_s=0.001)
