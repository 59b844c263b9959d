"""What is freed bit by bit."""

from collections import deque

from scalability.ttlcache.leavings import Leavings


def test_a_step_frees_an_entry_and_the_queues_come_last() -> None:
    leavings = Leavings()
    queue, shard = deque(range(10)), {1: 1, 2: 2}
    leavings.add([shard, {}, {3: 3}], [queue, deque()])
    assert leavings.free(2) == 2
    assert (len(shard), len(queue)) == (1, 10)
    assert leavings.free(5) == 5
    assert (len(shard), len(queue)) == (0, 6)
    assert leavings
    assert leavings.free(7) == 6
    assert not leavings
    assert leavings.free(8) == 0


def test_what_a_second_clear_leaves_is_freed_too() -> None:
    leavings = Leavings()
    first, second = deque(range(3)), deque(range(3))
    leavings.add([], [first])
    leavings.free(1)
    leavings.add([{1: 1}], [second])
    assert leavings.free(100) == 6
    assert (len(first), len(second), bool(leavings)) == (0, 0, False)
