"""When shards are due."""

from math import inf, nan

import pytest

from scalability.ttlcache.expiry import ExpiryBuckets


def all_due(buckets: ExpiryBuckets, now: float) -> list[int]:
    due = []
    while (shard := buckets.due(now)) is not None:
        due.append(shard)
    return due


def test_a_shard_is_due_once_the_second_of_its_earliest_expiry_is_over() -> None:
    buckets = ExpiryBuckets(4)
    buckets.note(2, 10.5)
    assert buckets.earliest == [inf, inf, 10.0, inf]
    assert buckets.due(10.99) is None
    assert buckets.due(11.0) == 2
    assert buckets.due(12.0) is None
    assert buckets.earliest == [inf] * 4


def test_an_expiry_at_a_full_second_is_never_due_early() -> None:
    buckets = ExpiryBuckets(1)
    buckets.note(0, 10.0)
    assert buckets.due(10.0) is None
    assert buckets.due(11.0) == 0


def test_a_shard_stands_in_the_bucket_of_its_earliest_expiry_only() -> None:
    buckets = ExpiryBuckets(2)
    for expires_at in (30.0, 50.0, 20.5, 20.2, 40.0):
        buckets.note(0, expires_at)
    buckets.note(1, 20.9)
    assert len(buckets) == 1
    assert sorted(all_due(buckets, 21.0)) == [0, 1]
    assert all_due(buckets, 1e9) == []


def test_what_never_ends_costs_no_bucket() -> None:
    buckets = ExpiryBuckets(1)
    buckets.note(0, inf)
    assert len(buckets) == 0


def test_a_time_that_is_no_number_changes_nothing() -> None:
    buckets = ExpiryBuckets(1)
    buckets.note(0, 5.0)
    with pytest.raises(ValueError, match="NaN"):
        buckets.note(0, nan)
    assert all_due(buckets, 100.0) == [0]


def test_absurd_times_are_borne() -> None:
    buckets = ExpiryBuckets(4)
    for shard, expires_at in enumerate((-inf, -1e300, 1e300, -0.5)):
        buckets.note(shard, expires_at)
    assert sorted(all_due(buckets, 0.0)) == [0, 1, 3]
    assert all_due(buckets, 1e12) == []


def test_the_earliest_are_due_first_and_a_clock_that_leaps_finds_all() -> None:
    buckets = ExpiryBuckets(3)
    for shard, expires_at in enumerate((1e12, 5.0, 1e9)):
        buckets.note(shard, expires_at)
    assert all_due(buckets, 2e9) == [1, 2]
    assert all_due(buckets, 2e12) == [0]


def test_a_clock_that_was_set_back_still_finds_new_entries() -> None:
    buckets = ExpiryBuckets(1)
    assert buckets.due(1_000.0) is None
    buckets.note(0, 500.0)
    assert buckets.due(499.0) is None
    assert buckets.due(502.0) == 0


def test_ever_earlier_expiries_leave_nothing_behind() -> None:
    buckets = ExpiryBuckets(2)
    for second in range(10_000, 0, -1):
        buckets.note(0, float(second))
    assert len(buckets) == 1
    assert len(buckets._seconds) <= 2 * len(buckets) + 65
    assert all_due(buckets, 3.0) == [0]
