"""Checks: one per server and interval, never the end of the loop, whatever goes wrong."""

from typing import Any, cast

from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectBindError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from scalability.config import Address
from scalability.errors import ConnectError, Overloaded
from scalability.net.http_client import ConnectionPool
from scalability.net.service_client import Answer, ServiceClient
from scalability.upstream.health import State
from scalability.upstream.probe import FIELDS, HealthChecks
from scalability.upstream.selection import RoundRobin
from scalability.upstream.servers import Server, ServerSpec, Upstream


class FakePool:
    def close(self) -> None: ...


class FakeAnswer:
    def __init__(self, status: int) -> None:
        self.status = status


class FakeClient:
    """Keeps what it was asked; ``answer`` and ``refuse`` end the last request."""

    def __init__(self) -> None:
        self.asked: list[tuple[bytes, bytes, Any]] = []
        self.cancelled = 0
        self.closed = False
        self.next: Deferred[Answer] | None = None
        self.waiting: Deferred[Answer] = Deferred()
        self.raises: Exception | None = None

    def request(self, method: bytes, target: bytes, fields: Any, *, timeout_s: float) -> Deferred[Answer]:
        self.asked.append((method, target, fields))
        if self.raises is not None:
            raise self.raises
        if self.next is not None:
            return self.next

        def cancelled(_: object) -> None:
            self.cancelled += 1

        self.waiting = Deferred(cancelled)
        return self.waiting

    def answer(self, status: int) -> None:
        self.waiting.callback(cast(Answer, FakeAnswer(status)))

    def close(self) -> None:
        self.closed = True


class HealthChecksTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clients: dict[Address, FakeClient] = {}
        self.upstream = Upstream(RoundRobin, lambda _: cast(ConnectionPool, FakePool()))
        self.upstream.name_servers("configuration", [ServerSpec.parse("127.0.0.1:1001")], trusted=True)
        self.checks = HealthChecks(self.clock, self.upstream, self.client, interval_s=2.0, path="/health")
        self.checks.startService()
        self.addCleanup(self.checks.stopService)

    def client(self, server: Server) -> ServiceClient:
        self.clients[server.address] = FakeClient()
        return cast(ServiceClient, self.clients[server.address])

    @property
    def first(self) -> FakeClient:
        return self.clients[Address("127.0.0.1", 1001)]

    @property
    def server(self) -> Server:
        return next(iter(self.upstream))

    def test_the_first_check_is_made_at_once_and_the_next_each_interval(self) -> None:
        assert self.first.asked == [(b"GET", b"/health", FIELDS)]
        self.first.answer(200)
        for _ in range(3):
            self.clock.advance(0.5)
            assert len(self.first.asked) == 1
        self.clock.advance(0.5)
        assert len(self.first.asked) == 2

    def test_a_server_that_is_not_up_is_checked_four_times_as_often(self) -> None:
        self.first.answer(500)
        for count in range(2, 6):
            self.clock.advance(0.5)
            assert len(self.first.asked) == count
            self.first.answer(500)
        self.clock.advance(0.5)
        self.first.answer(200)
        for _ in range(3):
            self.clock.advance(0.5)
        assert len(self.first.asked) == 6, "it is up now"
        self.clock.advance(0.5)
        assert len(self.first.asked) == 7
        self.first.answer(500)
        self.clock.advance(0.5)
        assert len(self.first.asked) == 8, "its last check failed"

    def test_a_slow_answer_has_the_whole_interval_even_when_checks_come_faster(self) -> None:
        self.first.answer(500)
        self.clock.advance(0.5)
        for _ in range(3):
            self.clock.advance(0.5)
        assert len(self.first.asked) == 2
        self.first.answer(200)
        assert self.server.health.state is State.UP

    def test_ticks_that_come_late_leave_no_check_out(self) -> None:
        self.first.answer(200)
        for _ in range(40):
            self.clock.advance(0.51)
            if not self.first.waiting.called:
                self.first.answer(200)
        assert 10 <= len(self.first.asked) <= 12

    def test_statuses_from_200_to_399_pass(self) -> None:
        for status in (200, 204, 302, 399):
            self.first.answer(status)
            assert self.server.health.state is State.UP
            self.clock.advance(2)
        assert self.server.counts.checks_passed == 4

    def test_any_other_status_fails(self) -> None:
        for status in (400, 404, 500, 503):
            self.first.answer(status)
            self.clock.advance(2)
        assert self.server.counts.checks_failed == 4
        assert not self.server.health.state.usable
        assert self.server.last_check == "the check was answered 503"

    def test_three_failed_checks_take_a_server_out_and_two_passed_ones_bring_it_back(self) -> None:
        states = []
        for status in (200, 500, 500, 500, 200, 200):
            self.first.answer(status)
            states.append(self.server.health.state.value)
            self.clock.advance(2)
        assert states == ["up", "falling", "falling", "down", "rising", "up"]

    def test_a_server_that_hangs_is_down_after_three_intervals(self) -> None:
        self.first.answer(200)
        self.clock.advance(2)
        for _ in range(2):
            self.clock.advance(2)
            assert self.server.health.state.usable
        self.clock.advance(2)
        assert self.server.health.state is State.DOWN
        assert self.server.last_check == "no answer within 2 s"
        assert self.first.cancelled == 3

    def test_a_refused_check_fails_and_the_loop_goes_on(self) -> None:
        self.first.waiting.errback(ConnectError())
        assert self.server.counts.checks_failed == 1
        self.clock.advance(2)
        self.first.next = fail(Overloaded())
        self.clock.advance(2)
        assert self.server.counts.checks_failed == 3  # refused, unanswered, refused at once
        self.first.next = None
        self.clock.advance(2)
        self.first.answer(200)
        assert self.server.counts.checks_passed == 1

    def test_a_check_that_could_not_be_made_for_want_of_files_is_no_result(self) -> None:
        error = ConnectError()
        error.__cause__ = ConnectBindError(24, "Too many open files")
        self.first.waiting.errback(error)
        assert (self.server.counts.checks_failed, self.server.health.state) == (0, State.UNCHECKED)
        self.clock.advance(2)
        self.first.answer(200)
        assert self.server.health.state is State.UP

    def test_an_error_of_ours_is_logged_counts_as_failed_and_does_not_end_the_loop(self) -> None:
        self.first.waiting.errback(ZeroDivisionError())
        assert len(self.flushLoggedErrors(ZeroDivisionError)) == 1
        assert self.server.counts.checks_failed == 1
        self.clock.advance(2)
        self.first.raises = ZeroDivisionError()
        self.clock.advance(2)
        assert len(self.flushLoggedErrors(ZeroDivisionError)) == 1
        self.first.raises = None
        self.clock.advance(2)
        self.first.answer(200)
        assert self.server.health.state is State.UP

    def test_a_server_that_joins_is_checked_at_once(self) -> None:
        self.upstream.name_servers("dns", [ServerSpec.parse("127.0.0.1:1002")], trusted=False)
        client = self.clients[Address("127.0.0.1", 1002)]
        assert len(client.asked) == 1
        client.answer(200)
        assert {server.health.state for server in self.upstream} == {State.UNCHECKED, State.UP}

    def test_a_server_that_left_is_checked_no_more(self) -> None:
        first = self.first
        self.upstream.name_servers("configuration", [], trusted=True)
        assert first.closed
        assert first.cancelled == 1
        self.clock.advance(10)
        assert len(first.asked) == 1

    def test_stopping_cancels_the_check_in_progress_and_leaves_nothing_behind(self) -> None:
        self.successResultOf(cast("Deferred[None]", self.checks.stopService()))
        assert self.first.cancelled == 1
        assert self.first.closed
        assert self.server.counts.checks_failed == 0
        assert self.clock.getDelayedCalls() == []
