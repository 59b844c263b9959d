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
from typing import Generic

from scalability.upstream.selection.algorithm import Clock, Random, S
from scalability.upstream.selection.weighted_random import NOBODY, WeightedRandom


class PeakEwma(Generic[S]):
    """O(1), or O(log n) while weights are unequal."""

    def __init__(self, clock: Clock, random: Random) -> None:
        self._clock = clock
        self._random = random
        self._two: WeightedRandom[S] = WeightedRandom(random)

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
            return None
        latency, its = server.latency, other.latency
        # Ewma.cost of both, divided by what they have in common: each has decayed since its own stamp, so that the time
        # between the stamps is all that counts
        cost = latency.value_s * (server.active + 1)
        its_cost = its.value_s * (other.active + 1)
        if not pairs:
            cost *= other.weight * other.share
            its_cost *= server.weight * server.share
        try:
            if its_cost * exp((its.stamp - latency.stamp) / latency.decay_s) < cost:
                server, latency = other, its
        except OverflowError:
            pass  # nothing is left of what the first one took
        latency.asked(self._clock(), server.active)
        return server
