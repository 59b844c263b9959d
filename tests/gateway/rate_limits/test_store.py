"""The store of cells in memory."""

from collections.abc import Sequence

from scalability.gateway.rate_limits.gcra import Rate
from scalability.gateway.rate_limits.store import MemoryLimits
from scalability.testing.limit_store_conformance import START, LimitStoreConformance, S


class TestMemoryLimits(LimitStoreConformance):
    def open(self, rates: Sequence[Rate]) -> MemoryLimits:
        return MemoryLimits(rates, 1000)

    def test_memory_is_bounded_for_each_rate_and_swept(self) -> None:
        store = MemoryLimits([Rate(1, S), Rate(1, 2 * S)], 10)
        for n in range(100):
            assert self.take(store, [b"%d" % n, b"%d" % n]).admitted
        assert (len(store), store.evicted) == (20, 180)
        assert store.sweep(START + S, 100) == 10
        assert store.sweep(START + 2 * S, 100) == 10
        assert len(store) == 0
