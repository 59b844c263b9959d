"""Deadlines of many connections in one wheel."""

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from scalability.lifecycle.deadlines import BATCH, Deadline, DeadlineWheel, MovingDeadline


class WheelTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000.1)
        self.wheel = DeadlineWheel(self.clock, tick_s=0.25)
        self.wheel.startService()
        self.expired: list[float] = []

    def tearDown(self) -> None:
        self.successResultOf(self.wheel.stopService())
        assert self.clock.getDelayedCalls() == []

    def note(self) -> None:
        self.expired.append(self.clock.seconds())

    def test_many_that_are_due_at_once_leave_the_event_loop_its_turns(self) -> None:
        seen: list[str] = []

        def first() -> None:
            seen.append("deadline")
            self.clock.callLater(0, seen.append, "the loop")

        for _ in range(5 * BATCH):
            self.wheel.after(1.0, first)
        for _ in range(400):
            self.clock.advance(0.005)
        assert seen[: BATCH + 1] == ["deadline"] * BATCH + ["the loop"]
        assert seen.count("deadline") == 5 * BATCH
        later = self.wheel.after(0.5, self.note)
        self.pass_time(1.1)
        assert not later.active

    def test_many_that_are_due_at_once_are_spread_over_half_a_tick(self) -> None:
        for _ in range(25 * BATCH):
            self.wheel.after(1.0, self.note)
        for _ in range(2000):
            self.clock.advance(0.001)
        assert len(self.expired) == 25 * BATCH
        assert 0.11 < self.expired[-1] - self.expired[0] < 0.15
        assert max(self.expired.count(at) for at in self.expired) <= 2 * BATCH

    def test_a_late_wheel_loses_no_time_over_many(self) -> None:
        for _ in range(25 * BATCH):
            self.wheel.after(1.0, self.note)
        self.clock.advance(3.0)
        assert len(self.expired) == 25 * BATCH

    def test_a_wheel_that_stops_between_batches_calls_nothing_more(self) -> None:
        for _ in range(2 * BATCH):
            self.wheel.after(0.5, self.note)

        def stop_soon() -> None:
            self.clock.callLater(0, self.wheel.stopService)

        self.wheel.after(0.5, stop_soon)
        self.clock.advance(1.0)
        self.clock.advance(1.0)
        assert len(self.expired) == BATCH - 1

    def test_a_second_has_so_many_ticks(self) -> None:
        assert self.wheel.ticks_per_s == 4
        assert DeadlineWheel(self.clock, tick_s=3.0).ticks_per_s == 1

    def pass_time(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.05)):
            self.clock.advance(0.05)

    def test_a_deadline_expires_once_never_early_and_late_by_less_than_two_ticks(self) -> None:
        for delay_s in (0.0, 0.1, 0.25, 1.0, 3.33):
            self.expired.clear()
            asked_at = self.clock.seconds()
            deadline = self.wheel.after(delay_s, self.note)
            assert deadline.active
            self.pass_time(delay_s + 0.6)
            assert len(self.expired) == 1
            assert asked_at + delay_s <= self.expired[0] <= asked_at + delay_s + 2 * 0.25 + 0.05
            assert not deadline.active

    def test_a_cancelled_deadline_does_not_expire_and_may_be_cancelled_again(self) -> None:
        deadline = self.wheel.after(1.0, self.note)
        deadline.cancel()
        deadline.cancel()
        assert not deadline.active
        self.pass_time(2.0)
        deadline.cancel()
        assert self.expired == []

    def test_cancelling_after_expiry_is_harmless(self) -> None:
        deadline = self.wheel.after(0.1, self.note)
        self.pass_time(1.0)
        deadline.cancel()
        assert len(self.expired) == 1

    def test_an_expired_callback_may_cancel_another_of_the_same_tick_and_ask_for_more(self) -> None:
        deadlines: dict[str, Deadline] = {}

        def first(other: str) -> Callable[[], None]:
            def expired() -> None:
                self.note()
                deadlines[other].cancel()
                self.wheel.after(0.0, self.note)

            return expired

        deadlines["a"] = self.wheel.after(1.0, first("b"))
        deadlines["b"] = self.wheel.after(1.0, first("a"))
        self.pass_time(2.0)
        assert len(self.expired) == 2
        assert self.expired[0] < self.expired[1]

    def test_an_error_is_logged_and_hurts_no_other(self) -> None:
        def fail() -> None:
            raise ZeroDivisionError

        self.wheel.after(1.0, fail)
        self.wheel.after(1.0, self.note)
        self.wheel.after(1.0, fail)
        self.pass_time(2.0)
        assert len(self.expired) == 1
        assert len(self.flushLoggedErrors(ZeroDivisionError)) == 2

    def test_a_late_loop_makes_up_for_every_tick_it_missed(self) -> None:
        for delay_s in (1.0, 2.0, 3.0, 60.0):
            self.wheel.after(delay_s, self.note)
        self.clock.advance(10.0)
        assert len(self.expired) == 3
        self.clock.advance(60.0)
        assert len(self.expired) == 4

    def test_a_leap_of_the_clock_costs_what_is_due_and_not_every_tick_of_it(self) -> None:
        order: list[str] = []
        self.wheel.after(20.0, lambda: order.append("later"))
        self.wheel.after(10.0, lambda: order.append("sooner"))
        self.clock.advance(1e12)  # turning tick by tick would take a week
        assert order == ["sooner", "later"]
        self.wheel.after(1.0, self.note)
        self.pass_time(2.0)
        assert len(self.expired) == 1

    def test_a_tick_that_has_passed_means_the_next_turn(self) -> None:
        self.wheel.at(self.wheel.turned_to - 5, self.note)
        self.wheel.at(self.wheel.turned_to, self.note)
        self.pass_time(0.3)
        assert len(self.expired) == 2

    def test_nothing_is_kept_of_what_has_expired(self) -> None:
        for delay_s in range(100):
            self.wheel.after(delay_s, self.note)
        self.pass_time(101.0)
        assert len(self.expired) == 100
        assert len(self.wheel._due) == 0


class MovingDeadlineTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000.1)
        self.wheel = DeadlineWheel(self.clock, tick_s=0.25)
        self.wheel.startService()
        self.expired: list[float] = []
        self.deadline = MovingDeadline(self.wheel, lambda: self.expired.append(self.clock.seconds()))

    def tearDown(self) -> None:
        self.successResultOf(self.wheel.stopService())

    def pass_time(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.05)):
            self.clock.advance(0.05)

    def test_it_expires_once_at_its_time(self) -> None:
        assert not self.deadline.active
        at = self.clock.seconds()
        self.deadline.move(self.wheel.ticks(2.0))
        assert self.deadline.active
        self.pass_time(10.0)
        assert len(self.expired) == 1
        assert at + 2.0 <= self.expired[0] <= at + 2.0 + 0.55
        assert not self.deadline.active

    def test_it_can_be_put_off_again_and_again(self) -> None:
        for _ in range(20):
            self.deadline.move(self.wheel.ticks(2.0))
            self.pass_time(1.0)
        assert self.expired == []
        at = self.clock.seconds()
        self.pass_time(5.0)
        assert len(self.expired) == 1
        assert self.expired[0] <= at + 2.0

    def test_it_can_be_brought_forward(self) -> None:
        self.deadline.move(self.wheel.ticks(60.0))
        at = self.clock.seconds()
        self.deadline.move(self.wheel.ticks(1.0))
        self.pass_time(70.0)
        assert len(self.expired) == 1
        assert self.expired[0] <= at + 1.6

    def test_stopped_it_does_not_expire_until_it_is_moved_again(self) -> None:
        self.deadline.move(self.wheel.ticks(1.0))
        self.deadline.stop()
        assert not self.deadline.active
        self.pass_time(5.0)
        assert self.expired == []
        self.deadline.move(self.wheel.ticks(1.0))
        self.deadline.stop()
        self.deadline.move(self.wheel.ticks(3.0))
        self.pass_time(2.0)
        assert self.expired == []
        self.pass_time(2.0)
        assert len(self.expired) == 1

    def test_cancelled_it_is_forgotten_by_the_wheel(self) -> None:
        self.deadline.move(self.wheel.ticks(1.0))
        self.deadline.cancel()
        self.deadline.cancel()
        assert not any(self.wheel._due.values())
        self.pass_time(3.0)
        assert self.expired == []
        self.deadline.move(self.wheel.ticks(1.0))
        self.pass_time(3.0)
        assert len(self.expired) == 1

    def test_moved_by_nothing_it_expires_at_the_next_turn(self) -> None:
        self.deadline.move(0)
        self.pass_time(0.6)
        assert len(self.expired) == 1

    def test_it_may_be_moved_when_it_expires(self) -> None:
        times: list[float] = []

        def again() -> None:
            times.append(self.clock.seconds())
            if len(times) < 3:
                repeating.move(self.wheel.ticks(1.0))

        repeating = MovingDeadline(self.wheel, again)
        repeating.move(self.wheel.ticks(1.0))
        self.pass_time(10.0)
        assert len(times) == 3


def noting(clock: Clock, due: float, late: list[float]) -> Callable[[], None]:
    return lambda: late.append(clock.seconds() - due)


@given(st.lists(st.tuples(st.floats(0, 20), st.integers(0, 40)), max_size=20))
def test_whatever_the_delays_each_deadline_expires_in_its_tick(asked: list[tuple[float, int]]) -> None:
    clock = Clock()
    wheel = DeadlineWheel(clock, tick_s=0.5)
    wheel.startService()
    late: list[float] = []
    for delay_s, steps in asked:
        wheel.after(delay_s, noting(clock, clock.seconds() + delay_s, late))
        for _ in range(steps):
            clock.advance(0.125)
    for _ in range(200):
        clock.advance(0.125)
    assert len(late) == len(asked)
    assert all(0 <= seconds <= 0.75 for seconds in late)
    wheel.stopService()
