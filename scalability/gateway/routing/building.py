"""From options to routes: the servers of each, what shapes requests and answers, the cache, the policies; and the front before all."""

import secrets
from collections.abc import Callable
from time import time
from typing import Any, Final

from twisted.application.service import IService

from scalability.errors import ConfigError
from scalability.gateway.access.assembly import Access
from scalability.gateway.access.policy import AccessPolicy
from scalability.gateway.config import GatewayOptions
from scalability.gateway.http_cache.cache import HTTPCache
from scalability.gateway.http_cache.counts import CacheCounts
from scalability.gateway.http_cache.store import AnswerStore
from scalability.gateway.openapi.checkers import Checkers
from scalability.gateway.routing.config import RouteOptions
from scalability.gateway.routing.front import Front, Own, Within
from scalability.gateway.routing.route import Route, Servers
from scalability.gateway.routing.shaping import Shape
from scalability.gateway.routing.upstreams import UPGRADES, RouteUpstream
from scalability.gateway.transform.turns import Turns
from scalability.http1.request_head import RequestHead
from scalability.http1.trust import Networks
from scalability.lifecycle import DeadlineWheel
from scalability.lifecycle.threads import Threads
from scalability.net.exchange import Application
from scalability.ttlcache import Sweeper

ENCODING_THREADS: Final = 2
"""For large bodies that are compressed; a gateway that compresses none starts none."""


class Routes:
    """The routes of ``options``: ``parts`` are their services. Raises ConfigError for what only the machine can tell; blocks for that.

    ``access`` makes their policies. The HTTP cache of all of them is ``store``, and what became of requests there is in ``counts``.
    ``wall`` tells the Unix time.
    """

    def __init__(
        self, reactor: Any, options: GatewayOptions, wheel: DeadlineWheel, access: Access, *, wall: Callable[[], float] = time
    ) -> None:
        self.parts: list[IService] = []
        self.upstreams: dict[str, RouteUpstream] = {}
        self.shapes: dict[str, Shape] = {}
        self.routes: dict[str, Route] = {}
        self.store = AnswerStore(max_bytes=options.cache_max_bytes, max_object_bytes=options.cache_max_object_bytes)
        self.counts = CacheCounts()
        self.parts.append(Sweeper(reactor, 1.0, self.store))
        self._access = access
        self._reactor = reactor
        self._wall = wall
        self._wheel = wheel
        threads = Threads(reactor, ENCODING_THREADS, name="encoding")
        self.parts.append(threads)
        self._turns = Turns(reactor, threads)
        self.checkers = Checkers(reactor)
        self.parts.append(self.checkers)
        self._via = b"scalelab-gateway-" + secrets.token_hex(4).encode()
        self._trusted = Networks(network.addresses for network in options.trusted_proxy)
        self.within = Within()
        for route in options.all_routes:
            self.routes[route.path] = Route(route.path, self._application(route), self._policy(route))
        self.cached = frozenset(route.path for route in options.all_routes if route.cache.enabled)
        """Prefixes of routes with an HTTP cache."""
        self.within.composed = frozenset(route.path for route in options.all_routes if route.compose is not None)

    def front(
        self,
        own: Application,
        paths: list[str],
        *,
        within: Application,
        policy_of: Callable[[RequestHead], AccessPolicy | None] | None = None,
    ) -> Front:
        """What stands before ``own``, which answers the gateway's own ``paths``, after the policies that ``policy_of`` finds; ``within`` is
        what stands behind those."""
        front = self.within.front = Front(Own(own), paths, self.routes)
        self.within.own = within
        if policy_of is not None:
            self.within.own_policy = policy_of
        return front

    def _application(self, route: RouteOptions) -> Application:
        shape = self.shapes[route.path] = Shape(
            route,
            self._servers(route),
            self.within,
            self._reactor,
            trusted=self._trusted,
            turns=self._turns,
            checkers=self.checkers,
            wall=self._wall,
        )
        if not route.cache.enabled:
            return shape.before(shape.application)
        cache = HTTPCache(
            shape.application,
            self.store,
            seconds=self._reactor.seconds,
            wall=self._wall,
            options=route.cache.storing(),
            upgrades=UPGRADES,
            stale_if_disconnected_s=route.cache.stale_if_disconnected_s,
            counts=self.counts,
        )
        return shape.before(cache)

    def caching_opted_in(self, own: Application) -> Application:
        """The same cache in front of ``own``, routes in code: it stores what sets a lifetime."""
        return HTTPCache(own, self.store, seconds=self._reactor.seconds, wall=self._wall, counts=self.counts, opt_in=True)

    def _servers(self, route: RouteOptions) -> Application | None:
        if route.compose is not None:
            return None
        try:
            known = RouteUpstream(self._reactor, route, self._wheel, via=self._via, trusted=self._trusted)
        except ConfigError as error:
            raise ConfigError(f"[gateway] routes {route.path}", str(error)) from error
        self.upstreams[route.path] = known
        self.parts += known.parts
        return Servers(known.proxy, strip=route.path.encode().rstrip(b"/") if route.strip_prefix else b"")

    def _policy(self, route: RouteOptions) -> AccessPolicy | None:
        policy = self._access.policy(
            route.path,
            cors=route.cors,
            max_body_bytes=route.max_body,
            api_keys=route.api_keys,
            jwt=route.jwt,
            rate_limit=route.rate_limit,
        )
        return policy or None
