"""Which server comes next. PURE: no clock, no sockets, no random source; a simulation runs the very same code.

A selection knows only the servers that may take traffic; ``Upstream`` tells it when that set changes, so that
choosing costs O(1) or O(log n) however many servers are down. Algorithms are found by name in ``ALGORITHMS``.
"""

from collections.abc import Container, Sequence
from heapq import heapify, heappop, heappush
from typing import Any, Generic, Protocol, TypeVar


class Weighted(Protocol):
    """What a selection asks of a server."""

    @property
    def weight(self) -> int: ...


S = TypeVar("S", bound=Weighted)


class Selection(Protocol[S]):
    """One algorithm with its state."""

    def replace(self, servers: Sequence[S]) -> None:
        """From now on choose among ``servers``; what is already known of those that stay is kept."""

    def choose(self, tried: Container[S]) -> S | None:
        """The next server that is not in ``tried``, or None. The caller sends one request there."""


class _Turn(Generic[S]):
    """A server's place in the weighted order: its ``taken``-th request is due at ``due``."""

    __slots__ = ("base", "due", "rank", "server", "taken", "weight")

    def __init__(self, server: S, rank: int, base: float) -> None:
        self.server = server
        self.rank = rank
        self.weight = server.weight
        self.base = base
        self.taken = 0
        self.due = base + 0.5 / self.weight

    def take(self) -> None:
        # computed from the count, not added up: equal ratios stay equal floats, so that ties break by rank for ever
        self.taken += 1
        self.due = self.base + (2 * self.taken + 1) / (2 * self.weight)

    def __lt__(self, other: "_Turn[S]") -> bool:
        return self.due < other.due or (self.due == other.due and self.rank < other.rank)


class RoundRobin(Generic[S]):
    """Weighted round robin: a plain rotation while all weights are equal, else earliest deadline first.

    The heap is Envoy's (``EdfLoadBalancerBase``): a server of weight ``w`` is due every ``1/w`` of virtual time, and the one
    that is due first is chosen, in O(log n); nginx's smooth rotation spreads as well and costs O(n). The first turn comes
    after half a period, so that a heavy server's requests are spread from the start: 5, 1, 1 gives a a a b c a a.
    In every ``sum(weights)`` consecutive choices since a change of the set each server has its weight in turns.
    A weight of 0 means: no requests.
    """

    def __init__(self) -> None:
        self._ring: list[S] = []
        self._next = 0
        self._turns: list[_Turn[S]] = []
        self._now = 0.0

    def replace(self, servers: Sequence[S]) -> None:
        """See Selection. The rotation goes on behind the last choice; a server that joins waits its turn."""
        eligible = [server for server in servers if server.weight > 0]
        if len({server.weight for server in eligible}) <= 1:
            ahead = self._ring[self._next :] + self._ring[: self._next]
            self._turns = []
            self._ring = eligible
            place = {id(server): index for index, server in enumerate(eligible)}
            self._next = next((place[id(server)] for server in ahead if id(server) in place), 0)
            return
        self._ring = []
        self._next = 0
        known = {id(turn.server): turn for turn in self._turns}
        turns = []
        for rank, server in enumerate(eligible):
            turn = known.get(id(server))
            if turn is None or turn.weight != server.weight:
                turn = _Turn(server, rank, self._now)
            turn.rank = rank
            turns.append(turn)
        self._turns = turns
        heapify(turns)

    def choose(self, tried: Container[S] = ()) -> S | None:
        """See Selection. Costs O(1), or O(log n) with unequal weights, and as much again for each server in ``tried``."""
        ring = self._ring
        if ring:
            at = self._next
            server = ring[at]
            self._next = at + 1 if at + 1 < len(ring) else 0
            if server not in tried:
                return server
            for _ in range(len(ring) - 1):
                server = ring[self._next]
                self._next += 1
                if self._next == len(ring):
                    self._next = 0
                if server not in tried:
                    return server
            return None
        passed: list[_Turn[S]] = []
        chosen: S | None = None
        turns = self._turns
        while turns:
            turn = heappop(turns)
            if turn.server in tried:
                # stays due: it is passed over for this request only
                passed.append(turn)
                continue
            chosen = turn.server
            self._now = turn.due
            turn.take()
            heappush(turns, turn)
            break
        for turn in passed:
            heappush(turns, turn)
        return chosen


ALGORITHMS: dict[str, type[RoundRobin[Any]]] = {"round_robin": RoundRobin}
"""What ``--algorithm`` may name."""
