"""What the gateway counts, for its own JSON and for Prometheus."""

from typing import Any

from scalability.gateway.dependencies import Dependencies
from scalability.gateway.look_aside import LookAside
from scalability.telemetry.histogram import Histogram
from scalability.telemetry.metrics import Kind, MetricSet


class GatewayMetrics:
    """Counts of ``/data`` requests. A request that shared another's look counts as that look ended."""

    def __init__(self, look_aside: LookAside, dependencies: Dependencies) -> None:
        self.hits = 0
        self.misses = 0
        """Answers that were not in the cache: loaded, stale, or none at all."""
        self.stale = 0
        self.latency = Histogram()
        self._look_aside = look_aside
        self._dependencies = dependencies

    def as_json(self) -> dict[str, Any]:
        """The lab's three members, and what explains them. ``avg_latency`` is in seconds, 0 before the first request."""
        counts = self._look_aside.counts
        return {
            "cache_hits": self.hits,
            "cache_misses": self.misses,
            "avg_latency": self.latency.mean_s,
            "stale": self.stale,
            "collapsed": self._look_aside.looks.joined,
            "cache_failures": counts.cache_failures,
            "database_reads": counts.loads,
            "database_failures": counts.load_failures,
        }

    def metric_set(self) -> MetricSet:
        """The same for Prometheus, and the dependencies one by one."""
        counts, looks = self._look_aside.counts, self._look_aside.looks
        metrics = MetricSet()
        metrics.counter_from("scalelab_cache_hits_total", "Requests for /data answered from the cache.", lambda: self.hits)
        metrics.counter_from("scalelab_cache_misses_total", "Requests for /data that the cache had no answer for.", lambda: self.misses)
        metrics.counter_from("scalelab_cache_stale_total", "Requests answered with the last good value.", lambda: self.stale)
        metrics.counter_from("scalelab_cache_collapsed_total", "Requests that shared the look of another.", lambda: looks.joined)
        metrics.counter_from("scalelab_cache_failures_total", "Reads and writes of the cache that failed.", lambda: counts.cache_failures)
        metrics.counter_from("scalelab_cache_loads_total", "Reads of the database after a miss.", lambda: counts.loads)
        metrics.counter_from("scalelab_cache_load_failures_total", "Those that failed.", lambda: counts.load_failures)
        metrics.readings_from(
            "scalelab_data_duration_seconds", "Time of a /data request.", Kind.HISTOGRAM, (), lambda: (((), self.latency),)
        )
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
