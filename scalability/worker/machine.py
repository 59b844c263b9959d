"""PURE: the life of a task. Time is an argument, and so is chance.

States and transitions::

    (new) ──> AVAILABLE ──claimed──> LEASED ──succeeded──> SUCCEEDED
                  ^  ^                 │ │
                  │  └─released────────┘ ├──failed──> SCHEDULED (a retry, promoted to AVAILABLE when due)
                  │                      │        └─> DEAD (attempts used up, or hopeless)
                  └─crashed──────────────┴──crashed─> DEAD (poison)

- An attempt is spent by a claim; a graceful release gives it back. ``claim_no`` only grows: it is the fencing token that tells
  a late outcome of an earlier claim from the present one.
- A crash (its process died, or its lease ran out) is counted apart. After ``SUSPECT`` crashes in a row a task may only be run
  with no other such task, so that the third one, which is the last, hits nobody but its cause.
- Any other transition is impossible and raises.
"""

from dataclasses import dataclass, replace
from enum import IntEnum

SUSPECT = 2
"""Crashes in a row after which a task runs apart from its like. The store's partial indexes are built on this number."""


class State(IntEnum):
    """The numbers stand in the store."""

    AVAILABLE = 0
    SCHEDULED = 1
    LEASED = 2
    SUCCEEDED = 3
    DEAD = 4
    CANCELLED = 5

    @property
    def finished(self) -> bool:
        return self >= State.SUCCEEDED


@dataclass(frozen=True)
class Policy:
    """How long, how often. Times in seconds."""

    lease_s: float = 30.0
    max_attempts: int = 20
    max_crashes: int = 3
    retry_base_s: float = 5.0
    retry_cap_s: float = 3600.0
    retry_jitter: float = 0.25


@dataclass(frozen=True)
class Job:
    """What a task's life has come to. Times are Unix seconds."""

    state: State = State.AVAILABLE
    attempts: int = 0
    max_attempts: int = 20
    crashes: int = 0
    """Crashes in a row; an attempt that ends in any other way forgets them."""
    claim_no: int = 0
    run_at: float = 0.0
    """When it became, or becomes, available."""
    lease_until: float | None = None
    started_at: float | None = None
    finished_at: float | None = None
    error: str | None = None
    """Why the last attempt that failed did."""
    result: bytes | None = None
    """JSON."""

    @property
    def suspect(self) -> bool:
        return self.crashes >= SUSPECT


def retry_delay(attempts: int, policy: Policy, chance: float) -> float:
    """Seconds until the next attempt after ``attempts`` failed ones: doubled each time up to a cap; ``chance`` (0 to 1) spreads it."""
    # the exponent is bounded because 2.0 ** 1024 overflows
    delay = min(policy.retry_cap_s, policy.retry_base_s * 2.0 ** min(attempts - 1, 64))
    return delay * (1 + policy.retry_jitter * (2 * chance - 1))


def claimed(job: Job, now: float, policy: Policy) -> Job:
    """A worker takes it, for one attempt, until its lease ends."""
    _demand(job, State.AVAILABLE)
    return replace(
        job,
        state=State.LEASED,
        attempts=job.attempts + 1,
        claim_no=job.claim_no + 1,
        lease_until=now + policy.lease_s,
        started_at=now,
    )


def renewed(job: Job, now: float, policy: Policy) -> Job:
    """Its worker is alive."""
    _demand(job, State.LEASED)
    return replace(job, lease_until=now + policy.lease_s)


def succeeded(job: Job, now: float, result: bytes) -> Job:
    """It is done."""
    _demand(job, State.LEASED)
    return replace(job, state=State.SUCCEEDED, crashes=0, lease_until=None, finished_at=now, error=None, result=result)


def failed(job: Job, now: float, error: str, policy: Policy, chance: float, *, hopeless: bool = False) -> Job:
    """The attempt ended with an error: another one later, unless they are used up or another would be ``hopeless``."""
    _demand(job, State.LEASED)
    if hopeless or job.attempts >= job.max_attempts:
        return replace(job, state=State.DEAD, crashes=0, lease_until=None, finished_at=now, error=error)
    due = now + retry_delay(job.attempts, policy, chance)
    return replace(job, state=State.SCHEDULED, crashes=0, lease_until=None, run_at=due, error=error)


def crashed(job: Job, now: float, error: str, policy: Policy) -> Job:
    """Its worker died or fell silent: available again at once, unless it has crashed too often, or its attempts are used up."""
    _demand(job, State.LEASED)
    crashes = job.crashes + 1
    if crashes >= policy.max_crashes:
        error = f"poison: {crashes} crashes in a row, the last one because {error}"
    elif job.attempts < job.max_attempts:
        return replace(job, state=State.AVAILABLE, crashes=crashes, lease_until=None, run_at=now, error=error)
    return replace(job, state=State.DEAD, crashes=crashes, lease_until=None, finished_at=now, error=error)


def released(job: Job, now: float) -> Job:
    """Its worker stops and gives it back unfinished, and the attempt with it."""
    _demand(job, State.LEASED)
    return replace(job, state=State.AVAILABLE, attempts=job.attempts - 1, lease_until=None, run_at=now)


def promoted(job: Job) -> Job:
    """Its time has come."""
    _demand(job, State.SCHEDULED)
    return replace(job, state=State.AVAILABLE)


def _demand(job: Job, state: State) -> None:
    if job.state is not state:
        raise ValueError(f"a task that is {job.state.name} cannot do what one that is {state.name} can")
