"""The bytes of a snapshot."""

from collections.abc import Sequence
from io import BytesIO
from itertools import chain
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalability.cache.snapshot_format import BLOCK_BYTES, Record, SnapshotDamaged, block, blocks, end, grouped, header

RECORDS = st.builds(Record, st.binary(max_size=40), st.binary(max_size=200), st.just(inf) | st.floats(allow_nan=False))


def written(number: int, records: Sequence[Record]) -> bytes:
    return b"".join(block(number, records))


def whole(*groups: Sequence[Record]) -> bytes:
    """A snapshot with these blocks."""
    return b"".join([header(1.5), *(written(at, group) for at, group in enumerate(groups)), end(len(groups), sum(map(len, groups)))])


def read(data: bytes) -> list[list[Record]]:
    return list(blocks(BytesIO(data).read))


def damaged(data: bytes) -> str:
    with pytest.raises(SnapshotDamaged) as caught:
        read(data)
    return str(caught.value)


SMALL = whole([Record(b"a", b"1", inf), Record(b"", b"", 2.5)], [Record(b"b", b"\xff" * 9, 1e9)])


@given(st.lists(st.lists(RECORDS, min_size=1, max_size=5), max_size=4))
def test_what_was_written_is_read(groups: list[list[Record]]) -> None:
    assert read(whole(*groups)) == groups


@pytest.mark.parametrize("at", range(len(SMALL)))
def test_a_bit_that_changed_anywhere_is_noticed(at: int) -> None:
    for bit in range(8):
        changed = bytearray(SMALL)
        changed[at] ^= 1 << bit
        assert damaged(bytes(changed))


@given(st.data())
def test_any_other_bytes_in_a_place_are_noticed(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(SMALL) - 1))
    others = data.draw(st.binary(min_size=1, max_size=20))
    changed = SMALL[:at] + others + SMALL[at + len(others) :]
    if changed != SMALL:
        assert damaged(changed)


@pytest.mark.parametrize("length", range(len(SMALL)))
def test_one_that_was_cut_off_anywhere_is_noticed(length: int) -> None:
    assert damaged(SMALL[:length])


@given(st.binary(max_size=300))
def test_bytes_that_are_no_snapshot_are_refused(data: bytes) -> None:
    assert damaged(data)
    assert damaged(header(0.0) + data)


def test_more_behind_the_end_is_noticed() -> None:
    assert damaged(SMALL + b"\0") == "there is more behind its end"
    assert damaged(SMALL + SMALL) == "there is more behind its end"


def test_blocks_that_are_missing_doubled_or_swapped_are_noticed() -> None:
    first, second = [Record(b"a", b"1", inf)], [Record(b"b", b"2", inf)]
    assert damaged(header(0.0) + written(0, first) + end(2, 2)) == "blocks are missing"
    assert "block 0" in damaged(header(0.0) + written(1, second) + written(0, first) + end(2, 2))
    assert "block 1" in damaged(header(0.0) + written(0, first) + written(0, first) + end(2, 2))
    assert damaged(header(0.0) + written(0, first) + end(1, 2)) == "blocks are missing"


def test_a_block_tells_how_many_records_it_has() -> None:
    both = written(0, [Record(b"a", b"1", inf), Record(b"b", b"2", inf)])
    assert damaged(header(0.0) + both[:4] + b"\1\0\0\0" + both[8:] + end(1, 1))


def test_a_later_version_says_so() -> None:
    from scalability.cache import snapshot_format

    later = snapshot_format._sealed(snapshot_format._HEAD.pack(b"SCLCACHE", 2, 0.0))
    assert damaged(later) == "it has version 2, and 1 is read here"
    other = snapshot_format._sealed(snapshot_format._HEAD.pack(b"REDIS001", 1, 0.0))
    assert damaged(other) == "it is not a snapshot of this cache"


def test_a_large_record_is_not_copied() -> None:
    large = Record(b"k", b"v" * BLOCK_BYTES * 2, inf)
    assert any(piece is large.value for piece in block(0, [large]))
    assert read(whole([large], [large])) == [[large], [large]]


def test_records_are_grouped_by_bytes() -> None:
    small = [Record(b"k", b"v" * 1000, inf) for _ in range(1000)]
    groups = list(grouped(small))
    assert list(chain(*groups)) == small
    assert all(BLOCK_BYTES <= sum(1017 for _ in group) < BLOCK_BYTES + 1017 for group in groups[:-1])
    large = Record(b"k", b"v" * BLOCK_BYTES * 2, inf)
    assert [len(group) for group in grouped([large, large, small[0]])] == [1, 1, 1]
    assert list(grouped([])) == []


def test_a_block_has_something_in_it() -> None:
    with pytest.raises(ValueError, match="a block of 0 bytes"):
        block(0, [])
