"""Which servers to leave out for how their requests end: outlier detection after Envoy's. PURE.

A server is **ejected**, that is, gets no new request for a while, when

- its requests fail 5 times in a row, or
- in an interval of 10 s the share of its requests that succeed lies below mean - 1.9 sigma of all servers' (where at least 5 of
  them had at least 100 requests each), and at least 5 percentage points below the mean.

It **returns** after 30 s times the number of its ejections, 300 s at most; each interval of 10 s that it then spends in service takes
one off that number. Never are more than half of the servers ejected, and never the last one that is usable: what would
be ejected beyond that is counted as an overflow.

Where this differs from Envoy, whose defaults the other figures are:

- ``max_ejection_percent`` is 50, not 10: of two servers one may go, of one none.
- The margin of 5 points: among five equal servers, the only one with a failed request is always 2 sigma below the mean.
- Of several servers below the threshold the worst goes first.
- A passed active check ends an ejection only while it is the server's first. One that fails again soon after a check brought it
  back is failing at what checks do not see, and sits its time out.
- A server that is no longer usable for another reason (a failed check, an operator) is not ejected any more: who takes it out decides
  when it is back.
- The bounds hold at all times: when other servers go and an ejection would break them, the ejected server returns.

Requests are counted where they end, in an ``Outcomes`` for each server and process; one ``Ejections`` decides for all of
them, from counts that are added up and from reports of failures in a row. It is called a few times a second, not for each request.
"""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from enum import Enum
from math import fsum, sqrt
from operator import itemgetter
from typing import Generic, NamedTuple, TypeVar

from scalability.errors import ScalelabError, Source, TunnelTimeout

GATEWAY_ERRORS = frozenset((502, 503, 504))
"""Statuses of answers that count as failures: a server's own 500 may well be about the one request."""


def blames_server(error: ScalelabError) -> bool:
    """Whether a request that ended with ``error`` is a failure of its server: no connection, a reset, a timeout, no HTTP.

    One whose client left says nothing about the server, and counts neither way; nor does one that failed for want of our own
    means, which ``servers.is_ours`` tells.
    """
    return error.source is Source.UPSTREAM and not isinstance(error, TunnelTimeout)


class Outcomes:
    """How one server's requests end, as one process sees it. Each call costs some 50 ns."""

    __slots__ = ("failures", "in_a_row", "limit", "successes")

    def __init__(self, limit: int = 5) -> None:
        self.limit = limit
        """Failures in a row that are worth a report; 0: none are."""
        self.successes = 0
        """Since they were last taken."""
        self.failures = 0
        self.in_a_row = 0
        """Failures since the last success, or report."""

    def succeeded(self) -> None:
        """A request was answered, with a status that is none of ``GATEWAY_ERRORS``."""
        self.successes += 1
        self.in_a_row = 0

    def failed(self) -> bool:
        """A request failed. True when that makes ``limit`` in a row: ``Ejections.failed_in_a_row`` is to be told, and they count anew."""
        self.failures += 1
        self.in_a_row += 1
        if self.in_a_row == self.limit:
            self.in_a_row = 0
            return True
        return False

    def take(self) -> tuple[int, int]:
        """The successes and failures since the last call, for ``Ejections.merge``."""
        taken = self.successes, self.failures
        self.successes = self.failures = 0
        return taken

    def restart(self) -> None:
        """The server returned from an ejection: what came before must not eject it again at its next failure."""
        self.successes = self.failures = self.in_a_row = 0


