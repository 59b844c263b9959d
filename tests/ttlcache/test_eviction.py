"""S3-FIFO: who stays, who goes, and what it costs."""

import random

import pytest

from scalability.ttlcache.eviction import FIFO, GONE, MAIN, PATIENCE, S3FIFO, SMALL, Entry, Ghosts


def entry(key: object, size: int = 1) -> Entry:
    return Entry(key, None, 1e9, size)


def policy_with(keys: range, *, capacity: int = 100) -> tuple[S3FIFO, dict[object, Entry]]:
    policy = S3FIFO(capacity)
    entries: dict[object, Entry] = {key: entry(key) for key in keys}
    for one in entries.values():
        policy.admit(one)
    return policy, entries


def test_a_queue_gives_its_entries_in_the_order_they_came() -> None:
    queue = FIFO(SMALL)
    for key in "abc":
        queue.push(entry(key))
    assert [queue.pop().key for _ in range(3)] == ["a", "b", "c"]
    with pytest.raises(IndexError):
        queue.pop()


def test_an_entry_that_left_from_the_middle_is_not_given_again() -> None:
    queue = FIFO(SMALL)
    entries = [entry(key, size=10) for key in "abc"]
    for one in entries:
        queue.push(one)
    queue.remove(entries[1])
    assert (queue.live, queue.size, entries[1].home) == (2, 20, GONE)
    assert [queue.pop().key, queue.pop().key] == ["a", "c"]


def test_holes_are_closed_and_the_order_is_kept() -> None:
    queue = FIFO(MAIN)
    keep = []
    for number in range(20_000):
        one = entry(number)
        queue.push(one)
        if number % 1_000 == 0:
            keep.append(number)
        else:
            queue.remove(one)
        assert queue.places() <= 1.6 * queue.live + 200
    assert [queue.pop().key for _ in range(len(keep))] == keep


def test_removals_in_any_order_leave_the_order_of_the_rest() -> None:
    dice = random.Random(7)
    queue = FIFO(MAIN)
    live: list[Entry] = []
    for number in range(5_000):
        one = entry(number)
        queue.push(one)
        live.append(one)
        while len(live) > 50:
            if dice.random() < 0.8:
                queue.remove(live.pop(dice.randrange(len(live))))
            else:
                assert queue.pop() is live.pop(0)
    assert queue.live == queue.size == len(live)
    assert [queue.pop() for _ in range(len(live))] == live


def test_a_ghost_is_known_once() -> None:
    ghosts = Ghosts()
    ghosts.grow(128)
    for key in range(100):
        ghosts.add(key)
    assert ghosts.take(99)
    assert not ghosts.take(99)
    assert not ghosts.take("never seen")


@pytest.mark.parametrize("window", [100, 5_000, 40_000])
def test_ghosts_are_forgotten_in_time_most_of_those_in_the_window_last(window: int) -> None:
    ghosts = Ghosts()
    ghosts.grow(window)
    for key in range(10 * window):
        ghosts.add(b"key %d" % key)
    assert sum(ghosts.take(b"key %d" % key) for key in range(5 * window)) < 0.02 * 5 * window
    known = sum(ghosts.take(b"key %d" % key) for key in range(9 * window, 10 * window))
    # a place that is needed again forgets the older key; there are one to two for each of the window
    assert 0.55 * window < known < window


def test_the_ghosts_of_a_million_are_no_large_piece_of_memory_at_once() -> None:
    ghosts = Ghosts()
    ghosts.grow(1_000_000)
    ghosts.add(b"key")
    assert [len(segment) for segment in ghosts._table if segment is not None] == [4_096]
    assert ghosts.take(b"key")


def test_a_new_entry_that_nobody_read_goes_first() -> None:
    policy, entries = policy_with(range(100))
    for key in range(50):
        entries[key].visits = 2
    assert policy.victim(by_bytes=True).key == 50


def test_an_entry_read_twice_is_promoted_and_outlives_a_scan() -> None:
    policy, entries = policy_with(range(100))
    entries[0].visits = 2
    gone = []
    for key in range(1_000, 2_000):
        gone.append(policy.victim(by_bytes=True).key)
        policy.admit(entry(key))
    assert 0 not in gone
    assert entries[0].home == MAIN


def test_a_key_that_comes_back_while_it_is_a_ghost_joins_main() -> None:
    policy, _ = policy_with(range(100))
    victim = policy.victim(by_bytes=True)
    again = entry(victim.key)
    policy.admit(again)
    assert again.home == MAIN


def test_main_gives_what_was_read_another_round() -> None:
    policy, entries = policy_with(range(0))
    for key in range(3):
        entries[key] = entry(key)
        policy.readmit(entries[key])
    entries[0].visits = 1
    assert [policy.victim(by_bytes=True).key for _ in range(3)] == [1, 2, 0]


def test_the_search_for_a_victim_has_an_end_when_everything_is_busy() -> None:
    policy = S3FIFO(1_000_000)
    for key in range(10_000):
        busy = entry(key)
        busy.visits = 3
        policy.readmit(busy)
    victim = policy.victim(by_bytes=True)
    assert victim.key == PATIENCE


def test_an_empty_cache_has_no_victim() -> None:
    with pytest.raises(IndexError):
        S3FIFO(100).victim(by_bytes=True)


def test_the_bound_that_is_full_decides_from_which_queue() -> None:
    policy = S3FIFO(1_000, 10)  # small: 100 bytes, 1 entry
    known = entry("known")
    policy.readmit(known)
    policy.admit(entry("a", size=10))
    policy.admit(entry("b", size=10))
    assert policy.victim(by_bytes=True) is known  # small has 20 of its 100 bytes
    policy.readmit(entry("known again"))
    assert policy.victim(by_bytes=False).key == "a"  # and 2 entries of 1


def test_an_entry_that_grew_counts_with_its_new_size() -> None:
    policy = S3FIFO(1_000)
    one = entry("a", size=10)
    policy.admit(one)
    policy.readmit(entry("main"))
    policy.resize(one, 500)
    assert policy.victim(by_bytes=True) is one


def test_zipf_with_scans_is_hit_more_often_than_with_lru() -> None:
    from collections import OrderedDict

    dice = random.Random(1)
    keys = range(5_000)
    popular = dice.choices(keys, weights=[1 / (key + 1) ** 0.9 for key in keys], k=60_000)
    trace: list[int] = []
    for number, key in enumerate(popular):
        trace.append(key)
        if number % 20 == 0:
            trace.append(1_000_000 + number)
    capacity = 200
    policy, entries, hits = S3FIFO(capacity), dict[int, Entry](), 0
    lru, lru_hits = OrderedDict[int, None](), 0
    for key in trace:
        if key in entries:
            hits += 1
            entries[key].visits = min(entries[key].visits + 1, 3)
        else:
            if len(entries) >= capacity:
                del entries[policy.victim(by_bytes=True).key]
            entries[key] = entry(key)
            policy.admit(entries[key])
        if key in lru:
            lru_hits += 1
            lru.move_to_end(key)
        else:
            lru[key] = None
            if len(lru) > capacity:
                lru.popitem(last=False)
    assert hits > 1.1 * lru_hits
