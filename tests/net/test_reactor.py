"""The lean reactor: installed where nothing else is, and as good as Twisted's."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.protocol import ClientFactory, Factory, Protocol
from twisted.python.failure import Failure

from scalability.net.reactor import CLIENTS_IN_TURN, LeanReactor
from scalability.net.transport import LeanServer, adopt_tcp, connect_tcp, listen_tcp
from scalability.testing.lean_reactor import lean_reactor
from scalability.testing.processes import environment

PROGRAM = """
import sys
{before}
from scalability.net.reactor import install
reactor = install()
assert install() is reactor
{after}
"""

SERVE = """
from twisted.internet.protocol import ClientFactory, Factory, Protocol
from twisted.logger import globalLogPublisher
from scalability.net.transport import LeanServer, connect_tcp, listen_tcp

events = []
errors = []

def note(event):
    failure = event.get("log_failure") or event.get("failure")
    if failure is not None:
        errors.append(failure.type.__name__)

globalLogPublisher.addObserver(note)

class Echo(Protocol):
    def dataReceived(self, data):
        assert isinstance(self.transport, LeanServer)
        if data == b"fail":
            raise ZeroDivisionError
        self.transport.write(data)

    def connectionLost(self, reason):
        events.append("server lost " + reason.type.__name__)

class Ask(Protocol):
    def connectionMade(self):
        self.transport.write(b"hello")

    def dataReceived(self, data):
        events.append(data)
        self.transport.write(b"fail")

    def connectionLost(self, reason):
        reactor.callLater(0, reactor.stop)

