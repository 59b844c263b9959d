"""The cache against a model that is a plain dict, and its bounds one by one."""

from math import inf, nan
from random import Random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from scalability.ttlcache import OVERHEAD_BYTES, Outcome, TTLCache


def cache(entries: int = 0, **more: int) -> TTLCache[str, str]:
    return TTLCache(max_bytes=more.pop("max_bytes", 1 << 20), max_entries=entries, **more)


def swept(c: TTLCache[str, str], now: float, limit: int) -> int:
    """How many entries a sweep removed."""
    before = c.stats.expired
    steps = c.sweep(now, limit)
    assert c.stats.expired - before <= steps <= limit
    return c.stats.expired - before


def test_a_value_is_there_until_its_time_is_over() -> None:
    c = cache()
    assert c.get("a", 0.0) is None
    assert c.set("a", "x", 0.0, 30.0, size_bytes=2) is Outcome.STORED
    assert c.get("a", 29.999) == "x"
    assert c.get("a", 30.0) is None
    assert len(c) == 0
    assert (c.stats.hits, c.stats.misses, c.stats.expired) == (1, 2, 1)


def test_every_entry_has_its_own_time_to_live() -> None:
    c = cache()
    c.set("short", "x", 0.0, 1.0, size_bytes=0)
    c.set("long", "x", 0.0, 100.0, size_bytes=0)
    c.set("for ever", "x", 0.0, None, size_bytes=0)
    assert [c.expires_at(key, 0.5) for key in ("short", "long", "for ever", "none")] == [1.0, 100.0, inf, None]
    assert swept(c, 50.0, 100) == 1
    assert len(c) == 2
    assert c.get("for ever", 1e18) == "x"


def test_a_new_value_has_a_new_time_to_live() -> None:
    c = cache()
    c.set("a", "x", 0.0, 10.0, size_bytes=0)
    c.set("a", "y", 5.0, 10.0, size_bytes=0)
    assert swept(c, 12.0, 100) == 0
    assert c.get("a", 14.0) == "y"
    c.set("a", "z", 14.0, 0.5, size_bytes=0)
    assert swept(c, 16.0, 100) == 1
    assert c.stats.replaced == 2


def test_entries_that_have_an_end_are_counted() -> None:
    c = cache(entries=3)
    for key, ends in (("a", inf), ("b", 10.0), ("c", 20.0)):
        c.put(key, "x", 0.0, ends, 1)
    assert c.ending == 2
    c.put("a", "y", 0.0, 5.0, 1)  # of the same size, and of another one
    c.put("b", "y", 0.0, inf, 1)
    c.put("c", "longer", 0.0, 30.0, 6)
    assert c.ending == 2
    c.put("c", "z", 0.0, inf, 1)
    assert c.ending == 1
    assert c.expire("b", 0.0, 7.0)
    assert c.ending == 2
    assert c.get("a", 5.0) is None
    assert c.ending == 1
    c.put("d", "x", 5.0, 50.0, 1)
    c.put("e", "x", 5.0, 60.0, 1)  # evicts one
    assert c.ending == sum(c.expires_at(key, 5.0) not in (None, inf) for key in "bcde")
    c.clear()
    assert c.ending == 0


def test_if_absent_keeps_what_is_there_and_takes_an_expired_keys_place() -> None:
    c = cache()
    assert c.set("lease", "x", 0.0, 5.0, size_bytes=0, if_absent=True) is Outcome.STORED
    assert c.set("lease", "y", 4.9, 5.0, size_bytes=0, if_absent=True) is Outcome.EXISTS
    assert c.get("lease", 4.9) == "x"
    assert c.set("lease", "y", 5.0, 5.0, size_bytes=0, if_absent=True) is Outcome.STORED
    assert c.get("lease", 5.0) == "y"


def test_a_deleted_key_is_gone_and_deleting_says_whether_it_was_there() -> None:
    c = cache()
    c.set("a", "x", 0.0, 30.0, size_bytes=5)
    assert c.delete("a", 1.0)
    assert not c.delete("a", 1.0)
    c.set("b", "x", 0.0, 1.0, size_bytes=5)
    assert not c.delete("b", 2.0)
    assert (len(c), c.bytes, c.stats.deleted, c.stats.expired) == (0, 0, 1, 1)


