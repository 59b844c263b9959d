"""Who decides which servers there are and which take traffic: the checks and what finds servers, once in a balancer."""

import random as chance
from collections.abc import Callable
from typing import Any

from twisted.application.service import IService

from scalability.balancer.change import CHECKS, MEASURES, SERVERS, Change
from scalability.balancer.config import BalancerOptions
from scalability.balancer.traffic import WHO, secured
from scalability.config import fail
from scalability.errors import ConfigError
from scalability.http1.proxy_protocol import own_proxy_header
from scalability.lifecycle import DeadlineWheel
from scalability.net.connection_attempt import Secure
from scalability.net.connection_pool import ConnectionPool
from scalability.upstream.check import Check, HTTPCheck, TCPCheck
from scalability.upstream.probe import HealthChecks
from scalability.upstream.resolver import NameResolver
from scalability.upstream.server import Server
from scalability.upstream.servers import Upstream
from scalability.upstream.sources import Sources, read_files


class Checking:
    """Names the configured servers to ``upstream``, checks them and finds others: ``parts`` do."""

    def __init__(
        self,
        reactor: Any,
        options: BalancerOptions,
        wheel: DeadlineWheel,
        upstream: Upstream,
        *,
        random: Callable[[], float] = chance.random,
    ) -> None:
        self._reactor = reactor
        self._wheel = wheel
        self._secure = secured(reactor, options)
        self._checks = HealthChecks(
            reactor, upstream, self._check_of(options), options.pace, timeout_s=options.check_timeout_s, random=random
        )
        resolver = NameResolver(reactor, server=options.resolver)
        self._sources = Sources(reactor, upstream, resolver, interval_s=options.resolve_interval_s, workers=options.workers)
        try:
            files = read_files(options.backend, workers=options.workers)
        except ConfigError as error:
            fail(WHO, str(error))
        self._sources.begin(options.backend, files, trusted=options.health_initial == "up")
        self.parts: list[IService] = [self._checks, self._sources]

    def configure(self, change: Change) -> None:
        """Go by ``change.new`` from now on; servers that are still named keep their state."""
        options = change.new
        if change.touches(CHECKS | MEASURES):
            self._checks.configure(self._check_of(options), options.pace, timeout_s=options.check_timeout_s)
        if options.resolve_interval_s != change.old.resolve_interval_s:
            self._sources.set_interval(options.resolve_interval_s)
        if change.touches(SERVERS):
            self._sources.replace(options.backend, change.files)

    def _check_of(self, options: BalancerOptions) -> Callable[[Server], Check]:
        return check_of(self._reactor, options, self._wheel, self._secure)


def check_of(
    reactor: Any, options: BalancerOptions, wheel: DeadlineWheel, secure: Callable[[str], Secure | None]
) -> Callable[[Server], Check]:
    """What makes the check of a server."""
    version = options.send_proxy_version
    preface = own_proxy_header(version) if version else b""
    fields = [(field.name.encode(), field.value.encode()) for field in options.health_header]

    def check(server: Server) -> Check:
        pool = ConnectionPool(
            reactor,
            server.address,
            wheel,
            # a check's own deadline must be the first to end it
            connect_timeout_s=2 * options.check_timeout_s,
            answer_s=2 * options.check_timeout_s,
            max_requests=1,
            limits=options.limits(),
            secure=secure(server.tls),
            preface=preface,
        )
        if options.health_mode == "tcp":
            return TCPCheck(pool)
        return HTTPCheck(
            pool,
            server.tls or server.name,
            seconds=reactor.seconds,
            method=options.health_method.encode(),
            path=options.health_path.path.encode(),
            fields=fields,
            statuses=options.health_status,
            body=options.health_body,
        )

    return check
