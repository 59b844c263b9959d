"""Keys and the clients that have read them."""

from collections.abc import Callable

import pytest

from scalability.cache.resp.tracked_keys import SHARDS, TrackedKeys


def held(
    later: Callable[[Callable[[], None]], object] = print, *, keys: int = 1000, key_bytes: int = 10_000, pairs: int = 2000
) -> TrackedKeys:
    return TrackedKeys(later, max_keys=keys, max_key_bytes=key_bytes, max_pairs=pairs)


def sizes(keys: TrackedKeys) -> tuple[int, int, int]:
    return keys.keys, keys.key_bytes, keys.pairs


def test_a_key_is_given_back_once_with_all_its_clients() -> None:
    keys = held()
    for client in (1, 2, 1, 3, 3, 2):
        keys.add(b"abc", client)
    keys.add(b"de", 1)
    keys.add(b"de", 1)
    assert sizes(keys) == (2, 5, 4)
    assert keys.pop(b"abc") == {1, 2, 3}
    assert keys.pop(b"abc") is None
    assert keys.pop(b"de") == (1,)
    assert sizes(keys) == (0, 0, 0)


@pytest.mark.parametrize(("most", "key_bytes", "pairs"), [(100, 10_000, 2000), (1000, 300, 2000), (1000, 10_000, 100)])
def test_at_every_bound_keys_are_given_up_until_it_is_kept(most: int, key_bytes: int, pairs: int) -> None:
    keys = held(keys=most, key_bytes=key_bytes, pairs=pairs)
    given_up: list[bytes] = []
    for number in range(1000):
        key = b"%03d" % number
        keys.add(key, 1)
        for oldest in keys.excess():
            given_up.append(oldest)
            assert keys.pop(oldest) == (1,)
    assert len(given_up) == len(set(given_up)) == 900
    assert sizes(keys) == (100, 300, 100)
    assert len({key for key in given_up if key < b"450"}) > 400, "mostly those that were read first"


def test_one_key_with_too_many_clients_is_given_up() -> None:
    keys = held(pairs=3)
    for client in range(4):
        keys.add(b"a", client)
    assert [keys.pop(key) for key in keys.excess()] == [{0, 1, 2, 3}]


def test_what_is_cleared_is_freed_bit_by_bit() -> None:
    calls: list[Callable[[], None]] = []
    keys = held(calls.append)
    for _ in range(2):
        keys.add(b"a", 1)
        keys.clear()
        assert sizes(keys) == (0, 0, 0)
        assert keys.pop(b"a") is None
    keys.clear()
    assert len(calls) == 1
    turns = 0
    while calls:
        calls.pop()()
        turns += 1
    assert turns == 2 * SHARDS, "the second clear does not free at once what the first one left"
    keys.add(b"a", 1)
    assert sizes(keys) == (1, 1, 1)
