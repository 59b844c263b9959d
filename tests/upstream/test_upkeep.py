"""What an upstream has to do from time to time is done."""

from typing import cast

from twisted.internet.task import Clock

from scalability.upstream.servers import Upstream
from scalability.upstream.upkeep import Upkeep


class Noted:
    """An upstream that notes what is asked of it, and when."""

    def __init__(self, clock: Clock) -> None:
        self.queueing = False
        self.calls: list[tuple[float, str]] = []
        self._clock = clock

    def _note(self, what: str) -> None:
        self.calls.append((self._clock.seconds(), what))

    def expire_line(self) -> None:
        self._note("expire_line")

    def cool(self) -> None:
        self._note("cool")

    def sweep(self) -> None:
        self._note("sweep")

    def warm_up(self) -> None:
        self._note("warm_up")

    def when(self, what: str) -> list[float]:
        return [at for at, name in self.calls if name == what]


def kept(seconds: float, *, queueing: bool = False) -> Noted:
    clock = Clock()
    upstream = Noted(clock)
    upstream.queueing = queueing
    upkeep = Upkeep(clock, cast(Upstream, upstream))
    upkeep.startService()
    clock.pump([0.25] * round(seconds / 0.25))
    upkeep.stopService()
    clock.pump([0.25] * 8)
    return upstream


def test_breakers_cool_four_times_a_second_and_servers_are_compared_and_warmed_up_once() -> None:
    upstream = kept(2.0)
    assert upstream.when("cool") == [0.25 * tick for tick in range(9)]
    assert upstream.when("sweep") == upstream.when("warm_up") == [0.75, 1.75]


def test_the_line_is_looked_at_while_somebody_waits() -> None:
    assert kept(1.0).when("expire_line") == []
    assert kept(1.0, queueing=True).when("expire_line") == [0.0, 0.25, 0.5, 0.75, 1.0]
