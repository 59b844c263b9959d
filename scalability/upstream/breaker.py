"""A circuit breaker for each server. PURE: a table, a sliding window and some integers.

State       request                              event                                       next state
CLOSED      sent                                 half of at least 20 in 10 s have failed     OPEN, for 10 s
OPEN        sent elsewhere                       its time is over                            HALF_OPEN
HALF_OPEN   3 are sent to try, others elsewhere  one of the 3 fails                          OPEN, for twice as long, 60 s at most
HALF_OPEN                                        all 3 succeed                               CLOSED, with an empty window

The states are those of Nygard's "Release It!", the ratio over a window with a minimum volume is Hystrix's and Traefik's, the limits
are those that Envoy calls circuit breaking. A breaker differs from an ejection (``upstream.outlier``) in that it
knows no other servers: it opens for the only one as well, so that requests fail at once instead of waiting for what is broken.

A result counts only in the state in which its request began, for which ``epoch`` stands: the last requests from before a
breaker opened, when they time out at last, say nothing about the trials.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

BUCKETS = 10
"""A window is forgotten in as many steps."""


class State(Enum):
    """Every state; the table above is ``TRANSITIONS``."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Event(Enum):
    """What changes a state, in words for people."""

    TRIPPED = "too many requests failed"
    COOLED = "its time is over"
    TRIAL_FAILED = "a trial request failed"
    TRIALS_SUCCEEDED = "all trial requests succeeded"


TRANSITIONS: Mapping[tuple[State, Event], State] = {
    (State.CLOSED, Event.TRIPPED): State.OPEN,
    (State.OPEN, Event.COOLED): State.HALF_OPEN,
    (State.HALF_OPEN, Event.TRIAL_FAILED): State.OPEN,
    (State.HALF_OPEN, Event.TRIALS_SUCCEEDED): State.CLOSED,
}


_CLOSED = State.CLOSED
"""A name of the module is found faster than a member of an Enum."""


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """When a breaker opens, and how it closes again. Raises ValueError for values without sense."""

    failure_percent: int = 50
    """Of the requests in the window; 0: it never opens."""
    window_s: float = 10.0
    min_requests: int = 20
    """Fewer in the window do not open it."""
    open_s: float = 10.0
    max_open_s: float = 60.0
    trials: int = 3

    def __post_init__(self) -> None:
        if not 0 <= self.failure_percent <= 100:
            raise ValueError("the share of failures that opens a breaker is 0 to 100 percent")
        if self.min_requests < 1 or self.trials < 1:
            raise ValueError("the least number of requests, and that of trials, is at least 1")
        if self.window_s <= 0 or not 0 < self.open_s <= self.max_open_s:
            raise ValueError("the window and the times are above 0, and the longest time open is no shorter than the first")


