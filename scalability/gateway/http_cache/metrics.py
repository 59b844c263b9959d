"""The HTTP cache's numbers for Prometheus, and for people who ask the admin listener."""

from scalability.gateway.http_cache.counts import CacheCounts
from scalability.gateway.http_cache.store import AnswerStore
from scalability.telemetry.metrics import Kind, MetricSet

RESULTS = ("hit", "stale", "revalidated", "miss", "bypass", "refused")


def by_result(counts: CacheCounts) -> dict[str, int]:
    """Requests by what they were answered with."""
    numbers = (counts.hits, counts.stale, counts.revalidated, counts.misses, counts.bypassed, counts.refused)
    return dict(zip(RESULTS, numbers, strict=True))


def by_holder(store: AnswerStore) -> dict[str, int]:
    """Bytes beside what is stored, by what they are held for."""
    outside = store.outside
    return {
        "arriving": outside.arriving_bytes,
        "held": outside.held_bytes,
        "pinned": outside.pinned_bytes,
        "prepared": outside.prepared_bytes,
    }


def as_json(store: AnswerStore, counts: CacheCounts) -> dict[str, int | dict[str, int]]:
    """All that is counted."""
    stats = store.resources.stats
    return {
        "requests": by_result(counts),
        "collapsed": counts.collapsed,
        "fetches": counts.fetches,
        "stored": counts.stored,
        "uncacheable": counts.uncacheable,
        "abandoned": counts.abandoned,
        "purged": store.counts.purged,
        "invalidated": store.counts.invalidated,
        "evicted": stats.evicted_bytes + stats.evicted_entries,
        "expired": stats.expired,
        "entries": len(store.resources),
        "bytes": store.resources.bytes,
        "max_bytes": store.max_bytes,
        "outside": by_holder(store),
        "crowded": store.counts.crowded,
    }


def add_http_cache(metrics: MetricSet, store: AnswerStore, counts: CacheCounts) -> None:
    """Put them into ``metrics``."""
    metrics.readings_from(
        "scalelab_http_cache_requests_total",
        "Requests of routes with an HTTP cache, by what they were answered with.",
        Kind.COUNTER,
        ("result",),
        lambda: [((result,), number) for result, number in by_result(counts).items()],
    )
    metrics.counter_from("scalelab_http_cache_collapsed_total", "Those that waited for another's answer.", lambda: counts.collapsed)
    metrics.counter_from("scalelab_http_cache_fetches_total", "Requests of the cache to routes' servers.", lambda: counts.fetches)
    metrics.counter_from("scalelab_http_cache_stored_total", "Answers that were stored.", lambda: counts.stored)
    metrics.counter_from("scalelab_http_cache_uncacheable_total", "Answers to GET that were not stored.", lambda: counts.uncacheable)
    metrics.counter_from("scalelab_http_cache_abandoned_total", "Answers that broke off while they were stored.", lambda: counts.abandoned)
    metrics.counter_from("scalelab_http_cache_purged_total", "Answers that were purged, hard or soft.", lambda: store.counts.purged)
    metrics.counter_from(
        "scalelab_http_cache_invalidated_total", "Answers that an unsafe request made stale.", lambda: store.counts.invalidated
    )
    stats = store.resources.stats
    metrics.counter_from(
        "scalelab_http_cache_evicted_total", "URIs that left to make room.", lambda: stats.evicted_bytes + stats.evicted_entries
    )
    metrics.gauge_from("scalelab_http_cache_entries", "URIs with stored answers, now.", lambda: len(store.resources))
    metrics.gauge_from("scalelab_http_cache_bytes", "Memory of stored answers, now.", lambda: store.resources.bytes)
    metrics.readings_from(
        "scalelab_http_cache_outside_bytes",
        "Memory beside what is stored, within the same bound, by what it is held for.",
        Kind.GAUGE,
        ("held_for",),
        lambda: [((holder,), number) for holder, number in by_holder(store).items()],
    )
    metrics.counter_from(
        "scalelab_http_cache_crowded_total", "Answers not stored since too much is held beside the store.", lambda: store.counts.crowded
    )
