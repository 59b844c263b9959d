"""What reads and writes cost, beside other caches."""

import pytest

from scalability.lab.bench.engine_costs import OPERATIONS, costs, rivals


def test_every_cache_has_a_figure_for_every_operation() -> None:
    found = costs(2, {"dict": lambda entries: dict[bytes, bytes]()}, entries=100)
    assert list(found) == ["scalelab TTLCache", "dict"]
    assert all(len(row) == len(OPERATIONS) and min(row) > 0 for row in found.values())


def test_the_rivals_can_be_read_and_written() -> None:
    pytest.importorskip("cachebox")
    pytest.importorskip("cachetools")
    for make in rivals().values():
        cache = make(2)
        cache[b"a"] = b"x"
        assert (cache.get(b"a"), cache.get(b"b")) == (b"x", None)
    assert len(costs(1, rivals(), entries=50)) == 5