class Breaker:
    """One server's. Who sends it a request asks ``admits``, says ``started``, then ``succeeded``, ``failed`` or ``abandoned``.

    What ``started`` returns belongs to the request and goes into the call that ends it: some 40 ns and 80 ns while it is closed. Times
    are seconds of any clock that never goes back.
    """

    __slots__ = (
        "_at",
        "_bucket_ends_s",
        "_failures_before",
        "_failures_now",
        "_reopened",
        "_requests_before",
        "_requests_now",
        "_ring",
        "_succeed_to_close",
        "_trials_left",
        "epoch",
        "open_until_s",
        "opened",
        "policy",
        "state",
    )

    def __init__(self, policy: BreakerPolicy) -> None:
        self.policy = policy
        """May be replaced at any time; the width of the window's steps follows as they are begun."""
        self.state = State.CLOSED
        self.epoch = 1
        """Counts changes of state."""
        self.opened = 0
        """How often, ever."""
        self.open_until_s = 0.0
        """When it may be tried, while it is open."""
        self._reopened = 0
        self._trials_left = 0
        self._succeed_to_close = 0
        # the bucket of now, and those before it: their counts in a ring, and the sums of these
        self._bucket_ends_s = 0.0
        self._requests_now = 0
        self._failures_now = 0
        self._ring = [(0, 0)] * (BUCKETS - 1)
        self._at = 0
        self._requests_before = 0
        self._failures_before = 0

    def __repr__(self) -> str:
        return f"<Breaker {self.state.value}, {self.failures} of {self.requests} failed>"

    @property
    def requests(self) -> int:
        """In the window, as far as they have ended."""
        return self._requests_before + self._requests_now

    @property
    def failures(self) -> int:
        """Of those."""
        return self._failures_before + self._failures_now

    @property
    def admits(self) -> bool:
        """Whether one more request may be sent."""
        return self.state is _CLOSED or self._trials_left > 0

    def started(self) -> int:
        """A request is sent. Its epoch; 0, whose result counts for nothing, when it is sent although the breaker does not admit it."""
        if self.state is _CLOSED:
            return self.epoch
        if self._trials_left > 0:
            self._trials_left -= 1
            return self.epoch
        return 0

    def succeeded(self, epoch: int, now: float) -> bool:
        """That request succeeded. True when the breaker closes with it."""
        if epoch != self.epoch:
            return False
        if self.state is _CLOSED:
            if now >= self._bucket_ends_s:
                self._turn(now)
            self._requests_now += 1
            return False
        self._succeed_to_close -= 1
        if self._succeed_to_close:
            return False
        self._enter(Event.TRIALS_SUCCEEDED, now)
        return True

    def count(self, successes: int, now: float) -> None:
        """So many requests have succeeded, for whoever does not tell of each one; it matters while it is closed."""
        if self.state is _CLOSED:
            if now >= self._bucket_ends_s:
                self._turn(now)
            self._requests_now += successes

    def failed(self, epoch: int, now: float) -> bool:
        """That request failed. True when the breaker opens with it: it is judged here, never by the clock alone."""
        if epoch != self.epoch:
            return False
        if self.state is not _CLOSED:
            self._enter(Event.TRIAL_FAILED, now)
            return True
        if now >= self._bucket_ends_s:
            self._turn(now)
        self._requests_now += 1
        self._failures_now += 1
        policy = self.policy
        percent = policy.failure_percent
        requests = self.requests
        if not percent or requests < policy.min_requests or self.failures * 100 < percent * requests:
            return False
        self._enter(Event.TRIPPED, now)
        return True

    def abandoned(self, epoch: int) -> None:
        """That request ended without a result, because its client left: another may try."""
        if epoch == self.epoch and self.state is State.HALF_OPEN:
            self._trials_left += 1

    def cooled(self, now: float) -> bool:
        """Whether the breaker was open until now and its trials begin. To be asked of open ones about once a second."""
        if self.state is not State.OPEN or now < self.open_until_s:
            return False
        self._enter(Event.COOLED, now)
        return True

    def _enter(self, event: Event, now: float) -> None:
        self.state = TRANSITIONS[self.state, event]
        self.epoch += 1
        policy = self.policy
        self._trials_left = self._succeed_to_close = policy.trials if self.state is State.HALF_OPEN else 0
        if self.state is State.OPEN:
            self.opened += 1
            # the exponent is bounded because 2.0 ** 1024 overflows
            self.open_until_s = now + min(policy.open_s * 2.0 ** min(self._reopened, 64), policy.max_open_s)
            self._reopened += 1
        elif self.state is State.CLOSED:
            self._reopened = 0
            self._clear()

    def _turn(self, now: float) -> None:
        """Begin the bucket that ``now`` belongs to, and forget those that leave the window."""
        width_s = self.policy.window_s / BUCKETS
        steps = int((now - self._bucket_ends_s) / width_s) + 1
        if steps >= BUCKETS:
            self._clear()
            self._bucket_ends_s = now + width_s
            return
        for _ in range(steps):
            requests, failures = self._ring[self._at]
            self._requests_before += self._requests_now - requests
            self._failures_before += self._failures_now - failures
            self._ring[self._at] = self._requests_now, self._failures_now
            self._at = (self._at + 1) % len(self._ring)
            self._requests_now = self._failures_now = 0
        self._bucket_ends_s += steps * width_s

    def _clear(self) -> None:
        self._ring = [(0, 0)] * (BUCKETS - 1)
        self._requests_before = self._failures_before = self._requests_now = self._failures_now = 0
