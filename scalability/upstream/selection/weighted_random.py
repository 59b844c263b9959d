"""Chance, each server as likely as its weight; and pairs of servers, for the algorithms that compare two."""

from bisect import bisect
from collections.abc import Container, Sequence
from itertools import accumulate
from math import floor
from typing import Generic

from scalability.upstream.selection.algorithm import Random, S, effective_weight, eligible

DRAWS = 16
"""How often one is drawn that may not be chosen, before all that may be are listed. With half of the weight in ``tried`` that happens
once in 65,536 choices; and where one server has nearly all of the weight there are few others to list."""


NOBODY = ()
"""What ``tried`` is at nearly every choice: the one empty tuple."""


class WeightedRandom(Generic[S]):
    """Envoy's ``random``, with weights: O(1), or O(log n) while weights are unequal."""

    # math.floor takes half the time of int(): it is called, not constructed

    def __init__(self, random: Random) -> None:
        self._random = random
        self.servers: list[S] = []
        """Those that may be chosen."""
        self._weights: list[float] = []
        self._sums: list[float] = []
        """The weight of each server and all before it; empty while weights are equal."""
        self.pairs = 0
        """How many ordered pairs of different servers there are, all equally likely; 0 while weights are unequal."""

    def replace(self, servers: Sequence[S]) -> None:
        """See Selection. Nothing is known of a server that could be kept."""
        self.servers = eligible(servers)
        self._weights = weights = [effective_weight(server) for server in self.servers]
        self._sums = list(accumulate(weights)) if len(set(weights)) > 1 else []
        self.pairs = 0 if self._sums else len(weights) * (len(weights) - 1)

    def choose(self, tried: Container[S] = (), key: bytes | None = None) -> S | None:
        """See Selection. O(n) when nearly all are in ``tried``."""
        servers = self.servers
        if not servers:
            return None
        server = self._drawn()
        if server not in tried:
            return server
        for _ in range(DRAWS):
            server = self._drawn()
            if server not in tried:
                return server
        return self._listed(tried)

    def pair(self, tried: Container[S] = ()) -> tuple[S, S] | None:
        """Two different servers not in ``tried``, the first as ``choose`` would; twice the same if there is only one, None without any."""
        servers = self.servers
        if self.pairs and tried is NOBODY:
            first, second = divmod(floor(self._random() * self.pairs), len(servers) - 1)
            return servers[first], servers[second + 1 if second >= first else second]
        sums = self._sums
        if sums and tried is NOBODY:
            first = bisect(sums, self._random() * sums[-1])
            # the second one is drawn as if the weight of the first were not there
            before = sums[first - 1] if first else 0.0
            own = sums[first] - before
            at = self._random() * (sums[-1] - own)
            return servers[first], servers[bisect(sums, at if at < before else at + own, 0, len(sums) - 1)]
        one = self.choose(tried)
        if one is None:
            return None
        for _ in range(DRAWS if len(servers) > 1 else 0):
            drawn = self._drawn()
            if drawn is not one and drawn not in tried:
                return one, drawn
        other = self._listed(tried, one)
        return one, one if other is None else other

    def _drawn(self) -> S:
        sums = self._sums
        if sums:
            return self.servers[bisect(sums, self._random() * sums[-1])]
        return self.servers[floor(self._random() * len(self.servers))]

    def _listed(self, tried: Container[S], but: S | None = None) -> S | None:
        left = [index for index, server in enumerate(self.servers) if server is not but and server not in tried]
        if not left:
            return None
        sums = list(accumulate(self._weights[index] for index in left))
        return self.servers[left[bisect(sums, self._random() * sums[-1])]]
