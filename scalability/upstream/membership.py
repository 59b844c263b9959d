"""Which servers there are: sources name them, they join, leave, and are forgotten with their last request.

A server is in one of these states:

    member     a source names it
    leaving    none does any more, or only under another name in its certificate: it takes no new request and finishes those it has
    forgotten  its connections are closed

    (named) --> member --named no more--> leaving --last request over--> forgotten;  leaving --named again--> member, the same server
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from twisted.logger import Logger

from scalability.config import Address
from scalability.upstream import breaker
from scalability.upstream.health import Health, State
from scalability.upstream.server import Server
from scalability.upstream.spec import ServerSpec

_CLOSED = breaker.State.CLOSED


class Watcher(Protocol):
    """Told when servers come and go."""

    def joined(self, server: Server) -> None: ...

    def left(self, server: Server) -> None: ...


class Membership:
    """The servers that sources name, and those that are leaving."""

    def __init__(self, make: Callable[[ServerSpec, Health], Server], health: Callable[[State], Health], log: Logger) -> None:
        """``make`` makes a server that was not there, ``health`` what one that joins begins with; ``log`` is told who comes and goes."""
        self._make = make
        self._health = health
        self._log = log
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

    def watch(self, watcher: Watcher) -> None:
        """Tell ``watcher`` of each server there is now, and from now on of each that comes or goes."""
        self._watchers.append(watcher)
        for server in self:
            watcher.joined(server)

    def name(self, source: str, specs: Iterable[ServerSpec], *, trusted: bool) -> None:
        """From now on ``source`` names exactly ``specs``. See ``Upstream.name_servers``."""
        self._sources[source] = {spec.address: spec for spec in specs}
        self._reconcile(trusted=trusted)

    def withdraw(self, source: str) -> bool:
        """From now on there is no such source. False when it named nothing: then nothing has changed."""
        if not self._sources.pop(source, None):
            return False
        self._reconcile(trusted=False)
        return True

    def sources_of(self, server: Server) -> list[str]:
        """Who names ``server``; the first sets its weight."""
        return [source for source, named in self._sources.items() if server.address in named]

    def settled(self, server: Server) -> None:
        """A request on ``server``, which no source names, has ended: with the last one it is forgotten."""
        place = (server.address, server.tls)
        if server.active == 0 and self._leaving.get(place) is server:
            del self._leaving[place]
            server.pool.close()
            self._log.info("server {server} has finished its last request", server=server.name)

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

    def _add(self, spec: ServerSpec, state: State) -> None:
        health = self._health(state)
        server = self._leaving.pop((spec.address, spec.tls), None)
        if server is None:
            server = self._make(spec, health)
        else:
            # it comes back while its last requests run: the same server, that must show itself again
            server.removed = False
            self._adopt(server, spec)
            server.health = health
            # its ejection was forgotten when it left; its breaker was not
            server.ejected = server.unreachable = False
            server.forget_outcomes()
        self._servers[spec.address] = server
        self._log.info("server {server} joins", server=server.name)
        for watcher in self._watchers:
            watcher.joined(server)

    @staticmethod
    def _adopt(server: Server, spec: ServerSpec) -> None:
        """``server`` is named as ``spec`` now; a weight that an operator has set stays unless the configured one has changed."""
        if server.spec.weight != spec.weight:
            server.weight = spec.weight
        server.spec = spec
        server.level = spec.level
        server.max_active = spec.most_at_once
        server.limit_connections()
        server.restricted = bool(server.max_active) or server.breaker.state is not _CLOSED

    def _remove(self, server: Server) -> None:
        server.removed = True
        self._leaving[server.address, server.tls] = server
        for watcher in self._watchers:
            watcher.left(server)
        self._log.info("server {server} leaves with {active} requests to finish", server=server.name, active=server.active)
        self.settled(server)
