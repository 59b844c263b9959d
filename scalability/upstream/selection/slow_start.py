"""How much of its weight a server has that has just come: little at first, so that its caches and pools can fill.

The formula is Envoy's (``slow_start_config``): ``weight * max(min_weight_percent, (time / window) ^ (1 / aggression))``. Servers
that are there when the process starts have come long ago: whoever starts the clock skips it for them.
"""

import math

LEAST_SHARE = 0.1
"""Envoy's default of ``min_weight_percent``."""


def share(elapsed_s: float, window_s: float, aggression: float = 1.0, least: float = LEAST_SHARE) -> float:
    """The factor of a server's weight, from ``least`` to 1, when it came ``elapsed_s`` ago; 1 once ``window_s`` is over, or 0 itself.

    ``aggression`` 1 is linear; above, it rises sooner, below, later. Raises ValueError when that is not above 0, or ``least``
    not above 0 and at most 1.
    """
    if not aggression > 0:
        raise ValueError(f"the aggression of a slow start is a number above 0, not {aggression}")
    if not 0 < least <= 1:
        raise ValueError(f"the least share of a slow start is above 0 and at most 1, not {least}")
    if elapsed_s >= window_s:
        return 1.0
    return max(least, math.pow(max(elapsed_s, 0.0) / window_s, 1.0 / aggression))
