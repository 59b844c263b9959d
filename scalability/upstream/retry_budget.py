"""How many requests may be retries: a share of what is in flight, so that retries cannot multiply an overload. PURE.

Envoy's retry budget: at most 20 % of the active requests, but always 3, are retries at the same time. A limit of retries per request
alone lets a failing service be asked three times as much as a healthy one, in every layer anew (Google, "Site Reliability
Engineering", chapter 22). A hedged second attempt is a retry too.
"""


class RetryBudget:
    """``take`` before a retry begins, ``give_back`` when it ends. One for all servers of an upstream, in each process."""

    __slots__ = ("allowed", "denied", "in_use", "min_concurrent", "percent")

    def __init__(self, *, percent: int = 20, min_concurrent: int = 3) -> None:
        if not 0 <= percent <= 100 or min_concurrent < 0:
            raise ValueError("a retry budget is 0 to 100 percent, and no fewer than 0 retries at any time")
        self.percent = percent
        """May be changed at any time, as may ``min_concurrent``."""
        self.min_concurrent = min_concurrent
        self.in_use = 0
        """Retries in flight."""
        self.allowed = 0
        """How often a retry was, ever."""
        self.denied = 0

    def take(self, active: int) -> bool:
        """Whether one more retry may begin, while ``active`` requests of clients are in flight or wait, each counted once.

        After True the retry is in flight until it is given back.
        """
        in_use = self.in_use
        if in_use < self.min_concurrent or (in_use + 1) * 100 <= active * self.percent:
            self.in_use = in_use + 1
            self.allowed += 1
            return True
        self.denied += 1
        return False

    def give_back(self) -> None:
        """A retry ended. Raises ValueError when none was taken."""
        if not self.in_use:
            raise ValueError("no retry is in flight")
        self.in_use -= 1
