"""The gateway, put together: connections to its dependencies, the cache, tokens, listeners."""

import random
import signal
from collections.abc import Callable
from time import time
from typing import Any

from prometheus_client.registry import Collector
from twisted.application.service import IService

from scalability.api.admin_token import AdminToken
from scalability.api.component import component_service
from scalability.api.json import MAX_BODY_BYTES
from scalability.api.routes import routes as resource_of
from scalability.config import ServiceURL, fail
from scalability.errors import ConfigError
from scalability.gateway.access.assembly import Access
from scalability.gateway.access.config import APIKeyOptions, JWTOptions
from scalability.gateway.access.description import Schemes, schemes
from scalability.gateway.access.guard import Guard
from scalability.gateway.access.metrics import access_metrics
from scalability.gateway.access.own_paths import own_policies
from scalability.gateway.access_log import GatewayAccess, LoggedGatewayServer
from scalability.gateway.admin import admin_calls
from scalability.gateway.config import GatewayOptions
from scalability.gateway.data import DataSource
from scalability.gateway.data_hits import DataHits
from scalability.gateway.dependencies import Dependencies, Dependency, DependencyWatch, Watched
from scalability.gateway.http_api import Parts, gateway_app
from scalability.gateway.http_cache.metrics import add_http_cache
from scalability.gateway.http_cache.purging import add_purging
from scalability.gateway.look_aside import LookAside, Policy
from scalability.gateway.look_aside.building import build_cache
from scalability.gateway.metrics import GatewayMetrics
from scalability.gateway.rate_limits.shared_cells import SharedCells
from scalability.gateway.routing.building import Routes
from scalability.gateway.routing.description import forwarded
from scalability.gateway.routing.front import GatewayServer
from scalability.gateway.routing.metrics import upstream_metrics
from scalability.gateway.routing.shape_metrics import add_checkers, shape_metrics
from scalability.http1.trust import Networks
from scalability.lifecycle import DeadlineWheel, OrderedService
from scalability.lifecycle.signals import IgnoredSignal
from scalability.net.exchange import Application
from scalability.net.service_client import ServiceClient
from scalability.resp.client import RespClient
from scalability.telemetry import AccessLog, process_collectors

WHO = "scalelab-gateway"


def gateway_service(reactor: Any, options: GatewayOptions, *, wall: Callable[[], float] = time) -> OrderedService:
    """One gateway with connections of its own to every dependency. ``wall`` tells the Unix time, wherever a date is needed."""
    wheel = DeadlineWheel(reactor)

    def dependency(name: str, url: ServiceURL, *, timeout_s: float) -> Dependency:
        client = ServiceClient(reactor, url.address, wheel, timeout_s=timeout_s)
        return Dependency(name, client, reactor)

    database = dependency("database", options.database, timeout_s=options.timeout_s)
    microservice = dependency("microservice", options.microservice, timeout_s=options.timeout_s)
    worker = dependency("worker", options.worker, timeout_s=options.timeout_s)
    everyone: list[Watched] = [database, microservice, worker]
    parts: list[IService] = [wheel]
    try:
        built = build_cache(reactor, options.cache, timeout_s=options.cache_timeout_s)
    except ConfigError as error:
        fail(WHO, str(error))
    parts += built.parts
    if built.server is not None:
        everyone.insert(0, built.server)
    dependencies = Dependencies(*everyone)
    look_aside = LookAside(
        built.cache,
        reactor,
        _policy(options),
        draw=random.random,
        max_entries=options.near_max_entries,
        max_bytes=options.near_max_bytes,
        changes=built.changes,
    )
    parts += [dependencies, look_aside, DependencyWatch(reactor, options.health_interval_s, everyone)]
    jwt = options.jwt()
    access = Access(
        reactor,
        jwt=jwt,
        rate_limit=options.rate_limit,
        shared_cells=_shared_cells(reactor, options, built.redis),
        trusted=Networks(network.addresses for network in options.trusted_proxy),
        jwks_timeout_s=options.jwks_timeout_s,
        jwks_cooldown_s=options.jwks_cooldown_s,
        wall=wall,
    )
    parts.append(access)
    policy_of = own_policies(access, cors=options.cors, api_keys=options.api_keys, jwt=jwt)
    metrics = GatewayMetrics(look_aside, dependencies)
    counts = metrics.metric_set()
    counts.include(access_metrics(access))
    exposed: list[Collector] = [counts, *process_collectors()]
    app = gateway_app(
        Parts(
            clock=reactor,
            look_aside=look_aside,
            dependencies=dependencies,
            database=database,
            microservice=microservice,
            worker=worker,
            metrics=metrics,
            exposed=exposed,
            security=_asked(jwt, options.api_keys),
            docs=not options.no_docs,
            forwarded=[forwarded(route, _asked(route.jwt, route.api_keys)) for route in options.all_routes],
        )
    )
    resource = resource_of(app)
    factory: GatewayServer
    if options.access_log is None:
        factory = GatewayServer(resource, reactor, MAX_BODY_BYTES, wall=wall)
        # whoever rotates the logs of many servers signals this one too
        parts.append(IgnoredSignal(signal.SIGUSR1))
    else:
        log = AccessLog(reactor, options.access_log, who=WHO, metrics=counts, format=options.access_log_format)
        parts.append(log)
        factory = LoggedGatewayServer(resource, reactor, MAX_BODY_BYTES, GatewayAccess(log, wall))
    exposed.append(factory.metrics)
    try:
        routes = Routes(reactor, options, wheel, access, wall=wall)
    except ConfigError as error:
        fail(WHO, str(error))
    parts += routes.parts
    within = routes.caching_opted_in(factory)
    own: Application = DataHits(factory, look_aside, DataSource(database).load, metrics, pass_on=within)
    if policy_of is not None:
        own = Guard(lambda exchange: policy_of(exchange.head), own, answered=factory.answered_before_routing)
    if options.all_routes:
        factory.cached_routes = routes.cached
        factory.application = routes.front(own, [rule.rule for rule in app.url_map.iter_rules()], within=within, policy_of=policy_of)
    else:
        factory.serve_alone(own)
    add_http_cache(counts, routes.store, routes.counts)
    counts.include(shape_metrics(routes.shapes))
    add_checkers(counts, routes.checkers)
    upstreams = upstream_metrics(routes.upstreams)
    exposed.append(upstreams)
    admin = admin_calls(routes.upstreams)
    add_purging(admin, routes.store, routes.counts, AdminToken(options.admin_token_file), reactor)
    return component_service(
        reactor,
        options,
        who=WHO,
        factory=factory,
        parts=parts,
        collectors=[counts, upstreams],
        ready=lambda: "it is stopping" if factory.draining else None,
        admin=admin,
    )


def _asked(jwt: JWTOptions | None, api_keys: APIKeyOptions | None) -> Schemes:
    return schemes(tokens=jwt is not None, key_field=None if api_keys is None else api_keys.field)


def _shared_cells(reactor: Any, options: GatewayOptions, server: RespClient | None) -> SharedCells | None:
    if options.rate_limit_store == "memory" or server is None:
        return None
    return SharedCells(server, reactor, timeout_s=options.rate_limit_timeout_s, draw=random.random)


def _policy(options: GatewayOptions) -> Policy:
    return Policy(
        ttl_s=options.ttl_s,
        ttl_jitter=options.ttl_jitter,
        near_ttl_s=options.near_ttl_s,
        negative_ttl_s=options.negative_ttl_s,
        stale_ttl_s=options.stale_ttl_s,
        lease_s=options.lease_s,
        beta=options.early_refresh,
    )