def test_a_value_larger_than_one_may_be_is_refused_and_the_old_one_is_not_served_on() -> None:
    c = cache(max_object_bytes=100)
    c.set("a", "x", 0.0, 30.0, size_bytes=100)
    assert c.set("a", "y", 0.0, 30.0, size_bytes=101, if_absent=True) is Outcome.EXISTS
    assert c.set("a", "y", 0.0, 30.0, size_bytes=101) is Outcome.TOO_LARGE
    assert c.get("a", 0.0) is None
    assert (c.bytes, c.stats.too_large) == (0, 1)
    assert cache(max_bytes=500).set("a", "x", 0.0, 1.0, size_bytes=500) is Outcome.TOO_LARGE


def test_entries_have_a_bound() -> None:
    c = cache(entries=10)
    for number in range(100):
        c.set(str(number), "x", 0.0, 30.0, size_bytes=1)
        assert len(c) <= 10
    assert (c.stats.evicted_entries, c.stats.evicted_bytes) == (90, 0)
    assert c.get("99", 0.0) == "x"


def test_bytes_have_a_bound() -> None:
    size = 1000 + OVERHEAD_BYTES
    c = cache(max_bytes=10 * size)
    for number in range(100):
        c.set(str(number), "x", 0.0, 30.0, size_bytes=1000)
        assert c.bytes <= c.max_bytes
    assert (len(c), c.stats.evicted_bytes, c.stats.evicted_entries) == (10, 90, 0)


def test_an_entry_that_grows_is_not_its_own_victim() -> None:
    c = cache(max_bytes=2 * (100 + OVERHEAD_BYTES))
    c.set("a", "x", 0.0, 30.0, size_bytes=100)
    c.set("b", "x", 0.0, 30.0, size_bytes=100)
    c.set("a", "long", 0.0, 30.0, size_bytes=150)
    assert c.get("a", 0.0) == "long"
    assert c.get("b", 0.0) is None
    assert c.bytes == 150 + OVERHEAD_BYTES


def test_room_made_by_an_expired_entry_counts_as_expiry_not_as_eviction() -> None:
    c = cache(entries=1)
    c.set("a", "x", 0.0, 1.0, size_bytes=0)
    c.set("b", "x", 2.0, 1.0, size_bytes=0)
    assert (c.stats.expired, c.stats.evicted_entries) == (1, 0)


def test_values_that_are_false_are_values() -> None:
    c: TTLCache[str, object] = TTLCache(max_bytes=1 << 20)
    for value in (b"", 0, False, ()):
        c.set("a", value, 0.0, 1.0, size_bytes=0)
        assert c.get("a", 0.0) == value
    assert c.stats.hits == 4


def test_a_time_to_live_that_is_no_number_changes_nothing() -> None:
    c = cache()
    with pytest.raises(ValueError, match="not a number"):
        c.set("a", "x", 0.0, nan, size_bytes=0)
    assert (len(c), c.bytes) == (0, 0)


def test_absurd_times_to_live_are_borne() -> None:
    c = cache()
    for number, ttl_s in enumerate((1e300, inf, 0.0, -5.0, 1e-300)):
        c.set(str(number), "x", 1e9, ttl_s, size_bytes=0)
    assert swept(c, 1e9 + 10, 100) == 3
    assert len(c) == 2


def test_bounds_must_make_sense() -> None:
    with pytest.raises(ValueError, match="max_bytes"):
        TTLCache(max_bytes=0)
    with pytest.raises(ValueError, match="max_entries"):
        TTLCache(max_bytes=1, max_entries=-1)


def test_sweeping_takes_batches() -> None:
    c = cache(max_bytes=1 << 30)
    for number in range(1_000):
        c.set(str(number), "x", number / 100, 1.0, size_bytes=10)
    left, steps = 1_000, 400
    while steps == 400:
        steps = c.sweep(100.0, 400)
        assert left - 400 <= len(c) < left
        left = len(c)
    assert (len(c), c.bytes, c.stats.expired) == (0, 0, 1_000)
    assert swept(c, 100.0, 400) == 0


