"""The less busy of two, drawn at random: the power of two choices (Mitzenmacher 2001), Envoy's ``least_request``.

Envoy compares two only while weights are equal, else it keeps a schedule in which a server's deadline is set by its weight and its
requests in flight as they were when it was last chosen. Here two are drawn as likely as their weights and the one with fewer
requests for its weight is chosen (Berenbrink et al., "Balls into non-uniform bins", 2010): that costs no more, and looks at both
as they are now. Equally busy ones are chosen as drawn, so that weights are kept to while there is little to do.
"""

from collections.abc import Container, Sequence
from typing import Generic

from scalability.upstream.selection.algorithm import Drawn, Random, S
from scalability.upstream.selection.weighted_random import WeightedRandom


class LeastRequest(Generic[S]):
    """O(1), or O(log n) while weights are unequal."""

    def __init__(self, random: Random) -> None:
        self._two: WeightedRandom[S] = WeightedRandom(random)
        self.drawn: Drawn | None = None
        """The two of the last choice, and their requests in flight; None when there was nothing to choose."""

    def replace(self, servers: Sequence[S]) -> None:
        """See Selection. Nothing is known of a server that it does not know itself."""
        self._two.replace(servers)

    def choose(self, tried: Container[S] = (), key: bytes | None = None) -> S | None:
        """See Selection."""
        pair = self._two.pair(tried)
        if pair is None:
            self.drawn = None
            return None
        first, second = pair
        active, its = first.active, second.active
        self.drawn = first.label, second.label, active, its
        if self._two.pairs:
            return second if its < active else first
        busy = its * first.weight * first.share < active * second.weight * second.share
        return second if busy else first
