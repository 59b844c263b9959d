"""Finagle's Peak EWMA: how long a server takes to answer, quick to believe the worst and slow to forget it.

The source is Finagle's ``PeakEwma`` (com.twitter.finagle.loadbalancer). An observation above the average replaces it; one below
pulls it down with the weight ``1 - exp(-dt / decay)``, because observations are unevenly spaced in time. Without observations the
average decays towards 0, so that a server which was bad is asked again some day: of 2 s are left 0.74 s after 10 s.

One thing differs. In Finagle a server that hangs grows cheaper with every second in which nothing comes back, for the decay goes
on, and is sent ever more requests. Here an answer that is owed counts whenever one more is asked for: who was asked 3 s ago and has
not answered takes 3 s at least.
"""

from math import exp

DECAY_S = 10.0
"""Finagle's default, the time constant in seconds: after it an observation counts 1/e."""

UNKNOWN_S = 60.0
"""What a server that never answered is believed to take, in seconds, from its first request to its first answer."""

OWED_S = 60.0
"""The most, in seconds, that is concluded from an answer that is owed."""

LEAST_S = 1e-6
"""No answer takes less: an average of 0 means that there was none."""


class Ewma:
    """One server's average. Times are seconds; ``now`` is always the same clock's, and while that is set back nothing decays."""

    __slots__ = ("answered", "decay_s", "owed_since", "stamp", "value_s")

    def __init__(self, decay_s: float = DECAY_S) -> None:
        if not decay_s > 0:
            raise ValueError(f"an average cannot decay within {decay_s} s")
        self.decay_s = decay_s
        self.value_s = 0.0
        """The average at ``stamp``; 0: it was never asked."""
        self.stamp = 0.0
        self.answered = False
        """Whether the average comes from an observation."""
        self.owed_since: float | None = None
        """When it was asked, for the first time since the last observation."""

    def observe(self, seconds: float, now: float) -> None:
        """A request was answered after ``seconds``; or failed, or was given up by its client, after as long."""
        seconds = max(seconds, LEAST_S)
        if seconds >= self.value_s or not self.answered:
            self.value_s = seconds
        else:
            kept = exp(min(self.stamp - now, 0.0) / self.decay_s)
            self.value_s = self.value_s * kept + seconds * (1.0 - kept)
        self.stamp = now
        self.answered = True
        self.owed_since = None

    def asked(self, now: float, active: int) -> None:
        """One more request is sent, beside ``active`` that are in flight."""
        since = self.owed_since
        if since is None or not active:
            # what was owed when nothing is in flight was given up
            self.owed_since = now
            if self.value_s == 0.0:
                self.value_s = UNKNOWN_S
                self.stamp = now
        elif now - since > self.value_s or now - self.stamp > self.decay_s:
            # only now, because this is done at every choice: until then too little has decayed to matter
            owed = min(now - since, OWED_S)
            if owed > self.cost(now, 0):
                self.value_s = owed
                self.stamp = now

    def cost(self, now: float, active: int) -> float:
        """Seconds that one more request is expected to take beside ``active`` others: the average times ``active + 1``.

        0 for a server that was never asked.
        """
        return self.value_s * exp(min(self.stamp - now, 0.0) / self.decay_s) * (active + 1)
