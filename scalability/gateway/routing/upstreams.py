"""The servers of a route: chosen, checked, ejected, retried as those of a balancer are, by the same parts."""

import random as chance
from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.application.service import IService

from scalability.gateway.access.cors import ANSWERS
from scalability.gateway.routing.config import RouteOptions
from scalability.gateway.routing.upstream_options import HealthOptions
from scalability.http1.trust import NOBODY, Networks
from scalability.lifecycle import DeadlineWheel
from scalability.net.connection_attempt import Secure
from scalability.net.connection_pool import ConnectionPool
from scalability.net.exchange import Exchange
from scalability.net.limited_pool import LimitedPool
from scalability.proxy.application import ProxyApplication
from scalability.proxy.retrying import Retries
from scalability.upstream.building import SelectionBuilder
from scalability.upstream.check import Check, HTTPCheck, TCPCheck
from scalability.upstream.expected import Statuses
from scalability.upstream.probe import HealthChecks
from scalability.upstream.resolver import NameResolver
from scalability.upstream.retry_budget import RetryBudget
from scalability.upstream.securing import securing
from scalability.upstream.selection import ALGORITHMS
from scalability.upstream.server import Server
from scalability.upstream.servers import Upstream
from scalability.upstream.sources import Sources, read_files
from scalability.upstream.spec import ServerSpec
from scalability.upstream.upkeep import Upkeep

UPGRADES = frozenset([b"websocket"])
"""What a client of a route may switch to."""


class RouteUpstream:
    """Everything behind a route: ``proxy`` forwards to ``upstream``; ``parts`` are its services, in the order in which they start.

    ``via`` is the gateway's pseudonym. Raises ConfigError for a file that cannot be read. Blocks, likewise.
    """

    def __init__(
        self,
        reactor: Any,
        options: RouteOptions,
        wheel: DeadlineWheel,
        *,
        via: bytes,
        trusted: Networks = NOBODY,
        random: Callable[[], float] = chance.random,
    ) -> None:
        balancing, health = options.upstream, options.health
        secure = securing(reactor, ca=balancing.authorities, verify=True)

        def pool(spec: ServerSpec) -> ConnectionPool:
            return LimitedPool(
                reactor,
                spec.address,
                wheel,
                connect_timeout_s=balancing.connect_timeout_s,
                answer_s=balancing.answer_timeout_s,
                secure=secure(spec.tls),
            )

        self.upstream = Upstream(
            partial(ALGORITHMS[balancing.algorithm], clock=reactor.seconds, random=random),
            pool,
            rules=balancing.rules(health),
            seconds=reactor.seconds,
            later=partial(reactor.callLater, 0),
        )
        retries = Retries(
            reactor,
            policy=balancing.retry_policy(),
            budget=RetryBudget(percent=balancing.retry_budget),
            random=random,
            max_waiting=balancing.max_queue,
            timeout_s=balancing.queue_timeout_s,
        )
        self.proxy = ProxyApplication(
            self.upstream,
            via=via,
            retries=retries,
            trusted=trusted,
            upgrades=UPGRADES,
            tunnel_ticks=wheel.ticks(balancing.tunnel_timeout_s),
            key_of=_client if balancing.algorithm == "maglev" else None,
            hedge_s=balancing.hedge_after_s,
        )
        if options.cors is not None:
            # which pages may read what is for the gateway to say: a server's own word would widen that
            self.proxy.answer_without |= ANSWERS
        timeout_s = health.timeout_s or health.interval_s
        checks = HealthChecks(
            reactor,
            self.upstream,
            check_of(reactor, health, wheel, secure, timeout_s=timeout_s),
            health.pace,
            timeout_s=timeout_s,
            random=random,
        )
        sources = Sources(
            reactor, self.upstream, NameResolver(reactor, server=balancing.name_server), interval_s=balancing.resolve_interval_s
        )
        backends = options.backends
        sources.begin(backends, read_files(backends), trusted=health.initial == "up")
        builder = [SelectionBuilder(reactor, self.upstream)] if self.upstream.builds else []
        self.parts: list[IService] = [self.upstream, Upkeep(reactor, self.upstream), checks, sources, *builder]


def check_of(
    reactor: Any, health: HealthOptions, wheel: DeadlineWheel, secure: Callable[[str], Secure | None], *, timeout_s: float
) -> Callable[[Server], Check]:
    """What makes the check of a server."""

    def check(server: Server) -> Check:
        pool = ConnectionPool(
            reactor,
            server.address,
            wheel,
            # a check's own deadline must be the first to end it
            connect_timeout_s=2 * timeout_s,
            answer_s=2 * timeout_s,
            max_requests=1,
            secure=secure(server.tls),
        )
        if not health.path:
            return TCPCheck(pool)
        return HTTPCheck(
            pool,
            server.tls or server.name,
            seconds=reactor.seconds,
            path=health.path.encode(),
            statuses=Statuses.parse(health.status),
        )

    return check


def _client(exchange: Exchange) -> bytes:
    """What the algorithm maglev hashes: who asks."""
    return exchange.client_host or exchange.peer_host
