"""The cache server, put together: entries, sweeper, listeners."""

from typing import Any

from twisted.application.service import IService

from scalability.api.component import component_service
from scalability.api.mount import mount
from scalability.cache.config import CacheOptions
from scalability.cache.http_api import cache_app
from scalability.cache.metrics import cache_metrics
from scalability.ttlcache import Sweeper, TTLCache


def cache_service(reactor: Any, options: CacheOptions) -> IService:
    """One cache in this process's memory, swept by a LoopingCall, behind HTTP."""
    cache: TTLCache[bytes, bytes] = TTLCache(max_bytes=options.max_bytes, max_entries=options.max_entries)
    return component_service(
        reactor,
        options,
        who="scalelab-cache",
        factory=mount(cache_app(cache, reactor, options), reactor=reactor),
        parts=[Sweeper(reactor, options.sweep_interval_s, cache)],
        collectors=[cache_metrics(cache)],
    )
