"""One server: its connections, its state, what was sent there and what came of it.

**A connection that cannot be made counts as one failed check** (HAProxy's ``observe layer4`` with ``on-error fail-check``
and ``error-limit 1``): nothing listens there, the request goes to another server at once, and after ``fall`` such
failures in a row the dead server costs no further attempt, long before the next checks are due. What fails for want of our own
means (open files, local ports) says nothing about the server and counts for nothing, in a check neither. Requests that
fail later (no answer, a broken one, a slow one) are counted and leave health alone: checks decide there.
"""

import errno
from collections.abc import Container
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from twisted.internet.error import ConnectBindError
from twisted.logger import Logger

from scalability.errors import BadMessage, ConnectError, ConnectTimeout, ScalelabError
from scalability.net.connection_pool import ConnectionPool
from scalability.net.limited_pool import LimitedPool
from scalability.telemetry.buckets import Buckets
from scalability.upstream import breaker
from scalability.upstream.breaker import Breaker
from scalability.upstream.health import Health
from scalability.upstream.history import CheckHistory
from scalability.upstream.outlier import Outcomes, blames_server
from scalability.upstream.selection.ewma import Ewma
from scalability.upstream.spec import ServerSpec

if TYPE_CHECKING:
    from scalability.upstream.servers import Upstream

FAILED_AS_S = 1.0
"""As slow a request counts at least, in seconds, for an algorithm that learns latencies, when it failed."""
TELL_EVERY_S = 60.0
"""A server's bad answers are logged no more often than this, in seconds."""


@dataclass(slots=True)
class Counts:
    """What happened to one server, since it was first named. Plain integers, read when metrics are asked for."""

    checks_passed: int = 0
    checks_failed: int = 0
    went_down: int = 0


OWN_MEANS = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL, errno.EADDRINUSE))


def is_ours(error: BaseException) -> bool:
    """Whether a connection could not be made for want of our own means: files, memory, local ports."""
    cause = error.__cause__
    return isinstance(cause, ConnectBindError) or getattr(cause, "osError", None) in OWN_MEANS


class Mode(Enum):
    """What an operator wants of a server, whatever its health."""

    READY = "ready"
    DRAIN = "drain"
    """No new request but those of clients that are bound to it; it finishes what it has."""
    MAINT = "maint"
    """No new request at all."""


_CLOSED = breaker.State.CLOSED
_OPEN = breaker.State.OPEN


