"""What happened: latencies in histograms, failures by class, one second at a time.

The latency of a request runs from the moment when its client wanted to send it, so that waiting for a connection and opening
one count, to the last byte of its answer. The percentiles are those of good answers and of timeouts, which count with all
the time that was waited for them. Other failures are counted and their times kept apart: a server that refuses
quickly must not look fast.
"""

from dataclasses import dataclass, field
from enum import Enum

from scalability.telemetry.histogram import Histogram


class Failure(Enum):
    """Why a request failed."""

    REFUSED = "refused"
    """Nothing listens there."""
    NOT_CONNECTED = "not connected"
    """No connection for another reason: no route, no free port."""
    RESET = "reset"
    """The connection was reset before any byte of the answer."""
    CLOSED = "closed"
    """The connection was closed in good order before any byte of the answer."""
    TIMEOUT = "timeout"
    """No complete answer in time."""
    TRUNCATED = "truncated"
    """The connection ended in the middle of the answer."""
    BAD_ANSWER = "bad answer"
    """What came is not HTTP/1.1."""
    CLIENT_ERROR = "4xx"
    SERVER_ERROR = "5xx"


@dataclass(frozen=True)
class Second:
    """One second of a run; latencies in seconds."""

    at_s: float
    requests: int
    failures: int
    p50_s: float
    p99_s: float
    max_s: float


@dataclass
class Totals:
    """Everything up to now."""

    success: int = 0
    failures: dict[Failure, int] = field(default_factory=dict)
    statuses: dict[int, int] = field(default_factory=dict)
    received_bytes: int = 0

    @property
    def failed(self) -> int:
        return sum(self.failures.values())

    @property
    def requests(self) -> int:
        return self.success + self.failed


class Recorder:
    """Counts the outcomes of requests; ``turn`` closes a second. Kept seconds are bounded to the last ``keep`` ones."""

    def __init__(self, *, keep: int = 86_400) -> None:
        self.totals = Totals()
        self.seconds: list[Second] = []
        self._keep = keep
        self._latency = Histogram()
        self._failed_latency = Histogram()
        self._now = Histogram()
        self._failed_before = 0
        self._timeouts_before = 0
        self._record = self._now.record
        self._statuses = self.totals.statuses

    def answered(self, status: int, latency_s: float, size: int) -> None:
        """A complete answer came, ``size`` bytes of it body."""
        statuses = self._statuses
        statuses[status] = statuses.get(status, 0) + 1
        self.totals.received_bytes += size
        if status < 400:
            self.totals.success += 1
            self._record(latency_s)
        else:
            self.failed(Failure.CLIENT_ERROR if status < 500 else Failure.SERVER_ERROR, latency_s)

    def failed(self, failure: Failure, latency_s: float) -> None:
        """The request failed after ``latency_s``."""
        failures = self.totals.failures
        failures[failure] = failures.get(failure, 0) + 1
        if failure is Failure.TIMEOUT:
            self._record(latency_s)
        else:
            self._failed_latency.record(latency_s)

    def turn(self, at_s: float) -> Second:
        """Close the running second, at ``at_s`` seconds from the start of the run."""
        now, failed = self._now, self.totals.failed
        p50_s, p99_s, max_s = now.quantiles((0.5, 0.99, 1.0))
        failures = failed - self._failed_before
        timeouts = self.totals.failures.get(Failure.TIMEOUT, 0)
        answered = now.count - (timeouts - self._timeouts_before)
        second = Second(at_s, answered + failures, failures, p50_s, p99_s, max_s)
        self._failed_before, self._timeouts_before = failed, timeouts
        self._latency.merge(now)
        now.clear()
        self.seconds.append(second)
        if len(self.seconds) > self._keep:
            del self.seconds[0]
        return second

    @property
    def latency(self) -> Histogram:
        """Of good answers and timeouts, including the second that runs."""
        whole = self._latency.copy()
        whole.merge(self._now)
        return whole

    @property
    def failed_latency(self) -> Histogram:
        """Of all other failures."""
        return self._failed_latency.copy()

    def merge(self, other: "Recorder") -> None:
        """Add everything that ``other`` counted, exactly; its seconds are not interleaved with ours."""
        ours, theirs = self.totals, other.totals
        ours.success += theirs.success
        ours.received_bytes += theirs.received_bytes
        for failure, count in theirs.failures.items():
            ours.failures[failure] = ours.failures.get(failure, 0) + count
        for status, count in theirs.statuses.items():
            ours.statuses[status] = ours.statuses.get(status, 0) + count
        self._latency.merge(other.latency)
        self._failed_latency.merge(other._failed_latency)
        self._failed_before = ours.failed
        self._timeouts_before = ours.failures.get(Failure.TIMEOUT, 0)
