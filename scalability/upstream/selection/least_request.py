"""The less busy of two, drawn at random: the power of two choices (Mitzenmacher 2001), Envoy's ``least_request``.

Envoy compares two only while weights are equal, else it keeps a schedule in which a server's deadline is set by its weight and its
requests in flight as they were when it was last chosen. Here two are drawn as likely as their weights and the one with fewer
requests for its weight is chosen (Berenbrink et al., "Balls into non-uniform bins", 2010): that costs no more, and looks at both
as they are now. Equally busy ones are chosen as drawn, so that weights are kept to while there is little to do.
"""

from collections.abc import Container, Sequence
from typing import Generic

from scalability.upstream.selection.algorithm import Random, S
from scalability.upstream.selection.weighted_random import WeightedRandom


class LeastRequest(Generic[S]):
    """O(1), or O(log n) while weights are unequal."""

    def __init__(self, random: Random) -> None:
        self._two: WeightedRandom[S] = WeightedRandom(random)

    def replace(self, servers: Sequence[S]) -> None:
        """See Selection. Nothing is known of a server that it does not know itself."""
        self._two.replace(servers)

    def choose(self, tried: Container[S] = (), key: bytes | None = None) -> S | None:
        """See Selection."""
        pair = self._two.pair(tried)
        if pair is None:
            return None
        first, second = pair
        if self._two.pairs:
            return second if second.active < first.active else first
        busy = second.active * first.weight * first.share < first.active * second.weight * second.share
        return second if busy else first
