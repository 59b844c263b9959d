"""The look-aside cache for Klein routes of your own: one service with everything in it."""

import random
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.web.iweb import IRequest

from scalability.api.json import encoded_answer
from scalability.errors import NotFound
from scalability.gateway.config import CacheURL
from scalability.gateway.dependencies import Dependencies
from scalability.gateway.look_aside.building import build_cache
from scalability.gateway.look_aside.look import Found, LookAside
from scalability.gateway.look_aside.policy import DEFAULTS, Policy
from scalability.lifecycle import OrderedService

LoadJSON = Callable[[], Awaitable[Any]]
"""Reads a value from its source: anything that msgspec makes JSON of, JSON text as ``bytes``, or None where there is nothing.

A ScalelabError says that the source failed: then the last good value stands in, or the error is the answer.
"""

_encode = msgspec.json.Encoder().encode


class RouteCache(OrderedService):
    """Values by key for routes in code, with all that ``/data`` has (docs/caching.md).

    ``url`` is the gateways' cache server, ``http://HOST:PORT`` or ``redis://HOST:PORT``, or ``memory:`` for none. ``policy`` says how
    long things live.
    ``timeout_s`` is what the cache server has for an answer; ``max_entries`` and ``max_bytes`` bound what is kept in the process;
    ``draw`` is the random source, evenly spread over [0, 1). Add it below the listener: it must run. Raises ValueError for a URL
    that is none.

    Keys are your own: put the kind of thing in front (``product:7``), so that no client can name another kind's key.
    """

    def __init__(
        self,
        reactor: Any,
        url: str = "http://127.0.0.1:5004",
        policy: Policy = DEFAULTS,
        *,
        timeout_s: float = 0.5,
        max_entries: int = 10_000,
        max_bytes: int = 16 << 20,
        draw: Callable[[], float] = random.random,
    ) -> None:
        super().__init__()
        built = build_cache(reactor, CacheURL.parse(url), timeout_s=timeout_s)
        self.look_aside = LookAside(
            built.cache, reactor, policy, draw=draw, max_entries=max_entries, max_bytes=max_bytes, changes=built.changes
        )
        dependencies = Dependencies(*filter(None, [built.server]))
        for part in (*built.parts, dependencies, self.look_aside):
            part.setServiceParent(self)

    def get(self, key: str, load: LoadJSON) -> Deferred[Found]:
        """The value of ``key`` as JSON text, and where it came from. Fails as ``load`` does when there is nothing else."""

        async def as_text() -> bytes | None:
            value = await load()
            return value if value is None or isinstance(value, bytes) else _encode(value)

        return self.look_aside.get(key, as_text)

    async def answer(self, request: IRequest, key: str, load: LoadJSON, *, missing: str = "there is no such thing") -> bytes:
        """The value of ``key`` as the answer to ``request``: what a route returns. NotFound, saying ``missing``, where there is nothing."""
        found = await self.get(key, load)
        if found.absent:
            raise NotFound(missing)
        return encoded_answer(request, found.value)

    async def forget(self, key: str) -> None:
        """What ``key`` stands for has changed: whoever asks next loads it, other gateways within ``near_ttl_s`` (redis://: at once).

        Fails with a ScalelabError when the cache server cannot be told; the old value then lives its time.
        """
        await self.look_aside.forget(key)
