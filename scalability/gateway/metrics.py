"""What the gateway counts, for its own JSON and for Prometheus."""

from typing import Any

from scalability.gateway.dependencies import Dependencies
from scalability.gateway.look_aside import LookAside
from scalability.telemetry.buckets import Buckets
from scalability.telemetry.metrics import Kind, MetricSet


class GatewayMetrics:
    """Counts of ``/data`` requests. A request that shared another's look counts as that look ended."""

    def __init__(self, look_aside: LookAside, dependencies: Dependencies) -> None:
        self.hits = 0
        self.misses = 0
        """Answers that were not in the cache: loaded, stale, or none at all."""
        self.stale = 0
        self.latency = Buckets()
        self._look_aside = look_aside
        self._dependencies = dependencies

    def as_json(self) -> dict[str, Any]:
        """The lab's three members, and what explains them. ``avg_latency`` is in seconds, 0 before the first request."""
        look_aside = self._look_aside
        counts, leases = look_aside.counts, look_aside.leases.counts
        return {
            "cache_hits": self.hits,
            "cache_misses": self.misses,
            "avg_latency": self.latency.mean_s,
            "stale": self.stale,
            "near_hits": counts.near_hits,
            "negative_hits": counts.negative_hits,
            "collapsed": look_aside.collapsed,
            "lease_waits": leases.waits,
            "lease_timeouts": leases.timeouts,
            "early_refreshes": counts.early_refreshes,
            "cache_failures": look_aside.cache_failures,
            "near_invalidations": look_aside.changes.keys,
            "near_clears": look_aside.changes.clears,
            "database_reads": counts.loads,
            "database_failures": counts.load_failures,
        }

    def metric_set(self) -> MetricSet:
        """The same for Prometheus, and the dependencies one by one."""
        look_aside = self._look_aside
        counts, leases = look_aside.counts, look_aside.leases.counts
        metrics = MetricSet()
        metrics.counter_from("scalelab_cache_hits_total", "Requests for /data answered from the cache.", lambda: self.hits)
        metrics.counter_from("scalelab_cache_misses_total", "Requests for /data that the cache had no answer for.", lambda: self.misses)
        metrics.counter_from("scalelab_cache_stale_total", "Requests answered with the last good value.", lambda: self.stale)
        metrics.counter_from("scalelab_cache_collapsed_total", "Requests that shared the look of another.", lambda: look_aside.collapsed)
        metrics.counter_from("scalelab_cache_near_hits_total", "Hits in the process's own memory.", lambda: counts.near_hits)
        metrics.counter_from("scalelab_cache_negative_hits_total", "Hits that knew that there is nothing.", lambda: counts.negative_hits)
        metrics.counter_from("scalelab_cache_lease_waits_total", "Looks that waited while another gateway loaded.", lambda: leases.waits)
        metrics.counter_from(
            "scalelab_cache_lease_timeouts_total", "Those that waited in vain and loaded themselves.", lambda: leases.timeouts
        )
        metrics.counter_from(
            "scalelab_cache_early_refreshes_total", "Loads begun before the old value had ended.", lambda: counts.early_refreshes
        )
        metrics.counter_from("scalelab_cache_failures_total", "Requests to the cache that failed.", lambda: look_aside.cache_failures)
        metrics.gauge_from("scalelab_cache_near_entries", "Values in the process's own memory now.", lambda: len(look_aside.near.entries))
        metrics.gauge_from("scalelab_cache_near_bytes", "Their bytes, bookkeeping included.", lambda: look_aside.near.entries.bytes)
        metrics.counter_from(
            "scalelab_cache_near_evicted_total",
            "Values that left the process's own memory to make room.",
            lambda: look_aside.near.entries.stats.evicted_bytes + look_aside.near.entries.stats.evicted_entries,
        )
        changes = look_aside.changes
        metrics.gauge_from(
            "scalelab_cache_near_watched",
            "1 while the cache tells of changes, so that values stay in the process's own memory until they end or change.",
            lambda: int(changes.watching),
        )
        metrics.counter_from("scalelab_cache_near_invalidations_total", "Changes that the cache has told of.", lambda: changes.keys)
        metrics.counter_from(
            "scalelab_cache_near_clears_total",
            "How often the process's own memory was emptied: the connection that tells of changes was lost, or the cache emptied.",
            lambda: changes.clears,
        )
        metrics.counter_from("scalelab_cache_loads_total", "Reads of the database after a miss.", lambda: counts.loads)
        metrics.counter_from("scalelab_cache_load_failures_total", "Those that failed.", lambda: counts.load_failures)
        metrics.histogram_from("scalelab_data_duration_seconds", "Time of a /data request.", lambda: self.latency)
        everyone = self._dependencies
        label = ("dependency",)
        metrics.readings_from(
            "scalelab_dependency_up",
            "1 when the last request was answered, 0 when it was not; absent when there was none.",
            Kind.GAUGE,
            label,
            lambda: (((one.name,), int(one.up)) for one in everyone if one.up is not None),
        )
        metrics.readings_from(
            "scalelab_dependency_requests_total",
            "Requests sent.",
            Kind.COUNTER,
            label,
            lambda: (((one.name,), one.requests) for one in everyone),
        )
        metrics.readings_from(
            "scalelab_dependency_failures_total",
            "Requests and health checks without an answer.",
            Kind.COUNTER,
            label,
            lambda: (((one.name,), one.failures) for one in everyone),
        )
        metrics.readings_from(
            "scalelab_dependency_skipped_total",
            "Requests not sent, as the last one had taken long to fail.",
            Kind.COUNTER,
            label,
            lambda: (((one.name,), one.skipped) for one in everyone),
        )
        return metrics
