"""The HTTP cache's numbers."""

from prometheus_client.core import CollectorRegistry
from prometheus_client.exposition import generate_latest

from scalability.gateway.http_cache.metrics import add_http_cache, as_json
from scalability.telemetry.metrics import MetricSet
from scalability.testing.cache_case import CacheCase


class MetricsTests(CacheCase):
    def test_they_are_told_to_prometheus_and_to_people(self) -> None:
        metrics = MetricSet()
        add_http_cache(metrics, self.store, self.cache.counts)
        registry = CollectorRegistry()
        registry.register(metrics)
        self.stored("Cache-Control: max-age=60")
        self.got(self.ask())
        text = generate_latest(registry).decode()
        assert 'scalelab_http_cache_requests_total{result="hit"} 1.0' in text
        assert 'scalelab_http_cache_requests_total{result="miss"} 1.0' in text
        assert "scalelab_http_cache_entries 1.0" in text
        assert 'scalelab_http_cache_outside_bytes{held_for="pinned"} 0.0' in text
        assert "scalelab_http_cache_crowded_total 0.0" in text
        found = as_json(self.store, self.cache.counts)
        assert found["requests"] == {"hit": 1, "stale": 0, "revalidated": 0, "miss": 1, "bypass": 0, "refused": 0}
        assert found["entries"] == 1
        assert found["max_bytes"] == 10_000_000
        assert found["crowded"] == 0
        outside = found["outside"]
        assert isinstance(outside, dict)
        assert outside.pop("prepared") > 300
        assert outside == {"arriving": 0, "held": 0, "pinned": 0}
        assert isinstance(found["bytes"], int)
        assert found["bytes"] > 1000
