"""Cells that all gateways share, on a server that speaks RESP: ours, Valkey or Redis, by the same commands.

    WATCH cell ...; MGET cell ...; TIME         one round trip; the decision is made here, in exact integers
    MULTI; SET cell TAT PX ms ...; EXEC         the second; null when somebody else has charged one of them meanwhile

All requests that come while a transaction is under way are decided in the next one together. The time is the server's: the gateways'
own clocks may differ as they like. A conflict is tried again after a short random pause, until the requests' time is over.

States of ``SharedCells``:

    shared   requests are decided on the server
    local    it failed or did not answer in time: ``decide`` answers None at once, and each gateway counts for itself. A probe, at most
             one in ``REST_S`` seconds and never one that a request waits for, leads back

A request never waits longer than ``timeout_s``; after that it is decided locally, whatever the state.
"""

from collections import deque
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Protocol

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from scalability.errors import AnswerTimeout, BadAnswer, DependencyDown, ScalelabError
from scalability.gateway.rate_limits.batch import Decided, Question, decide, tat_of
from scalability.gateway.rate_limits.gcra import Verdict

BATCH: Final = 128
"""Requests that one transaction decides: with eight limits each a thousand cells."""
MAX_WAITING: Final = 1000
"""Requests that wait for the server, the transaction under way included; one more is decided locally."""
REST_S: Final = 1.0
"""How long a server that failed is left alone before it is asked again."""
SLACK_MS: Final = 1000
"""A cell is kept for longer than it says anything, so that no rounding and no slow clock ends it early."""
PAUSE_S: Final = 0.0005
MAX_PAUSE_S: Final = 0.01
"""The mean pauses after a first conflict, and after many; each is between nothing and twice that."""

_S: Final = 1_000_000_000
_US: Final = 1000


class Connection(Protocol):
    """A connection that nobody else uses meanwhile."""

    def pipeline(self, *commands: tuple[Any, ...]) -> Deferred[list[Any]]:
        """Send them; fires with all replies. An error that the server answers stands in its place; others fail it (ScalelabError)."""


class LimitServer(Protocol):
    """Where the cells are."""

    def exclusive(self) -> AbstractAsyncContextManager[Connection]:
        """For one user at a time. Entering fails with a ScalelabError when there is no connection; whoever leaves watches nothing more."""


class _Asked:
    """A request that waits. ``answer`` is None once it was decided, or given up."""

    __slots__ = ("answer", "due", "question")

    def __init__(self, question: Question, due: float) -> None:
        self.question = question
        self.due = due
        self.answer: Deferred[Verdict] | None = Deferred(self._cancelled)

    def _cancelled(self, _: "Deferred[Verdict]") -> None:
        self.answer = None

    def settle(self, outcome: Verdict | Exception) -> None:
        answer, self.answer = self.answer, None
        if answer is None:
            return
        if isinstance(outcome, Verdict):
            answer.callback(outcome)
        else:
            answer.errback(outcome)


