"""A child that ends when its parent does."""

import os
import subprocess
import sys
from typing import Any

from twisted.internet.error import ReactorNotRunning
from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.testing import MemoryReactor
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from scalability.lifecycle.parent import VARIABLE, ParentWatch, wanted


class Reactor(MemoryReactor):
    """Counts how often it is asked to stop."""

    def __init__(self) -> None:
        super().__init__()
        self.stops = 0

    def stop(self) -> None:
        self.stops += 1
        if self.stops > 1:
            raise ReactorNotRunning


class ParentWatchTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reading, self.writing = os.pipe()
        self.addCleanup(self.close)
        self.reactor: Any = Reactor()
        self.watch = ParentWatch(self.reactor, self.reactor, self.reading)

    def close(self) -> None:
        for fd in (self.reading, self.writing):
            try:
                os.close(fd)
            except OSError:
                continue

    def test_it_is_a_descriptor_that_the_reactor_can_read(self) -> None:
        verifyObject(IReadDescriptor, self.watch)
        assert self.watch.fileno() == self.reading
        assert self.watch.logPrefix() == "parent"
        self.watch.connectionLost()

    def test_it_watches_while_it_runs(self) -> None:
        self.watch.startService()
        assert self.reactor.getReaders() == [self.watch]
        assert not os.get_blocking(self.reading)
        self.watch.stopService()
        assert self.reactor.getReaders() == []
        self.watch.stopService()

    def test_stopping_before_starting_is_harmless(self) -> None:
        self.watch.stopService()
        assert self.reactor.getReaders() == []

    def test_what_the_parent_writes_is_read_and_means_nothing(self) -> None:
        self.watch.startService()
        os.write(self.writing, b"noise")
        self.watch.doRead()
        self.watch.doRead()  # nothing there: not an end
        assert self.reactor.stops == 0
        assert self.reactor.getReaders() == [self.watch]

    def test_the_end_of_the_pipe_stops_the_reactor_once(self) -> None:
        self.watch.startService()
        os.close(self.writing)
        assert self.watch.doRead() is None
        assert self.reactor.stops == 1
        assert self.reactor.getReaders() == []
        self.watch.stopService()

    def test_a_hang_up_stops_the_reactor_too(self) -> None:
        # what epoll reports when the writing end was closed and nothing is left to read: doRead is never called then
        self.watch.startService()
        self.watch.connectionLost()
        assert self.reactor.stops == 1
        assert self.reactor.getReaders() == []

    def test_a_descriptor_that_fails_counts_as_its_end(self) -> None:
        self.watch.startService()
        os.close(self.reading)
        self.watch.doRead()
        assert self.reactor.stops == 1

    def test_a_process_that_is_stopping_already_is_left_to_it(self) -> None:
        self.watch.startService()
        self.reactor.stop()
        os.close(self.writing)
        self.watch.doRead()
        assert self.reactor.stops == 2
        assert self.reactor.getReaders() == []


def test_a_real_process_ends_when_the_pipe_is_closed() -> None:
    program = (
        "from twisted.internet import reactor; from scalability.lifecycle import ParentWatch; "
        "ParentWatch(reactor, reactor).startService(); reactor.callWhenRunning(print, 'runs', flush=True); reactor.run()"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == b"runs\n"
        process.stdin.close()
        assert process.wait(10) == 0


def test_only_a_parent_that_asks_for_it_is_watched() -> None:
    assert wanted({VARIABLE: "1"})
    assert not wanted({VARIABLE: "0"})
    assert not wanted({})
