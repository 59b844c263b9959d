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
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol, Self

from twisted.application.service import Service
from twisted.internet.error import ConnectBindError
from twisted.logger import Logger

from scalability.config import Address
from scalability.errors import ConnectError, ConnectTimeout, NoServer, ScalelabError
from scalability.net.http_client import ConnectionPool
from scalability.upstream.health import Health, State
from scalability.upstream.history import CheckHistory
from scalability.upstream.selection import Building, Selection, Tracking
from scalability.upstream.selection.ewma import Ewma
from scalability.upstream.spec_options import SpecOptions

MAX_WEIGHT = 256
MAX_LEVEL = 127
MAX_ACTIVE = 1_000_000


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


class Server:
    """One server: identity, connections, state, counts. Who sends it a request says ``started``, then ``succeeded`` or ``failed``."""

    __slots__ = (
        "_upstream",
        "active",
        "address",
        "counts",
        "failures",
        "health",
        "history",
        "last_check",
        "latency",
        "name",
        "pool",
        "removed",
        "requests",
        "share",
        "tls",
        "weight",
    )

    def __init__(self, upstream: "Upstream", spec: ServerSpec, pool: ConnectionPool, health: Health) -> None:
        self._upstream = upstream
        self.name = str(spec.address)
        self.address = spec.address
        self.tls = spec.tls
        """The name in its certificate; empty: it speaks no TLS."""
        self.weight = spec.weight
        self.share = 1.0
        """How much of its weight counts: below 1 while it starts slowly."""
        self.latency = Ewma()
        """How long it takes to answer, as whoever sends requests observes."""
        self.pool = pool
        self.health = health
        self.active = 0
        """Requests in flight."""
        self.requests = 0
        """Attempts, ever: a retried request counts on each server that it was sent to."""
        self.removed = False
        """True once no source names it: it finishes what it has."""
        self.counts = Counts()
        self.failures: dict[str, int] = {}
        """Failed attempts by the error's code."""
        self.last_check = "not checked yet"
        """What the last check, or a failed connection, said: one sentence for people."""
        self.history = CheckHistory()
        """What its last checks have found, failed connections of requests left out."""

    @property
    def spec(self) -> ServerSpec:
        """It as a source would name it."""
        return ServerSpec(self.address, self.weight, self.tls)

    def __repr__(self) -> str:
        return f"<Server {self.name} {self.health.state.value}>"

    def started(self) -> None:
        """A request is about to be sent here."""
        self.active += 1
        self.requests += 1
        for selection in self._upstream.tracking:
            selection.active_changed(self, 1)

    def succeeded(self) -> None:
        """That request was answered, whatever the status."""
        self.active -= 1
        for selection in self._upstream.tracking:
            selection.active_changed(self, -1)
        if self.removed:
            self._upstream.settled(self)

    def failed(self, error: ScalelabError) -> None:
        """That request ended otherwise. A connection that could not be made counts as a failed check."""
        self.active -= 1
        for selection in self._upstream.tracking:
            selection.active_changed(self, -1)
        self.failures[error.code] = self.failures.get(error.code, 0) + 1
        if isinstance(error, ConnectError | ConnectTimeout) and not is_ours(error):
            self._upstream.judge(self, False, "a request could not connect")
        if self.removed:
            self._upstream.settled(self)


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
        rise: int = 2,
        fall: int = 3,
    ) -> None:
        self._changed: list[Callable[[], None]] = []
        self._selection = selection()
        self._rising = selection()
        both = (self._selection, self._rising)
        self.tracking: tuple[Tracking[Server], ...] = tuple(each for each in both if isinstance(each, Tracking))
        """What is told of each request that begins or ends."""
        self._building: tuple[Building, ...] = tuple(each for each in both if isinstance(each, Building))
        self._make_pool = pool
        self._rise = rise
        self._fall = fall
        self._sources: dict[str, dict[Address, ServerSpec]] = {}
        self._servers: dict[Address, Server] = {}
        self._leaving: dict[tuple[Address, str], Server] = {}
        """By address and the name in the certificate: one may leave while another has taken its place."""
        self._watchers: list[Watcher] = []

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
        return server

    def not_ready(self) -> str | None:
        """None when a check has shown at least one server to be up, else the reason why requests would fail."""
        if any(server.health.state.proven and server.weight for server in self):
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
        self._sources[source] = {spec.address: spec for spec in specs}
        self._reconcile(trusted=trusted)

    def withdraw(self, source: str) -> None:
        """From now on there is no such source. Nothing happens when there is none."""
        if self._sources.pop(source, None):
            self._reconcile(trusted=False)

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
            elif server is None:
                self._add(spec, State.UNCHECKED if trusted else State.WAITING)
            else:
                server.weight = spec.weight
        self._refresh()

    def judge(self, server: Server, passed: bool, why: str) -> None:
        """Take in the result of a check of ``server``, or a connection that it refused; ``why`` is for people."""
        server.last_check = why
        if server.removed:
            return
        before = server.health.state
        after = server.health.checked(passed)
        if after is before:
            return
        if after is State.UP and not before.proven:
            self.log.info("server {server} is up: {why}", server=server.name, why=why)
        elif before.usable and not after.usable:
            server.counts.went_down += 1
            self.log.warn("server {server} is down: {why}", server=server.name, why=why)
        if before.usable is not after.usable or State.RISING in (before, after):
            self._refresh()

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
        health = Health(rise=self._rise, fall=self._fall, state=state)
        server = self._leaving.pop((spec.address, spec.tls), None)
        if server is None:
            server = Server(self, spec, self._make_pool(spec), health)
        else:
            # it comes back while its last requests run: the same server, that must show itself again
            server.removed = False
            server.weight = spec.weight
            server.health = health
        self._servers[spec.address] = server
        self.log.info("server {server} joins", server=server.name)
        for watcher in self._watchers:
            watcher.joined(server)

    def _remove(self, server: Server) -> None:
        server.removed = True
        self._leaving[server.address, server.tls] = server
        for watcher in self._watchers:
            watcher.left(server)
        self.log.info("server {server} leaves with {active} requests to finish", server=server.name, active=server.active)
        self.settled(server)

    def _refresh(self) -> None:
        self._selection.replace([server for server in self if server.health.state.usable])
        self._rising.replace([server for server in self if server.health.state is State.RISING])
        for changed in self._changed:
            changed()
