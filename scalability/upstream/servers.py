"""The servers behind a proxy: which there are, which take traffic, what each has done.

Several sources (the configuration, DNS) say which servers there are; health says which of them may be chosen; a
selection chooses. A server that no source names any more takes no new request, finishes those it has, and is forgotten
with the last of them.

**A connection that cannot be made counts as one failed check** (HAProxy's ``observe layer4`` with ``on-error fail-check``
and ``error-limit 1``): nothing listens there, the request goes to another server at once, and after ``fall`` such
failures in a row the dead server costs no further attempt, long before the next checks are due. What fails for want of our own
means (open files, local ports) says nothing about the server and counts for nothing, in a check neither. Requests that
fail later (no answer, a broken one, a slow one) are counted and leave health alone: checks decide there.
"""

import errno
import time
from collections.abc import Callable, Container, Hashable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from operator import attrgetter
from typing import NamedTuple, Protocol, Self

from twisted.application.service import Service
from twisted.internet.error import ConnectBindError
from twisted.logger import Logger

from scalability.config import Address
from scalability.errors import BadMessage, ConnectError, ConnectTimeout, NoServer, Overloaded, ScalelabError, ServersBusy
from scalability.net.http_client import ConnectionPool
from scalability.telemetry.buckets import Buckets
from scalability.upstream import breaker
from scalability.upstream.breaker import Breaker
from scalability.upstream.health import Health, State
from scalability.upstream.history import CheckHistory
from scalability.upstream.outlier import Ejected, Ejections, Outcomes, Returned, blames_server
from scalability.upstream.rules import UpstreamRules
from scalability.upstream.selection import Building, Selection, Tracking
from scalability.upstream.selection.ewma import Ewma
from scalability.upstream.selection.levels import Levels
from scalability.upstream.selection.slow_start import share
from scalability.upstream.spec_options import SpecOptions
from scalability.upstream.waiting import WaitingLine

DEFAULT_RULES = UpstreamRules()
FAILED_AS_S = 1.0
"""As slow a request counts at least, in seconds, for an algorithm that learns latencies, when it failed."""
MAX_WEIGHT = 256
MAX_LEVEL = 127
MAX_ACTIVE = 1_000_000
TELL_EVERY_S = 60.0
"""A server's bad answers are logged no more often than this, in seconds."""


class ServerSpec(NamedTuple):
    """A server as a source names it: where it listens, what it may be sent, and the name in its certificate if it speaks TLS."""

    address: Address
    weight: int = 1
    """Its share of the requests, 0 to 256; 0: only those of clients that are bound to it."""
    tls: str = ""
    """The host name or address that its certificate must hold; empty: plain HTTP."""
    level: int = 0
    """Servers of a level above 0 are there for when those of the levels below cannot serve."""
    max_active: int = 0
    """Requests that it gets at once; 0: no limit."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``HOST:PORT``, and after it perhaps ``,weight=N``, ``,backup`` or ``,level=N``, ``,maxconn=N``, ``,tls`` or ``,tls=NAME``.

        Raises ValueError, saying what is wrong.
        """
        where, *words = text.split(",")
        address = Address.parse(where)
        if not address.port:
            raise ValueError(f"{text!r}: no server listens on port 0")
        options = SpecOptions(text, words)
        if "backup" in options and "level" in options:
            raise ValueError(f"{text!r}: backup is level 1; give one of them")
        return cls(
            address,
            weight=options.number("weight", MAX_WEIGHT, 1),
            tls=options.certificate_name(address.host),
            level=1 if "backup" in options else options.number("level", MAX_LEVEL, 0),
            max_active=options.number("maxconn", MAX_ACTIVE, 0),
        )

    def __str__(self) -> str:
        words = [str(self.address)]
        if self.weight != 1:
            words.append(f"weight={self.weight}")
        if self.level:
            words.append("backup" if self.level == 1 else f"level={self.level}")
        if self.max_active:
            words.append(f"maxconn={self.max_active}")
        if self.tls:
            words.append("tls" if self.tls == self.address.host else f"tls={self.tls}")
        return ",".join(words)


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

    Who sends it a request says ``started``, then perhaps ``answered``, and at the end ``succeeded`` or ``failed``.
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
        self.max_active = spec.max_active
        self.share = 1.0
        """How much of its weight counts: below 1 while it starts slowly."""
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
        self.restricted = bool(spec.max_active)
        """Whether ``is_full`` is worth asking."""
        self.durations = Buckets()
        """Seconds from sending a request to the head of its answer."""
        self.pool = pool
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
        outcomes = self.outcomes
        outcomes.successes += 1
        outcomes.in_a_row = 0
        # a closed breaker is told of successes when they matter to it, at the next failure, or once a second
        if self.restricted and self.breaker.state is not _CLOSED and self.breaker.succeeded(epoch, now):
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


