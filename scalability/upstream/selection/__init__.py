"""Which server comes next. PURE: no clock, no sockets, no random source; a simulation runs the very same code.

A selection knows only the servers that may take traffic; ``Upstream`` tells it when that set changes, so that
choosing costs O(1) or O(log n) however many servers are down. Algorithms are found by name in ``ALGORITHMS``.
"""

from collections.abc import Mapping

from scalability.upstream.selection.algorithm import Algorithm, Building, Candidate, Learning, Selection, Tracking
from scalability.upstream.selection.least_connections import LeastConnections
from scalability.upstream.selection.least_request import LeastRequest
from scalability.upstream.selection.maglev import Maglev
from scalability.upstream.selection.peak_ewma import PeakEwma
from scalability.upstream.selection.round_robin import RoundRobin
from scalability.upstream.selection.weighted_random import WeightedRandom

ALGORITHMS: Mapping[str, Algorithm] = {
    "round_robin": lambda *, clock, random: RoundRobin(),
    "random": lambda *, clock, random: WeightedRandom(random),
    "least_request": lambda *, clock, random: LeastRequest(random),
    "least_connections": lambda *, clock, random: LeastConnections(),
    "peak_ewma": lambda *, clock, random: PeakEwma(clock, random),
    "maglev": lambda *, clock, random: Maglev(random),
}
"""What ``--algorithm`` may name."""

__all__ = ["ALGORITHMS", "Algorithm", "Building", "Candidate", "Learning", "RoundRobin", "Selection", "Tracking"]
