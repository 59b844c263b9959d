"""The conformance suite finds stores that do not keep their promises."""

from collections.abc import Sequence

import pytest
from twisted.internet.defer import Deferred, succeed

from scalability.gateway.rate_limits.gcra import Rate, Verdict
from scalability.gateway.rate_limits.store import LimitStore, MemoryLimits
from scalability.testing.limit_store_conformance import LimitStoreConformance


class Far:
    """Answers with a Deferred, as a shared store does."""

    def __init__(self, near: LimitStore) -> None:
        self._near = near

    def take(self, keys: Sequence[bytes], now_ns: int) -> Deferred[Verdict]:
        verdict = self._near.take(keys, now_ns)
        assert isinstance(verdict, Verdict)
        return succeed(verdict)


class TestAStoreThatIsFarAway(LimitStoreConformance):
    def open(self, rates: Sequence[Rate]) -> Far:
        return Far(MemoryLimits(rates, 1000))


class Hasty(MemoryLimits):
    """Charges each rate by itself, whatever the others say."""

    def take(self, keys: Sequence[bytes], now_ns: int) -> Verdict:
        verdict = super().take(keys, now_ns)
        if not verdict.admitted:
            for cells, key in zip(self.cells, keys, strict=True):
                ahead = cells.ahead(key, now_ns)
                if ahead <= cells.most_ahead:
                    cells.charge(key, now_ns, ahead)
        return verdict


class _OfHasty(LimitStoreConformance):
    def open(self, rates: Sequence[Rate]) -> Hasty:
        return Hasty(rates, 1000)


def test_a_store_that_charges_refused_requests_does_not_pass() -> None:
    with pytest.raises(AssertionError):
        _OfHasty().test_one_limit_that_refuses_leaves_the_others_as_they_were()
