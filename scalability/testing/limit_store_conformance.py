"""What every ``LimitStore`` promises, as tests: subclass ``LimitStoreConformance`` for each kind of store."""

from collections.abc import Sequence
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from scalability.gateway.rate_limits.gcra import Rate, Verdict
from scalability.gateway.rate_limits.store import LimitStore

S = 1_000_000_000
START = 1_700_000_000 * S


class LimitStoreConformance:
    """Mix into a test class that implements ``open``; ``wait`` where a store answers later."""

    def open(self, rates: Sequence[Rate]) -> LimitStore:
        """A store that knows nobody yet."""
        raise NotImplementedError

    def wait(self, answer: Any) -> Verdict:
        """The verdict, once it is there."""
        if isinstance(answer, Deferred):
            found: list[Any] = []
            answer.addBoth(found.append)
            (answer,) = found
        assert isinstance(answer, Verdict)
        return answer

    def take(self, store: LimitStore, keys: Sequence[bytes], at_ns: int = 0) -> Verdict:
        """One request, ``at_ns`` after the start."""
        return self.wait(store.take(keys, START + at_ns))

    def test_a_burst_is_admitted_and_no_more(self) -> None:
        store = self.open([Rate(2, S, 3)])
        assert [self.take(store, [b"a"]).admitted for _ in range(5)] == [True, True, True, False, False]

    def test_what_is_left_is_told_as_it_is_after_the_request(self) -> None:
        store = self.open([Rate(2, S, 3)])
        assert self.take(store, [b"a"]) == (True, [(2, 0, S // 2)])
        assert self.take(store, [b"a"]) == (True, [(1, 0, S)])
        assert self.take(store, [b"a"]) == (True, [(0, S // 2, 3 * S // 2)])
        assert self.take(store, [b"a"]) == (False, [(0, S // 2, 3 * S // 2)])

    def test_a_request_that_is_refused_costs_nothing(self) -> None:
        store = self.open([Rate(2, S, 1)])
        self.take(store, [b"a"])
        for _ in range(100):
            assert not self.take(store, [b"a"], S // 4).admitted
        assert self.take(store, [b"a"], S // 2).admitted

    def test_one_limit_that_refuses_leaves_the_others_as_they_were(self) -> None:
        store = self.open([Rate(10, S), Rate(1, S)])
        assert self.take(store, [b"a", b"r"]).admitted
        for _ in range(100):
            refused = self.take(store, [b"a", b"r"])
            assert (refused.admitted, refused.standings[0].available, refused.standings[1].available) == (False, 9, 0)
        assert self.take(store, [b"a", b"another"]).standings[0].available == 8

    def test_keys_do_not_share(self) -> None:
        store = self.open([Rate(1, S)])
        for key in (b"a", b"b", b"", b"a\0", b"\xff", b"a" * 300):
            assert self.take(store, [key]).admitted
            assert not self.take(store, [key]).admitted

    def test_the_same_key_counts_for_each_rate_by_itself(self) -> None:
        store = self.open([Rate(3, S), Rate(2, S)])
        assert [self.take(store, [b"a", b"a"]).admitted for _ in range(3)] == [True, True, False]

    def test_it_refills_steadily(self) -> None:
        store = self.open([Rate(4, S)])
        for _ in range(4):
            self.take(store, [b"a"])
        admitted = [self.take(store, [b"a"], n * S // 16).admitted for n in range(1, 17)]
        assert admitted == [n % 4 == 0 for n in range(1, 17)]

    def test_a_wrong_number_of_keys_is_a_mistake_of_ours(self) -> None:
        store = self.open([Rate(1, S)])
        with pytest.raises(ValueError, match="a key for each rate"):
            store.take([b"a", b"b"], START)
