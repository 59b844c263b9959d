"""What the gateway counts."""

from twisted.internet.task import Clock

from scalability.gateway.cache_clients import MemoryCache
from scalability.gateway.dependencies import Dependencies, Dependency
from scalability.gateway.look_aside import LookAside, Policy
from scalability.gateway.metrics import GatewayMetrics
from scalability.telemetry.exposition import exposition
from scalability.testing.services import FakeService
from scalability.ttlcache import TTLCache


def made() -> tuple[GatewayMetrics, LookAside, Dependency]:
    clock = Clock()
    look_aside = LookAside(MemoryCache(TTLCache(max_bytes=1 << 20), clock), clock, Policy(), draw=lambda: 0.5)
    database = Dependency("database", FakeService(), clock)
    return GatewayMetrics(look_aside, Dependencies(database)), look_aside, database


def test_the_labs_members_are_there_before_the_first_request() -> None:
    metrics, _, _ = made()
    assert metrics.as_json() == {
        "cache_hits": 0,
        "cache_misses": 0,
        "avg_latency": 0.0,
        "stale": 0,
        "near_hits": 0,
        "negative_hits": 0,
        "collapsed": 0,
        "lease_waits": 0,
        "lease_timeouts": 0,
        "early_refreshes": 0,
        "cache_failures": 0,
        "near_invalidations": 0,
        "near_clears": 0,
        "database_reads": 0,
        "database_failures": 0,
    }


def test_the_mean_is_in_seconds() -> None:
    metrics, _, _ = made()
    for seconds in (0.001, 0.003):
        metrics.latency.record(seconds)
    assert abs(metrics.as_json()["avg_latency"] - 0.002) < 1e-9


def test_prometheus_is_told_the_same_and_the_state_of_each_dependency() -> None:
    metrics, look_aside, database = made()
    metrics.hits, metrics.misses, look_aside.counts.loads = 3, 2, 1
    shown = metrics.metric_set()
    text = exposition([shown]).body.decode()
    assert "scalelab_cache_hits_total 3.0" in text
    assert "scalelab_cache_misses_total 2.0" in text
    assert "scalelab_cache_loads_total 1.0" in text
    for name in (
        "near_hits",
        "negative_hits",
        "collapsed",
        "lease_waits",
        "lease_timeouts",
        "early_refreshes",
        "near_evicted",
        "near_invalidations",
        "near_clears",
    ):
        assert f"scalelab_cache_{name}_total 0.0" in text
    assert "scalelab_cache_near_entries 0.0" in text
    assert "scalelab_cache_near_watched 0.0" in text
    assert "scalelab_data_duration_seconds_count 0.0" in text
    assert 'scalelab_dependency_requests_total{dependency="database"} 0.0' in text
    assert "scalelab_dependency_up{" not in text
    database.up = False
    assert 'scalelab_dependency_up{dependency="database"} 0.0' in exposition([shown]).body.decode()
