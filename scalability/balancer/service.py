"""scalelab-lb, composed bottom-up: deadlines, servers, their checks, discovery, then the listeners."""

import secrets
from collections.abc import Callable
from typing import Any

from twisted.application.service import IService
from twisted.logger import Logger

from scalability.api.component import component_service
from scalability.balancer.access import Access
from scalability.balancer.config import BalancerOptions
from scalability.balancer.front import Front
from scalability.balancer.metrics import Requests, add_clients, add_upstream
from scalability.config import Address
from scalability.lifecycle import DeadlineWheel, OrderedService
from scalability.lifecycle.open_files import raise_open_files
from scalability.net.http_client import ConnectionPool
from scalability.net.http_server import Exchange, HTTPServerFactory
from scalability.net.service_client import ServiceClient
from scalability.proxy.forwarding import ProxyApplication
from scalability.telemetry import MetricSet
from scalability.telemetry.access_log import AccessLog
from scalability.upstream.discovery import DNSDiscovery, name_static
from scalability.upstream.probe import HealthChecks
from scalability.upstream.resolver import NameResolver
from scalability.upstream.selection import ALGORITHMS
from scalability.upstream.servers import Upstream

WHO = "scalelab-lb"

RESERVED_FILES = 100
"""For listeners, checks, logs and the reactor itself."""

log = Logger()

Ended = Callable[[Exchange, float], None]


def both(first: Ended, second: Ended) -> Ended:
    """Call one after the other."""

    def ended(exchange: Exchange, seconds: float) -> None:
        first(exchange, seconds)
        second(exchange, seconds)

    return ended


def clients_that_fit(wanted: int, open_files: int) -> int:
    """How many clients may connect when each needs two of ``open_files``, its own connection and one to a server; -1 is without limit."""
    if open_files < 0:
        return wanted
    return max(1, min(wanted, (open_files - RESERVED_FILES) // 2))


def balancer(reactor: Any, options: BalancerOptions) -> OrderedService:
    """The service that twistd runs."""
    wheel = DeadlineWheel(reactor)

    def pool(address: Address) -> ConnectionPool:
        return ConnectionPool(reactor, address, wheel, connect_timeout_s=options.connect_timeout_s, answer_s=options.answer_timeout_s)

    def client(address: Address) -> ServiceClient:
        return ServiceClient(reactor, address, wheel, timeout_s=2 * options.health_interval_s, max_in_flight=4)

    upstream = Upstream(ALGORITHMS[options.algorithm.name], pool)
    checks = HealthChecks(reactor, upstream, client, interval_s=options.health_interval_s, path=options.health_path.path)
    name_static(upstream, options.backend)
    resolver = NameResolver(reactor, server=options.resolver)
    discoveries = [
        DNSDiscovery(reactor, backend, resolver.resolve, upstream, interval_s=options.resolve_interval_s)
        for backend in options.backend
        if backend.dns
    ]
    # the pseudonym is this process's own: requests may pass several balancers, and only one that returns is a loop
    proxy = ProxyApplication(upstream, via=b"scalelab-lb-" + secrets.token_hex(4).encode())

    parts: list[IService] = [wheel, upstream, checks, *discoveries]
    metrics = MetricSet()
    ended: Ended = Requests(metrics).ended
    if options.access_log is not None:
        access = AccessLog(reactor, options.access_log, who=WHO, metrics=metrics)
        parts.append(access)
        ended = both(ended, Access(access).ended)
    open_files = raise_open_files()
    clients = clients_that_fit(options.max_connections, open_files)
    if clients < options.max_connections:
        log.info(
            "{clients} clients at once instead of {wanted}: only {open_files} files may be open (ulimit -Hn)",
            clients=clients,
            wanted=options.max_connections,
            open_files=open_files,
        )
    factory = HTTPServerFactory(Front(proxy, upstream), clock=reactor, wheel=wheel, max_connections=clients, ended=ended)
    add_clients(metrics, factory)
    add_upstream(metrics, upstream, proxy)

    def not_ready() -> str | None:
        return "it is stopping" if factory.draining else upstream.not_ready()

    return component_service(
        reactor,
        options,
        who=WHO,
        factory=factory,
        parts=parts,
        collectors=[metrics],
        ready=not_ready,
        grace_s=options.grace_s,
    )
