"""The parent, composed bottom-up: deadlines, servers, checks and discovery, then the admin listener, then the workers."""

import os
import secrets
from typing import Any

from twisted.application.service import IService

from scalability.api.component import component_service
from scalability.balancer.admin import admin_calls
from scalability.balancer.admin_token import AdminToken
from scalability.balancer.checking import checking
from scalability.balancer.config import BalancerOptions
from scalability.balancer.metrics import add_health
from scalability.balancer.traffic import WHO, connections_to, selections, watched_certificates
from scalability.balancer.workers.metrics import add_workers
from scalability.balancer.workers.parent import Workers
from scalability.balancer.workers.rotation import Rotation
from scalability.balancer.workers.spawning import Start, starter
from scalability.config import fail
from scalability.lifecycle import DeadlineWheel, OrderedService
from scalability.net.listen import SharedSocket
from scalability.telemetry import MetricSet
from scalability.upstream.servers import Upstream
from scalability.upstream.upkeep import Upkeep

MAX_PEM_BYTES = 40 << 20
"""Of all certificates and keys, with room for what carrying them in a message takes: some 10,000."""


def balancer_of_workers(reactor: Any, options: BalancerOptions, start: Start | None = None) -> OrderedService:
    """The service that twistd runs with ``--workers`` above 1; ``start`` is for tests."""
    wheel = DeadlineWheel(reactor)
    upstream = Upstream(
        selections(reactor, options),
        connections_to(reactor, options, wheel),
        rules=options.rules(),
        seconds=reactor.seconds,
        learns=options.algorithm.name == "peak_ewma",
    )
    checks = checking(reactor, options, wheel, upstream)
    sockets = [SharedSocket(options.listen, who=WHO)]
    if options.tls_listen is not None:
        sockets.append(SharedSocket(options.tls_listen, who=f"{WHO} tls", flag="--tls-listen"))
    metrics = MetricSet()
    parts: list[IService] = [wheel, upstream, Upkeep(reactor, upstream), *checks]
    certificates = None if options.tls_listen is None else watched_certificates(reactor, options, metrics, parts)
    if certificates is not None and sum(len(made.pem.data) + len(made.pem.key_data) for made in certificates.certificates) > MAX_PEM_BYTES:
        fail(WHO, f"--tls-cert: more than {MAX_PEM_BYTES} bytes of certificates cannot be told to workers; --workers 1 needs no telling")
    workers = Workers(
        reactor,
        options,
        sockets,
        upstream,
        via=f"scalelab-lb-{secrets.token_hex(4)}",
        start=starter(reactor, os.environ) if start is None else start,
        certificates=certificates,
    )
    add_health(metrics, upstream)
    add_workers(metrics, workers)
    return component_service(
        reactor,
        options,
        who=WHO,
        parts=[*parts, Rotation(reactor, workers)],
        collectors=[workers.metrics, metrics],
        ready=workers.not_ready,
        admin=admin_calls(
            upstream,
            workers,
            AdminToken(options.admin_token_file),
            algorithm=options.algorithm.name,
            seconds=reactor.seconds,
            explained=options.explained_requests,
        ),
        front=workers,
        before_metrics=workers.collect,
    )
