"""How long to wait before a retry. PURE: chance is an argument.

Exponential with full jitter: anywhere between 0 and 25 ms before the first retry, then up to 50, 100, 200 and 250 ms (Envoy's
defaults: base 25 ms, at most 10 times that). Without jitter, requests that failed together come back together; of the kinds of
jitter the full one does the least work in all (Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015).

A connection that was refused needs no such wait where the next attempt goes to another server.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Times in seconds. Raises ValueError for values without sense."""

    base_s: float = 0.025
    max_s: float = 0.25

    def __post_init__(self) -> None:
        if not 0 <= self.base_s <= self.max_s:
            raise ValueError("the first wait is not negative, and no longer than the longest")

    def delay_s(self, retry: int, chance: float) -> float:
        """Before the ``retry``-th retry, counted from 1; ``chance`` is a random number in [0, 1)."""
        # the exponent is bounded because 2.0 ** 1024 overflows
        return chance * min(self.max_s, self.base_s * 2.0 ** min(retry - 1, 64))
