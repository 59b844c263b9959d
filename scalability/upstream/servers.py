"""The servers behind a proxy: which there are, which take traffic, what each has done.

Several sources (the configuration, DNS) say which servers there are; health says which of them may be chosen; a
selection chooses. A server that no source names any more takes no new request, finishes those it has, and is forgotten
with the last of them.
"""

import time
from collections.abc import Callable, Container, Hashable, Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Protocol

from twisted.application.service import Service
from twisted.logger import Logger

from scalability.errors import NoServer, Overloaded, ServersBusy
from scalability.net.connection_pool import ConnectionPool
from scalability.upstream import breaker, panic
from scalability.upstream.health import Health, State
from scalability.upstream.membership import Membership, Watcher
from scalability.upstream.open_breakers import OpenBreakers
from scalability.upstream.outlier import Ejected, Ejections, Returned
from scalability.upstream.rules import UpstreamRules
from scalability.upstream.selection import Building, Learning, Selection, Tracking
from scalability.upstream.selection.algorithm import Drawn
from scalability.upstream.selection.levels import Levels
from scalability.upstream.selection.slow_start import share
from scalability.upstream.server import Full, Mode, Server
from scalability.upstream.spec import ServerSpec
from scalability.upstream.waiting import WaitingLine

DEFAULT_RULES = UpstreamRules()
NAMED = 16
"""So many of the candidates are named when a decision is explained."""
_CLOSED = breaker.State.CLOSED
_OPEN = breaker.State.OPEN


