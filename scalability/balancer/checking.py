"""Who decides which servers there are and which take traffic: the checks and the questions to DNS, once in a balancer."""

from typing import Any

from twisted.application.service import IService

from scalability.balancer.config import BalancerOptions
from scalability.balancer.traffic import secured
from scalability.http1.proxy_protocol import own_proxy_header
from scalability.lifecycle import DeadlineWheel
from scalability.net.service_client import ServiceClient
from scalability.upstream.discovery import DNSDiscovery, name_static
from scalability.upstream.probe import HealthChecks
from scalability.upstream.resolver import NameResolver
from scalability.upstream.servers import Server, Upstream


def checking(reactor: Any, options: BalancerOptions, wheel: DeadlineWheel, upstream: Upstream) -> list[IService]:
    """Names the configured servers to ``upstream``; the services that check them and find others."""

    secure = secured(reactor, options)
    version = options.send_proxy_version
    preface = own_proxy_header(version) if version else b""

    def client(server: Server) -> ServiceClient:
        return ServiceClient(
            reactor,
            server.address,
            wheel,
            timeout_s=2 * options.health_interval_s,
            max_in_flight=4,
            secure=secure(server.tls),
            host=server.tls,
            preface=preface,
        )

    checks = HealthChecks(reactor, upstream, client, interval_s=options.health_interval_s, path=options.health_path.path)
    name_static(upstream, options.backend)
    resolver = NameResolver(reactor, server=options.resolver)
    discoveries = [
        DNSDiscovery(reactor, backend, resolver.resolve, upstream, interval_s=options.resolve_interval_s)
        for backend in options.backend
        if backend.dns
    ]
    return [checks, *discoveries]
