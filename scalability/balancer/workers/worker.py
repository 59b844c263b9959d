"""A worker, composed bottom-up: deadlines, the servers as its parent tells them, the clients' side, the listeners."""

import resource
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from scalability.balancer.config import BalancerOptions
from scalability.balancer.front import Front, answer_health
from scalability.balancer.traffic import WHO, Connections, Traffic, selections
from scalability.balancer.use import ThisProcess
from scalability.balancer.workers.messages import (
    AskHealth,
    Certificates,
    Changed,
    Collect,
    Health,
    Outcomes,
    Refused,
    Report,
    Servers,
    Setup,
    Suspected,
    ToWorker,
    Why,
    WhyAnswer,
)
from scalability.balancer.workers.spawning import FIRST_SOCKET
from scalability.balancer.workers.split import options_of, share
from scalability.config.load import restore
from scalability.errors import ScalelabError
from scalability.lifecycle import DeadlineWheel, OrderedService, Ticker
from scalability.net.exchange import Exchange
from scalability.net.http_server import HTTPServerFactory
from scalability.net.listen import Listener
from scalability.telemetry import LoopLag, MetricSet
from scalability.telemetry.merge import told
from scalability.upstream.mirror import MirroredUpstream
from scalability.upstream.per_server import every_server
from scalability.upstream.servers import Upstream
from scalability.upstream.upkeep import Upkeep

REPORT_S = 2.0
"""Seconds between two reports that nobody asked for: what a killed worker counted since its last one is lost."""
HEALTH_S = 1.0
"""As long, in seconds, the parent has to say how the whole balancer is; then a worker says what it knows by itself."""

Send = Callable[[msgspec.Struct], None]


class Upload:
    """The Receiver of a request for ``/health`` whose body nobody wants."""

    def body_received(self, data: bytes, ended: bool) -> None:
        """Thrown away."""

    def client_lost(self, error: ScalelabError) -> None:
        """What it is answered is dropped."""

    def client_full(self) -> None:
        """The answer is small."""

    def client_ready(self) -> None:
        """The answer is small."""


class WorkerFront(Front):
    """Has the parent answer ``/health``. One question is on its way at a time; who asks meanwhile waits for the next one."""

    def __init__(self, upstream: Upstream, *, wheel: DeadlineWheel, send: Send) -> None:
        super().__init__(upstream)
        self._wheel = wheel
        self._send = send
        self._now: list[Exchange] = []
        self._next: list[Exchange] = []
        self._deadline: Any = None

    def health_asked(self, exchange: Exchange) -> None:
        if not exchange.body_complete:
            exchange.receiver = Upload()
        self._next.append(exchange)
        if self._deadline is None:
            self._ask()

    def told(self, body: bytes) -> None:
        """The parent's answer. One that comes too late answers nobody, or those who asked since: it is as true for them."""
        deadline, self._deadline = self._deadline, None
        if deadline is not None:
            deadline.cancel()
        now, self._now = self._now, []
        for exchange in now:
            answer_health(exchange, body)
        if self._next and self._deadline is None:
            self._ask()

    def _ask(self) -> None:
        self._now, self._next = self._next, []
        self._deadline = self._wheel.after(HEALTH_S, self._too_late)
        self._send(AskHealth())

    def _too_late(self) -> None:
        self.told(msgspec.json.encode(self.health()))


class Reporter:
    """What is seen of servers, told to the parent: connections that could not be made once in a turn of the loop, all else at once."""

    def __init__(self, clock: IReactorTime, send: Send) -> None:
        self._clock = clock
        self._send = send
        self._refused: dict[str, int] = {}
        self._telling: IDelayedCall | None = None

    def refused(self, name: str) -> None:
        """One more to the server ``name``."""
        self._refused[name] = self._refused.get(name, 0) + 1
        if self._telling is None:
            self._telling = self._clock.callLater(0, self._tell)

    def suspected(self, name: str) -> None:
        """See Reports."""
        self._send(Suspected(name))

    def outcomes(self, counts: dict[str, tuple[int, int]]) -> None:
        """See Reports."""
        self._send(Outcomes(counts))

    def _tell(self) -> None:
        self._telling = None
        refused, self._refused = self._refused, {}
        self._send(Refused(refused))


