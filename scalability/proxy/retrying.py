"""When a request is sent once more, and how many are at the same time."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from scalability.errors import QueueTimeout, ScalelabError
from scalability.upstream.backoff import Backoff
from scalability.upstream.retry_budget import RetryBudget
from scalability.upstream.waiting import WaitingLine

REASONS = ("no_answer", "bad_answer", "answer_timeout", "gateway_error", "server_error", "none")
"""What may be retried: the codes of errors, ``gateway_error`` for the statuses 502, 503 and 504, ``server_error`` for all from 500."""

USUAL = frozenset(("no_answer", "bad_answer", "answer_timeout", "gateway_error"))


def statuses(reasons: Iterable[str]) -> frozenset[int]:
    """The statuses that ``reasons`` name."""
    named = frozenset(reasons)
    if "server_error" in named:
        return frozenset(range(500, 600))
    return frozenset((502, 503, 504)) if "gateway_error" in named else frozenset()


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Idempotent requests only are retried once they have been sent. A refused connection is not a retry: nothing was sent."""

    retries: int = 2
    """For each request."""
    reasons: frozenset[str] = USUAL
    max_body_bytes: int = 65536
    """As much of a request's body is kept, so that it can be sent again; a larger one goes out once."""
    backoff: Backoff = field(default_factory=Backoff)
    """Before the second retry, and each that follows."""


class Retrying(Protocol):
    """A request that waits to be sent once more."""

    def retry_now(self) -> None:
        """It is its turn."""

    def fail(self, error: ScalelabError) -> None:
        """Its turn did not come in time."""


class Retries:
    """The retries of one process: allowed by a budget, and those that it does not allow yet wait for their turn, so that a server that
    dies with half of all requests in hand costs none of them.
    """

    def __init__(
        self,
        clock: IReactorTime,
        *,
        policy: RetryPolicy,
        budget: RetryBudget,
        random: Callable[[], float],
        max_waiting: int = 1024,
        timeout_s: float = 5.0,
    ) -> None:
        self.policy = policy
        self.statuses = statuses(policy.reasons)
        self.budget = budget
        self.count = 0
        """Attempts beyond a request's first, refused connections included."""
        self._clock = clock
        self._random = random
        self._line: WaitingLine[Any] = WaitingLine(max_waiting, timeout_s)
        self._expiring: IDelayedCall | None = None
        self._serving = False

    @property
    def waiting(self) -> int:
        """Retries that wait for their turn."""
        return len(self._line)

    def configure(self, policy: RetryPolicy, *, budget_percent: int, max_waiting: int, timeout_s: float) -> None:
        """Go by these from now on; who waits already waits on."""
        self.policy = policy
        self.statuses = statuses(policy.reasons)
        self.budget.percent = budget_percent
        self._line.limit = max_waiting
        self._line.timeout_s = timeout_s

    def ask(self, request: Retrying, active: int) -> None:
        """Tell ``request`` when it may be sent once more: at once, or when others have ended. ``done`` is to follow."""
        if not len(self._line) and self.budget.take(active):
            request.retry_now()
        elif self._line.add(request, self._clock.seconds()):
            self._expire_later()
        else:
            request.fail(QueueTimeout("Too many requests are to be sent once more."))

    def done(self, active: int) -> None:
        """A request that was retried is over."""
        self.budget.give_back()
        if self._serving:
            return  # one whose turn has come was over at once: whoever gave it its turn goes on
        self._serving = True
        try:
            while (request := self._line.first) is not None and self.budget.take(active):
                self._line.next()
                request.retry_now()
        finally:
            self._serving = False

    def leave(self, request: Retrying) -> None:
        """``request`` wants no turn any more."""
        self._line.leave(request)

    def call_later(self, seconds: float, go: Callable[[], None]) -> IDelayedCall:
        """Call ``go`` so many seconds from now."""
        return self._clock.callLater(seconds, go)

    def later(self, retry: int, go: Callable[[], None]) -> IDelayedCall:
        """Call ``go`` after the pause before the ``retry``-th retry."""
        return self._clock.callLater(self.policy.backoff.delay_s(retry, self._random()), go)

    def _expire_later(self) -> None:
        expires_s = self._line.expires_s()
        if self._expiring is None and expires_s is not None:
            self._expiring = self._clock.callLater(max(0.0, expires_s - self._clock.seconds()), self._expire)

    def _expire(self) -> None:
        self._expiring = None
        for request in self._line.expired(self._clock.seconds()):
            request.fail(QueueTimeout("This request's turn to be sent once more did not come in time."))
        self._expire_later()
