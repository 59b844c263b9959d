"""Starting a worker's process, and noticing its end; the reactor is played by the test."""

import os
import socket
import sys
from typing import Any

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.python.failure import Failure

import scalability
from scalability.balancer.workers.frames import frame
from scalability.balancer.workers.messages import Collect, Serving
from scalability.balancer.workers.spawning import LINK_GRACE_S, environment, starter
from scalability.lifecycle.parent import VARIABLE
from scalability.testing.memory import MemoryNetwork, MemoryTransport


class Reactor(MemoryNetwork):
    """Spawns one process in name only."""

    def __init__(self) -> None:
        super().__init__()
        self.spawned: list[Any] = []
        self.signals: list[str] = []
        self.refused = False
        self.gone = False
        self.link: Any = None
        self.protocol: Any = None

    def adoptStreamConnection(self, descriptor: int, family: int, factory: Any) -> None:  # noqa: N802 - Twisted's names
        assert family == socket.AF_UNIX
        protocol = factory.buildProtocol(None)
        self.link = MemoryTransport(protocol, self, IPv4Address("TCP", "192.0.2.1", 1))
        protocol.makeConnection(self.link)

    def spawnProcess(self, protocol: Any, executable: str, args: Any, env: Any, path: Any, childFDs: Any) -> None:  # noqa: N802, N803
        if self.refused:
            raise OSError(11, "no more processes")
        for descriptor in childFDs.values():
            os.fstat(descriptor)
        self.spawned.append((executable, args, env, childFDs))
        self.protocol = protocol
        protocol.transport = self

    def signalProcess(self, name: str) -> None:  # noqa: N802
        if self.gone:
            raise ProcessExitedAlready
        self.signals.append(name)


class Heard:
    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.readied = 0
        self.reasons: list[Failure] = []

    def received(self, message: Any) -> None:
        self.messages.append(message)

    def ready(self) -> None:
        self.readied += 1

    def ended(self, reason: Failure) -> None:
        self.reasons.append(reason)


class Started:
    def __init__(self) -> None:
        self.reactor = Reactor()
        self.heard = Heard()
        self.worker = starter(self.reactor, {"PATH": "/bin"})(1, self.heard, [0, 1])


def test_a_worker_gets_its_link_the_standard_streams_and_the_sockets_and_a_reactor_like_ours() -> None:
    started = Started()
    ((executable, args, env, descriptors),) = started.reactor.spawned
    assert executable == args[0] == sys.executable
    assert args[1:] == ["-m", "scalability.balancer.workers.child", "2", Reactor.__module__]
    assert (descriptors[1], descriptors[2], descriptors[3], descriptors[4]) == (1, 2, 0, 1)
    assert sorted(descriptors) == [0, 1, 2, 3, 4]
    assert env["PATH"] == "/bin"


def test_messages_pass_both_ways_and_a_slow_worker_is_noticed() -> None:
    started = Started()
    started.reactor.link.deliver(frame(Serving()))
    assert started.heard.messages == [Serving()]
    started.worker.send(Collect(1))
    assert started.reactor.link.taken() == frame(Collect(1))
    started.reactor.link.stop_taking()
    while not started.worker.full:
        started.worker.send(Collect(2))
    started.reactor.link.take_all()
    assert (started.worker.full, started.heard.readied) == (False, 1)


def test_it_has_ended_when_the_process_has_and_all_that_it_said_was_read() -> None:
    started = Started()
    reason = Failure(ProcessDone(0))
    started.reactor.protocol.processEnded(reason)
    started.reactor.link.deliver(frame(Serving()))
    assert started.heard.reasons == []
    started.reactor.link.reset()
    assert started.heard.messages == [Serving()]
    assert started.heard.reasons == [reason]
    assert started.reactor.getDelayedCalls() == []


def test_a_link_that_stays_open_after_the_end_is_closed() -> None:
    started = Started()
    started.reactor.protocol.processEnded(Failure(ProcessDone(0)))
    started.reactor.advance(LINK_GRACE_S)
    started.reactor.advance(0)
    assert len(started.heard.reasons) == 1


def test_a_worker_whose_link_is_lost_is_killed_unless_it_ends_by_itself() -> None:
    started = Started()
    started.reactor.link.reset()
    assert started.heard.reasons == []
    started.reactor.advance(LINK_GRACE_S)
    assert started.reactor.signals == ["KILL"]
    started.reactor.protocol.processEnded(Failure(ProcessTerminated(None, 9)))
    assert len(started.heard.reasons) == 1
    other = Started()
    other.reactor.link.reset()
    other.reactor.protocol.processEnded(Failure(ProcessDone(0)))
    other.reactor.advance(LINK_GRACE_S)
    assert other.reactor.signals == []


def test_signals_are_passed_on_while_there_is_a_process() -> None:
    started = Started()
    started.worker.signal("TERM")
    assert started.reactor.signals == ["TERM"]
    started.reactor.gone = True
    started.worker.signal("TERM")
    assert started.reactor.signals == ["TERM"]


def test_one_that_cannot_be_started_leaves_nothing_open() -> None:
    reactor = Reactor()
    reactor.refused = True
    heard = Heard()
    with pytest.raises(OSError, match="no more processes"):
        starter(reactor, {})(0, heard, [])
    assert reactor.link.ended == "closed"
    reactor.advance(2)
    assert heard.reasons == []


def test_a_worker_finds_the_package_and_watches_no_standard_input() -> None:
    ours = os.path.dirname(os.path.dirname(os.path.abspath(scalability.__file__)))
    assert environment({VARIABLE: "1", "A": "b"}) == {"A": "b", "PYTHONPATH": ours}
    assert environment({"PYTHONPATH": f"/x:{ours}:"})["PYTHONPATH"] == f"{ours}:/x"