class Server:
    """One server: identity, connections, state, counts.

    Who sends it a request says ``started``, then perhaps ``answered``, and at the end ``succeeded`` or ``failed``; or, of an answer that
    came whole, ``completed``.
    """

    log = Logger()
    __slots__ = (
        "_tell_at_tick",
        "_told",
        "_upstream",
        "active",
        "address",
        "breaker",
        "counts",
        "durations",
        "ejected",
        "failures",
        "health",
        "history",
        "label",
        "last_check",
        "latency",
        "level",
        "max_active",
        "misses",
        "mode",
        "name",
        "outcomes",
        "pool",
        "removed",
        "requests",
        "restricted",
        "share",
        "spec",
        "tls",
        "unreachable",
        "warming_since_s",
        "weight",
    )

    def __init__(self, upstream: "Upstream", spec: ServerSpec, pool: ConnectionPool, health: Health) -> None:
        self._upstream = upstream
        self._tell_at_tick = 0
        self.name = str(spec.address)
        self.address = spec.address
        self.tls = spec.tls
        """The name in its certificate; empty: it speaks no TLS."""
        self.spec = spec
        """As the first source that names it does."""
        self.weight = spec.weight
        """What counts now: see ``Upstream.set_weight``."""
        self.level = spec.level
        self.max_active = spec.most_at_once
        self.share = 1.0
        """How much of its weight counts: below 1 while it starts slowly."""
        self.label = (self.name, spec.weight, 1.0)
        """Name, weight and share, as of the last choice among changed servers: what explanations keep of it."""
        self.warming_since_s = 0.0
        """When its slow start began; 0 while there is none."""
        self.mode = Mode.READY
        self.ejected = False
        """Whether its failures have it ejected for a time."""
        self.latency = Ewma()
        """How long it takes to answer."""
        self.breaker = Breaker(upstream.rules.breaker)
        self.outcomes = Outcomes(upstream.rules.outlier.failures_in_a_row)
        self._told = 0
        self.restricted = bool(spec.most_at_once)
        """Whether ``is_full`` is worth asking."""
        self.durations = Buckets()
        """Seconds from sending a request to the head of its answer."""
        self.pool = pool
        self.limit_connections()
        self.health = health
        self.active = 0
        """Requests in flight."""
        self.requests = 0
        """Attempts, ever: a retried request counts on each server that it was sent to."""
        self.misses = 0
        """How often what waits for it was told not to: it went down, and each check since that found it so."""
        self.removed = False
        """True once no source names it: it finishes what it has."""
        self.unreachable = False
        """Whether the last attempt to connect to it failed."""
        self.counts = Counts()
        self.failures: dict[str, int] = {}
        """Failed attempts by the error's code."""
        self.last_check = "not checked yet"
        """What the last check, or a failed connection, said: one sentence for people."""
        self.history = CheckHistory()
        """What its last checks have found, failed connections of requests left out."""

    def __repr__(self) -> str:
        return f"<Server {self.name} {self.health.state.value}>"

    def limit_connections(self) -> None:
        """Have its pool keep to what its spec says."""
        if isinstance(self.pool, LimitedPool):
            self.pool.most = self.spec.max_connections

    def forget_latency(self) -> None:
        """It is back, perhaps as another process: how long it took before, failures included, says nothing any more."""
        self.latency = Ewma()

    def is_full(self) -> bool:
        """Whether it has as many requests as it may get at once, or as its breaker lets through."""
        return 0 < self.max_active <= self.active or not self.breaker.admits

    def started(self) -> int:
        """A request is about to be sent here. What is returned goes into the call that tells how it went."""
        self.active += 1
        self.requests += 1
        if self._upstream.tracking:
            self._tell(1)
        return self.breaker.started() if self.restricted else self.breaker.epoch

    def answered(self, status: int, seconds: float, now: float, epoch: int) -> None:
        """The head of that request's answer came, ``seconds`` after it was sent; ``now`` is on the upstream's clock."""
        self.durations.record(seconds)
        if self._upstream.learns:
            self.latency.observe(seconds, now)
        if 502 <= status <= 504:
            self._went_wrong(now, epoch)
            return
        self._went_right(now, epoch)

    def completed(self, seconds: float, now: float, epoch: int) -> None:
        """``answered`` with a status that is nobody's failure, and ``succeeded``, in one: the usual request."""
        self.durations.record(seconds)
        upstream = self._upstream
        if upstream.learns:
            self.latency.observe(seconds, now)
        outcomes = self.outcomes
        outcomes.successes += 1
        outcomes.in_a_row = 0
        self.active -= 1
        if self.restricted:
            self._told_of_success(now, epoch)
        if upstream.tracking:
            self._tell(-1)
        if upstream.queueing:
            upstream.serve_line()
        if self.removed:
            upstream.settled(self)

    def _went_right(self, now: float, epoch: int) -> None:
        outcomes = self.outcomes
        outcomes.successes += 1
        outcomes.in_a_row = 0
        if self.restricted:
            self._told_of_success(now, epoch)

    def _told_of_success(self, now: float, epoch: int) -> None:
        # a closed breaker is told of successes when they matter to it, at the next failure, or once a second
        if self.breaker.state is not _CLOSED and self.breaker.succeeded(epoch, now):
            self._upstream.breaker_changed(self)

    def take_outcomes(self, now: float) -> tuple[int, int]:
        """The successes and failures since the last call; its breaker is told of the former."""
        self._tell_breaker(now)
        self._told = 0
        return self.outcomes.take()

    def forget_outcomes(self) -> None:
        """It is back from an ejection: what came before says nothing more."""
        self._told = 0
        self.outcomes.restart()

    def _tell_breaker(self, now: float) -> None:
        successes = self.outcomes.successes
        if successes != self._told:
            self.breaker.count(successes - self._told, now)
            self._told = successes

    def _tell(self, change: int) -> None:
        for selection in self._upstream.tracking:
            selection.active_changed(self, change)

    def succeeded(self) -> None:
        """That request is over, as it should be."""
        self.active -= 1
        upstream = self._upstream
        if upstream.tracking:
            self._tell(-1)
        if upstream.queueing:
            upstream.serve_line()
        if self.removed:
            upstream.settled(self)

    def failed(self, error: ScalelabError, epoch: int = 0, seconds: float = 0.0) -> None:
        """That request ended otherwise, ``seconds`` after it was sent.

        A connection that could not be made counts as a failed check; what fails later counts for ejection and breaker.
        """
        upstream = self._upstream
        self.active -= 1
        for selection in upstream.tracking:
            selection.active_changed(self, -1)
        self.failures[error.code] = self.failures.get(error.code, 0) + 1
        if isinstance(error, ConnectError | ConnectTimeout):
            if not is_ours(error):
                upstream.judge(self, False, "a request could not connect", unreachable=True)
            self.breaker.abandoned(epoch)
        elif blames_server(error):
            now = upstream.seconds()
            if upstream.learns:
                # what fails fast is not fast
                self.latency.observe(max(seconds, FAILED_AS_S), now)
            self._went_wrong(now, epoch)
            if isinstance(error.__cause__, BadMessage):
                self._tell_of(error.__cause__)
        else:
            self.breaker.abandoned(epoch)
        if upstream.queueing:
            upstream.serve_line()
        if self.removed:
            upstream.settled(self)

    def _tell_of(self, error: BadMessage) -> None:
        """Clients are told 502 only: what is wrong with the server is for those who run it."""
        wheel = self.pool.wheel
        if wheel.turned_to >= self._tell_at_tick:
            self._tell_at_tick = wheel.turned_to + wheel.ticks(TELL_EVERY_S)
            self.log.warn("server {server} answers what is no proper HTTP/1.1: {why}", server=self.name, why=str(error))

    def _went_wrong(self, now: float, epoch: int) -> None:
        self._tell_breaker(now)
        if self.outcomes.failed():
            self._upstream.suspected(self)
        if self.breaker.failed(epoch, now):
            self._upstream.breaker_changed(self)


class Full:
    """What is to be passed over in a choice: servers that were tried, and those that have as much as they may."""

    __slots__ = ("_tried",)

    def __init__(self, tried: Container[Server]) -> None:
        self._tried = tried

    def __contains__(self, server: object) -> bool:
        return server in self._tried or (isinstance(server, Server) and server.restricted and server.is_full())
