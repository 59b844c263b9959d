"""The table of cells."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalability.gateway.rate_limits.cells import Cells
from scalability.gateway.rate_limits.gcra import NO_TAT, Rate, Standing, charged, standing, standing_of

S = 1_000_000_000
START = 1_700_000_000 * S


def left_of(cells: Cells, key: bytes, now: int) -> Standing:
    return standing_of(cells.rate, cells.ahead(key, now))


def charge(cells: Cells, key: bytes, now: int) -> None:
    ahead = cells.ahead(key, now)
    assert ahead <= cells.most_ahead
    assert cells.charge(key, now, ahead) == cells.ahead(key, now)


def agree(cells: Cells) -> None:
    """Heap and dictionary hold the same keys, and the heap no TAT that is too late."""
    assert sorted(key for _, key in cells._heap) == sorted(cells._tats)
    assert all(tat <= cells._tats[key] for tat, key in cells._heap)
    assert all(cells._heap[(n - 1) // 2] <= entry for n, entry in enumerate(cells._heap) if n)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), max_size=100))
def test_a_table_with_room_does_what_a_cell_for_everybody_would(events: list[tuple[int, int]]) -> None:
    rate = Rate(2, S, 3)
    cells, tats, now = Cells(rate, 10), dict.fromkeys(range(6), NO_TAT), START
    for who, wait in events:
        now += wait * S // 4
        left = left_of(cells, b"%d" % who, now)
        assert left == standing(rate, tats[who], now)
        if left.available:
            charge(cells, b"%d" % who, now)
            tats[who] = charged(rate, tats[who], now)
        agree(cells)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 3)), max_size=200), st.integers(1, 5))
def test_the_cell_that_makes_room_is_the_one_that_says_least(events: list[tuple[int, int]], room: int) -> None:
    rate = Rate(2, S, 3)
    cells, now = Cells(rate, room), START
    for who, wait in events:
        now += wait * S // 8
        key = b"%d" % who
        if not left_of(cells, key, now).available:
            continue
        before = dict(cells._tats)
        charge(cells, key, now)
        gone = [tat for other, tat in before.items() if other not in cells]
        stayed = [tat for other, tat in before.items() if other in cells and other != key]
        assert not gone or not stayed or max(gone) <= min(stayed)
        assert len(cells) <= room
        agree(cells)


def test_ten_thousand_addresses_a_second_do_not_hide_whoever_sends_too_much() -> None:
    rate = Rate(10, 60 * S)
    cells = Cells(rate, 1000)
    now = START
    for _ in range(10):
        charge(cells, b"greedy", now)
    for n in range(20_000):
        now += S // 10_000
        assert left_of(cells, b"%d" % n, now).available
        charge(cells, b"%d" % n, now)
    assert len(cells) == 1000
    assert cells.evicted == 19_001
    assert left_of(cells, b"greedy", now).available == 0


def test_cells_that_have_passed_are_dropped_as_new_ones_come_and_by_the_sweep() -> None:
    cells = Cells(Rate(1, S), 100)
    for n in range(50):
        charge(cells, b"%d" % n, START)
    assert cells.sweep(START + S - 1, 100) == 0
    for n in range(50, 60):
        charge(cells, b"%d" % n, START + S)
    assert len(cells) == 50 + 10 - 20
    assert cells.sweep(START + S, 5) == 5
    assert cells.sweep(START + S, 100) == 25
    assert (len(cells), cells.evicted) == (10, 0)
    assert cells.sweep(START + 3 * S, 100) == 10
    assert b"55" not in cells


def test_when_the_clock_is_set_back_nobody_waits_for_longer_than_a_full_burst() -> None:
    cells = Cells(Rate(2, S, 2), 100)
    for key in (b"a", b"a", b"b"):
        charge(cells, key, START)
    assert left_of(cells, b"a", START).wait_ns == S // 2
    back = START - 3600 * S
    assert left_of(cells, b"a", back).wait_ns == S // 2
    assert left_of(cells, b"a", back + S // 2).available == 1
    charge(cells, b"a", back + S // 2)
    agree(cells)


def test_a_table_needs_room() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Cells(Rate(1, 1), 0)
