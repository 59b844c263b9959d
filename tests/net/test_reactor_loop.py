"""The lean reactor's main loop: what Twisted's does in every turn is done whenever there is something to do."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure

from scalability.net.reactor import CLIENTS_IN_TURN, LOOK_S
from scalability.net.transport import listen_tcp
from scalability.testing.lean_reactor import lean_reactor

LONG_S = 10.0
"""No test waits so long."""


@pytest.fixture
def reactor() -> Iterator[Any]:
    """A lean reactor that is not installed."""
    with lean_reactor() as made:
        yield made


def run(reactor: Any) -> float:
    """Run it until something stops it; how long that took, in seconds."""
    began = time.monotonic()
    watch = threading.Timer(LONG_S, lambda: reactor.callFromThread(reactor.stop))
    watch.daemon = True
    watch.start()
    reactor.run(installSignalHandlers=False)
    watch.cancel()
    took = time.monotonic() - began
    assert took < LONG_S, "nothing has stopped it"
    return took


class Talker(Protocol):
    """Sends back what comes, and does what ``heard`` and ``lost`` do."""

    transport: Any

    def __init__(self, heard: Callable[["Talker", bytes], None], lost: Callable[["Talker"], None]) -> None:
        self.heard = heard
        self.lost = lost

    def dataReceived(self, data: bytes) -> None:
        self.heard(self, data)

    def connectionLost(self, reason: Failure = None) -> None:  # type: ignore[assignment]
        self.lost(self)


def nothing(*_: object) -> None:
    """What most do."""


def serve(reactor: Any, heard: Callable[[Talker, bytes], None], lost: Callable[[Talker], None] = nothing) -> Callable[[], socket.socket]:
    """Listen; what is returned connects to it."""
    factory = Factory()
    factory.noisy = False
    factory.buildProtocol = lambda addr: Talker(heard, lost)  # type: ignore[method-assign]
    port: Any = listen_tcp(reactor, "127.0.0.1", 0, factory)
    return lambda: socket.create_connection(("127.0.0.1", port.getHost().port), timeout=5)


def test_timed_calls_are_run_in_time_and_order_while_connections_are_busy(reactor: Any) -> None:
    clients: list[socket.socket] = []
    called: list[tuple[str, float]] = []
    turns = 0

    def heard(talker: Talker, data: bytes) -> None:
        nonlocal turns
        turns += 1
        clients[0].sendall(b"more")  # there is something to read in every turn

    connect = serve(reactor, heard)
    began = time.monotonic()
    for name, delay in (("second", 0.06), ("first", 0.03), ("last", 0.09)):
        reactor.callLater(delay, lambda name=name: called.append((name, time.monotonic() - began)))
    reactor.callLater(0.09, reactor.stop)
    with connect() as client:
        clients.append(client)
        client.sendall(b"more")
        run(reactor)
    assert [name for name, _ in called] == ["first", "second", "last"]
    for (_, at), wanted in zip(called, (0.03, 0.06, 0.09), strict=True):
        assert at >= wanted - 0.001
    assert turns > 100


def test_a_call_that_another_one_asks_for_in_the_same_turn_is_run_in_the_next(reactor: Any) -> None:
    order: list[int] = []

    def count(number: int) -> None:
        order.append(number)
        reactor.callLater(0, count, number + 1) if number < 5 else reactor.stop()

    reactor.callLater(0, count, 1)
    assert run(reactor) < 1
    assert order == [1, 2, 3, 4, 5]


def test_a_call_that_is_moved_is_run_when_it_is_due_now(reactor: Any) -> None:
    soon = reactor.callLater(LOOK_S * 2, reactor.stop)
    later = reactor.callLater(0.02, lambda: pytest.fail("it was moved"))
    reactor.callLater(0.01, later.delay, LOOK_S)
    reactor.callLater(0.05, soon.reset, 0.01)
    assert run(reactor) >= 0.06
    assert later.active()
    later.cancel()


def test_a_call_that_is_cancelled_is_not_run(reactor: Any) -> None:
    call = reactor.callLater(0.02, lambda: pytest.fail("it was cancelled"))
    reactor.callLater(0.01, call.cancel)
    reactor.callLater(0.05, reactor.stop)
    run(reactor)


def test_another_thread_s_call_is_run_at_once_although_there_is_nothing_else_to_do(reactor: Any) -> None:
    thread = threading.Timer(0.05, reactor.callFromThread, (reactor.stop,))
    thread.start()
    assert 0.05 <= run(reactor) < LONG_S / 2
    thread.join()


def test_it_may_be_stopped_by_what_a_connection_hears(reactor: Any) -> None:
    with serve(reactor, lambda talker, data: reactor.stop())() as client:
        client.sendall(b"stop")
        run(reactor)


@pytest.mark.parametrize("timed", [False, True])
def test_it_may_be_stopped_as_a_connection_ends_with_its_turn(reactor: Any, timed: bool) -> None:
    def heard(talker: Talker, data: bytes) -> None:
        if timed:
            reactor.callLater(0, talker.transport.loseConnection)
        else:
            talker.transport.loseConnection()

    with serve(reactor, heard, lambda talker: reactor.stop() if reactor.running else None)() as client:
        client.sendall(b"close")
        run(reactor)


def test_a_crash_ends_it_without_its_shutdown(reactor: Any) -> None:
    told: list[str] = []
    reactor.addSystemEventTrigger("before", "shutdown", told.append, "shutdown")
    reactor.callLater(0.01, reactor.crash)
    run(reactor)
    assert told == []


def test_what_a_shutdown_waits_for_is_run(reactor: Any) -> None:
    from twisted.internet.task import deferLater

    began = time.monotonic()
    reactor.addSystemEventTrigger("before", "shutdown", lambda: deferLater(reactor, 0.05, nothing))
    reactor.callWhenRunning(reactor.stop)
    run(reactor)
    assert time.monotonic() - began >= 0.05


def test_what_an_ending_connection_writes_to_others_is_sent(reactor: Any) -> None:
    talkers: list[Talker] = []

    def heard(talker: Talker, data: bytes) -> None:
        talkers.append(talker)
        if data == b"close":
            talker.transport.loseConnection()

    def lost(talker: Talker) -> None:
        if reactor.running:
            talkers[0].transport.write(b"gone")

    connect = serve(reactor, heard, lost)
    with connect() as first, connect() as second:
        first.sendall(b"stay")
        reactor.callLater(0.05, second.sendall, b"close")
        reactor.callLater(0.2, reactor.stop)
        run(reactor)
        assert first.recv(10) == b"gone"


def test_a_connection_that_fails_as_it_ends_takes_no_event_from_others(reactor: Any, logged_failures: Any) -> None:
    """Each event is told only once: one that is not handed out would be lost."""
    echoed: list[bytes] = []

    def heard(talker: Talker, data: bytes) -> None:
        echoed.append(data)
        if data == b"fail":
            raise KeyError

    def lost(talker: Talker) -> None:
        if reactor.running:
            raise ZeroDivisionError

    connect = serve(reactor, heard, lost)
    clients = [connect() for _ in range(6)]
    reactor.iterate(0.1)
    reactor.iterate(0)
    for client in clients[:2]:
        client.close()
    for client in clients[2:4]:
        client.sendall(b"fail")
    for client in clients[4:]:
        client.sendall(b"heard")
    reactor.callLater(0.1, reactor.stop)
    run(reactor)
    assert echoed.count(b"heard") == 2
    assert len(logged_failures.flush(ZeroDivisionError)) == 4
    assert len(logged_failures.flush(KeyError)) == 2
    for client in clients[2:]:
        client.close()


def test_an_error_of_the_loop_itself_is_logged_and_what_was_written_is_sent(reactor: Any, logged_failures: Any) -> None:
    real = reactor._unusual

    def fail(fd: int, event: int) -> None:
        reactor._unusual = real
        talkers[0].transport.write(b"held")
        raise ZeroDivisionError

    talkers: list[Talker] = []
    connect = serve(reactor, lambda talker, data: talkers.append(talker))
    with connect() as client:
        client.sendall(b"here I am")
        reactor.iterate(0.1)
        reactor.iterate(0.1)
        reactor._unusual = fail
        reactor.callLater(0.02, reactor.callFromThread, nothing)  # the waker's event is an unusual one
        got: list[bytes] = []
        client.settimeout(0)
        # before this turn's end, which would send it
        reactor.callLater(0.1, lambda: got.append(client.recv(10)))
        reactor.callLater(0.1, reactor.stop)
        run(reactor)
        assert logged_failures.flush(ZeroDivisionError)
        assert got == [b"held"]


def test_a_crowd_s_requests_are_all_heard_by_the_running_loop(reactor: Any) -> None:
    heard: list[bytes] = []

    def hear(talker: Talker, data: bytes) -> None:
        heard.append(data)
        if len(heard) == 3 * CLIENTS_IN_TURN:
            reactor.stop()

    connect = serve(reactor, hear)
    clients = [connect() for _ in range(3 * CLIENTS_IN_TURN)]
    for client in clients:
        client.sendall(b"x")
    run(reactor)
    for client in clients:
        client.close()


class Answering(Protocol):
    """Answers what comes at once; ``push`` is written first."""

    transport: Any

    def __init__(self) -> None:
        self.push = b""
        self.plain: list[bytes] = []

    def connectionMade(self) -> None:
        self.transport.receive_with(self.answer, 4)

    def dataReceived(self, data: bytes) -> None:
        self.plain.append(data)

    def answer(self, data: bytes) -> bytes | None:
        if self.push:
            self.transport.write(self.push)
        return data if data != b"none" else None


def test_what_a_receiver_answers_follows_what_was_written_before(reactor: Any) -> None:
    made = Answering()
    factory = Factory()
    factory.noisy = False
    factory.buildProtocol = lambda addr: made  # type: ignore[method-assign]
    port: Any = listen_tcp(reactor, "127.0.0.1", 0, factory)
    with socket.create_connection(("127.0.0.1", port.getHost().port), timeout=5) as client:

        def ask(data: bytes) -> bytes:
            client.sendall(data)
            for _ in range(3):
                reactor.iterate(0.05)
            return client.recv(1 << 20)

        assert ask(b"first") == b"first"
        long = b"long" * 500
        assert ask(long) == long, "more than was expected, in pieces"
        made.push = b"pushed "
        assert ask(b"second") == b"pushed second"
        assert ask(b"none") == b"pushed "
        made.transport.protocol = made  # as when TLS begins
        client.sendall(b"plain")
        reactor.iterate(0.1)
        assert made.plain == [b"plain"]


@pytest.mark.parametrize("kilobytes", [1, 4_000])
def test_what_a_receiver_answers_waits_behind_what_the_kernel_has_not_taken(reactor: Any, kilobytes: int) -> None:
    made = Answering()
    factory = Factory()
    factory.noisy = False
    factory.buildProtocol = lambda addr: made  # type: ignore[method-assign]
    port: Any = listen_tcp(reactor, "127.0.0.1", 0, factory)
    with socket.create_connection(("127.0.0.1", port.getHost().port), timeout=5) as client:
        reactor.iterate(0.1)
        made.transport.write(b"x" * 1000 * kilobytes)
        client.sendall(b"last")
        got = b""
        client.settimeout(0.01)
        while not got.endswith(b"last"):
            reactor.iterate(0.001)
            try:
                got += client.recv(1 << 20)
            except TimeoutError:
                continue
        assert len(got) == 1000 * kilobytes + 4


class Reader:
    """A descriptor that is no connection; what comes makes it ``do``."""

    def __init__(self, reactor: Any, do: Callable[[], None]) -> None:
        self.fd, self.other = os.pipe()
        self.do = do
        reactor.addReader(self)
        os.write(self.other, b"x")

    def fileno(self) -> int:
        return self.fd

    def logPrefix(self) -> str:
        return "reader"

    def doRead(self) -> None:
        os.read(self.fd, 10)
        self.do()

    def connectionLost(self, reason: Failure) -> None:
        os.close(self.fd)
        os.close(self.other)


def test_what_a_nested_iteration_has_put_in_order_is_run_when_it_is_due(reactor: Any) -> None:
    def nest() -> None:
        reactor.callLater(0.05, reactor.stop)
        reactor.iterate(0)

    Reader(reactor, nest)
    assert run(reactor) < 1


def test_after_a_crash_nothing_is_run(reactor: Any) -> None:
    ran: list[int] = []

    def crash() -> None:
        reactor.callLater(0, ran.append, 1)
        reactor.crash()

    Reader(reactor, crash)
    run(reactor)
    assert ran == []


def test_without_memory_to_read_into_one_connection_is_lost_and_no_other_s_event(reactor: Any, logged_failures: Any) -> None:
    class Full:
        def __init__(self, plug: Any) -> None:
            self.plug = plug

        def recv(self, size: int) -> bytes:
            raise MemoryError

        def __getattr__(self, name: str) -> Any:
            return getattr(self.plug, name)

    heard: list[bytes] = []
    made: list[Talker] = []
    factory = Factory()
    factory.noisy = False

    def build(addr: Any) -> Talker:
        made.append(Talker(lambda talker, data: heard.append(data), nothing))
        return made[-1]

    factory.buildProtocol = build  # type: ignore[method-assign]
    port: Any = listen_tcp(reactor, "127.0.0.1", 0, factory)
    clients = [socket.create_connection(("127.0.0.1", port.getHost().port), timeout=5) for _ in range(4)]
    reactor.iterate(0.1)
    reactor.iterate(0)
    wire = made[0].transport.wire
    wire.socket = Full(wire.socket)
    for client in clients:
        client.sendall(b"x")
    reactor.callLater(0.1, reactor.stop)
    run(reactor)
    assert heard == [b"x"] * 3
    assert logged_failures.flush(MemoryError)
    for client in clients:
        client.close()


def test_a_client_that_speaks_while_it_is_written_to_leaves_nothing_to_do(reactor: Any) -> None:
    """Data and room to write in one event are no reason to read for ever."""

    def heard(talker: Talker, data: bytes) -> None:
        if data == b"much":
            talker.transport.write(b"x" * 10_000_000)

    with serve(reactor, heard)() as client:
        reactor.iterate(0.1)
        client.sendall(b"much")
        reactor.iterate(0.1)
        reactor.iterate(0.1)
        client.sendall(b"hello")
        left = 10_000_000
        client.settimeout(0.01)
        while left:
            try:
                left -= len(client.recv(1 << 20))
            except TimeoutError:
                reactor.iterate(0.01)
        for _ in range(3):
            reactor.iterate(0)
        began = time.monotonic()
        reactor.iterate(0.05)
        assert time.monotonic() - began >= 0.04, "it waits for something to do"