@dataclass(frozen=True, slots=True)
class OutlierPolicy:
    """When a server is ejected, and for how long. Raises ValueError for values without sense."""

    failures_in_a_row: int = 5
    """0: they never eject."""
    interval_s: float = 10.0
    base_ejection_s: float = 30.0
    max_ejection_s: float = 300.0
    max_ejection_percent: int = 50
    """Of all servers, usable or not, rounded down."""
    success_rate_servers: int = 5
    """Fewer servers than that with enough requests are not compared. 0: none ever are."""
    success_rate_requests: int = 100
    success_rate_sigmas: float = 1.9
    success_rate_margin: float = 0.05
    believes_checks: bool = True
    """A passed active check ends a server's first ejection (Envoy's ``successful_active_health_check_uneject_host``)."""

    def __post_init__(self) -> None:
        if self.failures_in_a_row < 0 or self.success_rate_servers < 0 or self.success_rate_requests < 1:
            raise ValueError("counts of failures and servers are not negative, and of requests at least 1")
        if self.interval_s <= 0 or not 0 < self.base_ejection_s <= self.max_ejection_s:
            raise ValueError("the interval and the ejection times are above 0, and the longest ejection is no shorter than the first")
        if not 0 <= self.max_ejection_percent <= 100:
            raise ValueError("the share of servers that may be ejected is 0 to 100 percent")
        if not 0 <= self.success_rate_margin <= 1 or self.success_rate_sigmas < 0:
            raise ValueError("the margin is a share from 0 to 1, and the number of sigmas is not negative")

    def ejection_s(self, times: int) -> float:
        """How long the ``times``-th ejection lasts."""
        return min(self.base_ejection_s * times, self.max_ejection_s)


class Cause(Enum):
    """Why a server was ejected."""

    IN_A_ROW = "failures_in_a_row"
    SUCCESS_RATE = "success_rate"


class Ending(Enum):
    """Why an ejection ended."""

    TIME = "time"
    """It was over."""
    CHECK = "check"
    """An active check passed."""
    NEEDED = "needed"
    """Otherwise too many servers would be ejected by now, or every usable one."""
    OVERRULED = "overruled"
    """The server is out for another reason now, and back when that ends."""


S = TypeVar("S", bound=Hashable)


class Ejected(NamedTuple, Generic[S]):
    """``server`` gets no new request before ``until_s``, unless it is needed or proves itself."""

    server: S
    cause: Cause
    why: str
    """For people, without the server's name."""
    until_s: float


class Returned(NamedTuple, Generic[S]):
    """``server`` is no longer ejected."""

    server: S
    ending: Ending


class Standing:
    """What is known of one server."""

    __slots__ = ("cause", "failures", "returned_s", "since_s", "successes", "times", "until_s")

    def __init__(self) -> None:
        self.successes = 0
        """In this interval."""
        self.failures = 0
        self.times = 0
        """Ejections, less one for each interval in service since the last; the length of an ejection is a multiple of it."""
        self.cause: Cause | None = None
        """Of the last ejection."""
        self.since_s = 0.0
        """When the last ejection began."""
        self.until_s = 0.0
        """When the last ejection was to end."""
        self.returned_s = 0.0
        """When it did."""


