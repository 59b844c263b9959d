"""The servers as another process sees them: it checks and decides, this one only sends requests.

``states_of`` tells an ``Upstream`` as plain data; ``MirroredUpstream.show`` takes it in. A connection that could not be made is
reported to whoever decides, and the next states that it tells say what follows.
"""

import time
from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

from twisted.logger import Logger, LogPublisher

from scalability.net.connection_pool import ConnectionPool
from scalability.upstream.health import State
from scalability.upstream.rules import UpstreamRules
from scalability.upstream.selection import Selection
from scalability.upstream.server import Mode, Server
from scalability.upstream.servers import DEFAULT_RULES, Upstream
from scalability.upstream.spec import ServerSpec

SOURCE = "mirror"


class ServerState(NamedTuple):
    """One server: its ``ServerSpec`` as text, with the weight that counts now, and where it stands."""

    spec: str
    state: State
    mode: Mode = Mode.READY
    ejected: bool = False
    share: float = 1.0
    unreachable: bool = False
    misses: int = 0
    """Those of a server that is used in a panic, since what waits for it need not wait on: told while there is one."""


def states_of(upstream: Upstream) -> list[ServerState]:
    """Every server that ``upstream`` knows, apart from those that only finish their last requests."""
    return [
        ServerState(
            str(server.spec._replace(weight=server.weight)),
            server.health.state,
            server.mode,
            server.ejected,
            round(server.share, 3),
            server.unreachable,
            server.misses if upstream.panicking else 0,
        )
        for server in upstream
    ]


class Reports(Protocol):
    """Whoever tells what this process has seen to the one that decides."""

    def refused(self, name: str) -> None:
        """A connection to that server could not be made."""

    def suspected(self, name: str) -> None:
        """As many requests in a row have failed there as may eject it."""

    def outcomes(self, counts: dict[str, tuple[int, int]]) -> None:
        """How many requests to each server succeeded and failed since the last call."""


class MirroredUpstream(Upstream):
    """Shows what it is told, and ``reports`` what it sees. Breakers, queue and budget are its own."""

    log = Logger(observer=LogPublisher())  # whoever decides has logged it

    def __init__(
        self,
        selection: Callable[[], Selection[Server]],
        pool: Callable[[ServerSpec], ConnectionPool],
        reports: Reports,
        *,
        rules: UpstreamRules = DEFAULT_RULES,
        seconds: Callable[[], float] = time.monotonic,
        later: Callable[[Callable[[], None]], object] | None = None,
        part: Callable[[int], int] = lambda limit: limit,
    ) -> None:
        """``part`` is what this process may have of a server's limit for all."""
        super().__init__(selection, pool, rules=rules, seconds=seconds, later=later)
        self._reports = reports
        self._part = part

    def show(self, states: Iterable[ServerState]) -> None:
        """From now on there are exactly these servers, in these states; one that is not among them finishes what it has."""
        told = {self._own(ServerSpec.parse(state.spec)): state for state in states}
        by_address = {spec.address: state for spec, state in told.items()}
        # the choice is told of servers and states together: in between there may be none to choose, and nobody must be told so
        self._members.name(SOURCE, told, trusted=False)
        gone_down = []
        for server in self:
            told_state = by_address[server.address]
            _, state, mode, ejected, share, unreachable, misses = told_state
            before = (server.health.state, server.mode, server.ejected, server.share, server.unreachable, server.misses)
            if before == (state, mode, ejected, share, unreachable, misses):
                continue
            if not state.usable and (server.health.state.usable or misses > server.misses):
                gone_down.append(server)
            server.misses = misses
            if server.ejected and not ejected:
                server.forget_outcomes()
            if state is State.UP and not server.health.state.usable:
                server.forget_latency()
            server.health.state = state
            server.mode, server.ejected, server.share, server.unreachable = mode, ejected, share, unreachable
        self._refresh()
        for server in gone_down:
            self.went_down(server)

    def _own(self, spec: ServerSpec) -> ServerSpec:
        def part(limit: int) -> int:
            return max(1, self._part(limit)) if limit else 0

        return spec._replace(max_active=part(spec.max_active), max_connections=part(spec.max_connections))

    def judge(self, server: Server, passed: bool, why: str, *, unreachable: bool = False) -> None:
        """Leave the verdict to whoever decides."""
        if not passed and not server.removed:
            self._reports.refused(server.name)

    def suspected(self, server: Server) -> None:
        """Likewise."""
        if not server.removed:
            self._reports.suspected(server.name)

    def sweep(self) -> None:
        """Tell what is to be compared."""
        now = self.seconds()
        counts = {server.name: taken for server in self if any(taken := server.take_outcomes(now))}
        if counts:
            self._reports.outcomes(counts)

    def warm_up(self) -> None:
        """Each share is told."""

    def _limit_ejections(self, usable: list[Server]) -> None:
        """Ejections are told."""
