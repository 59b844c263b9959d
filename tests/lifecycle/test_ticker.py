"""A loop that an error cannot end."""

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from scalability.lifecycle.ticker import Ticker


class TickerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.runs: list[float] = []
        self.pending: list[Deferred[None]] = []

    def count(self) -> None:
        self.runs.append(self.clock.seconds())

    def begin(self) -> Deferred[None]:
        self.pending.append(Deferred())
        return self.pending[-1]

    def started(self, run: Any, **more: Any) -> Ticker:
        ticker = Ticker(self.clock, 2.0, run, **more)
        ticker.startService()
        return ticker

    def test_it_runs_at_once_and_then_every_interval(self) -> None:
        ticker = self.started(self.count)
        self.clock.pump([1.0] * 6)
        assert self.runs == [0.0, 2.0, 4.0, 6.0]
        self.successResultOf(ticker.stopService())

    def test_it_can_wait_for_the_first_interval(self) -> None:
        ticker = self.started(self.count, now=False)
        assert self.runs == []
        self.clock.pump([2.0])
        assert self.runs == [2.0]
        self.successResultOf(ticker.stopService())

    def test_after_a_stop_nothing_runs_and_nothing_is_left_in_the_reactor(self) -> None:
        ticker = self.started(self.count)
        self.successResultOf(ticker.stopService())
        self.clock.pump([2.0] * 3)
        assert self.runs == [0.0]
        assert self.clock.getDelayedCalls() == []

    def test_stopping_twice_or_before_starting_is_harmless(self) -> None:
        ticker = Ticker(self.clock, 2.0, self.count)
        self.successResultOf(ticker.stopService())
        ticker.startService()
        self.successResultOf(ticker.stopService())
        self.successResultOf(ticker.stopService())
        assert self.runs == [0.0]

    def test_starting_twice_is_harmless(self) -> None:
        ticker = self.started(self.count)
        ticker.startService()
        self.clock.pump([2.0])
        assert self.runs == [0.0, 2.0]
        self.successResultOf(ticker.stopService())

    def test_it_can_be_started_again(self) -> None:
        ticker = self.started(self.count)
        self.successResultOf(ticker.stopService())
        ticker.startService()
        self.clock.pump([2.0])
        assert self.runs == [0.0, 0.0, 2.0]
        self.successResultOf(ticker.stopService())

    def test_a_failure_is_logged_and_the_loop_goes_on(self) -> None:
        def fail() -> None:
            self.count()
            raise ZeroDivisionError

        ticker = self.started(fail)
        self.clock.pump([2.0, 2.0])
        assert self.runs == [0.0, 2.0, 4.0]
        assert len(self.flushLoggedErrors(ZeroDivisionError)) == 3
        self.successResultOf(ticker.stopService())

    def test_a_failure_that_comes_later_is_logged_and_the_loop_goes_on(self) -> None:
        pending: list[Deferred[None]] = []

        async def fail() -> None:
            self.count()
            pending.append(Deferred())
            await pending[-1]

        ticker = self.started(fail)
        self.clock.advance(1.0)
        pending[0].errback(ZeroDivisionError())
        assert len(self.flushLoggedErrors(ZeroDivisionError)) == 1
        self.clock.advance(1.0)
        assert self.runs == [0.0, 2.0]
        pending[1].callback(None)
        self.successResultOf(ticker.stopService())

    def test_a_cancelled_run_is_a_failure_like_others_while_the_service_runs(self) -> None:
        ticker = self.started(self.begin)
        pending = self.pending
        pending[0].cancel()
        assert len(self.flushLoggedErrors(CancelledError)) == 1
        self.successResultOf(ticker.stopService())

    def test_runs_never_overlap_a_slow_one_makes_the_next_late(self) -> None:
        ticker = self.started(self.begin)
        pending = self.pending
        self.clock.pump([2.0] * 3)
        assert len(pending) == 1
        pending[0].callback(None)
        self.clock.advance(2.0)
        assert len(pending) == 2
        pending[1].callback(None)
        self.successResultOf(ticker.stopService())

    def test_stopping_waits_for_the_run_in_progress(self) -> None:
        run: Deferred[None] = Deferred()
        ticker = self.started(lambda: run)
        stopped = ticker.stopService()
        also = ticker.stopService()
        self.clock.advance(4.9)
        self.assertNoResult(stopped)
        self.assertNoResult(also)
        run.callback(None)
        self.successResultOf(stopped)
        self.successResultOf(also)
        assert self.clock.getDelayedCalls() == []

    def test_a_run_that_does_not_end_in_time_is_cancelled_without_a_complaint(self) -> None:
        cancelled: list[float] = []
        run: Deferred[None] = Deferred(lambda _: cancelled.append(self.clock.seconds()))
        stopped = self.started(lambda: run, grace_s=3.0).stopService()
        self.clock.pump([1.0] * 3)
        assert cancelled == [3.0]
        self.successResultOf(stopped)
        assert self.clock.getDelayedCalls() == []

    def test_a_run_that_does_not_heed_its_cancellation_holds_nothing_up(self) -> None:
        stubborn: Deferred[None] = Deferred()

        async def run() -> None:
            try:
                await Deferred()
            except CancelledError:
                await stubborn

        stopped = self.started(run, grace_s=3.0).stopService()
        self.clock.advance(3.0)
        self.assertNoResult(stopped)
        self.clock.advance(3.0)
        self.successResultOf(stopped)
        stubborn.callback(None)
        assert self.clock.getDelayedCalls() == []

    def test_a_run_may_stop_its_own_ticker(self) -> None:
        def stop() -> None:
            self.successResultOf(ticker.stopService())

        ticker = Ticker(self.clock, 2.0, stop)
        ticker.startService()
        self.clock.pump([2.0] * 3)
        assert not ticker.running
        assert self.clock.getDelayedCalls() == []

    def test_started_again_during_a_run_it_neither_overlaps_nor_doubles(self) -> None:
        ticker = self.started(self.begin)
        pending = self.pending
        stopped = ticker.stopService()
        ticker.startService()
        assert len(pending) == 1
        pending[0].callback(None)
        self.successResultOf(stopped)
        self.clock.advance(2.0)
        assert len(pending) == 2
        pending[1].callback(None)
        assert len(self.clock.getDelayedCalls()) == 1
        self.successResultOf(ticker.stopService())
        assert self.clock.getDelayedCalls() == []

    def test_another_interval_holds_from_its_being_set_on(self) -> None:
        ticker = self.started(self.count)
        self.clock.pump([1.0] * 3)
        ticker.every(0.5)
        self.clock.pump([0.25] * 4)
        ticker.every(10.0)
        self.clock.pump([1.0] * 10)
        assert self.runs == [0.0, 2.0, 3.5, 4.0, 14.0]
        self.successResultOf(ticker.stopService())
        ticker.every(1.0)
        ticker.startService()
        self.clock.pump([1.0])
        assert self.runs[-2:] == [14.0, 15.0]
        self.successResultOf(ticker.stopService())
