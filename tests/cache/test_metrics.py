"""The cache's counts as Prometheus reads them."""

from pathlib import Path

from scalability.cache.metrics import cache_metrics, snapshot_metrics
from scalability.cache.snapshots import Snapshots
from scalability.telemetry.exposition import exposition
from scalability.testing.stores import ThreadedClock
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


def test_the_snapshots_are_told_of() -> None:
    cache: TTLCache[bytes, bytes] = TTLCache(max_bytes=1 << 20)
    kept = Snapshots(ThreadedClock(), cache, Path("s"), 60.0, changes=lambda: 0)
    kept.written_at, kept.failures, kept.bytes = 1_700_000_000.0, 2, 300
    text = exposition([snapshot_metrics(kept)]).body.decode()
    for line in (
        "scalelab_cache_snapshot_written_timestamp_seconds 1.7e+09",
        "scalelab_cache_snapshot_failures_total 2.0",
        "scalelab_cache_snapshot_bytes 300.0",
        "scalelab_cache_snapshot_writes_total 0.0",
    ):
        assert line in text