class SharedCells(Service):
    """Decides on ``server``; ``draw`` gives numbers in [0, 1), as random.random. ``slack_ms``: see ``SLACK_MS``."""

    log = Logger()

    def __init__(
        self,
        server: LimitServer,
        clock: IReactorTime,
        *,
        timeout_s: float,
        draw: Callable[[], float],
        max_waiting: int = MAX_WAITING,
        slack_ms: int = SLACK_MS,
    ) -> None:
        self._server = server
        self._clock = clock
        self._timeout_s = timeout_s
        self._draw = draw
        self._max_waiting = max_waiting
        self._slack_ms = slack_ms
        self._open: deque[_Asked] = deque()
        """All that are not settled, oldest first; settled ones leave when it is their turn."""
        self._next: deque[_Asked] = deque()
        """Those that no transaction has taken up."""
        self._run: Deferred[None] | None = None
        self._start: IDelayedCall | None = None
        self._timer: IDelayedCall | None = None
        self._trip_since: float | None = None
        """When the round trip under way began."""
        self._probe: Deferred[None] | None = None
        self._probe_at = 0.0
        self.up = True
        """Whether the state is ``shared``."""
        self.transactions = 0
        self.conflicts = 0
        self.timeouts = 0
        """Requests whose time was over."""
        self.failures = 0
        """Times that the server failed, probes included."""
        self.turned_away = 0
        """Requests that were too many to wait."""

    @property
    def waiting(self) -> int:
        """Requests that wait for the server."""
        return sum(asked.answer is not None for asked in self._open)

    def decide(self, question: Question) -> Deferred[Verdict] | None:
        """Fires with the verdict, or fails with a ScalelabError within ``timeout_s``. None: not to be asked now, decide locally."""
        if not self.up or not self.running:
            self._look_again()
            return None
        if len(self._open) >= self._max_waiting:
            self.turned_away += 1
            return None
        asked = _Asked(question, self._clock.seconds() + self._timeout_s)
        self._open.append(asked)
        self._next.append(asked)
        if self._timer is None:
            self._timer = self._clock.callLater(self._timeout_s, self._time_is_over)
        if self._run is None and self._start is None:
            # not at once: whatever else comes in this turn is decided along
            self._start = self._clock.callLater(0, self._begin)
        return asked.answer

    def stopService(self) -> None:
        """Whoever waits fails."""
        super().stopService()
        for call in (self._start, self._timer):
            if call is not None:
                call.cancel()
        self._start = self._timer = None
        if self._probe is not None:
            self._probe.cancel()
        self._give_up(DependencyDown())

    # transactions

    def _begin(self) -> None:
        self._start = None
        run = Deferred.fromCoroutine(self._all())
        if not run.called:
            self._run = run
        run.addErrback(self._broke).addCallback(self._ran, run)

    def _ran(self, _: None, run: Deferred[None]) -> None:
        if self._run is run:  # and not one that began since this one was given up
            self._run = None

    async def _all(self) -> None:
        """Decide until nobody waits."""
        while self._next:
            batch = [self._next.popleft() for _ in range(min(BATCH, len(self._next)))]
            batch = [asked for asked in batch if asked.answer is not None]
            if batch:
                await self._batch(batch)

    async def _batch(self, batch: list[_Asked]) -> None:
        pause_s = PAUSE_S
        while batch:
            try:
                verdicts = await self._transaction([asked.question for asked in batch])
            except ScalelabError as error:
                self._run = None  # which is this, and ends by itself
                self._fail(error)
                return
            finally:
                self._trip_since = None
            if verdicts is not None:
                for asked, verdict in zip(batch, verdicts, strict=True):
                    asked.settle(verdict)
                self._forget_settled()
                return
            self.conflicts += 1
            await deferLater(self._clock, pause_s * 2 * self._draw())
            pause_s = min(MAX_PAUSE_S, pause_s * 2)
            batch = [asked for asked in batch if asked.answer is not None]

    async def _transaction(self, questions: list[Question]) -> list[Verdict] | None:
        """Decide these; None when somebody else came between."""
        cells = list(dict.fromkeys(cell for question in questions for cell in question.cells))
        self._trip_since = self._clock.seconds()
        async with self._server.exclusive() as connection:
            _, kept, time = _good(await connection.pipeline((b"WATCH", *cells), (b"MGET", *cells), (b"TIME",)))
            decided = decide(questions, dict(zip(cells, map(tat_of, kept), strict=True)), _ns(time))
            self._trip_since = self._clock.seconds()
            if decided.tats:
                outcome = _good(await connection.pipeline((b"MULTI",), *self._writes(decided), (b"EXEC",)))[-1]
                if outcome is None:
                    return None
                _good(outcome)
        self.transactions += 1
        return decided.verdicts

    def _writes(self, decided: Decided) -> list[tuple[Any, ...]]:
        slack_ms, live_ms = self._slack_ms, decided.live_ms
        return [(b"SET", cell, b"%d" % tat, b"PX", b"%d" % (live_ms[cell] + slack_ms)) for cell, tat in decided.tats.items()]

    def _broke(self, failure: Any) -> None:
        if failure.check(CancelledError) is None:
            self.log.failure("rate limits could not be decided", failure)
            self._fail(DependencyDown())

    # failing, and coming back

    def _fail(self, error: ScalelabError) -> None:
        self.failures += 1
        if self.up:
            self.up = False
            self.log.warn("rate limits are counted by each gateway for itself: {why}", why=str(error))
        self._probe_at = self._clock.seconds() + REST_S
        self._give_up(error)

    def _give_up(self, error: ScalelabError) -> None:
        run, self._run = self._run, None
        waiting, self._open = self._open, deque()
        self._next.clear()
        if run is not None and not run.called:
            run.cancel()
        for asked in waiting:
            asked.settle(error)

    def _time_is_over(self) -> None:
        self._timer = None
        now = self._clock.seconds()
        if self._trip_since is not None and now - self._trip_since >= self._timeout_s / 2:
            self.timeouts += sum(asked.answer is not None for asked in self._open)
            self._fail(AnswerTimeout())
            return
        # the server answers, but not soon enough for all of them: too many conflicts, or too many requests
        while self._open and self._open[0].due <= now:
            asked = self._open.popleft()
            if asked.answer is not None:
                self.timeouts += 1
                asked.settle(AnswerTimeout())
        self._forget_settled()
        if self._open:
            self._timer = self._clock.callLater(max(0.0, self._open[0].due - now), self._time_is_over)

    def _forget_settled(self) -> None:
        waiting = self._open
        while waiting and waiting[0].answer is None:
            waiting.popleft()

    def _look_again(self) -> None:
        if self._probe is not None or self._clock.seconds() < self._probe_at or not self.running:
            return
        self._probe_at = self._clock.seconds() + REST_S
        probe = Deferred.fromCoroutine(self._ask_time()).addTimeout(self._timeout_s, self._clock)
        self._probe = probe

        def failed(failure: Any) -> None:
            self._probe = None
            self.failures += 1

        def answered(_: None) -> None:
            self._probe = None
            self.up = True
            self.log.info("rate limits are shared again")

        probe.addCallbacks(answered, failed)

    async def _ask_time(self) -> None:
        async with self._server.exclusive() as connection:
            _good(await connection.pipeline((b"TIME",)))


def _good(replies: list[Any]) -> list[Any]:
    """Raises the first error among them."""
    for reply in replies:
        if isinstance(reply, Exception):
            raise reply
    return replies


def _ns(time: Any) -> int:
    try:
        if not isinstance(time, list):
            raise TypeError
        seconds, microseconds = time
        return int(seconds) * _S + int(microseconds) * _US
    except (TypeError, ValueError) as error:
        raise BadAnswer("The server of the rate limits does not tell the time.") from error
