"""Many waiters, one piece of work."""

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from scalability.gateway.single_flight import SingleFlight


class SingleFlightTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.flights: SingleFlight[str, int] = SingleFlight()
        self.running: list[Deferred[int]] = []

    async def work(self) -> int:
        running: Deferred[int] = Deferred()
        self.running.append(running)
        return await running

    def do(self, key: str = "a") -> "Deferred[int]":
        return self.flights.do(key, self.work)

    def test_concurrent_waiters_share_one_piece_of_work_and_have_a_deferred_each(self) -> None:
        waiters = [self.do() for _ in range(100)]
        assert len(set(map(id, waiters))) == 100
        assert (len(self.running), len(self.flights), self.flights.joined) == (1, 1, 99)
        self.running[0].callback(7)
        assert [self.successResultOf(waiter) for waiter in waiters] == [7] * 100
        assert len(self.flights) == 0

    def test_other_keys_and_later_waiters_have_work_of_their_own(self) -> None:
        first, other = self.do("a"), self.do("b")
        self.running[0].callback(1)
        later = self.do("a")
        self.running[1].callback(2)
        self.running[2].callback(3)
        assert [self.successResultOf(d) for d in (first, other, later)] == [1, 2, 3]

    def test_a_cancelled_waiter_leaves_alone(self) -> None:
        first, second, third = self.do(), self.do(), self.do()
        first.cancel()
        third.cancel()
        self.failureResultOf(first, CancelledError)
        self.failureResultOf(third, CancelledError)
        self.assertNoResult(second)
        self.running[0].callback(7)
        assert self.successResultOf(second) == 7

    def test_work_goes_on_when_all_have_left_and_a_newcomer_joins_it(self) -> None:
        self.failureResultOf(self.cancelled(self.do()), CancelledError)
        newcomer = self.do()
        assert len(self.running) == 1
        self.running[0].callback(7)
        assert self.successResultOf(newcomer) == 7

    def cancelled(self, waiter: "Deferred[int]") -> "Deferred[int]":
        waiter.cancel()
        return waiter

    def test_a_failure_is_every_waiters(self) -> None:
        waiters = [self.do() for _ in range(3)]
        self.running[0].errback(ValueError("no"))
        for waiter in waiters:
            self.failureResultOf(waiter, ValueError)
        assert len(self.flights) == 0

    def test_a_failure_that_nobody_waits_for_is_nobodys(self) -> None:
        self.flights.start("a", self.work)
        self.flights.start("a", self.work)
        assert len(self.running) == 1
        self.running[0].errback(ValueError("no"))
        assert len(self.flights) == 0

    def test_a_failure_after_all_have_left_is_nobodys_either(self) -> None:
        self.failureResultOf(self.cancelled(self.do()), CancelledError)
        self.running[0].errback(ValueError("no"))
        assert len(self.flights) == 0

    def test_work_that_is_done_at_once_is_answered_at_once(self) -> None:
        async def quick() -> int:
            return 3

        assert self.successResultOf(self.flights.do("a", quick)) == 3
        assert len(self.flights) == 0

    def test_a_waiters_callback_may_cancel_another_and_ask_anew(self) -> None:
        first, second = self.do(), self.do()
        again: list[Deferred[int]] = []

        def react(value: int) -> int:
            second.cancel()
            again.append(self.do())
            return value

        first.addCallback(react)
        self.running[0].callback(1)
        assert self.successResultOf(first) == 1
        self.failureResultOf(second, CancelledError)
        self.running[1].callback(2)
        assert self.successResultOf(again[0]) == 2

    def test_cancelling_everything_ends_the_work_and_its_waiters(self) -> None:
        waiters = [self.do("a"), self.do("b")]
        self.flights.cancel()
        for waiter in waiters:
            self.failureResultOf(waiter, CancelledError)
        assert len(self.flights) == 0

    def test_what_is_under_way_can_be_asked(self) -> None:
        waiting = self.do()
        assert "a" in self.flights
        assert "b" not in self.flights
        self.running[0].callback(1)
        assert self.successResultOf(waiting) == 1
        assert "a" not in self.flights