def test_a_batch_is_also_full_when_it_looked_at_many_entries_that_stay() -> None:
    c = cache(max_bytes=1 << 30)
    for number in range(100_000):
        c.set(str(number), "x", 0.0, 100.0, size_bytes=0)
    for number in range(0, 100_000, 50):
        c.expire(str(number), 0.0, 1.0)
    batches = 1
    while c.sweep(10.0, 1_000) == 1_000:
        batches += 1
    assert batches > 2_000 / 1_000 + 1
    assert (len(c), c.stats.expired) == (98_000, 2_000)


def test_a_shard_that_is_larger_than_a_batch_is_swept_in_several() -> None:
    c = cache(entries=50)
    for number in range(50):
        c.set(str(number), "x", 0.0, 1.0, size_bytes=0)
    assert [swept(c, 10.0, 20) for _ in range(4)] == [20, 20, 10, 0]


def test_put_keeps_until_a_time_and_a_write_of_the_same_size_changes_it() -> None:
    c = cache()
    assert c.put("a", "x", 0.0, 10.0, 5) is Outcome.STORED
    assert c.put("a", "y", 1.0, 20.0, 5) is Outcome.STORED
    assert c.get("a", 19.0) == "y"
    assert c.put("a", "z", 19.0, inf, 5) is Outcome.STORED
    assert swept(c, 1e6, 10) == 0
    assert c.put("a", "w", 1e6, 1e6 + 2, 5) is Outcome.STORED
    assert swept(c, 1e6 + 3, 10) == 1
    assert (c.stats.stored, c.stats.replaced, c.stats.expired, c.bytes) == (1, 3, 1, 0)


def test_no_write_takes_an_expiry_that_is_no_number() -> None:
    c = cache()
    c.put("a", "x", 0.0, 10.0, 5)
    for size_bytes in (5, 6):
        with pytest.raises(ValueError):
            c.put("a", "y", 0.0, nan, size_bytes)
    with pytest.raises(ValueError):
        c.put("b", "y", 0.0, nan, 5)
    with pytest.raises(ValueError):
        c.expire("a", 0.0, nan)
    assert (c.get("a", 0.0), c.expires_at("a", 0.0), len(c)) == ("x", 10.0, 1)


def test_expire_changes_only_the_expiry() -> None:
    c = cache()
    c.put("a", "x", 0.0, 10.0, 5)
    assert c.expire("a", 5.0, 7.0)
    assert c.peek("a", 6.9) == "x"
    assert not c.expire("a", 7.0, 100.0)
    assert not c.expire("none", 0.0, 1.0)
    c.put("b", "y", 0.0, 10.0, 5)
    assert c.expire("b", 0.0, inf)
    assert (c.stats.retimed, c.stats.replaced) == (2, 0)
    c.sweep(1e9, 10)
    assert (len(c), c.peek("b", 1e9)) == (1, "y")


def test_a_peek_counts_for_nothing() -> None:
    c = cache()
    c.put("a", "x", 0.0, 10.0, 5)
    assert (c.peek("a", 1.0), c.peek("a", 10.0), c.peek("b", 1.0)) == ("x", None, None)
    assert (c.stats.hits, c.stats.misses, len(c)) == (0, 0, 1)


def test_who_asks_is_told_of_each_entry_that_leaves_by_itself_and_of_no_other() -> None:
    c = cache(entries=3)
    left: list[str] = []
    c.on_removed = left.append
    for key in ("read", "swept", "written"):
        c.put(key, "x", 0.0, 1.0, 5)
    c.get("read", 1.0)
    c.put("written", "y", 2.0, 50.0, 5)
    c.sweep(3.0, 10)
    assert left == ["read", "written", "swept"]
    for key in "abc":
        c.put(key, "x", 3.0, inf, 5)
    assert left[3:] == ["written"]
    c.delete("a", 3.0)
    c.put("b", "y", 3.0, inf, 6)
    c.clear()
    assert len(left) == 4


def test_scan_and_random_key_tell_the_keys() -> None:
    c = cache()
    for number in range(100):
        c.put(str(number), "x", 0.0, inf, 5)
    told, cursor = [], 0
    while True:
        cursor, keys = c.scan(cursor, 10)
        told += keys
        if not cursor:
            break
    assert sorted(told) == sorted(c)
    assert c.random_key(lambda: 0.5) in told
    c.clear()
    assert c.random_key(lambda: 0.5) is None


