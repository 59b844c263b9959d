"""scalelab-lb, composed bottom-up: deadlines, servers, their checks, discovery, then the listeners."""

import secrets
import signal
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
from scalability.balancer.traffic import WHO, Connections, Traffic, selections
from scalability.balancer.use import ThisProcess
from scalability.lifecycle import DeadlineWheel, OrderedService
from scalability.lifecycle.signals import IgnoredSignal
from scalability.net.listen import Listener
from scalability.upstream.per_server import every_server
from scalability.upstream.servers import Upstream
from scalability.upstream.upkeep import Upkeep


def balancer(reactor: Any, options: BalancerOptions, read: Callable[[], BalancerOptions] | None = None) -> OrderedService:
    """The service that twistd runs. ``read`` reads the options again; without it they never change."""
    if options.workers > 1:
        from scalability.balancer.workers.service import balancer_of_workers

        return balancer_of_workers(reactor, options, read)
    wheel = DeadlineWheel(reactor)
    connections = Connections(reactor, options, wheel)
    upstream = Upstream(
        selections(reactor, options),
        connections,
        rules=options.rules(),
        seconds=reactor.seconds,
        later=partial(reactor.callLater, 0),
    )
    checking = Checking(reactor, options, wheel, upstream)
    kept: list[IService] = [] if options.state_file is None else [StateFile(reactor, options.state_file, upstream)]
    traffic = Traffic(reactor, options, wheel, upstream, via=b"scalelab-lb-" + secrets.token_hex(4).encode())
    factory = traffic.factory
    add_health(traffic.metrics, upstream)

    token = AdminToken(options.admin_token_file)

    def apply(change: Change) -> None:
        token.file = change.new.admin_token_file
        if change.touches(TRAFFIC):
            connections.configure(change.new, every_server(upstream))
            upstream.configure(change.new.rules())
            traffic.configure(change.new)
        checking.configure(change)

    reloads = []
    reload: Reload | None = None
    if read is not None:
        reload = Reload(reactor, options, read, apply)
        reloads.append(reload)
        add_reloads(traffic.metrics, reload)
    if options.access_log is None:
        # whoever rotates the logs of many servers signals this one too
        traffic.parts.append(IgnoredSignal(signal.SIGUSR1))

    further = []
    if options.tls_listen is not None and traffic.tls is not None:
        further.append(Listener(reactor, options.tls_listen, traffic.tls, who=f"{WHO} tls", flag="--tls-listen"))

    def not_ready() -> str | None:
        return "it is stopping" if factory.draining else upstream.not_ready()

    return component_service(
        reactor,
        options,
        who=WHO,
        factory=traffic.plain,
        parts=[*reloads, wheel, upstream, *kept, Upkeep(reactor, upstream), *checking.parts, *traffic.parts],
        collectors=[traffic.metrics],
        ready=not_ready,
        admin=admin_calls(
            upstream,
            ThisProcess(upstream, traffic.proxy, traffic.shedding),
            token,
            algorithm=options.algorithm.name,
            wall=time.time,
            explained=options.explained_requests,
            reload=None if reload is None else reload.told,
        ),
        grace_s=options.grace_s,
        further=further,
    )
