"""scalelab-lb, composed bottom-up: deadlines, servers, their checks, discovery, then the listeners."""

import secrets
import signal
from typing import Any

from scalability.api.component import component_service
from scalability.balancer.admin import admin_calls
from scalability.balancer.admin_token import AdminToken
from scalability.balancer.checking import checking
from scalability.balancer.config import BalancerOptions
from scalability.balancer.metrics import add_health
from scalability.balancer.traffic import WHO, Traffic, connections_to, selections
from scalability.balancer.use import ThisProcess
from scalability.lifecycle import DeadlineWheel, OrderedService
from scalability.lifecycle.signals import IgnoredSignal
from scalability.net.listen import Listener
from scalability.upstream.servers import Upstream
from scalability.upstream.upkeep import Upkeep


def balancer(reactor: Any, options: BalancerOptions) -> OrderedService:
    """The service that twistd runs."""
    if options.workers > 1:
        from scalability.balancer.workers.service import balancer_of_workers

        return balancer_of_workers(reactor, options)
    wheel = DeadlineWheel(reactor)
    upstream = Upstream(
        selections(reactor, options),
        connections_to(reactor, options, wheel),
        rules=options.rules(),
        seconds=reactor.seconds,
        learns=options.algorithm.name == "peak_ewma",
    )
    checks = checking(reactor, options, wheel, upstream)
    traffic = Traffic(reactor, options, wheel, upstream, via=b"scalelab-lb-" + secrets.token_hex(4).encode())
    factory = traffic.factory
    add_health(traffic.metrics, upstream)

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
        parts=[wheel, upstream, Upkeep(reactor, upstream), *checks, *traffic.parts],
        collectors=[traffic.metrics],
        ready=not_ready,
        admin=admin_calls(
            upstream,
            ThisProcess(upstream, traffic.proxy, traffic.shedding),
            AdminToken(options.admin_token_file),
            algorithm=options.algorithm.name,
            seconds=reactor.seconds,
            explained=options.explained_requests,
        ),
        grace_s=options.grace_s,
        further=further,
    )