class Ejections(Generic[S]):
    """Decides for all servers. ``server in ejections`` says whether it is ejected, ``len(ejections)`` how many are.

    Times are seconds of any clock that never goes back. Whoever is told of an event logs it and chooses among the rest.
    """

    def __init__(self, policy: OutlierPolicy, now: float) -> None:
        self.policy = policy
        """May be replaced at any time."""
        self.totals = dict.fromkeys(Cause, 0)
        """Ejections by cause."""
        self.overflows = 0
        """Ejections that did not happen, because too many servers or all others were out already."""
        self._began_s = now
        self._standings: dict[S, Standing] = {}
        self._usable: set[S] = set()
        self._ejected: dict[S, Standing] = {}

    def __contains__(self, server: object) -> bool:
        return server in self._ejected

    def __len__(self) -> int:
        return len(self._ejected)

    def standing(self, server: S) -> Standing | None:
        """What is known of ``server``, to be shown; None where ``replace`` did not name it."""
        return self._standings.get(server)

    def replace(self, servers: Iterable[S], usable: Iterable[S], now: float) -> list[Returned[S]]:
        """From now on there are ``servers``; those that are ``usable``, ejected or not, would take traffic by what else is known of them.

        To be called whenever either changes. One that is gone is forgotten.
        """
        known = self._standings
        self._standings = {server: known.get(server) or Standing() for server in servers}
        self._usable = {server for server in usable if server in self._standings}
        events = []
        for server in list(self._ejected):
            if server not in self._standings:
                del self._ejected[server]
            elif server not in self._usable:
                events.append(self._return(server, Ending.OVERRULED, now))
        if self._ejected and len(self._ejected) == len(self._usable):
            # None is left that is not suspect. As with a panic threshold all are used then: one alone would get everybody's traffic.
            return events + [self._return(server, Ending.NEEDED, now) for server in list(self._ejected)]
        excess = len(self._ejected) - self._most
        if excess > 0:
            soonest = sorted(self._ejected, key=lambda server: self._ejected[server].until_s)[:excess]
            events += [self._return(server, Ending.NEEDED, now) for server in soonest]
        return events

    def merge(self, server: S, successes: int, failures: int) -> None:
        """Add what a process has counted since it last told."""
        standing = self._standings.get(server)
        if standing is not None:
            standing.successes += successes
            standing.failures += failures

    def failed_in_a_row(self, server: S, now: float) -> Ejected[S] | None:
        """A process saw ``server`` fail as often in a row as its policy says.

        None where it is out already, and where that would be one too many.
        """
        return self._eject(server, Cause.IN_A_ROW, f"{self.policy.failures_in_a_row} requests in a row failed", now)

    def passed_check(self, server: S, now: float) -> Returned[S] | None:
        """``server`` has passed an active check."""
        standing = self._ejected.get(server)
        if standing is None or standing.times > 1 or not self.policy.believes_checks:
            return None
        return self._return(server, Ending.CHECK, now)

    def sweep(self, now: float) -> list[Ejected[S] | Returned[S]]:
        """End the ejections whose time is over and, once in each interval, compare success rates. To be called about once a second."""
        over = [server for server, standing in self._ejected.items() if standing.until_s <= now]
        events: list[Ejected[S] | Returned[S]] = [self._return(server, Ending.TIME, now) for server in over]
        if now - self._began_s < self.policy.interval_s:
            return events
        self._began_s = now
        events += self._compare(now)
        settled_s = now - self.policy.interval_s
        for server, standing in self._standings.items():
            standing.successes = standing.failures = 0
            if standing.times and standing.returned_s <= settled_s and server not in self._ejected:
                standing.times -= 1
        return events

    @property
    def _most(self) -> int:
        """How many may be ejected at once."""
        return len(self._standings) * self.policy.max_ejection_percent // 100

    def _compare(self, now: float) -> list[Ejected[S]]:
        policy = self.policy
        rates: list[tuple[float, int, S]] = []
        for server in self._usable:
            standing = self._standings[server]
            requests = standing.successes + standing.failures
            if requests >= policy.success_rate_requests and server not in self._ejected:
                rates.append((standing.successes / requests, requests, server))
        if not policy.success_rate_servers or len(rates) < policy.success_rate_servers:
            return []
        mean = fsum(rate for rate, _, _ in rates) / len(rates)
        sigma = sqrt(fsum((rate - mean) ** 2 for rate, _, _ in rates) / len(rates))
        threshold = mean - max(policy.success_rate_sigmas * sigma, policy.success_rate_margin)
        events = []
        for rate, requests, server in sorted((entry for entry in rates if entry[0] < threshold), key=itemgetter(0)):
            why = f"{rate:.1%} of {requests} requests succeeded, where the mean of {len(rates)} servers is {mean:.1%}"
            event = self._eject(server, Cause.SUCCESS_RATE, why, now)
            if event is not None:
                events.append(event)
        return events

    def _eject(self, server: S, cause: Cause, why: str, now: float) -> Ejected[S] | None:
        if server not in self._usable or server in self._ejected:
            return None
        if len(self._ejected) >= self._most or len(self._usable) - len(self._ejected) <= 1:
            self.overflows += 1
            return None
        standing = self._standings[server]
        if not standing.times or self.policy.ejection_s(standing.times) < self.policy.max_ejection_s:
            # else it would take the longer to be forgotten
            standing.times += 1
        standing.cause = cause
        standing.since_s = now
        standing.until_s = now + self.policy.ejection_s(standing.times)
        self._ejected[server] = standing
        self.totals[cause] += 1
        return Ejected(server, cause, why, standing.until_s)

    def _return(self, server: S, ending: Ending, now: float) -> Returned[S]:
        standing = self._ejected.pop(server)
        standing.returned_s = now
        # counted before and during the ejection
        standing.successes = standing.failures = 0
        return Returned(server, ending)