class WorkerService(OrderedService):
    """What a worker process runs. ``told`` takes what the parent says."""

    log = Logger()

    def __init__(self, reactor: Any, setup: Setup, servers: Servers, send: Send, *, full: Callable[[], bool] = lambda: False) -> None:
        super().__init__()
        self._index = setup.index
        options = options_of(restore(BalancerOptions, setup.options), setup.index)
        wheel = DeadlineWheel(reactor)
        self._send = send
        self._full = full
        self._connections = Connections(reactor, options, wheel)
        self._upstream = MirroredUpstream(
            selections(reactor, options),
            self._connections,
            Reporter(reactor, send),
            rules=options.rules(),
            seconds=reactor.seconds,
            later=partial(reactor.callLater, 0),
            part=partial(share, workers=setup.options["workers"], index=setup.index),
        )
        self._upstream.show(servers.servers)
        self._certificates = _certificates(setup) if setup.certificates else None
        traffic = self._traffic = Traffic(
            reactor,
            options,
            wheel,
            self._upstream,
            via=setup.via.encode(),
            front=partial(WorkerFront, wheel=wheel, send=send),
            certificates=self._certificates,
        )
        self._use = ThisProcess(self._upstream, traffic.proxy, traffic.shedding)
        self._front: Any = traffic.front
        self._factory: HTTPServerFactory = traffic.factory
        own = MetricSet()
        lag = LoopLag(reactor, own, name="scalelab_lb_worker_event_loop_lag_seconds")
        self._metrics = MetricSet()
        self._metrics.include(traffic.metrics)
        self._metrics.include(own)
        reports = Ticker(reactor, REPORT_S, self._report_if_read)
        # the first drains what all of them share, so it is closed last
        served = {"--listen": traffic.plain, "--tls-listen": traffic.tls}
        listeners = [
            Listener(reactor, options.listen, served[flag], who=WHO, flag=flag, grace_s=options.grace_s, descriptor=FIRST_SOCKET + place)
            for place, flag in enumerate(setup.sockets)
        ]
        for part in (wheel, self._upstream, Upkeep(reactor, self._upstream), *traffic.parts, lag, reports, *listeners):
            part.setServiceParent(self)

    def received(self, message: ToWorker) -> None:
        """The parent says ``message``."""
        match message:
            case Servers():
                self._upstream.show(message.servers)
            case Changed():
                self._configure(options_of(restore(BalancerOptions, message.options), self._index))
            case Certificates():
                if self._certificates is not None:
                    self._certificates.show(message.certificates)
            case Collect():
                self.report(message.round)
            case Why():
                self._send(WhyAnswer(message.number, self._use.explained(message.request_id)))
            case Health():
                self._front.told(message.body.encode())
            case Setup():
                self.log.warn("a worker is told who it is only once")

    def _configure(self, options: BalancerOptions) -> None:
        self._connections.configure(options, every_server(self._upstream))
        self._upstream.configure(options.rules())
        self._traffic.configure(options)

    def report(self, number: int = 0) -> None:
        """Tell the parent all that was counted here."""
        counts = self._factory.counts
        usage = resource.getrusage(resource.RUSAGE_SELF)
        cpu_s = usage.ru_utime + usage.ru_stime
        use = self._use
        self._send(Report(number, told(self._metrics), use.servers(), counts.open, cpu_s, resident_bytes(), use.process()))

    def _report_if_read(self) -> None:
        if not self._full():
            self.report()


def _certificates(setup: Setup) -> Any:
    from scalability.net.certificates import Certificates as Served  # loads OpenSSL, which most do without

    return Served(setup.certificates)


def resident_bytes(statm: Path = Path("/proc/self/statm")) -> int:
    """Resident memory of this process; 0 where /proc does not tell."""
    try:
        return int(statm.read_text().split()[1]) * resource.getpagesize()
    except (OSError, ValueError, IndexError):
        return 0
