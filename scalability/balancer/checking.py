"""Who decides which servers there are and which take traffic: the checks and what finds servers, once in a balancer."""

import random as chance
from collections.abc import Callable
from typing import Any

from twisted.application.service import IService

from scalability.balancer.config import BalancerOptions
from scalability.balancer.traffic import WHO, secured
from scalability.config import fail
from scalability.errors import ConfigError
from scalability.http1.proxy_protocol import own_proxy_header
from scalability.lifecycle import DeadlineWheel
from scalability.net.http_client import ConnectionPool
from scalability.upstream.check import Check, HTTPCheck, TCPCheck
from scalability.upstream.discovery import (
    Backend,
    DNSDiscovery,
    DNSName,
    FileDiscovery,
    Find,
    ServerFile,
    ServiceName,
    ServiceTargets,
    addresses_of,
    name_static,
)
from scalability.upstream.probe import HealthChecks
from scalability.upstream.resolver import NameResolver
from scalability.upstream.servers import Server, Upstream


def checking(
    reactor: Any, options: BalancerOptions, wheel: DeadlineWheel, upstream: Upstream, *, random: Callable[[], float] = chance.random
) -> list[IService]:
    """Names the configured servers to ``upstream``; the services that check them and find others."""
    checks = HealthChecks(
        reactor,
        upstream,
        check_of(reactor, options, wheel),
        options.pace,
        timeout_s=options.check_timeout_s,
        random=random,
    )
    trusted = options.health_initial == "up"
    name_static(upstream, options.backend, trusted=trusted)
    resolver = NameResolver(reactor, server=options.resolver)
    discoveries = [
        found
        for backend in options.backend
        if (found := discovery(reactor, options, backend, resolver, upstream, trusted=trusted)) is not None
    ]
    return [checks, *discoveries]


def check_of(reactor: Any, options: BalancerOptions, wheel: DeadlineWheel) -> Callable[[Server], Check]:
    """What makes the check of a server."""
    secure = secured(reactor, options)
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


def discovery(
    reactor: Any, options: BalancerOptions, backend: Backend, resolver: NameResolver, upstream: Upstream, *, trusted: bool
) -> IService | None:
    """What finds the servers of ``backend``; None for one that names a server itself."""
    find: Find
    match backend.source:
        case ServerFile() as file:
            try:
                return FileDiscovery(reactor, file, upstream, trusted=trusted)
            except ConfigError as error:
                fail(WHO, str(error))
        case DNSName() as name:
            find = addresses_of(name, resolver.resolve)
        case ServiceName() as service:
            find = ServiceTargets(service, resolver.services, resolver.resolve)
        case _:
            return None
    return DNSDiscovery(reactor, str(backend), find, upstream, interval_s=options.resolve_interval_s)
