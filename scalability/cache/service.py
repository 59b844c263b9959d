"""The cache server, put together: entries, sweeper, listeners."""

from typing import Any

from twisted.application.service import IService

from scalability.api.component import component_service
from scalability.api.mount import mount
from scalability.cache.config import CacheOptions
from scalability.cache.http_api import cache_app
from scalability.cache.metrics import cache_metrics, snapshot_metrics
from scalability.cache.snapshots import Snapshots
from scalability.ttlcache import Sweeper, TTLCache


def cache_service(reactor: Any, options: CacheOptions) -> IService:
    """One cache in this process's memory, swept by a LoopingCall, behind HTTP."""
    cache: TTLCache[bytes, bytes] = TTLCache(max_bytes=options.max_bytes, max_entries=options.max_entries)
    kept = None if options.snapshot is None else _snapshots(reactor, cache, options)
    return component_service(
        reactor,
        options,
        who="scalelab-cache",
        factory=mount(cache_app(cache, reactor, options), reactor=reactor),
        parts=[*([kept] if kept else []), Sweeper(reactor, options.sweep_interval_s, cache)],
        collectors=[cache_metrics(cache), *([snapshot_metrics(kept)] if kept else [])],
    )


def _snapshots(reactor: Any, cache: TTLCache[bytes, bytes], options: CacheOptions) -> Snapshots:
    assert options.snapshot is not None
    stats = cache.stats
    return Snapshots(
        reactor,
        cache,
        options.snapshot.resolve(),  # a daemon may change its folder
        options.snapshot_interval_s,
        changes=lambda: stats.stored + stats.replaced + stats.deleted,
    )
