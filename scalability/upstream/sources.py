"""Where the servers of a proxy come from: each backend that finds some is a service here, as long as the configuration has it."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from scalability.upstream.discovery import (
    Backend,
    DNSDiscovery,
    DNSName,
    FileDiscovery,
    FileReading,
    Find,
    ServerFile,
    ServiceTargets,
    addresses_of,
    name_static,
    read_file,
)
from scalability.upstream.handover import Handover
from scalability.upstream.resolver import NameResolver
from scalability.upstream.servers import Upstream
from scalability.upstream.spec import ServerSpec

Files = Mapping[Path, FileReading]
"""What files of servers said."""


def read_files(backends: Iterable[Backend], known: Iterable[Backend] = (), *, workers: int = 1) -> Files:
    """What the files say that ``backends`` name and ``known`` do not. Raises ConfigError. Blocks."""
    files = {backend.source.path for backend in known if isinstance(backend.source, ServerFile)}
    return {
        backend.source.path: read_file(backend.source.path, workers)
        for backend in backends
        if isinstance(backend.source, ServerFile) and backend.source.path not in files
    }


class Found(NamedTuple):
    """What finds the servers of a backend."""

    backend: Backend
    discovery: FileDiscovery | DNSDiscovery


class Sources(MultiService):
    """Names the servers of backends to ``upstream``. ``interval_s`` is the time between two questions for the servers of a DNS name."""

    log = Logger()

    def __init__(self, reactor: Any, upstream: Upstream, resolver: NameResolver, *, interval_s: float, workers: int = 1) -> None:
        super().__init__()
        self._reactor = reactor
        self._upstream = upstream
        self._resolver = resolver
        self._interval_s = interval_s
        self._workers = workers
        self._found: dict[str, Found] = {}
        self._ending: set[Deferred[Any]] = set()
        self._handover = Handover(reactor, upstream)
        self._handover.setServiceParent(self)

    def begin(self, backends: Iterable[Backend], files: Files, *, trusted: bool) -> None:
        """The first ones. ``trusted``: servers take traffic before their first check."""
        backends = tuple(backends)
        name_static(self._upstream, backends, trusted=trusted)
        self._find(backends, files, trusted=trusted)

    def replace(self, backends: Iterable[Backend], files: Files) -> None:
        """From now on there are these. Those that were there go on as they are, and so do their servers; ``files`` has what is new."""
        backends = tuple(backends)
        if backends:
            self._handover.begin()
        # first what comes, then what goes: a server that another source names now is there all the time
        self._find(backends, files, trusted=False)
        name_static(self._upstream, backends, trusted=False)
        places = {backend.place for backend in backends}
        for place in [place for place in self._found if place not in places]:
            self._end(self._found.pop(place).discovery)
            self._upstream.withdraw(place)
        if backends:
            self._handover.settle()

    def set_interval(self, interval_s: float) -> None:
        """Ask for the servers of DNS names as often."""
        self._interval_s = interval_s
        for found in self._found.values():
            if isinstance(found.discovery, DNSDiscovery):
                found.discovery.every(interval_s)

    def stopService(self) -> Deferred[Any]:
        """Fires when nothing that finds servers is at it any more, what was ended before included."""
        return DeferredList([super().stopService(), *map(_waiter, self._ending)])

    def _find(self, backends: Iterable[Backend], files: Files, *, trusted: bool) -> None:
        for backend in backends:
            place = backend.place
            found = self._found.get(place)
            if isinstance(backend.source, ServerSpec) or (found is not None and found.backend == backend):
                continue
            if found is not None:
                self._end(found.discovery)
            discovery = self._discovery(backend, files, None if found is None else found.discovery, trusted=trusted)
            self._found[place] = Found(backend, discovery)
            discovery.setServiceParent(self)

    def _discovery(
        self, backend: Backend, files: Files, before: FileDiscovery | DNSDiscovery | None, *, trusted: bool
    ) -> FileDiscovery | DNSDiscovery:
        source = backend.source
        assert not isinstance(source, ServerSpec), "a server that is named need not be found"
        if isinstance(source, ServerFile):
            return FileDiscovery(self._reactor, source, files[source.path], self._upstream, trusted=trusted, workers=self._workers)
        find: Find
        if isinstance(source, DNSName):
            find = addresses_of(source, self._resolver.resolve)
        else:
            find = ServiceTargets(source, self._resolver.services, self._resolver.resolve)
        return DNSDiscovery(
            self._reactor,
            backend.place,
            find,
            self._upstream,
            interval_s=self._interval_s,
            before=before if isinstance(before, DNSDiscovery) else None,
        )

    def _end(self, discovery: Any) -> None:
        """Stop it, whenever that is done: it names nothing any more."""
        ending: Deferred[Any] = maybeDeferred(discovery.disownServiceParent)
        self._ending.add(ending)

        def ended(result: object) -> None:
            self._ending.discard(ending)
            if isinstance(result, Failure):
                self.log.failure("what found servers failed to stop", result)

        ending.addBoth(ended)


def _waiter(ending: Deferred[Any]) -> Deferred[None]:
    """Fires with ``ending``, whose result is somebody else's."""
    waiter: Deferred[None] = Deferred()

    def ended(_: object) -> None:
        waiter.callback(None)

    ending.addBoth(ended)
    return waiter
