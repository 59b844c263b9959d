"""Every change is told to who observes, and only to them."""

from math import inf
from typing import Any

from scalability.cache.entries import Entries
from scalability.ttlcache import Outcome, TTLCache


class Heard:
    def __init__(self) -> None:
        self.all: list[tuple[bytes, Any]] = []

    def changed(self, key: bytes, by: Any) -> None:
        self.all.append((key, by))

    def cleared(self, by: Any) -> None:
        self.all.append((b"*", by))

    def taken(self) -> list[tuple[bytes, Any]]:
        heard, self.all = self.all, []
        return heard


class Observed:
    def __init__(self, **bounds: int) -> None:
        self.cache: TTLCache[bytes, bytes] = TTLCache(**{"max_bytes": 1 << 20, **bounds})
        self.entries = Entries(self.cache, lambda: 0.0)
        self.heard = Heard()
        self.entries.observe(self.heard)


def test_writes_are_told_with_who_wrote() -> None:
    observed = Observed()
    entries, heard = observed.entries, observed.heard
    assert entries.put(b"a", b"1", 0.0, inf, "me") is Outcome.STORED
    assert entries.set(b"a", b"2", 0.0, 10.0) is Outcome.STORED
    assert entries.expire(b"a", 0.0, 20.0, "me")
    assert entries.delete(b"a", 0.0, "me")
    entries.clear("me")
    assert heard.taken() == [(b"a", "me"), (b"a", None), (b"a", "me"), (b"a", "me"), (b"*", "me")]
    assert entries.changes == 5


def test_what_changes_nothing_is_not_told() -> None:
    observed = Observed()
    entries, heard = observed.entries, observed.heard
    entries.put(b"a", b"1", 0.0, inf)
    heard.taken()
    assert entries.set(b"a", b"2", 0.0, 10.0, if_absent=True) is Outcome.EXISTS
    assert not entries.delete(b"b", 0.0)
    assert not entries.expire(b"b", 0.0, 1.0)
    assert entries.get(b"a", 0.0) == b"1"
    assert heard.taken() == []
    assert entries.changes == 1


def test_if_absent_counts_no_read() -> None:
    entries = Observed().entries
    entries.set(b"a", b"1", 0.0, 10.0)
    entries.set(b"a", b"1", 0.0, 10.0, if_absent=True)
    assert entries.cache.stats.hits == entries.cache.stats.misses == 0


def test_expiry_and_eviction_are_told() -> None:
    observed = Observed(max_entries=1)
    entries, heard = observed.entries, observed.heard
    entries.put(b"a", b"1", 0.0, 5.0)
    assert entries.get(b"a", 6.0) is None
    assert heard.taken() == [(b"a", None), (b"a", None)]
    entries.put(b"b", b"1", 10.0, inf)
    entries.put(b"c", b"1", 10.0, inf)
    assert (b"b", None) in heard.taken()[1:]


def test_who_has_left_hears_nothing() -> None:
    observed = Observed()
    observed.entries.unobserve(observed.heard)
    observed.entries.unobserve(observed.heard)
    observed.entries.put(b"a", b"1", 0.0, 5.0)
    observed.entries.get(b"a", 6.0)
    assert observed.heard.taken() == []
    assert observed.cache.on_removed is None


def test_a_value_that_is_too_large_takes_the_old_one_along_and_that_is_told() -> None:
    observed = Observed(max_object_bytes=100)
    observed.entries.put(b"a", b"1", 0.0, inf)
    observed.heard.taken()
    assert observed.entries.put(b"a", b"x" * 200, 0.0, inf) is Outcome.TOO_LARGE
    assert observed.heard.taken() == [(b"a", None)]


def test_many_writes_are_told_one_by_one_and_end_at_what_is_too_large() -> None:
    observed = Observed(max_object_bytes=10)
    entries, heard = observed.entries, observed.heard
    assert entries.put_many([b"a", b"b"], [b"1", b"2"], 0.0, "me")
    assert entries.delete_many([b"a", b"none", b"a"], 0.0, "me") == 1
    assert heard.taken() == [(b"a", "me"), (b"b", "me"), (b"a", "me")]
    assert entries.changes == 3
    assert not entries.put_many([b"c", b"b", b"d"], [b"1", b"x" * 10, b"4"], 0.0, "me")
    assert heard.taken() == [(b"c", "me"), (b"b", "me")]
    assert [entries.get(key, 0.0) for key in (b"b", b"c", b"d")] == [None, b"1", None]
