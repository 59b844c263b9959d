"""Buckets of one second."""

from math import inf

from scalability.ttlcache.eviction import Entry
from scalability.ttlcache.expiry import ExpiryBuckets


def entry(expires_at: float) -> Entry:
    return Entry("key", None, expires_at, 1)


def test_an_entry_is_due_once_its_second_is_over() -> None:
    buckets = ExpiryBuckets()
    one = entry(10.5)
    buckets.add(one)
    assert buckets.due(10.99, 100) == []
    assert buckets.due(11.0, 100) == [one]
    assert buckets.due(12.0, 100) == []


def test_an_entry_at_a_full_second_is_never_due_early() -> None:
    buckets = ExpiryBuckets()
    one = entry(10.0)
    buckets.add(one)
    assert buckets.due(10.0, 100) == []
    assert buckets.due(11.0, 100) == [one]


def test_an_entry_without_end_costs_no_bucket() -> None:
    buckets = ExpiryBuckets()
    buckets.add(entry(inf))
    assert len(buckets) == 0
    buckets.remove(entry(inf))


def test_a_batch_has_a_limit_and_the_next_goes_on_where_it_stopped() -> None:
    buckets = ExpiryBuckets()
    entries = [entry(second + 0.5) for second in range(10) for _ in range(10)]
    for one in entries:
        buckets.add(one)
    taken: list[Entry] = []
    while batch := buckets.due(100.0, 7):
        assert len(batch) <= 7
        taken += batch
    assert len(taken) == 100
    assert set(taken) == set(entries)
    assert len(buckets) == 0


def test_a_removed_entry_leaves_nothing_behind() -> None:
    buckets = ExpiryBuckets()
    for second in range(1_000):
        one = entry(1e9 + second)
        buckets.add(one)
        buckets.remove(one)
    assert len(buckets) == 0


def test_a_clock_that_leaps_ahead_finds_everything_without_counting_every_second() -> None:
    buckets = ExpiryBuckets()
    one, later = entry(5.0), entry(2e12)
    buckets.add(one)
    buckets.add(later)
    assert buckets.due(1e12, 100) == [one]
    assert buckets.due(1e12 + 1, 100) == []
    assert buckets.due(3e12, 100) == [later]


def test_a_clock_that_was_set_back_still_finds_new_entries() -> None:
    buckets = ExpiryBuckets()
    assert buckets.due(1_000.0, 100) == []
    one = entry(500.0)
    buckets.add(one)
    assert buckets.due(499.0, 100) == []
    assert buckets.due(502.0, 100) == [one]
