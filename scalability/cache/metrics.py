"""What the cache's admin listener tells a Prometheus server."""

from typing import Any

from scalability.cache.snapshots import Snapshots
from scalability.telemetry.metrics import Kind, MetricSet
from scalability.ttlcache import TTLCache


def cache_metrics(cache: TTLCache[Any, Any]) -> MetricSet:
    """Read from the engine's own counts at each scrape; nothing is counted twice."""
    stats = cache.stats
    metrics = MetricSet()
    metrics.counter_from("scalelab_cache_hits_total", "Reads that found a live entry.", lambda: stats.hits)
    metrics.counter_from("scalelab_cache_misses_total", "Reads that found none.", lambda: stats.misses)
    metrics.counter_from("scalelab_cache_stored_total", "New entries.", lambda: stats.stored)
    metrics.counter_from("scalelab_cache_replaced_total", "New values of entries that were there.", lambda: stats.replaced)
    metrics.counter_from("scalelab_cache_deleted_total", "Entries that a client deleted.", lambda: stats.deleted)
    metrics.counter_from("scalelab_cache_expired_total", "Entries whose time to live ended.", lambda: stats.expired)
    metrics.counter_from("scalelab_cache_too_large_total", "Values refused for their size.", lambda: stats.too_large)
    metrics.readings_from(
        "scalelab_cache_evicted_total",
        "Entries removed to make room, by the bound that was reached.",
        Kind.COUNTER,
        ("cause",),
        lambda: ((("bytes",), stats.evicted_bytes), (("entries",), stats.evicted_entries)),
    )
    metrics.gauge_from("scalelab_cache_entries", "Entries now, expired ones not yet swept included.", lambda: len(cache))
    metrics.gauge_from("scalelab_cache_bytes", "Bytes of all entries now, bookkeeping included.", lambda: cache.bytes)
    metrics.gauge_from("scalelab_cache_max_bytes", "The bound of the bytes.", lambda: cache.max_bytes)
    return metrics


def snapshot_metrics(kept: Snapshots) -> MetricSet:
    """What is known of the snapshots."""
    metrics = MetricSet()
    metrics.gauge_from(
        "scalelab_cache_snapshot_written_timestamp_seconds", "When one was written last; 0: not yet.", lambda: kept.written_at
    )
    metrics.gauge_from("scalelab_cache_snapshot_duration_seconds", "How long that took.", lambda: kept.duration_s)
    metrics.gauge_from("scalelab_cache_snapshot_bytes", "How long its file is.", lambda: kept.bytes)
    metrics.gauge_from("scalelab_cache_snapshot_entries", "How many entries are in it.", lambda: kept.records)
    metrics.counter_from("scalelab_cache_snapshot_writes_total", "Snapshots written.", lambda: kept.successes)
    metrics.counter_from(
        "scalelab_cache_snapshot_failures_total", "Snapshots that could not be written or, at the start, read.", lambda: kept.failures
    )
    metrics.gauge_from("scalelab_cache_snapshot_loaded_entries", "Entries that were loaded at the start.", lambda: kept.loaded)
    return metrics
