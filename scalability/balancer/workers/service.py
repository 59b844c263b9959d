"""The parent, composed bottom-up: deadlines, servers, checks and discovery, then the admin listener, then the workers."""

import os
import secrets
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.application.service import IService

from scalability.api.admin_token import AdminToken
from scalability.api.component import component_service
from scalability.balancer.admin import admin_calls
from scalability.balancer.change import TRAFFIC, Change
from scalability.balancer.checking import Checking
from scalability.balancer.config import BalancerOptions
from scalability.balancer.metrics import add_health, add_reloads
from scalability.balancer.reload import Reload
from scalability.balancer.state_file import StateFile
from scalability.balancer.traffic import WHO, Connections, selections, watched_certificates
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


def balancer_of_workers(
    reactor: Any, options: BalancerOptions, read: Callable[[], BalancerOptions] | None = None, *, start: Start | None = None
) -> OrderedService:
    """The service that twistd runs with ``--workers`` above 1; ``read`` reads the options again, ``start`` is for tests."""
    wheel = DeadlineWheel(reactor)
    upstream = Upstream(
        selections(reactor, options),
        Connections(reactor, options, wheel),
        rules=options.rules(),
        seconds=reactor.seconds,
        later=partial(reactor.callLater, 0),
    )
    checking = Checking(reactor, options, wheel, upstream)
    kept: list[IService] = [] if options.state_file is None else [StateFile(reactor, options.state_file, upstream)]
    sockets = [SharedSocket(options.listen, who=WHO)]
    if options.tls_listen is not None:
        sockets.append(SharedSocket(options.tls_listen, who=f"{WHO} tls", flag="--tls-listen"))
    metrics = MetricSet()
    parts: list[IService] = [wheel, upstream, *kept, Upkeep(reactor, upstream), *checking.parts]
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

    token = AdminToken(options.admin_token_file)

    def apply(change: Change) -> None:
        token.file = change.new.admin_token_file
        if change.touches(TRAFFIC):
            upstream.configure(change.new.rules())
        # a worker that is started later is told of everything that holds then
        workers.configure(change.new, tell=change.touches(TRAFFIC))
        checking.configure(change)

    reloads = []
    reload: Reload | None = None
    if read is not None:
        reload = Reload(reactor, options, read, apply)
        reloads.append(reload)
        add_reloads(metrics, reload)
    return component_service(
        reactor,
        options,
        who=WHO,
        parts=[*reloads, *parts, Rotation(reactor, workers)],
        collectors=[workers.metrics, metrics],
        ready=workers.not_ready,
        admin=admin_calls(
            upstream,
            workers,
            token,
            algorithm=options.algorithm.name,
            wall=time.time,
            explained=options.explained_requests,
            reload=None if reload is None else reload.told,
        ),
        front=workers,
        before_metrics=workers.collect,
    )
