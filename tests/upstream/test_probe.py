"""Checks: one server's after the other, at its pace, and never the end of them, whatever goes wrong."""

from itertools import pairwise

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from scalability.config import Address
from scalability.testing.upstreams import fake_pool
from scalability.upstream.check import Check, Ended, Finding
from scalability.upstream.health import State
from scalability.upstream.pace import Pace
from scalability.upstream.probe import HealthChecks
from scalability.upstream.selection import RoundRobin
from scalability.upstream.server import Server
from scalability.upstream.servers import Upstream
from scalability.upstream.spec import ServerSpec


class FakeCheck:
    """Both a Check and what is underway: remembers when it was begun; ``end`` ends the last one."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.begun: list[float] = []
        self.given_up = 0
        self.closed = False
        self.ended: Ended | None = None
        self.raises: Exception | None = None

    def begin(self, ended: Ended) -> "FakeCheck":
        self.begun.append(round(self._clock.seconds(), 2))
        if self.raises is not None:
            raise self.raises
        self.ended = ended
        return self

    def give_up(self) -> None:
        self.given_up += self.ended is not None
        self.ended = None

    def close(self) -> None:
        self.closed = True

    def end(self, passed: bool | None, what: str = "it was asked", status: int = 0) -> None:
        assert self.ended is not None, "no check is underway"
        ended, self.ended = self.ended, None
        ended(Finding(passed, what, status))


class HealthChecksTests(SynchronousTestCase):
    """The chance is one half throughout: no jitter, and half of a random part."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.checks_of: dict[Address, FakeCheck] = {}
        self.upstream = Upstream(RoundRobin, fake_pool)
        self.upstream.name_servers("configuration", [ServerSpec.parse("127.0.0.1:1001")], trusted=True)
        pace = Pace(interval_s=4, fast_s=1, down_s=8, jitter=0.1)
        self.checks = HealthChecks(self.clock, self.upstream, self.check, pace, timeout_s=2, random=lambda: 0.5)
        self.checks.startService()
        self.addCleanup(self.checks.stopService)

    def check(self, server: Server) -> Check:
        found = self.checks_of[server.address] = FakeCheck(self.clock)
        return found

    @property
    def first(self) -> FakeCheck:
        return self.checks_of[Address("127.0.0.1", 1001)]

    @property
    def server(self) -> Server:
        return next(iter(self.upstream))

    def state(self) -> State:
        return self.server.health.state

    def pass_time(self, seconds: float) -> None:
        self.clock.pump([0.02] * round(seconds / 0.02))

    def until_checked(self) -> float:
        """Wait for the next check; how long that took since the last one began."""
        count = len(self.first.begun)
        while len(self.first.begun) == count:
            assert self.clock.seconds() < 1000
            self.pass_time(0.02)
        return round(self.first.begun[-1] - (self.first.begun[-2] if count else 0), 1)

    def checked(self, *results: bool) -> list[str]:
        states = []
        for passed in results:
            if self.first.ended is None:
                self.until_checked()
            self.first.end(passed)
            states.append(self.server.health.state.value)
        return states

    def test_the_first_check_comes_soon_and_the_second_after_part_of_the_interval(self) -> None:
        assert self.until_checked() == 0.1
        self.first.end(True)
        assert self.until_checked() == 2
        self.first.end(True)
        assert self.until_checked() == 4

    def test_a_server_that_is_about_to_go_down_is_checked_faster_and_one_that_is_down_at_its_own_pace(self) -> None:
        self.checked(True, True, False)
        assert self.until_checked() == 1
        self.first.end(False)
        assert self.until_checked() == 1
        self.first.end(False)
        assert self.state() is State.DOWN
        assert self.until_checked() == 8
        self.first.end(True)
        assert self.state() is State.RISING
        assert self.until_checked() == 1

    def test_a_server_to_which_a_request_could_not_connect_is_checked_soon(self) -> None:
        self.checked(True, True)
        self.pass_time(0.5)
        self.upstream.judge(self.server, False, "a request could not connect")
        assert self.until_checked() == 1, "it was looked at, and its state had changed"
        self.first.end(True)
        assert self.until_checked() == 2

    def test_checks_of_one_server_never_overlap(self) -> None:
        self.checked(True, False)
        self.until_checked()
        self.pass_time(1.9)
        assert len(self.first.begun) == 3, "the fast interval is over, and the check is not"
        self.first.end(True)
        assert self.state() is State.UP

    def test_three_failed_checks_take_a_server_out_and_two_passed_ones_bring_it_back(self) -> None:
        assert self.checked(True, False, False, False, True, True) == ["up", "falling", "falling", "down", "rising", "up"]
        assert (self.server.counts.checks_passed, self.server.counts.checks_failed) == (3, 3)

    def test_a_check_that_has_not_ended_within_the_timeout_has_failed(self) -> None:
        self.until_checked()
        self.pass_time(1.98)
        assert self.first.given_up == 0
        self.pass_time(0.1)
        assert self.first.given_up == 1
        assert self.server.last_check == "no answer within 2 s"
        assert self.state() is State.WAITING
        assert self.until_checked() == 8

    def test_a_server_that_hangs_is_down_after_three_timeouts(self) -> None:
        self.checked(True)
        self.until_checked()
        self.pass_time(5.9)
        assert self.state() is State.FALLING
        self.pass_time(0.3)
        assert self.state() is State.DOWN

    def test_results_are_remembered_with_their_times(self) -> None:
        self.until_checked()
        begun = self.clock.seconds()
        self.pass_time(0.3)
        self.first.end(True, "the check was answered 200", 200)
        self.checked(False)
        good, bad = self.server.history
        assert (good.at_s, good.passed, good.what, good.status) == (begun, True, "the check was answered 200", 200)
        assert round(good.duration_s, 2) == 0.3
        assert (bad.passed, bad.duration_s) == (False, 0)
        assert self.server.history.last_failure is bad

    def test_a_check_that_could_not_be_made_is_no_result_and_the_next_comes_soon(self) -> None:
        self.until_checked()
        self.first.end(None, "the check could not be made: no more files")
        assert (self.server.counts.checks_failed, self.server.health.state, len(self.server.history)) == (0, State.UNCHECKED, 0)
        assert self.until_checked() == 1

    def test_what_a_check_has_left_open_is_closed_when_the_next_begins(self) -> None:
        self.checked(True)
        closing = self.first
        closing.ended = lambda finding: None  # as of a connection that waits for the server to close
        self.until_checked()
        assert closing.given_up == 1

    def test_an_error_of_ours_is_logged_and_does_not_end_the_checks(self) -> None:
        self.first.raises = ZeroDivisionError()
        self.until_checked()
        assert len(self.flushLoggedErrors(ZeroDivisionError)) == 1
        self.first.raises = None
        self.pass_time(2.1)
        assert self.server.counts.checks_failed == 1, "it brought no result in time"
        self.until_checked()
        self.first.end(True)
        assert self.state() is State.UP

    def test_a_listener_that_fails_does_not_end_the_checks(self) -> None:
        def fail() -> None:
            raise ZeroDivisionError

        self.upstream.when_changed(fail)
        self.until_checked()
        with self.assertRaises(ZeroDivisionError):
            self.first.end(False)
        assert self.until_checked() == 8

    def test_ticks_that_come_late_leave_no_check_out(self) -> None:
        self.until_checked()
        for _ in range(40):
            if self.first.ended is not None:
                self.first.end(True)
            self.clock.advance(0.51)
        assert 5 <= len(self.first.begun) <= 7

    def test_servers_that_join_together_are_not_checked_together(self) -> None:
        chance = iter(index / 100 for index in range(100))
        self.checks.random = lambda: next(chance, 0.5)
        self.upstream.name_servers("dns", [ServerSpec(Address("127.0.0.2", port)) for port in range(1, 101)], trusted=False)
        self.pass_time(0.24)
        joined = [check for address, check in self.checks_of.items() if address.host == "127.0.0.2"]
        firsts = [check.begun[0] for check in joined]
        assert len(set(firsts)) >= 9
        chance = iter(index / 100 for index in range(100))
        for check in joined:
            check.end(True)
        self.pass_time(4.1)
        seconds = sorted(check.begun[1] for check in joined)
        assert all(later - earlier < 0.2 for earlier, later in pairwise(seconds))
        assert seconds[-1] - seconds[0] > 3.5

    def test_a_server_that_left_is_checked_no_more(self) -> None:
        first = self.first
        self.until_checked()
        self.upstream.name_servers("configuration", [], trusted=True)
        assert first.closed
        assert first.given_up == 1
        self.pass_time(20)
        assert len(first.begun) == 1

    def test_stopping_gives_the_check_in_progress_up_and_leaves_nothing_behind(self) -> None:
        self.until_checked()
        self.successResultOf(self.checks.stopService())
        assert self.first.given_up == 1
        assert self.server.counts.checks_failed == 0
        assert self.clock.getDelayedCalls() == []

    def test_started_again_it_checks_again(self) -> None:
        self.until_checked()
        self.successResultOf(self.checks.stopService())
        self.pass_time(10)
        assert len(self.first.begun) == 1
        self.checks.startService()
        self.until_checked()
        self.first.end(True)
        assert self.state() is State.UP

    def configure(self, **more: float) -> None:
        self.checks.configure(self.check, Pace(**{"interval_s": 4, "fast_s": 1, "down_s": 8, "jitter": 0.1, **more}), timeout_s=2)

    def test_another_way_to_check_begins_with_the_next_check_and_leaves_the_state(self) -> None:
        self.checked(True, True, False)
        old = self.first
        self.configure()
        new = self.first
        assert (self.state(), old.closed) == (State.FALLING, False)
        self.until_checked()
        assert (len(new.begun), old.closed) == (1, True)
        new.end(False)
        assert self.checked(False) == ["down"]

    def test_a_check_that_is_underway_ends_as_it_was_begun(self) -> None:
        self.checked(True, True)
        self.until_checked()
        old = self.first
        for _ in range(3):
            self.configure()
        assert old.given_up == 0
        old.end(False)
        assert self.state() is State.FALLING
        self.pass_time(1.1)
        assert (len(self.first.begun), old.closed) == (1, True)

    def test_a_hanging_server_is_found_out_however_often_the_checks_change(self) -> None:
        self.checked(True, True)
        for _ in range(40):
            self.pass_time(0.5)
            self.configure()
        assert self.state() is State.DOWN

    def test_a_shorter_interval_does_not_wait_for_the_end_of_a_longer_one(self) -> None:
        self.checked(True, True)
        self.configure(interval_s=0.5, fast_s=0.1)
        self.pass_time(0.7)
        assert len(self.first.begun) == 1

    def test_checks_that_have_not_begun_are_those_of_now(self) -> None:
        self.checks.stopService()
        self.configure()
        old = self.first
        self.configure()
        assert old.closed
        self.checks.startService()
        self.pass_time(0.2)
        assert len(self.first.begun) == 1
        self.upstream.name_servers("configuration", [], trusted=False)
        assert self.first.closed


def test_short_intervals_are_timed_more_exactly() -> None:
    upstream = Upstream(RoundRobin, fake_pool)

    def ticks_per_s(pace: Pace) -> int:
        return HealthChecks(Clock(), upstream, lambda _: FakeCheck(Clock()), pace, timeout_s=1, random=lambda: 0.5).wheel.ticks_per_s

    assert ticks_per_s(Pace()) == 50
    assert ticks_per_s(Pace(0.32, 0.08, 0.08)) == 100
    assert ticks_per_s(Pace(0.05, 0.0125, 0.0125)) == 200