def test_what_was_cleared_is_freed_bit_by_bit_by_sweeps_and_writes() -> None:
    import gc
    import weakref

    class Value:
        pass

    c: TTLCache[int, Value] = TTLCache(max_bytes=1 << 30)
    gone: list[weakref.ref[Value]] = []

    def alive() -> int:
        gc.collect()
        return sum(ref() is not None for ref in gone)

    def keep(number: int) -> None:
        value = Value()
        gone.append(weakref.ref(value))
        c.put(number, value, 0.0, 10.0, 8)

    for _ in range(2):
        for number in range(1_000):
            keep(number)
        c.clear()
        assert (len(c), c.bytes) == (0, 0)
    assert 1_000 <= alive() < 2_000
    before = alive()
    c.put(1, Value(), 0.0, 10.0, 8)
    c.put(2, Value(), 0.0, 10.0, 8)
    steps = 200
    while steps == 200:
        steps = c.sweep(1.0, 200)
        assert before - alive() <= 1_200
        before = alive()
    assert alive() == 0
    assert len(c) == 2


def test_a_cleared_cache_is_as_new() -> None:
    c = cache()
    c.set("a", "x", 0.0, 1.0, size_bytes=10)
    c.clear()
    assert (len(c), c.bytes, list(c)) == (0, 0, [])
    c.sweep(1e9, 10)
    assert (c.stats.expired, c.stats.cleared) == (0, 1)
    assert c.set("a", "x", 0.0, 1.0, size_bytes=10, if_absent=True) is Outcome.STORED


def test_statistics_have_names() -> None:
    c = cache()
    c.get("a", 0.0)
    assert c.stats.as_dict()["misses"] == 1
    assert set(c.stats.as_dict()) >= {"hits", "misses", "stored", "expired", "evicted_bytes", "evicted_entries"}


def test_what_is_gone_does_not_stay_in_memory_behind_a_hole() -> None:
    import gc
    import weakref

    class Value:
        pass

    c: TTLCache[int, Value] = TTLCache(max_bytes=1 << 20)
    held = [Value() for _ in range(3)]
    watched = [weakref.ref(value) for value in held]
    for number, value in enumerate(held):
        c.set(number, value, 0.0, 1.0 + number, size_bytes=0)
    del held, value
    c.delete(0, 0.0)
    c.get(1, 2.5)
    c.sweep(10.0, 10)
    gc.collect()
    assert [ref() for ref in watched] == [None, None, None]


KEYS = st.sampled_from([f"k{number}" for number in range(12)])
TTLS = st.one_of(st.none(), st.floats(0.01, 20.0), st.integers(1, 5).map(float))
MAX_BYTES = 8 * (50 + OVERHEAD_BYTES)


