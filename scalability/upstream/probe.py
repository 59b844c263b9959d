"""Active health checks: each server is checked again and again, at its own pace (``pace.py``), and ``Upstream`` hears of each result.

The checks of one server never overlap. One that has not ended within the timeout has failed: a server that hangs is down after
``fall`` of them. Between two checks a server that is up is looked at every ``fast_s``: once a request could not connect to it, it is
checked at once, and not only when the interval is over.

All of it is driven by one wheel of deadlines, itself a LoopingCall: a server that waits costs a dictionary's entry. Deadlines are
met in batches of 32, between which the event loop has its turn.
"""

from collections.abc import Callable

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from scalability.lifecycle import Deadline, DeadlineWheel
from scalability.upstream.check import Check, Finding, Underway
from scalability.upstream.history import CheckResult
from scalability.upstream.pace import Pace
from scalability.upstream.server import Server
from scalability.upstream.servers import Upstream

TICK_S = 0.02
"""How exactly checks are timed, in seconds; an eighth of the shortest interval where that is less, but no less than ``MIN_TICK_S``."""
MIN_TICK_S = 0.005


class Prober:
    """The checks of one server, one after the other."""

    log = Logger()

    __slots__ = ("_begun_s", "_check", "_checking", "_checks", "_deadline", "_due_s", "_next_check", "_server", "_state", "_underway")

    def __init__(self, checks: "HealthChecks", check: Check, server: Server) -> None:
        self._checks = checks
        self._check = check
        self._next_check: Check | None = None
        self._checking = False
        self._server = server
        self._state = server.health.state
        self._begun_s = 0.0
        self._due_s = 0.0
        self._deadline: Deadline | None = None
        self._underway: Underway | None = None

    def begin(self) -> None:
        """Check from now on, the first time soon."""
        checks = self._checks
        self._deadline = checks.wheel.after(checks.pace.first_s(checks.random()), self._probe)

    def stop(self) -> None:
        """Check no more until it is begun anew."""
        self._checking = False
        self._give_up()
        deadline, self._deadline = self._deadline, None
        if deadline is not None:
            deadline.cancel()

    def close(self) -> None:
        """Check never again."""
        self.stop()
        self._change_check()
        self._check.close()

    def replace(self, check: Check) -> None:
        """From the next one on check like this, and at the pace that holds now."""
        if self._next_check is not None:
            self._next_check.close()
        self._next_check = check
        # a check that is underway may end as it was begun
        checks = self._checks
        state = self._server.health.state
        self._due_s = min(self._due_s, checks.seconds() + checks.pace.next_s(state, state, checks.random()))
        if self._deadline is not None and not self._checking:
            self._deadline.cancel()
            self._wait()

    def _change_check(self) -> None:
        check, self._next_check = self._next_check, None
        if check is not None:
            self._check.close()
            self._check = check

    def _wait(self) -> None:
        """Look at the server again when its check is due, and every ``fast_s`` until then."""
        checks = self._checks
        self._deadline = checks.wheel.after(min(self._due_s - checks.seconds(), checks.pace.fast_s), self._look)

    def _look(self) -> None:
        if self._checks.seconds() < self._due_s and self._server.health.state is self._state:
            self._wait()
        else:
            self._probe()

    def _probe(self) -> None:
        checks = self._checks
        self._give_up()
        self._change_check()
        self._begun_s = checks.seconds()
        self._checking = True
        # first of all: whatever goes wrong from here on, it will be tried again
        self._deadline = checks.wheel.after(checks.timeout_s, self._overdue)
        self._underway = self._check.begin(self._ended)

    def _overdue(self) -> None:
        self._give_up()
        self._ended(Finding(False, f"no answer within {self._checks.timeout_s:g} s"))

    def _give_up(self) -> None:
        underway, self._underway = self._underway, None
        if underway is not None:
            underway.give_up()

    def _ended(self, finding: Finding) -> None:
        """A check has ended. What it has left open is closed when the next one begins."""
        self._checking = False
        if self._deadline is not None:
            self._deadline.cancel()
        before = self._server.health.state
        try:
            if finding.passed is None:
                self.log.warn("{server}: {why}", server=self._server.name, why=finding.what)
            else:
                self._tell(finding, finding.passed)
        finally:
            checks = self._checks
            self._state = self._server.health.state
            self._due_s = self._begun_s + checks.pace.next_s(before, self._state, checks.random())
            self._wait()

    def _tell(self, finding: Finding, passed: bool) -> None:
        server = self._server
        if passed:
            server.counts.checks_passed += 1
        else:
            server.counts.checks_failed += 1
        took_s = self._checks.seconds() - self._begun_s
        server.history.add(CheckResult(self._begun_s, took_s, passed, finding.what, finding.status))
        self._checks.upstream.judge(server, passed, finding.what, unreachable=finding.unreachable)


class HealthChecks(MultiService):
    """Checks each server of ``upstream``, as long as it is named there, the way that ``check`` says.

    ``clock`` is a reactor. ``random`` gives numbers from [0, 1). A check that takes longer than
    ``timeout_s`` makes the next one late.
    """

    def __init__(
        self,
        clock: IReactorTime,
        upstream: Upstream,
        check: Callable[[Server], Check],
        pace: Pace,
        *,
        timeout_s: float,
        random: Callable[[], float],
    ) -> None:
        super().__init__()
        self.upstream = upstream
        self.pace = pace
        self.timeout_s = timeout_s
        self.random = random
        self.seconds: Callable[[], float] = clock.seconds
        shortest_s = min(pace.interval_s, pace.fast_s, pace.down_s, timeout_s)
        self.wheel = DeadlineWheel(clock, tick_s=max(MIN_TICK_S, min(TICK_S, shortest_s / 8)))
        self.wheel.setServiceParent(self)
        self._check = check
        self._probers: dict[Server, Prober] = {}
        upstream.watch(self)

    def configure(self, check: Callable[[Server], Check], pace: Pace, *, timeout_s: float) -> None:
        """Go by these from now on; what is known of each server stays, and a check that is underway ends as it was begun.

        How exactly checks are timed follows from the intervals at the start.
        """
        self._check = check
        self.pace = pace
        self.timeout_s = timeout_s
        for server, prober in self._probers.items():
            prober.replace(check(server))

    def startService(self) -> None:
        super().startService()
        for prober in self._probers.values():
            prober.begin()

    def stopService(self) -> Deferred[None]:
        for prober in self._probers.values():
            prober.stop()
        stopped: Deferred[None] = super().stopService()
        return stopped

    def joined(self, server: Server) -> None:
        """Check ``server`` from now on."""
        prober = self._probers[server] = Prober(self, self._check(server), server)
        if self.running:
            prober.begin()

    def left(self, server: Server) -> None:
        """Check ``server`` no more."""
        self._probers.pop(server).close()