class Unsettled:
    """Chooses in the place of an upstream's selection from a change of the servers on until that is taken in."""

    def __init__(self, upstream: "Upstream") -> None:
        self._upstream = upstream

    def replace(self, servers: Sequence[Server]) -> None:
        """See Selection; the selection itself is told."""

    def choose(self, tried: Container[Server] = (), key: bytes | None = None) -> Server | None:
        """See Selection."""
        self._upstream.settle()
        return self._upstream.selection.choose(tried, key)


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
        later: Callable[[Callable[[], None]], object] | None = None,
    ) -> None:
        """``later`` has something called at the end of this turn of the event loop: then all that changes in a turn is taken in together,
        once, or when the first one asks for a server. Without it each change is taken in at once.
        """
        self._later = later
        self._unsettled = Unsettled(self)
        self._is_settled = True
        self._tells = False
        self._ending_turn = False
        self._went_down: list[Server] = []
        self.refreshes = 0
        """How often a change was taken in, each in O(n)."""
        self.rules = rules
        self.seconds = seconds
        """Any clock that never goes back; it need not know the date."""
        self.ejections: Ejections[Server] = Ejections(rules.outlier, seconds())
        self.line: WaitingLine[Waiting] = WaitingLine(rules.max_waiting, rules.queue_timeout_s)
        """Requests that wait for a place at any server."""
        self.queueing = False
        """Whether there are any."""
        self._panicking = False
        self._candidates: tuple[Server, ...] = ()
        self.named: tuple[Server, ...] = ()
        """The first of them, as many as explanations name."""
        self.names: tuple[tuple[str, int], ...] = ()
        """Their names and weights."""
        self.candidate_count = 0
        """How many there are in all."""
        self._make_selection = selection
        self._selection: Selection[Server] = selection()
        self.selection = self._selection
        """What chooses once all changes are taken in; ``_selection`` is what is asked."""
        self.learns = isinstance(self.selection, Learning)
        """Whether the algorithm asks for latencies."""
        self._rising = selection()
        self._note_selections()
        self._members = Membership(lambda spec, health: Server(self, spec, pool(spec), health), self._health, self.log)
        self._open = OpenBreakers()
        self._members.watch(self._open)
        self._changed: list[Callable[[], None]] = []
        self._wanted: list[Callable[[], None]] = []

    def _note_selections(self) -> None:
        both = (self.selection, self._rising)
        self.tracking: tuple[Tracking[Server], ...] = tuple(each for each in both if isinstance(each, Tracking))
        """What is told of each request that begins or ends."""
        self._building: tuple[Building, ...] = tuple(each for each in both if isinstance(each, Building))

    def __iter__(self) -> Iterator[Server]:
        """Every server that a source names, in the order in which they came."""
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    @property
    def candidates(self) -> tuple[Server, ...]:
        """The servers among which is chosen now."""
        self.settle()
        return self._candidates

    @property
    def panicking(self) -> bool:
        """Whether so few servers are healthy that all which can be connected to are used."""
        self.settle()
        return self._panicking

    @property
    def drawn(self) -> Drawn | None:
        """What the algorithm had before it at the last choice, where it is one that draws two."""
        return getattr(self.selection, "drawn", None)

    @property
    def leaving(self) -> Iterable[Server]:
        """Servers that are finishing their last requests."""
        return self._members.leaving

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
        while True:
            # what has changed serves the line as well, so that is taken in before anybody in it is looked at
            self.settle()
            request = self.line.first
            if request is None:
                return
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
        return "no server is healthy" if len(self) else "no server is known"

    def watch(self, watcher: Watcher) -> None:
        """Tell ``watcher`` of each server there is now, and from now on of each that comes or goes."""
        self._members.watch(watcher)

    def when_changed(self, changed: Callable[[], None]) -> None:
        """Call ``changed`` whenever a request might be sent elsewhere than before: a server comes, goes, or changes its state or weight."""
        self._changed.append(changed)

    def when_wanted(self, changed: Callable[[], None]) -> None:
        """Call ``changed`` whenever an operator has set the mode or weight of a server."""
        self._wanted.append(changed)

    def name_servers(self, source: str, specs: Iterable[ServerSpec], *, trusted: bool) -> None:
        """From now on ``source`` names exactly ``specs``.

        ``trusted`` servers take traffic before their first check; others after it. A server that several sources
        name is there as long as one does; the first of them sets its weight. Where another name is to stand in its certificate, or none
        any more, a server gives its place to a new one, which takes traffic at once if it did.
        """
        self._members.name(source, specs, trusted=trusted)
        self._refresh()

    def withdraw(self, source: str) -> None:
        """From now on there is no such source. Nothing happens when there is none."""
        if self._members.withdraw(source):
            self._refresh()

    def sources_of(self, server: Server) -> list[str]:
        """Who names ``server``; the first sets its weight."""
        return self._members.sources_of(server)

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
        # a request that could not connect has told; what it finds there of others is not to tell in turn
        if not after.usable and (before.usable or not (passed or unreachable)):
            server.misses += 1
            self._went_down.append(server)
            # in a panic other processes may have sent it requests since: they are told of each miss
            self._tells = True
            if not changed:
                self._settle_later()
        if changed:
            self._refresh()

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
            for changed in self._wanted:
                changed()

    def set_weight(self, server: Server, weight: int | None) -> None:
        """From now on ``server`` has this weight, 0 to 256, instead of the configured one; None: that one again."""
        server.weight = server.spec.weight if weight is None else weight
        self.log.info("server {server} has weight {weight}", server=server.name, weight=server.weight)
        self._refresh()
        for changed in self._wanted:
            changed()

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
        self._open.changed(server)
        self._refresh()

    def cool(self) -> None:
        """Let open breakers try whose time is over."""
        for server in self._open.cooled(self.seconds()):
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
        self._members.settled(server)

    def _health(self, state: State) -> Health:
        return Health(rise=self.rules.rise, fall=self.rules.fall, state=state)

    def stopService(self) -> None:
        super().stopService()
        for server in (*self, *self.leaving):
            server.pool.close()

    def _refresh(self) -> None:
        """What is known of servers has changed: choose by it from now on."""
        if self._is_settled:
            self._is_settled = False
            # whoever chooses first has it settled; nothing is to be looked at by those who choose when nothing has changed
            self._selection = self._unsettled
            self._settle_later()

    def _settle_later(self) -> None:
        if self._later is None:
            self._end_turn()
        elif not self._ending_turn:
            self._ending_turn = True
            self._later(self._end_turn)

    def _end_turn(self) -> None:
        """Take in all that has changed, and tell those who wait on servers that went down."""
        self._ending_turn = False
        refreshes = self.refreshes
        self.settle()
        down, self._went_down = self._went_down, []
        for server in down:
            self.went_down(server)
        tells, self._tells = self._tells, False
        if tells and self._panicking and self.refreshes == refreshes:
            for told in self._changed:
                told()

    def settle(self) -> None:
        """Choose by what is known now. Costs O(n) if it has changed since, else nothing."""
        if not self._is_settled:
            self._is_settled = True
            self._selection = self.selection
            self.refreshes += 1
            self._take_in_all()

    def _take_in_all(self) -> None:
        ready = [server for server in self if server.mode is Mode.READY]
        usable = [server for server in ready if server.health.state.usable]
        self._limit_ejections(usable)
        chosen = [server for server in usable if not server.ejected and server.breaker.state is not _OPEN]
        spare = panic.spare(ready, chosen, self.rules.panic_percent)
        if bool(spare) is not self._panicking:
            self._panicking = bool(spare)
            if spare:
                self.log.warn(
                    "panic: only {healthy} of {servers} servers are healthy, so that others that can be connected to are used as well",
                    healthy=len(chosen),
                    servers=len(ready),
                )
            else:
                self.log.info("the panic is over: {healthy} of {servers} servers are healthy", healthy=len(chosen), servers=len(ready))
        if not isinstance(self.selection, Levels) and any(server.level for server in self):
            self._selection = self.selection = Levels(self._make_selection, attrgetter("level"))
            self._note_selections()
        self._candidates = candidates = (*chosen, *spare)
        self.candidate_count = len(candidates)
        for server in candidates:
            if server.label[1] != server.weight or server.label[2] != server.share:
                server.label = (server.name, server.weight, server.share)
        self.named = candidates[:NAMED]
        self.names = tuple((server.name, server.weight) for server in self.named)
        self.selection.replace(candidates)
        rising = [server for server in ready if server.health.state is State.RISING and server.breaker.state is not _OPEN]
        self._rising.replace(rising)
        for changed in self._changed:
            changed()
        if self.queueing:
            self.serve_line()

    def _limit_ejections(self, usable: list[Server]) -> None:
        """Ejections end where they would leave too few servers."""
        self._take_in(self.ejections.replace(self, usable, self.seconds()))
