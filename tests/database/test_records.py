from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from scalability.database.records import PAGE_BYTES, SCHEMA, Records, successor
from scalability.testing.stores import InlineStore

T = TypeVar("T")


def fired(deferred: Deferred[T]) -> T:
    outcomes: list[T] = []
    deferred.addCallback(outcomes.append)
    (outcome,) = outcomes
    return outcome


@pytest.fixture
def store(tmp_path: Path) -> Iterator[InlineStore]:
    store = InlineStore(SCHEMA, tmp_path / "db")
    store.startService()
    yield store
    store.stopService()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def records(store: InlineStore, clock: Clock) -> Records:
    records = Records(store, clock.seconds)
    records.startService()
    return records


def test_the_message_is_a_row(records: Records, store: InlineStore) -> None:
    assert fired(records.message()) == "Fetched fresh data from DB"
    store.connection.execute("UPDATE message SET text = 'changed'")
    assert fired(records.message()) == "changed"


def test_a_record_is_new_then_replaced_then_gone(records: Records, clock: Clock) -> None:
    clock.advance(5.5)
    assert fired(records.put(b"k", b"1")) is True
    assert fired(records.put(b"k", b"2")) is False
    record = fired(records.get(b"k"))
    assert record == (b"k", b"2", 5.5)
    assert fired(records.delete(b"k")) is True
    assert fired(records.delete(b"k")) is False
    assert fired(records.get(b"k")) is None


def test_the_number_of_records_is_kept_and_found_again(records: Records, store: InlineStore) -> None:
    for n in range(5):
        fired(records.put(b"%d" % n, b"1"))
    fired(records.put(b"0", b"2"))
    fired(records.delete(b"1"))
    fired(records.delete(b"none"))
    assert records.count == 4
    again = Records(store, lambda: 0.0)
    again.startService()
    assert again.count == 4


def test_pages_follow_each_other_in_the_order_of_keys(records: Records) -> None:
    for key in (b"b", b"a/2", b"a/1", b"a/3", "ü".encode()):
        fired(records.put(key, b"0"))
    first = fired(records.page(prefix=b"a/", limit=2))
    assert ([r.key for r in first.records], first.after) == ([b"a/1", b"a/2"], b"a/2")
    second = fired(records.page(prefix=b"a/", after=b"a/2", limit=2))
    assert ([r.key for r in second.records], second.after) == ([b"a/3"], None)
    assert [r.key for r in fired(records.page(limit=10)).records] == [b"a/1", b"a/2", b"a/3", b"b", "ü".encode()]


def test_a_page_that_is_exactly_full_says_whether_there_is_more(records: Records) -> None:
    for key in (b"a", b"b"):
        fired(records.put(key, b"0"))
    assert fired(records.page(limit=2)).after is None
    assert fired(records.page(limit=1)).after == b"a"


def test_a_page_of_large_records_ends_early(records: Records) -> None:
    for n in range(6):
        fired(records.put(b"%d" % n, b"1" * (PAGE_BYTES // 4)))
    page = fired(records.page(limit=100))
    assert len(page.records) == 4
    assert page.after == b"3"


@given(st.lists(st.binary(max_size=4)), st.binary(max_size=3))
def test_the_successor_bounds_exactly_what_starts_with_the_prefix(keys: list[bytes], prefix: bytes) -> None:
    end = successor(prefix)
    for key in keys:
        assert key.startswith(prefix) == (key >= prefix and (end is None or key < end))


def test_pages_use_the_index(store: InlineStore, records: Records) -> None:
    plan = store.connection.execute(
        "EXPLAIN QUERY PLAN SELECT key, value, updated_ms FROM record WHERE key > ? AND key >= ? AND key < ? ORDER BY key",
        (b"", b"a", b"b"),
    ).fetchall()
    assert "USING INDEX" in str(plan)
    assert "TEMP B-TREE" not in str(plan)
