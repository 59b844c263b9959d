"""What serves the clients of a balancer: the proxy in front of its servers, counted and logged."""

import random
import secrets
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from twisted.application.service import IService
from twisted.logger import Logger

from scalability.balancer.config import BalancerOptions
from scalability.balancer.front import Front
from scalability.balancer.metrics import (
    Requests,
    add_announcements,
    add_certificates,
    add_clients,
    add_handshakes,
    add_shedding,
    add_traffic,
)
from scalability.balancer.option_checks import keys_of
from scalability.config import fail
from scalability.errors import ConfigError
from scalability.http1.trace import Identifiers
from scalability.http1.trust import Networks
from scalability.lifecycle import DeadlineWheel
from scalability.lifecycle.open_files import raise_open_files
from scalability.net.connection_attempt import Secure
from scalability.net.connection_pool import ConnectionPool
from scalability.net.exchange import Exchange
from scalability.net.http_server import HTTPServerFactory
from scalability.net.limited_pool import LimitedPool, LimitedPrefacedPool
from scalability.net.proxy_protocol import Announcements, DrainingProxyProtocolFactory, ProxyProtocolFactory
from scalability.net.timed_server import TimedServerFactory
from scalability.proxy.access import Access
from scalability.proxy.application import ProxyApplication
from scalability.proxy.decisions import Decisions
from scalability.proxy.lag import LagSampler
from scalability.proxy.retrying import Retries
from scalability.proxy.timed_forwarding import TimedForwarding
from scalability.proxy.total_limit import TotalLimit
from scalability.telemetry import MetricSet
from scalability.telemetry.access_log import AccessLog
from scalability.upstream.building import SelectionBuilder
from scalability.upstream.retry_budget import RetryBudget
from scalability.upstream.securing import securing
from scalability.upstream.selection import ALGORITHMS, Selection
from scalability.upstream.server import Server
from scalability.upstream.servers import Upstream
from scalability.upstream.shedding import Shedding, SheddingPolicy
from scalability.upstream.spec import ServerSpec
from scalability.upstream.stickiness import Stickiness

if TYPE_CHECKING:
    # these load OpenSSL, which most do without
    from scalability.net.certificates import Certificates, CertificateStore

WHO = "scalelab-lb"

RESERVED_FILES = 100
"""For listeners, checks, logs and the reactor itself."""

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


def secured(reactor: Any, options: BalancerOptions) -> Callable[[str], Secure | None]:
    """What makes, of the name in a server's certificate, what its connections are wrapped into; of no name none."""

    try:
        return securing(reactor, ca=options.backend_ca, verify=not options.backend_insecure)
    except ConfigError as error:
        fail(WHO, str(error))


class Connections:
    """Makes the pool of connections to each server."""

    def __init__(self, reactor: Any, options: BalancerOptions, wheel: DeadlineWheel) -> None:
        self._reactor = reactor
        self._options = options
        self._wheel = wheel
        self._secure = secured(reactor, options)
        self._kind = LimitedPrefacedPool if options.send_proxy_version else LimitedPool

    def __call__(self, spec: ServerSpec) -> ConnectionPool:
        options = self._options
        return self._kind(
            self._reactor,
            spec.address,
            self._wheel,
            connect_timeout_s=options.connect_timeout_s,
            answer_s=options.answer_timeout_s,
            limits=options.limits(),
            secure=self._secure(spec.tls),
        )

    def configure(self, options: BalancerOptions, servers: Iterable[Server]) -> None:
        """Go by ``options`` from now on, and have the pools of ``servers`` do so."""
        self._options = options
        for server in servers:
            server.pool.configure(connect_timeout_s=options.connect_timeout_s, answer_s=options.answer_timeout_s, limits=options.limits())


def selections(reactor: Any, options: BalancerOptions) -> Callable[[], Selection[Server]]:
    """What makes a selection by the algorithm that was asked for."""
    return partial(ALGORITHMS[options.algorithm.name], clock=reactor.seconds, random=random.random)


def total_limit(options: BalancerOptions, wheel: DeadlineWheel) -> TotalLimit | None:
    """What limits whole exchanges, if they are to be."""
    return TotalLimit(wheel, wheel.ticks(options.total_timeout_s)) if options.total_timeout_s else None


def stickiness(options: BalancerOptions) -> Stickiness[Server] | None:
    """What binds clients to servers, if they are to be."""
    if options.sticky == "off":
        return None
    try:
        keys = (secrets.token_bytes(32),) if options.sticky_key_file is None else keys_of(options.sticky_key_file)
    except ConfigError as error:
        fail(WHO, str(error))
    return Stickiness(keys)


def watched_certificates(reactor: Any, options: BalancerOptions, metrics: MetricSet, parts: list[IService]) -> "CertificateStore":
    """The certificates of the TLS listener, watched by one of ``parts`` and shown in ``metrics``."""
    from scalability.net.certificates import CertificateStore, CertificateWatch  # loads OpenSSL, which most do without

    try:
        store = CertificateStore(options.tls_cert)
    except ConfigError as error:
        fail(WHO, str(error))
    parts.append(CertificateWatch(reactor, store))
    add_certificates(metrics, store)
    return store


