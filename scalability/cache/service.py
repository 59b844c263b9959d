"""The cache server, put together: entries, sweeper, listeners."""

import random
from collections.abc import Callable
from time import time
from typing import Any

from twisted.application.service import IService

from scalability.api.component import component_service
from scalability.api.mount import mount
from scalability.cache.config import CacheOptions
from scalability.cache.entries import Entries
from scalability.cache.http_api import cache_app
from scalability.cache.metrics import cache_metrics, snapshot_metrics
from scalability.cache.resp.building import resp_front
from scalability.cache.snapshots import Snapshots
from scalability.ttlcache import Sweeper, TTLCache


def cache_service(reactor: Any, options: CacheOptions, *, wall: Callable[[], float] = time) -> IService:
    """One cache in this process's memory, swept by a LoopingCall, behind HTTP and RESP.

    Entries end by ``wall``, which tells the Unix time: EXPIREAT and EXPIRETIME name dates, and a snapshot outlives the process, whose
    reactor counts from wherever it likes. Redis does the same. All deadlines are the reactor's.
    """
    cache: TTLCache[bytes, bytes] = TTLCache(
        max_bytes=options.max_bytes, max_entries=options.max_entries, max_object_bytes=options.max_value_bytes
    )
    entries = Entries(cache, wall)
    kept = None if options.snapshot is None else _snapshots(reactor, entries, options)
    resp = None if options.no_resp else resp_front(reactor, options, entries, draw=random.random, snapshots=kept)
    return component_service(
        reactor,
        options,
        who="scalelab-cache",
        factory=mount(cache_app(entries, reactor, options), reactor=reactor),
        parts=[*([kept] if kept else []), Sweeper(reactor, options.sweep_interval_s, cache, now=wall), *([resp.wheel] if resp else [])],
        collectors=[cache_metrics(cache), *([snapshot_metrics(kept)] if kept else []), *([resp.metrics] if resp else [])],
        further=[resp.listener] if resp else [],
    )


def _snapshots(reactor: Any, entries: Entries, options: CacheOptions) -> Snapshots:
    assert options.snapshot is not None
    return Snapshots(
        reactor,
        entries.cache,
        options.snapshot.resolve(),  # a daemon may change its folder
        options.snapshot_interval_s,
        changes=lambda: entries.changes,
        wall=entries.now,
    )
