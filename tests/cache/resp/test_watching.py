"""Watched keys: every change counts, nothing else does."""

import pytest

from scalability.cache.entries import Entries
from scalability.cache.resp import watching
from scalability.cache.resp.commands import CommandError
from scalability.cache.resp.watching import Watch, Watches
from scalability.ttlcache import TTLCache

inf = float("inf")


class Watched:
    def __init__(self) -> None:
        self.entries = Entries(TTLCache(max_bytes=1 << 20), lambda: 0.0)
        self.entries.put(b"a", b"1", 0.0, inf)
        self.entries.put(b"soon", b"1", 0.0, 10.0)
        self.table = Watches(self.entries)
        self.watch = Watch(self.table)


def test_a_change_of_a_watched_key_is_noticed() -> None:
    watched = Watched()
    watched.watch.add([b"a", b"none"], 0.0)
    watched.entries.put(b"other", b"1", 0.0, inf)
    assert not watched.watch.broken(0.0)
    watched.entries.put(b"none", b"1", 0.0, inf)
    assert watched.watch.broken(0.0)


@pytest.mark.parametrize("noticed", [True, False])
def test_expiry_is_a_change_whether_the_entry_was_removed_or_not(noticed: bool) -> None:
    watched = Watched()
    watched.watch.add([b"soon"], 9.0)
    assert not watched.watch.broken(9.0)
    if noticed:
        watched.entries.cache.sweep(12.0, 100)
    assert watched.watch.broken(10.0)


def test_the_removal_of_what_had_expired_before_is_none() -> None:
    watched = Watched()
    watched.watch.add([b"soon"], 10.0)
    watched.entries.cache.sweep(12.0, 100)
    assert not watched.watch.broken(12.0)


def test_clearing_changes_what_was_there() -> None:
    watched = Watched()
    other = Watch(watched.table)
    watched.watch.add([b"a"], 0.0)
    other.add([b"none"], 0.0)
    watched.entries.clear()
    assert watched.watch.broken(0.0)
    assert not other.broken(0.0)


def test_the_table_observes_only_while_it_holds_something() -> None:
    watched = Watched()
    assert not watched.entries.observers
    other = Watch(watched.table)
    watched.watch.add([b"a", b"b"], 0.0)
    other.add([b"a"], 0.0)
    assert watched.entries.observers == [watched.table]
    assert len(watched.table) == 2
    watched.watch.end()
    watched.watch.end()
    assert len(watched.table) == 1
    other.end()
    assert not watched.entries.observers


def test_a_watch_begins_anew_after_its_end() -> None:
    watched = Watched()
    watched.watch.add([b"a"], 0.0)
    watched.entries.delete(b"a", 0.0)
    watched.watch.end()
    watched.watch.add([b"a"], 0.0)
    assert not watched.watch.broken(0.0)


def test_what_one_client_watches_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "MAX_KEYS", 3)
    watched = Watched()
    watched.watch.add([b"a", b"b", b"a"], 0.0)
    with pytest.raises(CommandError, match="too many watched keys: 3 are allowed"):
        watched.watch.add([b"c", b"d"], 0.0)
    assert len(watched.table) == 2
    watched.watch.add([b"c", b"a"], 0.0)


def test_what_all_clients_watch_is_bounded() -> None:
    watched = Watched()
    other = Watch(watched.table)
    watched.watch.add([b"x" * (watching.MAX_BYTES - 1000)], 0.0)
    with pytest.raises(CommandError, match="the watched keys of all clients take"):
        other.add([b"a", b"b"], 0.0)
    watched.watch.end()
    assert watched.table.bytes == 0
    other.add([b"a", b"b"], 0.0)
    assert watched.table.bytes == 2 * (1 + watching.KEY_BYTES)
