"""The server with the fewest requests in flight for its weight, exactly: HAProxy's ``leastconn``, nginx's ``least_conn``.

Equally busy ones take turns by weight, as with nginx. The servers lie in a heap by ``active / weight``. ``active`` changes without
asking the heap: one that has grown is noticed when it comes to the top, and goes where it belongs; one that has fallen would stay
below, so ``active_changed`` says so and the server is entered anew. Its former entries are dropped at the top, or all at once
when they are as many as there are servers. Each request grows once and falls once: O(log n) for it, all in all.
"""

from collections.abc import Container, Sequence
from heapq import heapify, heappop, heappush, heapreplace
from typing import Generic

from scalability.upstream.selection.algorithm import S, effective_weight, eligible


class _Member(Generic[S]):
    __slots__ = ("due", "entry", "rank", "server", "weight")

    def __init__(self, server: S, rank: int, weight: float, due: float) -> None:
        self.server = server
        self.rank = rank
        self.weight = weight
        self.due = due
        """When it is its turn among those that are equally busy, in a virtual time in which its turns are ``1 / weight`` apart."""
        self.entry = self.entered()
        """Its entry that counts."""

    def entered(self) -> "_Entry[S]":
        return self.server.active / self.weight, self.due, self.rank, self


_Entry = tuple[float, float, int, _Member[S]]
"""Load, turn, rank: no two members have all in common, so that they themselves are never compared."""


class LeastConnections(Generic[S]):
    """O(log n) amortised, and as much again for each server in ``tried`` that is less busy than the one chosen."""

    def __init__(self) -> None:
        self._members: dict[S, _Member[S]] = {}
        self._heap: list[_Entry[S]] = []
        self._now = 0.0

    def replace(self, servers: Sequence[S]) -> None:
        """See Selection. A server that joins is the last among those that are equally busy."""
        former = self._members
        members: dict[S, _Member[S]] = {}
        for rank, server in enumerate(eligible(servers)):
            weight = effective_weight(server)
            known = former.get(server)
            turns = 1.0 if known is None else (max(known.due, self._now) - self._now) * known.weight
            members[server] = _Member(server, rank, weight, self._now + turns / weight)
        self._members = members
        self._enter_all()

    def choose(self, tried: Container[S] = (), key: bytes | None = None) -> S | None:
        """See Selection."""
        heap = self._heap
        passed: list[_Entry[S]] = []
        chosen: S | None = None
        while heap:
            entry = heap[0]
            member = entry[3]
            server = member.server
            if member.entry is not entry:
                heappop(heap)
            elif server.active / member.weight != entry[0]:
                member.entry = entry = member.entered()
                heapreplace(heap, entry)
            elif server in tried:
                passed.append(heappop(heap))
            else:
                if member.due > self._now:
                    self._now = member.due
                member.due = self._now + 1.0 / member.weight
                member.entry = entry = (entry[0], member.due, member.rank, member)
                heapreplace(heap, entry)
                chosen = server
                break
        for entry in passed:
            heappush(heap, entry)
        return chosen

    def active_changed(self, server: S, change: int) -> None:
        """See Tracking."""
        member = self._members.get(server)
        if member is None or server.active / member.weight >= member.entry[0]:
            return
        member.entry = entry = member.entered()
        heappush(self._heap, entry)
        if len(self._heap) > 2 * len(self._members) + 16:
            self._enter_all()

    def _enter_all(self) -> None:
        for member in self._members.values():
            member.entry = member.entered()
        self._heap = [member.entry for member in self._members.values()]
        heapify(self._heap)