class Traffic:
    """The clients' side of a balancer, in one process: ``factory`` is its server, listened with above ``parts``; ``metrics`` counts it.

    ``front`` makes what answers the balancer's own ``/health``. ``via`` is the balancer's pseudonym: requests may pass several
    balancers, and only one that returns is a loop. ``certificates`` are what the TLS listener serves where somebody else reads them.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        options: BalancerOptions,
        wheel: DeadlineWheel,
        upstream: Upstream,
        *,
        via: bytes,
        front: Callable[[Upstream], Front] = Front,
        certificates: "Certificates | None" = None,
    ) -> None:
        logged = options.access_log is not None
        retries = Retries(
            reactor,
            policy=options.retry_policy(),
            budget=RetryBudget(percent=options.retry_budget),
            random=random.random,
            max_waiting=options.max_queue,
            timeout_s=options.queue_timeout_s,
        )
        decisions: Decisions | None = None
        if options.explained_requests:
            decisions = Decisions(upstream, options.explained_requests, algorithm=options.algorithm.name)
        shedding = Shedding(SheddingPolicy(target_s=options.shed_lag_s))
        self.front = front(upstream)
        proxy = ProxyApplication(
            upstream,
            via=via,
            trusted=Networks(network.addresses for network in options.trusted_proxy),
            forwarded=options.forwarded,
            send_proxy=options.send_proxy_version,
            identifiers=Identifiers(secrets.token_bytes) if options.request_ids == "on" else None,
            forwarding=TimedForwarding if logged else None,
            upgrades=options.upgrades(),
            tunnel_ticks=wheel.ticks(options.tunnel_timeout_s),
            retries=retries,
            stickiness=stickiness(options),
            key_of=options.hash_key.reader() if options.algorithm.name == "maglev" else None,
            shedding=shedding,
            hedge_s=options.hedge_after_s,
            decisions=decisions,
            total=total_limit(options, wheel),
            own=self.front.answers,
        )
        self.metrics = MetricSet()
        self.proxy = proxy
        self.shedding = shedding
        self._wheel = wheel
        self._announcements: Announcements | None = None
        self.parts: list[IService] = [SelectionBuilder(reactor, upstream)] if upstream.builds else []
        if options.shed_lag_s:
            self.parts.append(LagSampler(reactor, shedding))
        ended: Ended = Requests(self.metrics).ended
        access: Access | None = None
        if options.access_log is not None:
            log = AccessLog(reactor, options.access_log, who=WHO, metrics=self.metrics, format=options.access_log_format)
            self.parts.append(log)
            access = Access(log)
            ended = both(ended, access.ended)
        clients = self._clients_that_fit(options.max_connections)
        self.factory = (TimedServerFactory if logged else HTTPServerFactory)(
            proxy,
            clock=reactor,
            wheel=wheel,
            limits=options.limits(),
            timeouts=options.timeouts(),
            max_connections=clients,
            max_connections_per_client=options.max_connections_per_client,
            abort_on_close=options.abort_on_close,
            ended=ended,
        )
        if access is not None and isinstance(self.factory, TimedServerFactory):
            self.factory.refused = access.refused
        add_clients(self.metrics, self.factory)
        add_traffic(self.metrics, upstream, proxy)
        add_shedding(self.metrics, shedding)
        self.plain: Any = self.factory
        """What ``options.listen`` is to be listened with. Its listener closes last, and drains."""
        self.tls = None if options.tls_listen is None else self._serve_tls(reactor, options, certificates)
        """What ``options.tls_listen`` is to be listened with; None without that."""
        if options.proxy_protocol_from:
            self._await_headers(options, wheel)

    def configure(self, options: BalancerOptions) -> None:
        """Go by ``options`` from now on, as far as what is made once allows it: see ``balancer.change``."""
        self.factory.configure(
            limits=options.limits(),
            timeouts=options.timeouts(),
            max_connections_per_client=options.max_connections_per_client,
        )
        self.proxy.tunnel_ticks = self._wheel.ticks(options.tunnel_timeout_s)
        self.proxy.configure(total_limit(options, self._wheel), options.hedge_after_s)
        self.proxy.retries.configure(
            options.retry_policy(),
            budget_percent=options.retry_budget,
            max_waiting=options.max_queue,
            timeout_s=options.queue_timeout_s,
        )
        if self._announcements is not None:
            self._announcements.timeout_s = options.header_timeout_s

    def _serve_tls(self, reactor: Any, options: BalancerOptions, certificates: "Certificates | None") -> Any:
        """What the TLS listener is to be listened with."""
        from scalability.net.tls import TLSServerFactory  # loads OpenSSL, which most do without

        if certificates is None:
            certificates = watched_certificates(reactor, options, self.metrics, self.parts)
        factory = TLSServerFactory(certificates, self.factory, reactor)
        add_handshakes(self.metrics, factory)
        return factory

    def _await_headers(self, options: BalancerOptions, wheel: DeadlineWheel) -> None:
        """Have PROXY protocol headers read before anything else."""
        senders = Networks(network.addresses for network in options.proxy_protocol_from)
        announcements = self._announcements = Announcements(self.factory, senders, wheel, timeout_s=options.header_timeout_s)
        add_announcements(self.metrics, announcements)
        self.plain = DrainingProxyProtocolFactory(announcements, self.factory)
        if self.tls is not None:
            self.tls = ProxyProtocolFactory(announcements, self.tls)

    def _clients_that_fit(self, wanted: int) -> int:
        open_files = raise_open_files()
        clients = clients_that_fit(wanted, open_files)
        if clients < wanted:
            self.log.info(
                "{clients} clients at once instead of {wanted}: only {open_files} files may be open (ulimit -Hn)",
                clients=clients,
                wanted=wanted,
                open_files=open_files,
            )
        return clients
