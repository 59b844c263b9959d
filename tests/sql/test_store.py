from pathlib import Path

from scalability.sql import SQLiteStore, StoreURL, open_store
from scalability.testing.store_conformance import NOTES
from scalability.testing.stores import ThreadedClock


def test_a_sqlite_url_opens_a_sqlite_store(tmp_path: Path) -> None:
    store = open_store(ThreadedClock(), StoreURL.parse(f"sqlite:{tmp_path}/store"), NOTES, who="test")
    assert isinstance(store, SQLiteStore)
    assert store.failing is None
    assert store.backlog == 0
