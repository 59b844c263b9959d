"""A question to all workers: the first that knows is heard, and silence ends."""

from typing import Any

import pytest
from twisted.internet.task import Clock

from scalability.balancer.workers.asking import DEADLINE_S, MOST, Questions
from scalability.errors import Overloaded

KNOWN = [{"server": "a"}]


class Scene:
    def __init__(self, *workers: int) -> None:
        self.clock = Clock()
        self.sent: list[tuple[int, str]] = []
        self.workers = list(workers)
        self.questions = Questions(self.clock, self._send)

    def _send(self, number: int, what: str) -> list[int]:
        self.sent.append((number, what))
        return self.workers

    def ask(self, what: str = "id") -> list[Any]:
        heard: list[Any] = []
        self.questions.ask(what).addCallback(heard.append)
        return heard


def test_the_first_worker_that_knows_is_heard() -> None:
    scene = Scene(0, 1, 2)
    heard = scene.ask("abc")
    assert scene.sent == [(1, "abc")]
    scene.questions.answered(0, 1, [])
    assert heard == []
    scene.questions.answered(2, 1, KNOWN)
    assert heard == [KNOWN]
    scene.questions.answered(1, 1, KNOWN)
    assert scene.clock.getDelayedCalls() == []


def test_when_none_knows_nobody_waits() -> None:
    scene = Scene(0, 1)
    heard = scene.ask()
    scene.questions.answered(0, 1, [])
    scene.questions.answered(0, 1, [])
    assert heard == [], "the same one twice is not both"
    scene.questions.answered(1, 1, [])
    assert heard == [[]]
    assert Scene().ask() == [[]], "there are no workers"


def test_one_that_is_silent_or_gone_is_not_waited_for() -> None:
    scene = Scene(0, 1)
    heard = scene.ask()
    scene.questions.answered(0, 1, [])
    scene.clock.advance(DEADLINE_S)
    assert heard == [[]]
    heard = scene.ask()
    scene.questions.gone(0)
    scene.questions.gone(1)
    assert heard == [[]]
    heard = scene.ask()
    scene.questions.stop()
    assert heard == [[]]
    assert scene.clock.getDelayedCalls() == []


def test_who_asks_no_longer_is_forgotten() -> None:
    scene = Scene(0)
    asked = scene.questions.ask("id")
    asked.addErrback(lambda _: None)
    asked.cancel()
    scene.questions.answered(0, 1, KNOWN)
    assert scene.clock.getDelayedCalls() == []


def test_there_are_only_so_many_questions_at_a_time() -> None:
    scene = Scene(0)
    for _ in range(MOST):
        scene.ask()
    with pytest.raises(Overloaded):
        scene.questions.ask("one more")
    scene.clock.advance(DEADLINE_S)
    scene.ask()
    scene.questions.stop()
