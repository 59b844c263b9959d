"""Which server comes next: the algorithms, one in each module."""

from scalability.upstream.selection.round_robin import ALGORITHMS, RoundRobin, Selection

__all__ = ["ALGORITHMS", "RoundRobin", "Selection"]
