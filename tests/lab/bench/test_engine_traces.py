"""Generated traces, and who finds how much of them."""

import random
from collections import OrderedDict

from scalability.lab.bench.engine_traces import ACCESSES, KEYS, SHARES, TRACES, hit_ratios, loop, scan


class Lru:
    def __init__(self, entries: int) -> None:
        self._entries = entries
        self._kept: OrderedDict[bytes, bytes] = OrderedDict()

    def get(self, key: bytes) -> bytes | None:
        if key in self._kept:
            self._kept.move_to_end(key)
        return self._kept.get(key)

    def __setitem__(self, key: bytes, value: bytes) -> None:
        self._kept[key] = value
        if len(self._kept) > self._entries:
            self._kept.popitem(last=False)


def test_traces_are_the_same_for_the_same_chance_and_as_long_as_said() -> None:
    for make in TRACES.values():
        trace = make(random.Random(1))
        assert trace == make(random.Random(1))
        assert len(trace) >= ACCESSES


def test_a_scan_reads_keys_that_never_come_back_and_a_loop_those_that_do() -> None:
    scanned = [key for key in scan(random.Random(1)) if key.startswith(b"scan")]
    assert len(scanned) == len(set(scanned)) == ACCESSES // 40_000 * 10_000
    looped = [key for key in loop(random.Random(1)) if key.startswith(b"loop")]
    assert len(set(looped)) == KEYS // 10 + KEYS // 50


def test_s3_fifo_finds_more_than_lru_on_every_trace_and_size() -> None:
    for trace, row in hit_ratios(Lru).items():
        for ours, lru, share in zip(row["s3fifo"], row["lru"], SHARES, strict=True):
            assert 1 > ours > lru > 0, (trace, share)
