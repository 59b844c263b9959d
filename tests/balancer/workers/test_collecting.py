"""Rounds of questions: fresh for who asks, bounded in number and in time."""

from collections.abc import Iterable

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from scalability.balancer.workers.collecting import DEADLINE_S, SPACING_S, Rounds


class Asking:
    def __init__(self, *workers: int) -> None:
        self.clock = Clock()
        self.workers = list(workers)
        self.asked: list[int] = []
        self.rounds = Rounds(self.clock, self._ask)

    def _ask(self, number: int) -> Iterable[int]:
        self.asked.append(number)
        return self.workers

    def answer(self) -> None:
        for worker in self.workers:
            self.rounds.reported(worker, self.asked[-1])

    def fresh(self) -> list[None]:
        fired: list[None] = []
        self.rounds.fresh().addCallback(fired.append)
        return fired


def test_a_round_ends_when_every_worker_has_reported() -> None:
    asking = Asking(0, 1)
    fired = asking.fresh()
    assert asking.asked == [1]
    asking.rounds.reported(0, 1)
    assert fired == []
    asking.rounds.reported(0, 1)
    asking.rounds.reported(1, 1)
    assert fired == [None]
    assert asking.clock.getDelayedCalls() == []


def test_who_asks_during_a_round_waits_for_the_next_one() -> None:
    asking = Asking(0)
    first, second, third = asking.fresh(), asking.fresh(), asking.fresh()
    assert asking.asked == [1]
    asking.answer()
    assert (first, second) == ([None], [])
    asking.clock.advance(SPACING_S)
    assert asking.asked == [1, 2]
    asking.answer()
    assert (second, third) == ([None], [None])


def test_rounds_begin_no_more_often_than_their_spacing() -> None:
    asking = Asking(0)
    for _ in range(100):
        asking.fresh()
        if len(asking.asked):
            asking.answer()
        asking.clock.advance(SPACING_S / 10)
    assert len(asking.asked) <= 11


def test_a_worker_that_says_nothing_is_not_waited_for_longer_than_the_deadline() -> None:
    asking = Asking(0, 1)
    fired = asking.fresh()
    asking.rounds.reported(0, 1)
    asking.clock.advance(DEADLINE_S)
    assert fired == [None]
    asking.rounds.reported(1, 1)  # too late, and harmless
    assert asking.clock.getDelayedCalls() == []


def test_a_worker_that_ends_is_not_waited_for() -> None:
    asking = Asking(0, 1)
    fired = asking.fresh()
    asking.rounds.reported(0, 1)
    asking.rounds.gone(1)
    asking.rounds.gone(1)
    assert fired == [None]


def test_without_a_worker_there_is_nothing_to_wait_for() -> None:
    assert Asking().fresh() == [None]


def test_an_answer_to_an_earlier_round_does_not_count() -> None:
    asking = Asking(0)
    asking.fresh()
    asking.clock.advance(DEADLINE_S)
    fired = asking.fresh()
    asking.rounds.reported(0, 1)
    assert fired == []
    asking.rounds.reported(0, 2)
    assert fired == [None]


def test_who_gives_up_is_forgotten() -> None:
    asking = Asking(0)
    failures: list[bool] = []
    waiting: list[Deferred[None]] = [asking.rounds.fresh(), asking.rounds.fresh()]
    for waiter in waiting:
        waiter.addErrback(lambda failure: failures.append(failure.check(CancelledError) is not None))
        waiter.cancel()
    asking.answer()
    asking.clock.advance(1)
    assert failures == [True, True]


def test_stopping_lets_everyone_go() -> None:
    asking = Asking(0)
    first, second = asking.fresh(), asking.fresh()
    asking.rounds.stop()
    assert (first, second) == ([None], [None])
    assert asking.clock.getDelayedCalls() == []
    asking.rounds.stop()
