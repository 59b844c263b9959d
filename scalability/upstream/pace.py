"""When a server is checked next. PURE: the chance is an argument.

    where it stands                    next check after
    came up just now                   a random part of ``interval_s``
    up                                 ``interval_s``
    unchecked, falling, rising         ``fast_s``: what it is now is to be known soon
    waiting, down                      ``down_s``

each but the first longer or shorter by up to the share ``jitter``, by chance. Delays count from the beginning of one check to that
of the next. They are HAProxy's ``inter``, ``fastinter``, ``downinter`` and ``spread-checks``.

The random part is what keeps checks from running in lock-step: a thousand servers that come up together, because the balancer has
just started or a network is back, are spread over the whole interval from their second check on. Jitter alone would need minutes for that.
"""

from typing import NamedTuple

from scalability.upstream.health import State

FIRST_S = 0.2
"""A server's first check begins within as many seconds after it has joined, or within one interval if that is shorter."""


class Pace(NamedTuple):
    """The intervals of a server's checks, in seconds; ``jitter`` is a share, from 0 to 0.5."""

    interval_s: float = 2.0
    fast_s: float = 0.5
    down_s: float = 0.5
    jitter: float = 0.1

    def first_s(self, chance: float) -> float:
        """Seconds from joining to the first check; ``chance`` is a random number from [0, 1)."""
        return min(FIRST_S, self.interval_s) * chance

    def next_s(self, before: State, after: State, chance: float) -> float:
        """Seconds from the beginning of a check, which led from state ``before`` to ``after``, to that of the next."""
        if after is State.UP:
            if before is not State.UP:
                return self.interval_s * chance
            usual_s = self.interval_s
        elif after is State.DOWN or after is State.WAITING:
            usual_s = self.down_s
        else:
            usual_s = self.fast_s
        return usual_s * (1 + self.jitter * (2 * chance - 1))
