"""What the HTTP cache counts."""

from scalability.gateway.http_cache.counts import CacheCounts
from scalability.testing.cache_case import CacheCase


def test_all_counts_begin_at_nought() -> None:
    counts = CacheCounts()
    assert all(getattr(counts, name) == 0 for name in CacheCounts.__slots__)


class CountingTests(CacheCase):
    def test_each_request_is_counted_once(self) -> None:
        counts = self.cache.counts
        self.stored("Cache-Control: max-age=10", 'ETag: "a"')
        self.got(self.ask())
        self.ask(method="DELETE", target="/other")
        self.origin.answer()
        self.got(self.ask("Cache-Control: only-if-cached", target="/none"))
        self.network.advance(20.0)
        self.ask()
        self.origin.answer('ETag: "a"', status="304 Not Modified", body=b"")
        found = {name: getattr(counts, name) for name in CacheCounts.__slots__}
        expected = dict.fromkeys(CacheCounts.__slots__, 0)
        expected |= {"misses": 1, "hits": 1, "bypassed": 1, "refused": 1, "revalidated": 1, "fetches": 3, "stored": 1}
        assert found == expected
