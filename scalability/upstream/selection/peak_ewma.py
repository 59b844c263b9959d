"""The one of two that will answer sooner: Finagle's Peak EWMA, with weights.

Two are drawn as likely as their weights. Each costs its average latency (see ``Ewma``) times the requests it would have in
flight, for its weight; the cheaper one is chosen. A server that was never asked costs nothing and is tried once at the first
occasion; until it has answered it is taken for very slow. So a new server is neither starved nor flooded, and one that was very
slow is asked again when enough of that has decayed.

Whoever sends the requests observes how long each took, also those that fail: a server that refuses everything at once
is fast, as long as nobody says otherwise.
"""

from collections.abc import Container, Sequence
from math import exp, floor
from typing import Generic, Literal

from scalability.upstream.selection.algorithm import Clock, Drawn, Random, S
from scalability.upstream.selection.weighted_random import NOBODY, WeightedRandom


class PeakEwma(Generic[S]):
    """O(1), or O(log n) while weights are unequal."""

    learns: Literal[True] = True

    def __init__(self, clock: Clock, random: Random) -> None:
        self._clock = clock
        self._random = random
        self._two: WeightedRandom[S] = WeightedRandom(random)
        self.drawn: Drawn | None = None
        """Of the last choice: the two, the requests in flight of each, what each cost as of its stamp, the stamps, and of how many equally
        likely pairs it was one: of 0 each cost was multiplied by the other's weight. None when there was nothing to choose.
        """

    def replace(self, servers: Sequence[S]) -> None:
        """See Selection. A server keeps its own average."""
        self._two.replace(servers)

    def choose(self, tried: Container[S] = (), key: bytes | None = None) -> S | None:
        """See Selection."""
        two = self._two
        pairs = two.pairs
        if pairs and tried is NOBODY:
            # two.pair without the call: a tenth of the time
            servers = two.servers
            first, second = divmod(floor(self._random() * pairs), len(servers) - 1)
            server = servers[first]
            other = servers[second + 1 if second >= first else second]
        elif (pair := two.pair(tried)) is not None:
            server, other = pair
        else:
            self.drawn = None
            return None
        latency, its = server.latency, other.latency
        # Ewma.cost of both, divided by what they have in common: each has decayed since its own stamp, so that the time
        # between the stamps is all that counts
        active, its_active = server.active, other.active
        cost = latency.value_s * (active + 1)
        its_cost = its.value_s * (its_active + 1)
        if not pairs:
            cost *= other.weight * other.share
            its_cost *= server.weight * server.share
        self.drawn = server.label, other.label, active, its_active, cost, its_cost, latency.stamp, its.stamp, pairs
        try:
            if its_cost * exp((its.stamp - latency.stamp) / latency.decay_s) < cost:
                server, latency, active = other, its, its_active
        except OverflowError:
            pass  # nothing is left of what the first one took
        latency.asked(self._clock(), active)
        return server
