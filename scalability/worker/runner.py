"""Runs tasks: claims as many as there are places, starts them, reports how each ended.

A place is taken from the claim until the outcome is committed and the task's code has really returned: code that goes on
after it was cancelled (a thread cannot be interrupted) keeps its place, so that there are never more than there should be.
"""

import traceback
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec
from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from scalability.errors import StoreError
from scalability.telemetry import Histogram
from scalability.worker.machine import State
from scalability.worker.queue import Claim, TaskQueue
from scalability.worker.tasks import CurrentTask

MAX_RESULT_BYTES = 64 << 10
MAX_ERROR_CHARS = 2000
REPORT_AGAIN_S = 1.0
"""How long to wait before an outcome that the store refused is reported again."""


class Work(Protocol):
    """Whatever runs tasks by name."""

    def check(self, name: str, arguments: Mapping[str, Any]) -> None:
        """Raise Unprocessable when this task cannot be run."""

    def begin(self, task: CurrentTask, name: str, arguments: Mapping[str, Any]) -> Deferred[Any]:
        """Start it; fires with its result. May raise."""


class Attempt:
    """One claim that runs. ``reported`` once its outcome is settled or does not matter any more; ``over`` once its code returned."""

    __slots__ = ("claim", "deadline", "over", "reported", "reporting", "settled", "started", "work")

    def __init__(self, claim: Claim, started: float) -> None:
        self.claim = claim
        self.started = started
        self.work: Deferred[Any] | None = None
        self.deadline: IDelayedCall | None = None
        self.settled = False
        """How it ended is known (and perhaps being reported)."""
        self.reported = False
        self.over = False
        self.reporting: Deferred[None] | None = None


