"""Weighted round robin: a plain rotation while all weights are equal, else earliest deadline first."""

from collections.abc import Container, Sequence
from heapq import heapify, heappop, heappush, heapreplace
from math import floor
from typing import Generic

from scalability.upstream.selection.algorithm import S, effective_weight, eligible


class _Turn(Generic[S]):
    """A server's place in the weighted order: its ``taken``-th request since ``base`` is due at ``due``."""

    __slots__ = ("base", "rank", "server", "taken", "weight")

    def __init__(self, server: S, rank: int, weight: float, base: float) -> None:
        self.server = server
        self.rank = rank
        self.weight = weight
        self.base = base
        self.taken = 0

    @property
    def due(self) -> float:
        # computed from the count, not added up: equal ratios stay equal floats, so that ties break by rank for ever
        return self.base + (2 * self.taken + 1) / (2 * self.weight)

    def entry(self) -> "_Entry[S]":
        return self.due, self.rank, self


_Entry = tuple[float, int, _Turn[S]]
"""What lies in the heap: ranks differ, so that turns themselves are never compared."""


class RoundRobin(Generic[S]):
    """O(1), or O(log n) while weights are unequal.

    The heap is Envoy's (``EdfLoadBalancerBase``): a server of weight ``w`` is due every ``1/w`` of virtual time, and the one
    that is due first is chosen, in O(log n); nginx's smooth rotation spreads as well and costs O(n). The first turn comes
    after half a period, so that a heavy server's requests are spread from the start: 5, 1, 1 gives a a a b c a a.
    In every ``sum(weights)`` consecutive choices since a change of the set each server has its weight in turns.
    A server that is passed over, because it is in ``tried``, has lost that turn: it saves none up while it is full.
    """

    def __init__(self) -> None:
        self._ring: list[S] = []
        self._next = 0
        self._heap: list[_Entry[S]] = []
        self._now = 0.0

    def replace(self, servers: Sequence[S]) -> None:
        """See Selection. Who has waited longest is next, and who joins comes last: no change of the set favours anybody."""
        weights = {id(server): effective_weight(server) for server in eligible(servers)}
        chosen_among = [server for server in servers if id(server) in weights]
        waiting = self._ring[self._next :] + self._ring[: self._next] or [turn.server for _, _, turn in sorted(self._heap)]
        place = {id(server): index for index, server in enumerate(waiting)}
        if len(set(weights.values())) <= 1:
            self._ring = sorted(chosen_among, key=lambda server: place.get(id(server), len(waiting)))
            self._heap = []
        else:
            self._heap = self._schedule(chosen_among, weights, place)
            self._ring = []
        self._next = 0

    def _schedule(self, servers: list[S], weights: dict[int, float], place: dict[int, int]) -> list[_Entry[S]]:
        known = {id(turn.server): turn for _, _, turn in self._heap}
        heap = []
        for rank, server in enumerate(servers):
            weight = weights[id(server)]
            turn = known.get(id(server))
            if turn is None or turn.weight != weight:
                # how much of a period is left until its next turn
                left = 0.5
                if turn is not None:
                    left = (turn.due - self._now) * turn.weight
                elif id(server) in place:
                    left = (place[id(server)] + 0.5) / len(place)
                turn = _Turn(server, rank, weight, self._now + (left - 0.5) / weight)
            turn.rank = rank
            heap.append(turn.entry())
        heapify(heap)
        return heap

    def choose(self, tried: Container[S] = (), key: bytes | None = None) -> S | None:
        """See Selection. Costs as much again for each server that is passed over."""
        ring = self._ring
        if ring:
            # counted from the end, so that 0 is reached when all have had their turn
            at = self._next or -len(ring)
            server = ring[at]
            self._next = at + 1
            if server not in tried:
                return server
            for _ in range(len(ring) - 1):
                at = self._next or -len(ring)
                server = ring[at]
                self._next = at + 1
                if server not in tried:
                    return server
            return None
        heap = self._heap
        passed: list[_Entry[S]] = []
        chosen: S | None = None
        while heap:
            due, rank, turn = heap[0]
            if turn.server in tried:
                passed.append(heappop(heap))
                continue
            chosen = turn.server
            self._now = due
            turn.taken += 1
            heapreplace(heap, (turn.base + (2 * turn.taken + 1) / (2 * turn.weight), rank, turn))
            break
        for entry in passed:
            turn = entry[2]
            if chosen is not None:
                turn.taken += 1 + floor((self._now - turn.due) * turn.weight)
            heappush(heap, turn.entry())
        return chosen
