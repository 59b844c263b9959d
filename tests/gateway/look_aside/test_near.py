"""Values in the process."""

from scalability.gateway.look_aside.near import NearCache, NearEntry


def test_an_entry_is_there_for_its_life_and_no_longer() -> None:
    near = NearCache(max_entries=10, max_bytes=10_000)
    entry = NearEntry(b"1", 30.0, 29.0)
    near.put("k", entry, 0.0, 1.0)
    assert near.get("k", 0.99) is entry
    assert near.get("k", 1.0) is None


def test_an_entry_without_a_life_takes_the_old_one_along() -> None:
    near = NearCache(max_entries=10, max_bytes=10_000)
    near.put("k", NearEntry(b"1", 30.0, 29.0), 0.0, 1.0)
    near.put("k", NearEntry(b"2", 30.0, 29.0), 0.0, 0.0)
    assert near.get("k", 0.5) is None


def test_what_is_forgotten_is_gone() -> None:
    near = NearCache(max_entries=10, max_bytes=10_000)
    near.put("k", NearEntry(b"1", 30.0, 29.0), 0.0, 1.0)
    near.forget("k", 0.1)
    near.forget("other", 0.1)
    assert near.get("k", 0.5) is None


def test_an_entry_is_due_once() -> None:
    entry = NearEntry(b"1", 30.0, 29.0)
    assert [entry.due(now) for now in (28.9, 29.0, 29.1, 31.0)] == [False, True, False, False]


def test_a_near_cache_is_bounded() -> None:
    near = NearCache(max_entries=10, max_bytes=100_000)
    for number in range(100):
        near.put(str(number), NearEntry(b"1", 30.0, 29.0), 0.0, 1.0)
    assert len(near.entries) == 10
    near = NearCache(max_entries=1_000, max_bytes=10_000)
    for number in range(100):
        near.put(str(number), NearEntry(b"x" * 1_000, 30.0, 29.0), 0.0, 1.0)
    assert near.entries.bytes <= 10_000
