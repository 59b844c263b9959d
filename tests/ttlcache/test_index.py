"""The index of many small dicts: scans that keep their word while everything changes, keys drawn at random."""

import random

from hypothesis import given
from hypothesis import strategies as st

from scalability.ttlcache.index import EMPTY_SHARDS, MAX_SHARDS, SHARD_ENTRIES, Index


def filled(keys: range, *, entries: int) -> Index[bytes, int]:
    index: Index[bytes, int] = Index(entries)
    for key in keys:
        index.shard(b"%d" % key)[b"%d" % key] = key
    return index


def test_the_number_of_shards_is_a_power_of_two_for_300_to_600_entries_each() -> None:
    sizes = [0, 1, 600, 601, 10_000, 1_000_000, 10**9]
    assert [len(Index[bytes, int](entries).shards) for entries in sizes] == [1, 1, 1, 2, 32, 2_048, MAX_SHARDS]


def test_a_full_index_has_no_large_dict() -> None:
    index = filled(range(50_000), entries=50_000)
    assert max(map(len, index.shards)) < 2 * SHARD_ENTRIES
    assert len(list(index)) == 50_000


def test_a_scan_without_changes_tells_each_key_once() -> None:
    index = filled(range(1_000), entries=20_000)
    told, cursor, calls = [], 0, 0
    while True:
        cursor, keys = index.scan(cursor, 10)
        told += keys
        calls += 1
        if not cursor:
            break
    assert len(told) == len(set(told)) == 1_000
    assert calls > 10


def test_a_scan_of_an_empty_index_ends_soon_and_each_call_has_a_limit() -> None:
    index = filled(range(1), entries=10**7)
    cursors = [0]
    while (cursor := index.scan(cursors[-1], 10)[0]) != 0:
        cursors.append(cursor)
    assert len(cursors) == MAX_SHARDS / EMPTY_SHARDS


def test_a_cursor_that_was_never_given_ends_the_scan() -> None:
    index = filled(range(100), entries=1_000)
    assert index.scan(-1, 10) == (0, [])
    assert index.scan(1 << 70, 10) == (0, [])


@given(st.data(), st.integers(1, 40_000), st.integers(1, 40))
def test_a_scan_tells_every_key_that_is_there_throughout(data: st.DataObject, entries: int, count: int) -> None:
    index = filled(range(200), entries=entries)
    stay = set(list(index)[::2])
    told: set[bytes] = set()
    cursor = 0
    while True:
        cursor, keys = index.scan(cursor, count)
        told.update(keys)
        if not cursor:
            break
        for number in data.draw(st.lists(st.integers(0, 400), max_size=5)):
            key = b"%d" % number
            if key not in stay:
                shard = index.shard(key)
                if key in shard:
                    del shard[key]
                else:
                    shard[key] = number
    assert told >= stay


def test_any_key_can_be_drawn() -> None:
    index = filled(range(50), entries=1_000)
    draw = random.Random(3).random
    assert {index.random_key(draw) for _ in range(5_000)} == set(index)
    assert Index[bytes, int](1_000).random_key(draw) is None
    assert filled(range(1), entries=1_000).random_key(lambda: 1 - 2**-53) == b"0"


def test_a_cleared_index_hands_out_what_it_held() -> None:
    index = filled(range(100), entries=1_000)
    assert sum(map(len, index.clear())) == 100
    assert list(index) == []
