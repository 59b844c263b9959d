"""The suite itself is proven on a store that lies: it must not pass."""

from pathlib import Path
from typing import TypeVar

import pytest
from twisted.internet.defer import Deferred

from scalability.sql import Store
from scalability.testing.store_conformance import NOTES, StoreConformance
from scalability.testing.stores import InlineStore

T = TypeVar("T")


class Forgetful(StoreConformance):
    """Opens another file each time."""

    __test__ = False

    def __init__(self) -> None:
        self.stores: list[InlineStore] = []

    def open(self, path: Path) -> Store:
        store = InlineStore(NOTES, path.with_suffix(f".{len(self.stores)}"))
        store.startService()
        self.stores.append(store)
        return store

    def close(self, store: InlineStore) -> None:
        store.stopService()

    def wait(self, deferred: Deferred[T]) -> T:
        return deferred.result  # type: ignore[return-value]  # it has fired


def test_the_suite_notices_a_store_that_forgets(tmp_path: Path) -> None:
    forgetful = Forgetful()
    with pytest.raises(AssertionError):
        forgetful.test_what_was_written_is_there_after_a_restart(tmp_path)
    for store in forgetful.stores:
        store.stopService()  # the suite was interrupted; stopping twice is harmless


def test_the_suite_passes_what_a_forgetful_store_does_well(tmp_path: Path) -> None:
    Forgetful().test_what_was_written_is_read(tmp_path)
