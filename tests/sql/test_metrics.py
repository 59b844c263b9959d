from pathlib import Path

from scalability.sql.metrics import store_metrics
from scalability.testing.store_conformance import NOTES, insert
from scalability.testing.stores import InlineStore


def test_a_store_tells_its_commits_and_its_backlog(tmp_path: Path) -> None:
    store = InlineStore(NOTES, tmp_path / "store")
    store.startService()
    store.write(insert("a"))
    store.held = True
    store.write(insert("b"))
    readings = {metric.name: next(iter(metric.read())).value for metric in store_metrics(store)}
    assert readings["scalelab_store_commits_total"] == 1
    assert readings["scalelab_store_backlog"] == 1
    store.stopService()