class Waiting(Hashable, Protocol):
    """A request that waits for a place at a server."""

    @property
    def tried(self) -> tuple[Server, ...]:
        """Servers that others are to be preferred to."""

    @property
    def key(self) -> bytes | None:
        """What it is hashed by; see ``Upstream.choose``."""

    def place_free(self, server: "Server | None") -> None:
        """There is a place at ``server``, or no server at all any more: go on at once."""

    def waited_in_vain(self) -> None:
        """The time to wait is over."""


class Watcher(Protocol):
    """Told when servers come and go."""

    def joined(self, server: Server) -> None: ...

    def left(self, server: Server) -> None: ...


class Upstream(Service):
    """All servers of one kind. As a service it owns their connections and closes them when it stops."""

    log = Logger()

    def __init__(
        self,
        selection: Callable[[], Selection[Server]],
        pool: Callable[[ServerSpec], ConnectionPool],
        *,
        rules: UpstreamRules = DEFAULT_RULES,
        seconds: Callable[[], float] = time.monotonic,
        learns: bool = False,
    ) -> None:
        self.rules = rules
        self.seconds = seconds
        """Any clock that never goes back."""
        self.learns = learns
        """Whether the algorithm asks for latencies."""
        self.ejections: Ejections[Server] = Ejections(rules.outlier, seconds())
        self.line: WaitingLine[Waiting] = WaitingLine(rules.max_waiting, rules.queue_timeout_s)
        """Requests that wait for a place at any server."""
        self.queueing = False
        """Whether there are any."""
        self.panicking = False
        """Whether so few servers are healthy that all which can be connected to are used."""
        self.candidates: tuple[Server, ...] = ()
        """The servers among which is chosen now."""
        self._make_selection = selection
        self._selection = selection()
        self._rising = selection()
        self._note_selections()
        self._make_pool = pool
        self._open: set[Server] = set()
        self._sources: dict[str, dict[Address, ServerSpec]] = {}
        self._servers: dict[Address, Server] = {}
        self._leaving: dict[tuple[Address, str], Server] = {}
        """By address and the name in the certificate: one may leave while another has taken its place."""
        self._watchers: list[Watcher] = []
        self._changed: list[Callable[[], None]] = []

    def _note_selections(self) -> None:
        both = (self._selection, self._rising)
        self.tracking: tuple[Tracking[Server], ...] = tuple(each for each in both if isinstance(each, Tracking))
        """What is told of each request that begins or ends."""
        self._building: tuple[Building, ...] = tuple(each for each in both if isinstance(each, Building))

    def __iter__(self) -> Iterator[Server]:
        """Every server that a source names, in the order in which they came."""
        return iter(self._servers.values())

    def __len__(self) -> int:
        return len(self._servers)

    @property
    def leaving(self) -> Iterable[Server]:
        """Servers that are finishing their last requests."""
        return self._leaving.values()

    @property
    def builds(self) -> bool:
        """Whether the algorithm works off in pieces what a change of the servers began; see ``step``."""
        return bool(self._building)

    def step(self) -> bool:
        """Do the next piece of that, about a millisecond at most. True while more is left."""
        return any(selection.step() for selection in self._building)

    def choose(self, tried: Container[Server] = (), key: bytes | None = None) -> Server:
        """The server for the next request, none of ``tried``. Raises NoServer when none is left that takes traffic.

        While there is no other, that is also one on its way up: its last check passed, which is more than can be said of the rest.
        ``key`` is what an algorithm hashes that does so; without it a request may go anywhere.
        """
        server = self._selection.choose(tried, key) or self._rising.choose(tried, key)
        if server is None:
            raise NoServer
        if server.restricted and server.is_full():
            return self._with_room(server, tried, key)
        return server

    def _with_room(self, first: Server, tried: Container[Server], key: bytes | None) -> Server:
        """Another one than ``first``, which is full.

        A backup is none while one of the levels below it is only busy: it is there for servers that are down, as one is whose breaker
        lets nothing through.
        """
        passed_over = Full(tried)
        server = self._selection.choose(passed_over, key)
        if server is None and first.health.state is State.RISING:
            server = self._rising.choose(passed_over, key)
        if server is None:
            raise ServersBusy
        if server.level > first.level and any(
            busy.level < server.level and busy.weight and busy.breaker.admits and busy not in tried for busy in self.candidates
        ):
            raise ServersBusy
        return server

    def has_other(self, tried: Container[Server]) -> bool:
        """Whether a server is left, none of ``tried``, that takes traffic because it is healthy and not only in a panic."""
        return any(server.health.state.usable and server not in tried for server in self.candidates)

    def keeps_clients(self, server: Server) -> bool:
        """Whether clients that are bound to ``server`` stay so."""
        return (
            server.mode is not Mode.MAINT
            and not server.removed
            and not server.ejected
            and server.health.state.usable
            and server.breaker.state is not _OPEN
        )

    def bound(self, server: Server) -> bool:
        """Whether a client that is bound to ``server`` may be sent there now."""
        return self.keeps_clients(server) and not (server.restricted and server.is_full())

    def wait(self, request: "Waiting") -> None:
        """Let ``request`` wait for a place: it is told of one or, after ``queue_timeout_s``, that there was none. Raises Overloaded."""
        if not self.line.add(request, self.seconds()):
            raise Overloaded
        self.queueing = True

    def leave_line(self, request: "Waiting") -> None:
        """``request`` waits no more."""
        self.line.leave(request)
        self.queueing = len(self.line) > 0

    def serve_line(self) -> None:
        """Places may have become free: as many as there are go to those that have waited longest."""
        while (request := self.line.first) is not None:
            server: Server | None = None
            try:
                server = self._choose_for(request)
            except ServersBusy:
                return
            except NoServer:
                pass  # whoever waits finds that out
            self.line.next()
            self.queueing = len(self.line) > 0
            request.place_free(server)

    def _choose_for(self, request: "Waiting") -> Server:
        """The first in the line gets what is free, tried already or not: those behind it must not wait because it is choosy."""
        if request.tried:
            try:
                return self.choose(request.tried, request.key)
            except (NoServer, ServersBusy):
                pass
        return self.choose((), request.key)

    def expire_line(self) -> None:
        """Tell those whose time is over."""
        over = self.line.expired(self.seconds())
        self.queueing = len(self.line) > 0
        for request in over:
            request.waited_in_vain()

    def not_ready(self) -> str | None:
        """None when a check has shown at least one server to be up, else the reason why requests would fail."""
        if any(server.health.state.proven and server.weight and server.mode is Mode.READY for server in self):
            return None
        return "no server is healthy" if self._servers else "no server is known"

    def watch(self, watcher: Watcher) -> None:
        """Tell ``watcher`` of each server there is now, and from now on of each that comes or goes."""
        self._watchers.append(watcher)
        for server in self:
            watcher.joined(server)

    def when_changed(self, changed: Callable[[], None]) -> None:
        """Call ``changed`` whenever a request might be sent elsewhere than before: a server comes, goes, or changes its state or weight."""
        self._changed.append(changed)

    def name_servers(self, source: str, specs: Iterable[ServerSpec], *, trusted: bool) -> None:
        """From now on ``source`` names exactly ``specs``.

        ``trusted`` servers take traffic before their first check; others after it. A server that several sources
        name is there as long as one does; the first of them sets its weight. Where another name is to stand in its certificate, or none
        any more, a server gives its place to a new one, which takes traffic at once if it did.
        """
        self._name(source, specs, trusted=trusted)
        self._refresh()

    def _name(self, source: str, specs: Iterable[ServerSpec], *, trusted: bool) -> None:
        """The same, of which the choice is to be told by ``_refresh``."""
        self._sources[source] = {spec.address: spec for spec in specs}
        self._reconcile(trusted=trusted)

    def withdraw(self, source: str) -> None:
        """From now on there is no such source. Nothing happens when there is none."""
        if self._sources.pop(source, None):
            self._reconcile(trusted=False)
            self._refresh()

    def sources_of(self, server: Server) -> list[str]:
        """Who names ``server``; the first sets its weight."""
        return [source for source, named in self._sources.items() if server.address in named]

    def _reconcile(self, *, trusted: bool) -> None:
        wanted: dict[Address, ServerSpec] = {}
        for named in self._sources.values():
            for address, spec in named.items():
                wanted.setdefault(address, spec)
        for address in [address for address in self._servers if address not in wanted]:
            self._remove(self._servers.pop(address))
        for spec in wanted.values():
            server = self._servers.get(spec.address)
            if server is not None and server.tls != spec.tls:
                self._remove(self._servers.pop(spec.address))
                self._add(spec, State.UNCHECKED if trusted or server.health.state.usable else State.WAITING)
                self._servers[spec.address].mode = server.mode
            elif server is None:
                self._add(spec, State.UNCHECKED if trusted else State.WAITING)
            else:
                self._adopt(server, spec)

    def judge(self, server: Server, passed: bool, why: str, *, unreachable: bool = False) -> None:
        """Take in the result of a check of ``server``, or a connection that it refused; ``why`` is for people."""
        server.last_check = why
        if server.removed:
            return
        changed = server.unreachable is not unreachable and self.rules.panic_percent > 0
        server.unreachable = unreachable
        before = server.health.state
        after = server.health.checked(passed)
        if passed and server.ejected:
            self._take_in(event for event in (self.ejections.passed_check(server, self.seconds()),) if event is not None)
            changed = True
        if after is not before:
            if after is State.UP and not before.proven:
                self.log.info("server {server} is up: {why}", server=server.name, why=why)
                if before is not State.UNCHECKED:
                    self._warm(server)
                    server.forget_latency()
            elif before.usable and not after.usable:
                server.counts.went_down += 1
                self.log.warn("server {server} is down: {why}", server=server.name, why=why)
            changed = changed or before.usable is not after.usable or State.RISING in (before, after)
        if changed:
            self._refresh()
        # a request that could not connect has told; what it finds there of others is not to tell in turn
        if not after.usable and (before.usable or not (passed or unreachable)):
            server.misses += 1
            self.went_down(server)
            if self.panicking and not changed:
                # other processes may have sent it requests since: they are told of each miss
                for told in self._changed:
                    told()

    def went_down(self, server: Server) -> None:
        """Requests that wait for a connection to ``server``, or for its answer, need not wait any longer.

        Called again at each further check that fails: in a panic it is sent requests, and one that hangs must not keep them.
        """
        for receiver in server.pool.receivers_without_answer():
            down = getattr(receiver, "server_down", None)
            if down is not None:
                down()

    # what operators want

    def server_named(self, name: str) -> Server | None:
        """The server with that name, ``HOST:PORT``, that a source names."""
        return next((server for server in self if server.name == name), None)

    def set_mode(self, server: Server, mode: Mode) -> None:
        """From now on an operator wants ``mode`` of ``server``."""
        if server.mode is not mode:
            self.log.info("server {server} is set to {mode}", server=server.name, mode=mode.value)
            if mode is Mode.READY:
                self._warm(server)
            server.mode = mode
            self._refresh()

    def set_weight(self, server: Server, weight: int | None) -> None:
        """From now on ``server`` has this weight, 0 to 256, instead of the configured one; None: that one again."""
        server.weight = server.spec.weight if weight is None else weight
        self.log.info("server {server} has weight {weight}", server=server.name, weight=server.weight)
        self._refresh()

    def configure(self, rules: UpstreamRules) -> None:
        """Go by ``rules`` from now on."""
        self.rules = rules
        self.ejections.policy = rules.outlier
        self.line.limit = rules.max_waiting
        self.line.timeout_s = rules.queue_timeout_s
        for server in (*self, *self.leaving):
            server.breaker.policy = rules.breaker
            server.outcomes.limit = rules.outlier.failures_in_a_row
            server.health.limits(rise=rules.rise, fall=rules.fall)
        self._refresh()

    # what requests have shown

    def suspected(self, server: Server) -> None:
        """Called when as many requests in a row have failed there as may eject it."""
        event = self.ejections.failed_in_a_row(server, self.seconds())
        if event is not None:
            self._take_in((event,))
            self._refresh()

    def breaker_changed(self, server: Server) -> None:
        """Called when the breaker of ``server`` opened, closed, or may be tried."""
        state = server.breaker.state
        server.restricted = bool(server.max_active) or state is not _CLOSED
        say = self.log.warn if state is _OPEN else self.log.info
        say("the breaker of {server} is {state}", server=server.name, state=state.value)
        (self._open.add if state is _OPEN and not server.removed else self._open.discard)(server)
        self._refresh()

    def cool(self) -> None:
        """Let open breakers try whose time is over."""
        now = self.seconds()
        for server in [server for server in self._open if server.breaker.cooled(now)]:
            self.breaker_changed(server)

    def sweep(self) -> None:
        """Compare what requests have shown of each server, and end ejections whose time is over. To be called about once a second."""
        now = self.seconds()
        for server in self:
            successes, failures = server.take_outcomes(now)
            if successes or failures:
                self.ejections.merge(server, successes, failures)
        events = self.ejections.sweep(self.seconds())
        if events:
            self._take_in(events)
            self._refresh()

    def warm_up(self) -> None:
        """Let more of the weight count of servers that start slowly."""
        window_s = self.rules.slow_start_s
        now = self.seconds()
        warming = [server for server in self if server.warming_since_s]
        for server in warming:
            server.share = share(now - server.warming_since_s, window_s, self.rules.slow_start_aggression) if window_s else 1.0
            if server.share >= 1.0:
                server.warming_since_s = 0.0
        if warming:
            self._refresh()

    def _warm(self, server: Server) -> None:
        if self.rules.slow_start_s:
            server.warming_since_s = self.seconds()
            server.share = share(0.0, self.rules.slow_start_s, self.rules.slow_start_aggression)

    def _take_in(self, events: Iterable[Ejected[Server] | Returned[Server]]) -> None:
        for event in events:
            server = event.server
            server.ejected = server in self.ejections
            if isinstance(event, Ejected):
                self.log.warn("server {server} is ejected: {why}", server=server.name, why=event.why)
            else:
                server.forget_outcomes()
                self._warm(server)
                self.log.info("server {server} is ejected no more: {why}", server=server.name, why=event.ending.value)

    def settled(self, server: Server) -> None:
        """Called when a request on a removed server ended: with the last one the server is forgotten."""
        place = (server.address, server.tls)
        if server.active == 0 and self._leaving.get(place) is server:
            del self._leaving[place]
            server.pool.close()
            self.log.info("server {server} has finished its last request", server=server.name)

    def stopService(self) -> None:
        super().stopService()
        for server in (*self._servers.values(), *self._leaving.values()):
            server.pool.close()

    def _add(self, spec: ServerSpec, state: State) -> None:
        health = Health(rise=self.rules.rise, fall=self.rules.fall, state=state)
        server = self._leaving.pop((spec.address, spec.tls), None)
        if server is None:
            server = Server(self, spec, self._make_pool(spec), health)
        else:
            # it comes back while its last requests run: the same server, that must show itself again
            server.removed = False
            self._adopt(server, spec)
            server.health = health
            # its ejection was forgotten when it left; its breaker was not
            server.ejected = server.unreachable = False
            server.forget_outcomes()
            if server.breaker.state is _OPEN:
                self._open.add(server)
        self._servers[spec.address] = server
        self.log.info("server {server} joins", server=server.name)
        for watcher in self._watchers:
            watcher.joined(server)

    @staticmethod
    def _adopt(server: Server, spec: ServerSpec) -> None:
        """``server`` is named as ``spec`` now; a weight that an operator has set stays unless the configured one has changed."""
        if server.spec.weight != spec.weight:
            server.weight = spec.weight
        server.spec = spec
        server.level = spec.level
        server.max_active = spec.max_active
        server.restricted = bool(spec.max_active) or server.breaker.state is not _CLOSED

    def _remove(self, server: Server) -> None:
        server.removed = True
        self._open.discard(server)
        self._leaving[server.address, server.tls] = server
        for watcher in self._watchers:
            watcher.left(server)
        self.log.info("server {server} leaves with {active} requests to finish", server=server.name, active=server.active)
        self.settled(server)

    def _refresh(self) -> None:
        ready = [server for server in self if server.mode is Mode.READY]
        usable = [server for server in ready if server.health.state.usable]
        self._limit_ejections(usable)
        chosen = [server for server in usable if not server.ejected and server.breaker.state is not _OPEN]
        spare = self._spare(ready, chosen)
        if bool(spare) is not self.panicking:
            self.panicking = bool(spare)
            if spare:
                self.log.warn(
                    "panic: only {healthy} of {servers} servers are healthy, so that others that can be connected to are used as well",
                    healthy=len(chosen),
                    servers=len(ready),
                )
            else:
                self.log.info("the panic is over: {healthy} of {servers} servers are healthy", healthy=len(chosen), servers=len(ready))
        if not isinstance(self._selection, Levels) and any(server.level for server in self):
            self._selection = Levels(self._make_selection, attrgetter("level"))
            self._note_selections()
        self.candidates = (*chosen, *spare)
        self._selection.replace(self.candidates)
        rising = [server for server in ready if server.health.state is State.RISING and server.breaker.state is not _OPEN]
        self._rising.replace(rising)
        for changed in self._changed:
            changed()
        if self.queueing:
            self.serve_line()

    def _limit_ejections(self, usable: list[Server]) -> None:
        """Ejections end where they would leave too few servers."""
        self._take_in(self.ejections.replace(self, usable, self.seconds()))

    def _spare(self, ready: list[Server], chosen: list[Server]) -> list[Server]:
        """What is used in a panic besides those that are ``chosen``.

        Checks that fail everywhere may say more of the checks than of the servers. One that cannot be connected to, whose breaker is open,
        or that was never seen up is none of them. Only the level in use is looked at, the first with a healthy server: no server that
        fails its checks takes the place of a healthy backup.
        """
        counted = [server for server in ready if server.weight and server.health.state is not State.WAITING]
        healthy = [server for server in chosen if server.weight]
        if healthy:
            level = min(server.level for server in healthy)
            counted = [server for server in counted if server.level == level]
            healthy = [server for server in healthy if server.level == level]
        if len(healthy) * 100 >= self.rules.panic_percent * len(counted):
            return []
        known = set(chosen)
        return [server for server in counted if not (server in known or server.unreachable or server.breaker.state is _OPEN)]
