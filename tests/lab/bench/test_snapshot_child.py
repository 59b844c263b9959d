"""What the process of the snapshot benchmark measures."""

import time
from typing import Any

from twisted.internet.task import deferLater

from scalability.lab.bench.snapshot_child import Turns, filled, held, resident_mb


async def test_a_hold_is_the_longest_time_between_two_turns() -> None:
    from twisted.internet import reactor

    async def work() -> None:
        await deferLater(reactor, 0.01)
        time.sleep(0.05)
        await deferLater(reactor, 0.01)

    told = await held(reactor, work())
    assert told.took_s >= 0.07
    assert told.hold_ms >= 50
    assert told.cpu_hold_ms < told.hold_ms


async def test_nothing_is_left_behind() -> None:
    from twisted.internet import reactor as global_reactor

    reactor: Any = global_reactor
    turns = Turns(reactor)
    await deferLater(reactor, 0.01)
    turns.stop()
    assert not turns._call.active()


def test_a_filled_cache_has_that_many_entries() -> None:
    assert len(filled(1_000, 5.0)) == 1_000
    assert resident_mb() > 1
