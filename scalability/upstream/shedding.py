"""How much to turn away when the event loop cannot keep up. PURE: fed with measured lags; chance is an argument.

The lag is how late a tick was that was due 50 to 100 ms after the last. In a loop each turn of which takes T, it lies between T less the
tick's interval and T, and T grows with all that is ready and waits for its turn: it is the time that a request spends in the queue
before anything of ours looks at it.

The reasoning is CoDel's (Nichols and Jacobson, "Controlling Queue Delay", ACM Queue, 2012; RFC 8289): a queue that empties now and
then is a burst, which queues are for; one whose *least* delay in a whole interval lies above a target stands, and only makes
everybody late. So the least lag of each interval decides:

    above the target         turn away 10 % more of the requests, up to 40 % more when the lag is far above it, 90 % at most
    below half the target    10 % fewer
    between                  as many as before

One long pause (a collection, a suspended machine) makes one tick late and changes nothing.
"""

from dataclasses import dataclass

MIN_SAMPLES = 3
"""An interval is judged by no fewer."""
STEEPEST = 4.0
"""By so many steps at most the fraction grows at once."""


@dataclass(frozen=True, slots=True)
class SheddingPolicy:
    """Raises ValueError for values without sense."""

    target_s: float = 0.1
    """0: nothing is ever turned away."""
    interval_s: float = 1.0
    step: float = 0.1
    max_fraction: float = 0.9
    """Below 1: what is still let in shows when the load is gone."""

    def __post_init__(self) -> None:
        if self.target_s < 0 or self.interval_s <= 0:
            raise ValueError("the target is 0 (none) or more, and the interval above 0")
        if not 0 < self.step <= 1 or not 0 < self.max_fraction < 1:
            raise ValueError("the step and the greatest fraction are above 0, and the fraction is below 1")


class Shedding:
    """The verdict, for one event loop. Times are seconds of any clock that never goes back."""

    __slots__ = ("_began_s", "_least_s", "_samples", "fraction", "lag_s", "policy", "shed")

    def __init__(self, policy: SheddingPolicy) -> None:
        self.policy = policy
        """May be replaced at any time."""
        self.fraction = 0.0
        """Of new requests, to be turned away."""
        self.lag_s = 0.0
        """The least lag of the last interval."""
        self.shed = 0
        """How many were turned away, ever."""
        self._samples = 0
        self._began_s = 0.0
        self._least_s = 0.0

    def sampled(self, lag_s: float, now: float) -> bool:
        """A tick was ``lag_s`` late. True when shedding begins or ends with it."""
        if not self._samples:
            self._began_s = now
            self._least_s = lag_s
        elif lag_s < self._least_s:
            self._least_s = lag_s
        self._samples += 1
        if self._samples < MIN_SAMPLES or now - self._began_s < self.policy.interval_s:
            return False
        self._samples = 0
        self.lag_s = self._least_s
        before = self.fraction
        self.fraction = self._judged()
        return (before > 0) is not (self.fraction > 0)

    def sheds(self, chance: float) -> bool:
        """Whether to turn this request away; ``chance`` is a random number in [0, 1). ``fraction`` of 0 spares the question."""
        if chance >= self.fraction:
            return False
        self.shed += 1
        return True

    def _judged(self) -> float:
        policy = self.policy
        if not policy.target_s:
            return 0.0
        if self.lag_s > policy.target_s:
            return min(self.fraction + policy.step * min(self.lag_s / policy.target_s, STEEPEST), policy.max_fraction)
        if self.lag_s < policy.target_s / 2:
            left = self.fraction - policy.step
            return left if left > policy.step / 100 else 0.0  # what rounding leaves is nothing
        return self.fraction
