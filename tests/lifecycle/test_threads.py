from collections.abc import Iterator
from threading import Event

import pytest
from twisted.internet.defer import CancelledError

from scalability.errors import Overloaded
from scalability.lifecycle.threads import Threads
from scalability.testing.stores import ThreadedClock


class Gate:
    def __init__(self) -> None:
        self.entered = Event()
        self.open = Event()

    def __call__(self) -> str:
        self.entered.set()
        assert self.open.wait(10)
        return "opened"


@pytest.fixture
def clock() -> ThreadedClock:
    return ThreadedClock()


@pytest.fixture
def returned() -> list[None]:
    return []


@pytest.fixture
def threads(clock: ThreadedClock, returned: list[None]) -> Iterator[Threads]:
    threads = Threads(clock, 1, name="test", limit=1, grace_s=5.0, returned=lambda: returned.append(None))
    threads.startService()
    yield threads
    if threads.running:
        clock.wait(threads.stopService())


def test_a_call_fires_with_its_result_or_its_error(clock: ThreadedClock, threads: Threads) -> None:
    assert clock.wait(threads.run(lambda: 5)) == 5
    with pytest.raises(ZeroDivisionError):
        clock.wait(threads.run(lambda: 1 // 0))
    with pytest.raises(SystemExit):
        clock.wait(threads.run(lambda: exit(1)))
    assert clock.wait(threads.run(lambda: 6)) == 6


def test_calls_wait_up_to_the_limit_and_then_are_refused(clock: ThreadedClock, threads: Threads) -> None:
    gate = Gate()
    first, second = threads.run(gate), threads.run(lambda: 2)
    assert (threads.busy, threads.waiting) == (1, 1)
    with pytest.raises(Overloaded):
        clock.wait(threads.run(lambda: 3))
    gate.open.set()
    assert clock.wait(first) == "opened"
    assert clock.wait(second) == 2


def test_a_cancelled_call_that_waits_never_runs(clock: ThreadedClock, threads: Threads) -> None:
    gate = Gate()
    ran: list[int] = []
    first, second = threads.run(gate), threads.run(lambda: ran.append(2))
    second.cancel()
    with pytest.raises(CancelledError):
        clock.wait(second)
    gate.open.set()
    clock.wait(first)
    assert clock.wait(threads.run(lambda: 3)) == 3
    assert ran == []


def test_a_cancelled_call_that_runs_is_abandoned_until_it_returns(clock: ThreadedClock, threads: Threads, returned: list[None]) -> None:
    gate = Gate()
    call = threads.run(gate)
    assert gate.entered.wait(10)
    call.cancel()
    with pytest.raises(CancelledError):
        clock.wait(call)
    assert (threads.busy, threads.abandoned, returned) == (1, 1, [])
    gate.open.set()
    clock.run_handed()
    assert (threads.busy, threads.abandoned, returned) == (0, 0, [None])


def test_stopping_waits_for_the_call_in_progress_and_refuses_those_that_wait(clock: ThreadedClock, threads: Threads) -> None:
    gate = Gate()
    first, second = threads.run(gate), threads.run(lambda: 2)
    stopping = threads.stopService()
    with pytest.raises(Overloaded):
        clock.wait(second)
    assert not stopping.called
    gate.open.set()
    clock.wait(stopping)
    assert clock.wait(first) == "opened"
    with pytest.raises(Overloaded):
        clock.wait(threads.run(lambda: 3))
    assert clock.getDelayedCalls() == []


def test_stopping_leaves_a_hung_call_behind_after_the_grace(clock: ThreadedClock, threads: Threads) -> None:
    gate = Gate()
    call = threads.run(gate)
    assert gate.entered.wait(10)
    stopping = threads.stopService()
    clock.advance(5.0)
    assert clock.wait(stopping) is None
    gate.open.set()
    assert clock.wait(call) == "opened"
