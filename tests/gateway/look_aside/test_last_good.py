"""What is remembered of a key."""

from scalability.gateway.look_aside.last_good import LastGood


def made(**more: float) -> LastGood:
    return LastGood(stale_ttl_s=more.get("stale_ttl_s", 10.0), life_s=15.0, max_entries=5, max_bytes=10_000)


def test_a_value_stands_in_for_the_stale_time() -> None:
    memory = made()
    assert memory.stale("k", 0.0) is None
    memory.seen("k", b"1", 0.0)
    assert (memory.stale("k", 9.9), memory.stale("k", 10.0)) == (b"1", None)
    memory.seen("k", b"2", 11.0)
    assert memory.stale("k", 20.9) == b"2"


def test_the_last_load_time_outlives_hits() -> None:
    memory = made()
    assert memory.load_s("k", 0.0) == 0.0
    memory.seen("k", b"1", 0.0, load_s=0.3)
    memory.seen("k", b"1", 1.0)
    assert memory.load_s("k", 2.0) == 0.3
    assert memory.load_s("k", 17.0) == 0.0


def test_a_source_hangs_until_something_good_or_a_quick_failure() -> None:
    memory = made()
    memory.failed("k", 0.0, slowly=True)
    assert memory.stale_while_hanging("k", 0.0) is None, "there is nothing to stand in"
    memory.seen("k", b"1", 0.0)
    assert memory.stale_while_hanging("k", 1.0) is None
    memory.failed("k", 1.0, slowly=True)
    assert memory.stale_while_hanging("k", 1.0) == b"1"
    assert memory.stale_while_hanging("k", 10.0) is None
    memory.failed("k", 2.0, slowly=False)
    assert memory.stale_while_hanging("k", 2.0) is None
    memory.failed("k", 3.0, slowly=True)
    memory.seen("k", b"2", 4.0)
    assert memory.stale_while_hanging("k", 5.0) is None


def test_it_is_bounded_and_forgets() -> None:
    memory = made()
    for number in range(100):
        memory.seen(str(number), b"1", 0.0)
    assert len(memory.entries) == 5
    memory.seen("k", b"1", 0.0)
    memory.forget("k", 0.0)
    assert memory.stale("k", 0.0) is None
