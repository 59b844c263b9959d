"""A table is built between requests, not instead of them."""

import random
from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import Clock

from scalability.testing.upstreams import fake_pool
from scalability.upstream.building import SelectionBuilder
from scalability.upstream.selection.maglev import Maglev
from scalability.upstream.server import Server
from scalability.upstream.servers import Upstream
from scalability.upstream.spec import ServerSpec


class CountingClock(Clock):
    called = 0

    def callLater(self, delay: float, callable: Callable[..., object], *args: object, **kw: object) -> IDelayedCall:  # noqa: A002
        self.called += 1
        return super().callLater(delay, callable, *args, **kw)


class House:
    def __init__(self) -> None:
        self.clock = CountingClock()
        chance = random.Random(1)
        self.upstream = Upstream(lambda: Maglev[Server](chance.random, size=8209), fake_pool)
        self.builder = SelectionBuilder(self.clock, self.upstream)
        self.name("192.0.2.1:80", "192.0.2.2:80", "192.0.2.3:80")

    def name(self, *texts: str) -> None:
        self.upstream.name_servers("test", [ServerSpec.parse(text) for text in texts], trusted=True)

    def pieces(self) -> int:
        """How many calls there have been when the loop is idle, since the last time."""
        self.clock.advance(0)
        assert self.clock.getDelayedCalls() == []
        count, self.clock.called = self.clock.called, 0
        return count


def test_it_builds_in_many_turns_when_it_starts_and_when_servers_change() -> None:
    house = House()
    house.builder.startService()
    assert house.pieces() > 2
    assert not house.upstream.step()
    house.name("192.0.2.1:80", "192.0.2.2:80", "192.0.2.3:80", "192.0.2.4:80")
    assert house.pieces() > 2
    assert not house.upstream.step()


def test_it_has_nothing_to_do_when_the_servers_are_named_again() -> None:
    house = House()
    house.builder.startService()
    house.pieces()
    house.name("192.0.2.3:80", "192.0.2.2:80", "192.0.2.1:80")
    assert house.pieces() == 1


def test_it_leaves_off_when_it_stops() -> None:
    house = House()
    house.builder.startService()
    house.builder.stopService()
    assert house.clock.getDelayedCalls() == []
    house.name("192.0.2.1:80")
    assert house.clock.getDelayedCalls() == []
    house.builder.stopService()