server = Factory.forProtocol(Echo)
client = ClientFactory.forProtocol(Ask)
port = listen_tcp(reactor, "127.0.0.1", 0, server)
connect_tcp(reactor, "127.0.0.1", port.getHost().port, client)
reactor.callLater(10, reactor.stop)
reactor.run()
print(type(reactor).__name__, events, errors)
"""


def run(before: str = "", after: str = "print(type(reactor).__name__)") -> str:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(before=before, after=after)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_it_is_installed_where_no_reactor_is() -> None:
    assert run() == "LeanReactor"


def test_its_clock_is_one_that_nobody_can_set() -> None:
    assert LeanReactor.seconds is time.monotonic


@pytest.mark.parametrize("leap_s", [-3600.0, 3600.0])
def test_timed_calls_are_neither_late_nor_early_when_the_date_is_set(reactor: Any, monkeypatch: pytest.MonkeyPatch, leap_s: float) -> None:
    began, real = time.monotonic(), time.time
    called: list[float] = []
    reactor.callLater(0.05, lambda: called.append(time.monotonic() - began))
    late = reactor.callLater(60.0, lambda: called.append(0.0))
    reactor.iterate(0)
    monkeypatch.setattr(time, "time", lambda: real() + leap_s)
    while not called:
        assert time.monotonic() - began < 10
        reactor.iterate(0.01)
    assert called[0] >= 0.05
    assert late.active()
    assert late.getTime() - reactor.seconds() == pytest.approx(60, abs=10)
    late.cancel()


@pytest.mark.parametrize("name", ["poll", "select", "asyncio"])
def test_a_reactor_that_the_user_named_stays(name: str) -> None:
    before = f"from twisted.internet import {name}reactor; {name}reactor.install()"
    assert run(before).lower().startswith(name)


@pytest.mark.parametrize("name", ["", "poll", "asyncio"])
def test_lean_transports_work_on_it_and_on_others_and_an_error_ends_one_connection_only(name: str) -> None:
    before = f"from twisted.internet import {name}reactor; {name}reactor.install()" if name else ""
    said = run(before, SERVE)
    assert said.endswith("[b'hello', 'server lost ZeroDivisionError'] ['ZeroDivisionError']"), said


class Echo(Protocol):
    """Sends back what comes; ``fail`` is a mistake of its own."""

    transport: Any
    lost: Failure | None = None

    def dataReceived(self, data: bytes) -> None:
        if data == b"fail":
            raise ZeroDivisionError
        self.transport.write(data)

    def connectionLost(self, reason: Failure = None) -> None:  # type: ignore[assignment]
        self.lost = reason


@pytest.fixture
def reactor() -> Iterator[Any]:
    """A lean reactor that is not installed: the test turns it."""
    with lean_reactor() as made:
        yield made


def connect(reactor: Any, factory: Any) -> socket.socket:
    factory.noisy = False
    port: Any = listen_tcp(reactor, "127.0.0.1", 0, factory)
    client = socket.create_connection(("127.0.0.1", port.getHost().port), timeout=5)
    reactor.iterate(1)
    return client


def test_a_read_event_reaches_the_protocol_in_one_turn(reactor: Any) -> None:
    with connect(reactor, Factory.forProtocol(Echo)) as client:
        client.sendall(b"hello")
        reactor.iterate(1)
        assert client.recv(10) == b"hello"


def test_an_error_in_a_protocol_is_logged_and_ends_its_connection_only(reactor: Any, logged_failures: Any) -> None:
    echoes: list[Echo] = []

    def build(addr: Any) -> Echo:
        echoes.append(Echo())
        return echoes[-1]

    factory = Factory()
    factory.buildProtocol = build  # type: ignore[method-assign]
    with connect(reactor, factory) as first, connect(reactor, factory) as second:
        first.sendall(b"fail")
        reactor.iterate(1)
        assert logged_failures.flush(ZeroDivisionError)
        failed = echoes[0].lost
        assert failed is not None
        assert failed.check(ZeroDivisionError)
        second.sendall(b"still here")
        reactor.iterate(1)
        assert second.recv(10) == b"still here"


def test_the_end_of_a_connection_is_told_with_its_reason(reactor: Any) -> None:
    echo = Echo()
    factory = Factory()
    factory.buildProtocol = lambda addr: echo  # type: ignore[method-assign]
    with connect(reactor, factory) as client:
        client.sendall(b"a")
        reactor.iterate(1)
    for _ in range(3):
        reactor.iterate(0.1)
    assert echo.lost is not None
    assert echo.lost.check(ConnectionDone, ConnectionLost)


def test_a_connection_that_another_event_of_the_same_turn_has_ended_is_passed_over(reactor: Any) -> None:
    echoes: list[Echo] = []

    class Rival(Echo):
        def dataReceived(self, data: bytes) -> None:
            for other in echoes:
                if other is not self:
                    other.transport.abortConnection()
            super().dataReceived(data)

    def build(addr: Any) -> Echo:
        echoes.append(Rival())
        return echoes[-1]

    factory = Factory()
    factory.buildProtocol = build  # type: ignore[method-assign]
    with connect(reactor, factory) as first, connect(reactor, factory) as second:
        first.sendall(b"1")
        second.sendall(b"2")
        reactor.iterate(1)
        reactor.iterate(0)
        assert sum(echo.lost is None for echo in echoes) == 1


class Last(Echo):
    """Says what it is told to, and closes."""

    answer = b"bye"

    def dataReceived(self, data: bytes) -> None:
        self.transport.write(self.answer)
        self.transport.loseConnection()
        assert self.lost is None, "nothing is told from within loseConnection"


def lasting(reactor: Any, **state: Any) -> tuple[Last, socket.socket]:
    last = Last()
    last.__dict__.update(state)
    factory = Factory()
    factory.buildProtocol = lambda addr: last  # type: ignore[method-assign]
    return last, connect(reactor, factory)


def test_who_is_closed_has_been_sent_everything_and_is_gone_at_the_end_of_the_turn(reactor: Any) -> None:
    last, client = lasting(reactor)
    with client:
        client.sendall(b"1")
        reactor.iterate(1)
        assert last.lost is not None
        assert last.lost.check(ConnectionDone)
        assert (client.recv(10), client.recv(10)) == (b"bye", b"")
    assert not [selectable for selectable in reactor.getReaders() + reactor.getWriters() if isinstance(selectable, LeanServer)]


def test_who_is_closed_and_does_not_read_is_sent_the_rest_first(reactor: Any) -> None:
    last, client = lasting(reactor, answer=bytes(8 << 20))
    with client:
        client.sendall(b"1")
        reactor.iterate(1)
        assert last.lost is None, "the kernel has not taken all"
        got = len(client.recv(1 << 20))
        client.setblocking(False)
        for _ in range(10_000):
            with suppress(BlockingIOError):
                got += len(client.recv(1 << 20))
            reactor.iterate(0.001)
            if got == 8 << 20:
                break
        assert got == 8 << 20
    assert last.lost is not None


def test_a_connection_may_be_closed_by_a_timed_call_and_after_a_fin(reactor: Any) -> None:
    for finished in (False, True):
        last, client = lasting(reactor)
        with client:
            if finished:
                client.shutdown(socket.SHUT_WR)
            else:
                reactor.callLater(0, lambda last=last: (last.transport.write(b"x"), last.transport.loseConnection()))
            for _ in range(3):
                reactor.iterate(0.05)
            assert last.lost is not None
            assert client.recv(10) == (b"" if finished else b"x")


def test_who_is_cut_off_after_being_closed_is_reset(reactor: Any) -> None:
    last, client = lasting(reactor)
    with client:
        reactor.callLater(0, lambda: (last.transport.loseConnection(), last.transport.abortConnection()))
        for _ in range(3):
            reactor.iterate(0.05)
        assert last.lost is not None
        assert last.lost.check(ConnectionAborted)
        with pytest.raises(ConnectionResetError):
            client.recv(10)


def test_a_producer_that_was_paused_is_asked_for_the_rest_before_its_connection_closes(reactor: Any) -> None:
    class Producing(Last):
        def dataReceived(self, data: bytes) -> None:
            self.transport.registerProducer(self, False)
            self.transport.loseConnection()

        def resumeProducing(self) -> None:
            self.transport.write(b"all")
            self.transport.unregisterProducer()

        def stopProducing(self) -> None:
            raise AssertionError("nothing is lost")

    last = Producing()
    factory = Factory()
    factory.buildProtocol = lambda addr: last  # type: ignore[method-assign]
    with connect(reactor, factory) as client:
        client.sendall(b"1")
        for _ in range(4):
            reactor.iterate(0.05)
        assert (client.recv(10), client.recv(10)) == (b"all", b"")


def test_a_protocol_that_fails_when_it_is_closed_harms_no_other(reactor: Any, logged_failures: Any) -> None:
    class Failing(Last):
        def connectionLost(self, reason: Failure = None) -> None:  # type: ignore[assignment]
            super().connectionLost(reason)
            raise ZeroDivisionError

    both = [Failing(), Failing()]
    made = iter(both)
    factory = Factory()
    factory.buildProtocol = lambda addr: next(made)  # type: ignore[method-assign]
    with connect(reactor, factory) as first, connect(reactor, factory) as second:
        for client in (first, second):
            client.sendall(b"1")
        reactor.iterate(1)
        reactor.iterate(0.05)
        assert all(one.lost is not None for one in both)
        assert len(logged_failures.flush(ZeroDivisionError)) == 2


class Recorder(Protocol):
    """Keeps what it hears, and tells ``heard``."""

    transport: Any

    def __init__(self, heard: list[bytes]) -> None:
        self.heard = heard
        self.lost: Failure | None = None

    def dataReceived(self, data: bytes) -> None:
        self.heard.append(data)

    def connectionLost(self, reason: Failure = None) -> None:  # type: ignore[assignment]
        self.lost = reason


def recording(heard: list[bytes]) -> tuple[Factory, list[Recorder]]:
    made: list[Recorder] = []
    factory = Factory()

    def build(addr: Any) -> Recorder:
        made.append(Recorder(heard))
        return made[-1]

    factory.buildProtocol = build  # type: ignore[method-assign]
    return factory, made


def test_of_many_clients_that_speak_at_once_some_are_heard_in_each_turn_in_their_order(reactor: Any) -> None:
    heard: list[bytes] = []
    factory, _ = recording(heard)
    with ExitStack() as stack:
        clients = [stack.enter_context(connect(reactor, factory)) for _ in range(2 * CLIENTS_IN_TURN + 5)]
        for number, client in enumerate(clients):
            client.sendall(b"%d" % number)
        turns = []
        for _ in range(4):
            reactor.iterate(0)
            turns.append(len(heard))
        assert turns == [CLIENTS_IN_TURN, 2 * CLIENTS_IN_TURN, len(clients), len(clients)]
        assert heard == [b"%d" % number for number in range(len(clients))]


def test_a_client_whose_turn_has_not_come_may_leave(reactor: Any) -> None:
    heard: list[bytes] = []
    factory, made = recording(heard)
    with ExitStack() as stack:
        clients = [stack.enter_context(connect(reactor, factory)) for _ in range(CLIENTS_IN_TURN + 3)]
        for client in clients:
            client.sendall(b"a")
        reactor.iterate(0)
        made[-1].transport.abortConnection()
        made[-2].transport.pauseProducing()
        for _ in range(3):
            reactor.iterate(0)
        assert len(heard) == len(clients) - 2
        made[-2].transport.resumeProducing()
        reactor.iterate(0)
        assert len(heard) == len(clients) - 1


def test_an_answer_is_heard_before_all_clients_are(reactor: Any) -> None:
    heard: list[bytes] = []
    factory, _ = recording(heard)
    answers: list[bytes] = []
    asking = ClientFactory()
    asking.noisy = False
    asking.buildProtocol = lambda addr: Recorder(answers)  # type: ignore[method-assign]
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        connect_tcp(reactor, "127.0.0.1", server.getsockname()[1], asking)
        reactor.iterate(0.01)
        answering = stack.enter_context(server.accept()[0])
        reactor.iterate(0.1)
        clients = [stack.enter_context(connect(reactor, factory)) for _ in range(3 * CLIENTS_IN_TURN)]
        for client in clients:
            client.sendall(b"a")
        reactor.iterate(0)
        answering.sendall(b"answer")
        reactor.iterate(0)
        assert answers == [b"answer"]
        assert len(heard) == 2 * CLIENTS_IN_TURN


@pytest.mark.parametrize("ends", [False, True])
def test_all_that_came_at_once_is_read_although_the_kernel_tells_it_only_once(reactor: Any, ends: bool) -> None:
    heard: list[bytes] = []
    factory, made = recording(heard)
    with connect(reactor, factory) as client:
        client.setblocking(False)
        sent = client.send(b"x" * 1_000_000)
        assert sent > 2 * 65536
        if ends:
            client.shutdown(socket.SHUT_WR)
        for _ in range(sent // 65536 + 3):
            reactor.iterate(0.01)
        assert sum(map(len, heard)) == sent
        assert (made[0].lost is not None) is ends


def test_a_paused_connection_is_not_read_and_loses_nothing(reactor: Any) -> None:
    heard: list[bytes] = []
    factory, made = recording(heard)
    with connect(reactor, factory) as client:
        client.setblocking(False)
        sent = client.send(b"x" * 1_000_000)
        reactor.iterate(0.01)
        made[0].transport.pauseProducing()
        before = len(heard)
        for _ in range(5):
            reactor.iterate(0.01)
        assert len(heard) == before
        made[0].transport.resumeProducing()
        for _ in range(sent // 65536 + 3):
            reactor.iterate(0.01)
        assert sum(map(len, heard)) == sent


def test_it_hears_a_client_that_it_is_writing_to_and_after_that_too(reactor: Any) -> None:
    heard: list[bytes] = []
    factory, made = recording(heard)
    with connect(reactor, factory) as client:
        much = b"y" * 8_000_000
        made[0].transport.write(much)
        assert made[0].transport in reactor.getWriters()
        client.sendall(b"meanwhile")
        reactor.iterate(0.01)
        assert heard == [b"meanwhile"]
        got = 0
        client.settimeout(0.01)
        while got < len(much):
            with suppress(TimeoutError):
                got += len(client.recv(1 << 20))
            reactor.iterate(0)
        reactor.iterate(0.01)
        assert made[0].transport not in reactor.getWriters()
        client.sendall(b"afterwards")
        reactor.iterate(0.1)
        assert heard == [b"meanwhile", b"afterwards"]
        assert isinstance(made[0].transport, LeanServer)


def test_an_interrupted_wait_is_no_error(reactor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted:
        def poll(self, timeout: float, events: int) -> None:
            raise InterruptedError

    poller = reactor._poller
    reactor._poller = Interrupted()
    reactor.doPoll(0)
    reactor._poller = poller


def test_the_parts_of_twisted_that_it_rests_on_are_there() -> None:
    """A change in Twisted's internals must fail here, not at a user's."""
    assert LeanReactor.doIteration is LeanReactor.doPoll
    for name in ("_doReadOrWrite", "_disconnectSelectable", "doPoll", "_add", "_remove"):
        assert callable(getattr(EPollReactor, name))
    reactor: Any = EPollReactor()
    try:
        assert isinstance(reactor._selectables, dict)
        assert isinstance(reactor._reads, set)
        assert isinstance(reactor._writes, set)
        assert callable(reactor._poller.poll)
    finally:
        reactor._poller.close()
        for descriptor in (reactor.waker.i, reactor.waker.o):
            os.close(descriptor)


def test_reactors_that_share_a_listening_socket_take_each_connection_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as shared, ExitStack() as stack:
        shared.setblocking(False)
        reactors = [LeanReactor(), LeanReactor()]
        accepted = [0, 0]
        for index, reactor in enumerate(reactors):
            stack.callback(reactor.removeAll)
            factory = Factory.forProtocol(Protocol)
            factory.noisy = False

            def build(addr: object, index: int = index) -> None:
                accepted[index] += 1

            factory.buildProtocol = build  # type: ignore[method-assign]
            port = adopt_tcp(reactor, os.dup(shared.fileno()), factory)
            stack.callback(port.connectionLost, Failure(ConnectionDone()))  # type: ignore[attr-defined]
        for _ in range(4):
            stack.enter_context(socket.create_connection(shared.getsockname()))
            for reactor in reactors:
                reactor.doPoll(0.05)
        assert sum(accepted) == 4
