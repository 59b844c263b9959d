"""The shared cache behind a URL, with what it needs to run."""

from typing import Any, NamedTuple

from twisted.application.service import IService

from scalability.gateway.cache_clients import Changes, HTTPCache, LookAsideCache, MemoryCache, RedisCache
from scalability.gateway.cache_clients.redis_server import RedisServer, redis_client
from scalability.gateway.config import CacheURL
from scalability.gateway.dependencies import Dependency, Watched
from scalability.lifecycle import DeadlineWheel
from scalability.net.service_client import ServiceClient
from scalability.resp.client import RespClient
from scalability.ttlcache import Sweeper, TTLCache

MEMORY_BYTES = 64 << 20
"""The bound of a ``memory:`` cache."""

CACHE_RECESS_S = 1.0
"""How often a cache that took long to fail, and is passed over therefore, is looked at."""

LONGEST_TICK_S = 0.25
SHORTEST_TICK_S = 0.01
"""How exactly a request's deadline is kept: a tenth of it, within these, in seconds. Late is it by up to two of them."""


class Built(NamedTuple):
    """A cache; ``server`` is what it is asked through, whose connections are its owner's to close, and ``parts`` must run."""

    cache: LookAsideCache
    server: Watched | None
    parts: tuple[IService, ...]
    changes: Changes
    """Where the cache tells of changes, if it does."""
    redis: RespClient | None = None
    """The client of a ``redis://`` cache, which others may ask too."""


def build_cache(reactor: Any, url: CacheURL, *, timeout_s: float) -> Built:
    """The cache at ``url``; each request to it has ``timeout_s``, and up to a fifth of that more.

    Raises ConfigError when a file that the URL names is of no use.
    """
    changes = Changes()
    if url.redis is None and url.service is None:
        entries: TTLCache[str, bytes] = TTLCache(max_bytes=MEMORY_BYTES)
        return Built(MemoryCache(entries, reactor), None, (Sweeper(reactor, 1.0, entries),), changes)
    wheel = DeadlineWheel(reactor, tick_s=max(SHORTEST_TICK_S, min(LONGEST_TICK_S, timeout_s / 10)))
    if url.redis is not None:
        redis = redis_client(reactor, url.redis, wheel, timeout_s=timeout_s)
        asked = RedisServer("cache", redis)
        return Built(RedisCache(asked, changes), asked, (wheel, redis), changes, redis)
    assert url.service is not None
    client = ServiceClient(reactor, url.service.address, wheel, timeout_s=timeout_s)
    server = Dependency("cache", client, reactor, recess_s=CACHE_RECESS_S)
    return Built(HTTPCache(server), server, (wheel,), changes)
