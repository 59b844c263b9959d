"""Closed-loop clients, on a clock of the test's own."""

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from scalability.lab.loadgen.closed_loop import PAUSE_S, ClosedLoop
from scalability.lab.loadgen.connection import User
from scalability.lab.loadgen.recorder import Failure, Recorder
from scalability.lab.loadgen.target import target
from scalability.lifecycle import DeadlineWheel


class FakeConnection:
    """Answers when the test says so."""

    def __init__(self) -> None:
        self.user: User | None = None
        self.sent: list[bytes] = []
        self.aborted = False

    def send(self, method: bytes, request: bytes, user: User) -> None:
        self.sent.append(request)
        self.user = user

    def abort(self) -> None:
        self.aborted = True


class FakePool:
    """Gives each user a connection at once, unless the test holds them back."""

    def receivers_without_answer(self) -> list[object]:
        return []

    def __init__(self) -> None:
        self.hold = False
        self.waiting: list[User] = []
        self.left: list[User] = []
        self.connections: list[FakeConnection] = []
        self.closed = False

    def acquire(self, user: User) -> None:
        if self.hold:
            self.waiting.append(user)
            return
        self.connections.append(FakeConnection())
        user.connected(self.connections[-1])  # type: ignore[arg-type]  # a fake

    def leave(self, user: User) -> None:
        self.left.append(user)

    def close(self) -> None:
        self.closed = True


class Looped:
    def __init__(self, *, clients: int = 1, requests: int | None = 1, duration_s: float | None = None) -> None:
        self.clock = Clock()
        self.wheel = DeadlineWheel(self.clock, tick_s=0.1)
        self.wheel.startService()
        self.pool = FakePool()
        self.recorder = Recorder()
        self.loop = ClosedLoop(
            self.clock,
            self.pool,  # type: ignore[arg-type]  # a fake
            self.wheel,
            target("http://h/"),
            self.recorder,
            now=self.clock.seconds,
            clients=clients,
            requests=requests,
            duration_s=duration_s,
            timeout_s=10.0,
        )
        self.ended: list[object] = []
        self.loop.finished.addBoth(self.ended.append)
        self.loop.start()

    def answer(self, status: int = 200, after_s: float = 0.0) -> None:
        """The oldest request that waits is answered."""
        self.clock.pump([0.1] * round(after_s * 10))
        user = self._oldest()
        user.answered(status, 5)

    def fail(self, why: Failure) -> None:
        self._oldest().failed(why)

    def _oldest(self) -> User:
        for connection in self.pool.connections:
            if connection.user is not None and not connection.aborted:
                user, connection.user = connection.user, None
                return user
        raise AssertionError("no request is in flight")

    def leftovers(self) -> list[object]:
        stopped: Deferred[None] = self.wheel.stopService()
        assert stopped.called
        return list(self.clock.getDelayedCalls())


def test_each_client_sends_its_requests_one_after_the_other() -> None:
    run = Looped(clients=2, requests=3)
    assert len(run.pool.connections) == 2
    for _ in range(6):
        assert run.ended == []
        run.answer()
    assert run.ended == [None]
    assert run.recorder.totals.success == 6
    assert run.leftovers() == []


def test_latency_counts_from_the_wish_to_send() -> None:
    run = Looped(requests=2)
    run.answer(after_s=0.5)
    run.answer(after_s=0.1)
    assert run.recorder.latency.quantile(0.0) == pytest.approx(0.1, rel=0.001)
    assert run.recorder.latency.max_s == pytest.approx(0.5, rel=0.001)


def test_waiting_for_a_connection_counts() -> None:
    run = Looped(requests=2)
    run.pool.hold = True
    run.answer()
    run.clock.pump([0.1] * 7)
    connection = FakeConnection()
    run.pool.waiting[0].connected(connection)  # type: ignore[arg-type]  # a fake
    run.pool.waiting[0].answered(200, 5)
    assert run.recorder.latency.max_s == pytest.approx(0.7, rel=0.001)
    assert run.ended == [None]


def test_a_request_without_an_answer_times_out_and_counts_with_its_whole_wait() -> None:
    run = Looped(requests=2)
    run.clock.pump([0.1] * 104)
    assert run.recorder.totals.failures == {Failure.TIMEOUT: 1}
    assert 10.0 <= run.recorder.latency.max_s <= 10.3
    assert run.pool.connections[0].aborted
    run.answer()
    assert run.ended == [None]
    assert run.leftovers() == []


def test_a_client_that_waits_too_long_for_a_connection_leaves_the_queue() -> None:
    run = Looped(requests=2)
    run.pool.hold = True
    run.answer()
    run.clock.pump([0.1] * 104)
    assert run.pool.left == run.pool.waiting
    assert run.recorder.totals.failures == {Failure.TIMEOUT: 1}
    assert run.ended == [None]


def test_a_failed_answer_is_followed_by_the_next_request_at_once() -> None:
    run = Looped(requests=2)
    run.fail(Failure.RESET)
    assert len(run.pool.connections) == 2
    run.answer(503)
    assert run.recorder.totals.failures == {Failure.RESET: 1, Failure.SERVER_ERROR: 1}
    assert run.ended == [None]


def test_a_client_pauses_after_a_connection_that_was_not_made() -> None:
    run = Looped(requests=3)
    run.pool.hold = True
    run.answer()
    run.pool.waiting.pop().failed(Failure.REFUSED)
    assert run.pool.waiting == []
    run.clock.advance(PAUSE_S)
    run.pool.waiting.pop().failed(Failure.REFUSED)
    assert run.ended == [None], "no pause after the last one"
    assert run.leftovers() == []


def test_after_the_duration_nothing_is_begun_and_what_is_in_flight_is_waited_for() -> None:
    run = Looped(clients=2, requests=None, duration_s=3.0)
    for _ in range(10):
        run.answer()
    run.clock.pump([0.1] * 31)
    run.answer()
    assert run.ended == []
    run.answer()
    assert run.ended == [None]
    assert run.recorder.totals.requests == 12
    assert run.leftovers() == []


def test_the_duration_ends_a_pause() -> None:
    run = Looped(requests=None, duration_s=0.03)
    run.pool.hold = True
    run.answer()
    run.pool.waiting.pop().failed(Failure.REFUSED)
    run.clock.advance(0.03)
    assert run.ended == [None]
    assert run.leftovers() == []


def test_requests_that_end_before_the_duration_leave_no_timer() -> None:
    run = Looped(requests=1, duration_s=60.0)
    run.answer()
    assert run.ended == [None]
    assert run.leftovers() == []


def test_cancelling_abandons_everything() -> None:
    run = Looped(clients=2, requests=5, duration_s=60.0)
    run.pool.hold = True
    run.answer()
    run.pool.waiting.pop().failed(Failure.REFUSED)
    run.loop.finished.cancel()
    [failure] = run.ended
    failure.trap(CancelledError)  # type: ignore[attr-defined]  # a Failure
    assert run.pool.closed
    assert run.loop.active == 2
    assert run.leftovers() == []
