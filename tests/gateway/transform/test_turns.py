"""Everybody's piece in turn, and only so much a turn."""

from collections.abc import Callable

from twisted.internet.task import Clock

from scalability.gateway.transform.turns import TURN_S, Turns


class Working(Clock):
    """Time passes while something works; turns of the loop are made one by one."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[str] = []

    def work(self, name: str, seconds: float, then: Callable[[], None] | None = None) -> Callable[[], None]:
        def work() -> None:
            self.done.append(name)
            self.rightNow += seconds
            if then is not None:
                then()

        return work

    def turn(self) -> None:
        """One turn of the loop: what is due now, and nothing that asks for the next."""
        due, self.calls = self.calls, []
        for call in due:
            call.called = 1
            call.func(*call.args, **call.kw)


def test_a_turn_ends_when_its_time_is_used_up() -> None:
    clock = Working()
    turns = Turns(clock)
    for name in "abcde":
        turns.ask(clock.work(name, TURN_S / 2))
    assert clock.done == []
    clock.turn()
    assert (clock.done, len(turns)) == (["a", "b"], 3)
    clock.turn()
    clock.turn()
    assert (clock.done, len(turns)) == (list("abcde"), 0)
    assert clock.getDelayedCalls() == []


def test_who_asks_again_waits_for_the_others() -> None:
    clock = Working()
    turns = Turns(clock)
    turns.ask(clock.work("a", 0.0, lambda: turns.ask(clock.work("a again", 0.0))))
    turns.ask(clock.work("b", 0.0))
    clock.turn()
    assert clock.done == ["a", "b", "a again"]


def test_it_rests_and_begins_anew() -> None:
    clock = Working()
    turns = Turns(clock)
    for name in "ab":
        turns.ask(clock.work(name, 0.0))
        clock.turn()
    assert clock.done == ["a", "b"]