class Model(RuleBasedStateMachine):
    """The model knows every value set and never forgets; the cache may forget, but may not lie, grow or miscount."""

    bound = 0

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000.0
        self.cache: TTLCache[str, int] = TTLCache(
            max_bytes=MAX_BYTES if self.bound else 1 << 23, max_entries=self.bound, max_object_bytes=120
        )
        self.model: dict[str, tuple[int, float, int]] = {}
        self.counter = 0
        self.reads = 0
        self.here: set[str] = set()
        self.left: list[str] = []
        self.cache.on_removed = self.left.append

    def live(self, key: str) -> bool:
        return key in self.model and self.now < self.model[key][1]

    @rule(key=KEYS, ttl_s=TTLS, size=st.integers(0, 130), if_absent=st.booleans())
    def set(self, key: str, ttl_s: float | None, size: int, if_absent: bool) -> None:
        self.counter += 1
        there = self.cache.expires_at(key, self.now) is not None
        outcome = self.cache.set(key, self.counter, self.now, ttl_s, size_bytes=size, if_absent=if_absent)
        if if_absent and there:
            assert outcome is Outcome.EXISTS
        elif size > 120:
            assert outcome is Outcome.TOO_LARGE
            self.model.pop(key, None)
            self.here.discard(key)
        else:
            assert outcome is Outcome.STORED
            self.model[key] = (self.counter, inf if ttl_s is None else self.now + ttl_s, size)
            assert self.cache.expires_at(key, self.now) == self.model[key][1]

    @rule(key=KEYS, ttl_s=TTLS, size=st.integers(0, 3))
    def put(self, key: str, ttl_s: float | None, size: int) -> None:
        self.counter += 1
        ends = inf if ttl_s is None else self.now + ttl_s
        assert self.cache.put(key, self.counter, self.now, ends, size) is Outcome.STORED
        self.model[key] = (self.counter, ends, size)
        assert self.cache.peek(key, self.now) == self.counter

    @rule(key=KEYS, ttl_s=TTLS)
    def expire(self, key: str, ttl_s: float | None) -> None:
        ends = inf if ttl_s is None else self.now + ttl_s
        there = self.cache.expire(key, self.now, ends)
        assert there == self.live(key) or (self.bound and not there)
        if there:
            value, _, size = self.model[key]
            self.model[key] = (value, ends, size)
            assert self.cache.expires_at(key, self.now) == ends

    @rule(count=st.integers(1, 10), chance=st.randoms(use_true_random=False))
    def tell_keys(self, count: int, chance: Random) -> None:
        told, cursor = [], 0
        while True:
            cursor, keys = self.cache.scan(cursor, count)
            told += keys
            if not cursor:
                break
        assert sorted(told) == sorted(self.entries()) == sorted(self.cache)
        drawn = self.cache.random_key(chance.random)
        assert drawn in told if told else drawn is None

    @rule()
    def clear(self) -> None:
        self.cache.clear()
        self.model.clear()
        self.here.clear()
        assert (len(self.cache), self.cache.bytes, self.cache.ending) == (0, 0, 0)

    @rule(key=KEYS)
    def get(self, key: str) -> None:
        self.reads += 1
        value = self.cache.get(key, self.now)
        if value is None:
            assert not self.live(key) or self.bound
        else:
            assert self.live(key)
            assert value == self.model[key][0]

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        gone = self.cache.delete(key, self.now)
        assert gone == self.live(key) or (self.bound and not gone)
        self.model.pop(key, None)
        self.here.discard(key)

    @rule(seconds=st.floats(0.0, 30.0))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: self.now > 1_010)
    @rule(seconds=st.floats(0.0, 5.0))
    def clock_set_back(self, seconds: float) -> None:
        # what expired may come back, if it was not removed meanwhile
        self.now -= seconds
        self.model = {key: kept for key, kept in self.model.items() if key in self.entries()}

    @rule(limit=st.integers(1, 20))
    def sweep(self, limit: int) -> None:
        swept = self.cache.sweep(self.now, limit)
        assert swept <= limit
        if swept < limit:
            assert all(self.now < end + 1 for _, end, _ in self.entries().values())

    def entries(self) -> dict[str, tuple[int, float, int]]:
        return {key: (entry.value, entry.expires_at, entry.size) for shard in self.cache._index.shards for key, entry in shard.items()}

    @invariant()
    def bounds_hold_and_counts_agree(self) -> None:
        entries = self.entries()
        assert self.cache.bytes == sum(size + OVERHEAD_BYTES for _, _, size in entries.values()) <= self.cache.max_bytes
        assert not self.bound or len(self.cache) <= self.bound
        assert self.cache.ending == sum(ends != inf for _, ends, _ in entries.values())
        stats = self.cache.stats
        assert stats.hits + stats.misses == self.reads
        if not self.bound:
            assert stats.evicted_bytes == stats.evicted_entries == 0
            assert all(key in entries for key in self.model if self.live(key))
        # who listened knows by now what is here: entries that came, without those that it removed and those it was told of
        assert self.here - set(self.left) <= set(entries)
        self.left.clear()
        self.here = set(entries)
        policy = self.cache._policy
        assert policy.small.live + policy.main.live == len(entries)
        assert policy.small.size + policy.main.size == sum(size for _, _, size in entries.values())
        for number, shard in enumerate(self.cache._index.shards):
            earliest = self.cache._expiry.earliest[number]
            assert all(entry.expires_at >= earliest for entry in shard.values())
            assert earliest == inf or number in self.cache._expiry._buckets[int(earliest)]


class BoundedModel(Model):
    bound = 6


TestUnbounded = Model.TestCase
TestBounded = BoundedModel.TestCase
TestUnbounded.settings = TestBounded.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