class Runner(Service):
    """At most ``concurrency`` tasks of ``queue`` at once, each for at most ``timeout_s``.

    ``abandoned`` answers how many places code that was cancelled still takes elsewhere, on threads. Stopping claims nothing more,
    waits ``grace_s`` for what runs, then cancels it and gives it back. ``wake`` it when something may be available.
    """

    log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        queue: TaskQueue,
        work: Work,
        *,
        concurrency: int,
        timeout_s: float,
        grace_s: float,
        abandoned: Callable[[], int] = lambda: 0,
    ) -> None:
        self._clock = clock
        self._queue = queue
        self._work = work
        self._concurrency = concurrency
        self._timeout_s = timeout_s
        self._grace_s = grace_s
        self._abandoned = abandoned
        self._attempts: dict[Claim, Attempt] = {}
        self._claiming = False
        self._claim_again = False
        self._giving_back = False
        self._draining = False
        self._quiet: Deferred[None] | None = None
        self.run_seconds = Histogram()
        """How long attempts ran."""
        self.wait_seconds = Histogram()
        """How long tasks were available before they were claimed."""
        self.timeouts = 0
        self.lost = 0

    @property
    def attempts(self) -> int:
        """How many attempts run, or wait for their outcome to be committed."""
        return len(self._attempts)

    @property
    def draining(self) -> bool:
        """Whether it has stopped to claim."""
        return self._draining

    def held(self) -> list[Claim]:
        """The claims whose leases must be renewed."""
        return [claim for claim, attempt in self._attempts.items() if not attempt.reported]

    def startService(self) -> None:
        super().startService()
        self._draining = False
        self.wake()

    def drain(self) -> None:
        """Claim nothing from now on."""
        self._draining = True

    def wake(self) -> None:
        """Claim what is available, if a place is free. Cheap when there is nothing to do."""
        self._claim_again = True
        if not self._claiming and self._free():
            self._claiming = True
            # ends with the store's answer or its deadline; stopping waits for it
            Deferred.fromCoroutine(self._claim()).addErrback(lambda failure: self.log.failure("claiming failed", failure))

    def lose(self, claim: Claim) -> None:
        """The claim has been taken away: cancel it, its outcome does not matter."""
        attempt = self._attempts.get(claim)
        if attempt is None or attempt.settled:
            return
        self.lost += 1
        self.log.warn("the lease of task {id} is lost; its attempt is cancelled", id=claim.uid)
        self._give_up(attempt)

    def stopService(self) -> Deferred[None]:
        super().stopService()
        self._draining = True
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        if not self._is_quiet():
            self._quiet = Deferred()
            limit = self._clock.callLater(self._grace_s, self._fire_quiet)
            await self._quiet
            if limit.active():
                limit.cancel()
        unfinished = [attempt for attempt in self._attempts.values() if not attempt.settled]
        for attempt in unfinished:
            self._give_up(attempt)
        if unfinished:
            self.log.info("{n} tasks did not end in time; they are given back", n=len(unfinished))
            await self._give_back([attempt.claim for attempt in unfinished])
        for attempt in list(self._attempts.values()):
            if attempt.reporting is not None:
                # the store has refused it all the time; the next start finds the task and runs it again
                attempt.reporting.cancel()

    def _is_quiet(self) -> bool:
        return not self._attempts and not self._claiming and not self._giving_back

    def _fire_quiet(self) -> None:
        quiet, self._quiet = self._quiet, None
        if quiet is not None:
            quiet.callback(None)

    # claiming

    def _free(self) -> int:
        """How many tasks may be claimed now."""
        if not self.running or self._draining or not self._queue.claimable:
            return 0
        return max(0, self._concurrency - len(self._attempts) - self._abandoned())

    async def _claim(self) -> None:
        try:
            while self._claim_again and (free := self._free()):
                self._claim_again = False
                suspects = not any(claim.suspect for claim in self._attempts)
                try:
                    found = await self._queue.claim(free, self._take, suspects=suspects)
                except StoreError:
                    return  # the store has said so in the log; whoever ticks will wake us again
                if found:
                    self._claim_again = True
        finally:
            self._claiming = False
            if self._is_quiet():
                self._fire_quiet()

    def _take(self, claims: list[Claim]) -> None:
        if not self._draining:
            for claim in claims:
                self._begin(claim)
        elif claims:
            self._giving_back = True
            Deferred.fromCoroutine(self._give_back(claims)).addErrback(
                lambda failure: self.log.failure("giving tasks back failed", failure)
            ).addCallback(self._gave_back)

    async def _give_back(self, claims: list[Claim]) -> None:
        try:
            await self._queue.release(claims)
        except StoreError:
            self.log.error("{n} tasks could not be given back; the next start will find them", n=len(claims))

    def _gave_back(self, _: None) -> None:
        self._giving_back = False
        if self._is_quiet():
            self._fire_quiet()

    # one attempt

    def _begin(self, claim: Claim) -> None:
        now = self._clock.seconds()
        attempt = self._attempts[claim] = Attempt(claim, now)
        self.wait_seconds.record(claim.waited_s)
        attempt.deadline = self._clock.callLater(self._timeout_s, self._timed_out, attempt)
        attempt.work = maybeDeferred(self._start, claim)
        attempt.work.addBoth(self._returned, attempt)

    def _start(self, claim: Claim) -> Deferred[Any]:
        return self._work.begin(CurrentTask(claim.uid, claim.attempt), claim.kind, msgspec.json.decode(claim.payload))

    def _returned(self, outcome: Any, attempt: Attempt) -> None:
        attempt.over = True
        if not attempt.settled:
            if isinstance(outcome, Failure):
                self._report_failure(attempt, outcome)
            else:
                self._report_result(attempt, outcome)
        self._leave(attempt)

    def _report_result(self, attempt: Attempt, result: Any) -> None:
        claim = attempt.claim
        try:
            encoded = msgspec.json.encode(result)
        except (TypeError, ValueError, RecursionError) as error:
            why = f"the result is not JSON: {error}"
            self._report(attempt, lambda: self._queue.fail(claim, why, hopeless=True))
            return
        if len(encoded) > MAX_RESULT_BYTES:
            why = f"the result has {len(encoded)} bytes of JSON; {MAX_RESULT_BYTES} are allowed"
            self._report(attempt, lambda: self._queue.fail(claim, why, hopeless=True))
            return
        self._report(attempt, lambda: self._queue.succeed(claim, encoded))

    def _report_failure(self, attempt: Attempt, failure: Failure) -> None:
        claim = attempt.claim
        text = "".join(traceback.format_exception_only(failure.type, failure.value)).strip()[:MAX_ERROR_CHARS]
        self.log.failure(
            "task {name} {id} failed in attempt {attempt} of {of}",
            failure,
            name=claim.kind,
            id=claim.uid,
            attempt=claim.attempt,
            of=claim.max_attempts,
        )
        # also where the function is gone: it may come back with the next release
        self._report(attempt, lambda: self._queue.fail(claim, text))

    def _timed_out(self, attempt: Attempt) -> None:
        claim = attempt.claim
        self.timeouts += 1
        error = f"the attempt took longer than {self._timeout_s:g} s"
        self.log.warn("task {name} {id}: {error}", name=claim.kind, id=claim.uid, error=error)
        self._report(attempt, lambda: self._queue.fail(claim, error))
        self._cancel(attempt)

    def _report(self, attempt: Attempt, tell: Callable[[], Deferred[Any]]) -> None:
        attempt.settled = True
        self._forget_deadline(attempt)
        self.run_seconds.record(self._clock.seconds() - attempt.started)
        reporting = Deferred.fromCoroutine(self._tell(attempt, tell))
        attempt.reporting = reporting
        reporting.addErrback(self._untold, attempt)

    async def _tell(self, attempt: Attempt, tell: Callable[[], Deferred[Any]]) -> None:
        while True:
            try:
                kept = await tell()
            except StoreError:
                await deferLater(self._clock, REPORT_AGAIN_S)
                continue
            break
        if kept in (None, False):
            self.log.warn("the outcome of task {id} came too late and is dropped", id=attempt.claim.uid)
        elif kept is State.DEAD:
            self.log.error("task {name} {id} is dead", name=attempt.claim.kind, id=attempt.claim.uid)
        attempt.reported = True
        self._leave(attempt)

    def _untold(self, failure: Failure, attempt: Attempt) -> None:
        if not failure.check(CancelledError):
            self.log.failure("the outcome of task {id} could not be reported", failure, id=attempt.claim.uid)
        attempt.reported = True
        self._leave(attempt)

    def _give_up(self, attempt: Attempt) -> None:
        attempt.settled = attempt.reported = True
        self._forget_deadline(attempt)
        self._cancel(attempt)
        self._leave(attempt)

    def _cancel(self, attempt: Attempt) -> None:
        if attempt.work is not None and not attempt.over:
            attempt.work.cancel()

    def _forget_deadline(self, attempt: Attempt) -> None:
        deadline, attempt.deadline = attempt.deadline, None
        if deadline is not None and deadline.active():
            deadline.cancel()

    def _leave(self, attempt: Attempt) -> None:
        if not (attempt.over and attempt.reported) or self._attempts.pop(attempt.claim, None) is None:
            return
        self.wake()
        if self._is_quiet():
            self._fire_quiet()
