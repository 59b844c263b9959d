"""The servers as another process sees them: it checks and decides, this one only sends requests.

``states_of`` tells an ``Upstream`` as plain data; ``MirroredUpstream.show`` takes it in. A connection that could not be made is
reported to whoever decides, and the next states that it tells say what follows.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from twisted.logger import Logger, LogPublisher

from scalability.net.http_client import ConnectionPool
from scalability.upstream.health import State
from scalability.upstream.selection import Selection
from scalability.upstream.servers import Server, ServerSpec, Upstream

SOURCE = "mirror"


class ServerState(NamedTuple):
    """One server: its ``ServerSpec`` as text, and where it stands."""

    spec: str
    state: State


def states_of(upstream: Upstream) -> list[ServerState]:
    """Every server that ``upstream`` knows, apart from those that only finish their last requests."""
    return [ServerState(str(server.spec), server.health.state) for server in upstream]


class MirroredUpstream(Upstream):
    """Shows what it is told. ``refused(name)`` is called for each connection to that server that could not be made."""

    log = Logger(observer=LogPublisher())  # whoever decides has logged it

    def __init__(
        self, selection: Callable[[], Selection[Server]], pool: Callable[[ServerSpec], ConnectionPool], refused: Callable[[str], None]
    ) -> None:
        super().__init__(selection, pool)
        self._refused = refused

    def show(self, states: Iterable[ServerState]) -> None:
        """From now on there are exactly these servers, in these states; one that is not among them finishes what it has."""
        told = {ServerSpec.parse(spec): state for spec, state in states}
        by_address = {spec.address: state for spec, state in told.items()}
        # new servers wait until their state stands: name_servers ends in a choice among all that are usable
        self.name_servers(SOURCE, told, trusted=False)
        changed = False
        for server in self:
            state = by_address[server.address]
            if server.health.state is not state:
                server.health.state = state
                changed = True
        if changed:
            self._refresh()

    def judge(self, server: Server, passed: bool, why: str) -> None:
        """Leave the verdict to whoever decides."""
        if not passed and not server.removed:
            self._refused(server.name)
