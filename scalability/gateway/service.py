"""The gateway, put together: connections to its dependencies, the cache, tokens, listeners."""

import random
from typing import Any

from prometheus_client.registry import Collector
from twisted.application.service import IService
from twisted.logger import Logger

from scalability.api.component import component_service
from scalability.api.mount import mount
from scalability.config import ServiceURL
from scalability.gateway.access.claims import Rules
from scalability.gateway.access.keys import MIN_SECRET_BYTES, Keys
from scalability.gateway.access.tokens import Tokens
from scalability.gateway.config import GatewayOptions, read_secret
from scalability.gateway.data import DataSource
from scalability.gateway.data_hits import DataHits
from scalability.gateway.dependencies import Dependencies, Dependency, DependencyWatch
from scalability.gateway.http_api import Parts, gateway_app
from scalability.gateway.look_aside import LookAside, Policy
from scalability.gateway.look_aside.building import build_cache
from scalability.gateway.metrics import GatewayMetrics
from scalability.lifecycle import DeadlineWheel
from scalability.net.service_client import ServiceClient
from scalability.telemetry import process_collectors

log = Logger()


def gateway_service(reactor: Any, options: GatewayOptions) -> IService:
    """One gateway with connections of its own to every dependency."""
    wheel = DeadlineWheel(reactor)

    def dependency(name: str, url: ServiceURL, *, timeout_s: float) -> Dependency:
        client = ServiceClient(reactor, url.address, wheel, timeout_s=timeout_s)
        return Dependency(name, client, reactor)

    database = dependency("database", options.database, timeout_s=options.timeout_s)
    microservice = dependency("microservice", options.microservice, timeout_s=options.timeout_s)
    worker = dependency("worker", options.worker, timeout_s=options.timeout_s)
    everyone = [database, microservice, worker]
    parts: list[IService] = [wheel]
    built = build_cache(reactor, options.cache, wheel, timeout_s=options.cache_timeout_s)
    parts += built.parts
    if built.server is not None:
        everyone.insert(0, built.server)
    dependencies = Dependencies(*everyone)
    look_aside = LookAside(
        built.cache, reactor, _policy(options), draw=random.random, max_entries=options.near_max_entries, max_bytes=options.near_max_bytes
    )
    parts += [dependencies, look_aside, DependencyWatch(reactor, options.health_interval_s, everyone)]
    metrics = GatewayMetrics(look_aside, dependencies)
    counts = metrics.metric_set()
    exposed: list[Collector] = [counts, *process_collectors()]
    tokens = _tokens(options)
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
            tokens=tokens,
        )
    )
    factory = mount(app, reactor=reactor)
    factory.application = DataHits(factory, look_aside, DataSource(database).load, metrics, tokens)
    exposed.append(factory.metrics)
    return component_service(reactor, options, who="scalelab-gateway", factory=factory, parts=parts, collectors=[counts])


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


def _tokens(options: GatewayOptions) -> Tokens | None:
    if options.jwt_secret_file is None:
        return None
    key = read_secret(options.jwt_secret_file)
    length = len(key.material)
    if length < MIN_SECRET_BYTES:
        log.warn("the secret has {length} bytes; HS256 asks for {wanted} at least", length=length, wanted=MIN_SECRET_BYTES)
    return Tokens(Keys([key]), Rules(required=options.jwt_require))
