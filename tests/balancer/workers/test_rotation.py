"""SIGUSR1 to the parent reaches the workers, and ends nobody."""

import os
import signal
from collections.abc import Callable

from scalability.balancer.config import BalancerOptions
from scalability.balancer.traffic import Connections
from scalability.balancer.workers.parent import Workers
from scalability.balancer.workers.rotation import Rotation
from scalability.lifecycle import DeadlineWheel
from scalability.testing.memory import MemoryNetwork
from scalability.testing.played_workers import PlayedWorkers
from scalability.upstream.selection import RoundRobin
from scalability.upstream.servers import Upstream


class Network(MemoryNetwork):
    def callFromThread(self, call: Callable[[], None]) -> None:  # noqa: N802 - Twisted's name
        self.callLater(0, call)


def test_workers_that_serve_are_told_and_one_that_begins_is_not() -> None:
    network = Network()
    options = BalancerOptions(workers=2)
    upstream = Upstream(RoundRobin, Connections(network, options, DeadlineWheel(network)))
    processes = PlayedWorkers()
    workers = Workers(network, options, [], upstream, via="lb", start=processes.start)
    workers.startService()
    processes.started[0].serve()
    before = signal.getsignal(signal.SIGUSR1)
    rotation = Rotation(network, workers)
    rotation.startService()
    rotation.startService()
    try:
        os.kill(os.getpid(), signal.SIGUSR1)
        network.advance(0)
        assert [worker.signals for worker in processes.started] == [[signal.SIGUSR1], []]
    finally:
        rotation.stopService()
    rotation.stopService()
    assert signal.getsignal(signal.SIGUSR1) == before
