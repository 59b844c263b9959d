"""Several keys at once are what they are one by one, in values, counts and what is told of them."""

from collections.abc import Callable
from math import inf
from random import Random
from typing import Any

from scalability.ttlcache import TTLCache
from scalability.ttlcache.many import count_present, get_many

KEYS = [f"k{number}" for number in range(30)]


def filled() -> tuple[TTLCache[str, int], list[str]]:
    random = Random(1)
    cache: TTLCache[str, int] = TTLCache(max_bytes=1 << 20)
    for number, key in enumerate(KEYS[:20]):
        cache.put(key, number, 0.0, random.choice([5.0, 50.0, inf]), 1)
    removed: list[str] = []
    cache.on_removed = removed.append
    return cache, removed


Asked = Callable[[TTLCache[str, int], list[str]], Any]


def both(keys: list[str], many: Asked, each: Asked) -> None:
    """The result is the same both ways, as is what it leaves behind."""
    (one, told_one), (other, told_other) = filled(), filled()
    assert many(one, keys) == each(other, keys)
    assert one.stats == other.stats
    assert told_one == told_other
    assert (len(one), one.bytes, one.ending) == (len(other), other.bytes, other.ending)
    visits = [{key: entry.visits for shard in cache._shards for key, entry in shard.items()} for cache in (one, other)]
    assert visits[0] == visits[1]


def asked(random: Random) -> list[str]:
    return random.choices(KEYS, k=random.randint(0, 60))


def test_values() -> None:
    for seed in range(50):
        both(asked(Random(seed)), lambda cache, keys: get_many(cache, keys, 7.0), lambda cache, keys: [cache.get(key, 7.0) for key in keys])


def test_how_many_are_there() -> None:
    for seed in range(50):
        both(
            asked(Random(seed)),
            lambda cache, keys: count_present(cache, keys, 7.0),
            lambda cache, keys: sum(cache.peek(key, 7.0) is not None for key in keys),
        )


def test_reads_make_entries_no_safer_than_they_can_be() -> None:
    cache, _ = filled()
    get_many(cache, ["k0"] * 9, 0.0)
    assert max(entry.visits for shard in cache._shards for entry in shard.values()) == 3
