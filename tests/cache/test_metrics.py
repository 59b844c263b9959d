"""The cache's counts as Prometheus reads them."""

from scalability.cache.metrics import cache_metrics
from scalability.telemetry.exposition import exposition
from scalability.ttlcache import TTLCache


def test_every_count_of_the_engine_is_told() -> None:
    cache: TTLCache[bytes, bytes] = TTLCache(max_bytes=1 << 20, max_entries=1)
    metrics = cache_metrics(cache)
    cache.set(b"a", b"x", 0.0, 30.0, size_bytes=2)
    cache.set(b"b", b"x", 0.0, 30.0, size_bytes=2)
    cache.get(b"b", 1.0)
    cache.get(b"a", 1.0)
    text = exposition([metrics]).body.decode()
    for line in (
        "scalelab_cache_hits_total 1.0",
        "scalelab_cache_misses_total 1.0",
        "scalelab_cache_stored_total 2.0",
        'scalelab_cache_evicted_total{cause="entries"} 1.0',
        'scalelab_cache_evicted_total{cause="bytes"} 0.0',
        "scalelab_cache_entries 1.0",
        f"scalelab_cache_bytes {float(cache.bytes)}",
    ):
        assert line in text
