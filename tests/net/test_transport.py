"""The lean transports, on real loopback sockets: what matters here is what the kernel does."""

import errno
import socket
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.posixbase import PosixReactorBase
from twisted.internet.protocol import ClientFactory, Factory, Protocol
from twisted.internet.task import deferLater
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import globalLogPublisher
from twisted.python.failure import Failure
from zope.interface import implementer

from scalability.net.transport import HIGH_WATERMARK, LeanClient, LeanPort, LeanServer, connect_tcp, listen_tcp


@implementer(IHalfCloseableProtocol)
class Peer(Protocol):
    """Remembers what happens to it."""

    transport: Any

    def __init__(self) -> None:
        self.got = bytearray()
        self.events: list[str] = []
        self.made: Deferred[Peer] = Deferred()
        self.lost: Deferred[str] = Deferred()

    def connectionMade(self) -> None:
        self.made.callback(self)

    def dataReceived(self, data: bytes) -> None:
        self.got += data

    def readConnectionLost(self) -> None:
        self.events.append("fin")

    def writeConnectionLost(self) -> None:
        self.events.append("shut")

    def connectionLost(self, reason: Failure = None) -> None:  # type: ignore[assignment]
        self.events.append("lost")
        self.lost.callback(type(reason.value).__name__)

    def pauseProducing(self) -> None:
        self.events.append("pause")

    def resumeProducing(self) -> None:
        self.events.append("resume")

    def stopProducing(self) -> None:
        self.events.append("stop")


class Listening:
    """A lean port that remembers its protocols, and a plain socket connected to it."""

    def __init__(self, reactor: Any) -> None:
        self.peer = Peer()
        factory = Factory()
        factory.noisy = False
        factory.buildProtocol = lambda addr: self.peer  # type: ignore[method-assign]
        port: Any = listen_tcp(reactor, "127.0.0.1", 0, factory)
        self.port = port
        self.client = socket.create_connection(("127.0.0.1", port.getHost().port))
        self.client.settimeout(10)
        self.client.setblocking(False)

    async def close(self) -> None:
        self.client.close()
        if not self.peer.lost.called:
            self.peer.transport.abortConnection()
            await self.peer.lost
        await self.port.stopListening()


async def until(reactor: Any, condition: Callable[[], Any]) -> None:
    while not condition():
        await deferLater(reactor, 0.005)


async def read(reactor: Any, client: socket.socket, count: int) -> bytes:
    got = bytearray()
    while len(got) < count:
        try:
            data = client.recv(1 << 20)
        except BlockingIOError:
            await deferLater(reactor, 0.001)
            continue
        if not data:
            break
        got += data
    return bytes(got)


@pytest_twisted.ensureDeferred
async def test_a_write_is_with_the_kernel_at_once() -> None:
    from twisted.internet import reactor

    listening = Listening(reactor)
    await listening.peer.made
    assert isinstance(listening.peer.transport, LeanServer)
    assert isinstance(listening.port, LeanPort)
    listening.peer.transport.write(b"now")
    assert listening.client.recv(10) == b"now"  # not one turn of the reactor in between
    listening.peer.transport.writeSequence([b"a", b"b"])
    assert listening.client.recv(10) == b"ab"
    assert listening.peer.transport not in reactor.getWriters()
    await listening.close()


@pytest_twisted.ensureDeferred
async def test_what_the_kernel_refuses_waits_in_order_and_pauses_the_producer() -> None:
    from twisted.internet import reactor

    listening = Listening(reactor)
    peer = await listening.peer.made
    peer.transport.registerProducer(peer, True)
    parts = [bytes([n]) * 300_000 for n in range(40)]
    for part in parts:
        peer.transport.write(part)
    assert peer.events == ["pause"]
    assert peer.transport._queued_bytes > HIGH_WATERMARK
    assert await read(reactor, listening.client, 12_000_000) == b"".join(parts)
    await until(reactor, lambda: peer.events == ["pause", "resume"])
    assert peer.transport not in reactor.getWriters()
    peer.transport.write(b"again at once")
    assert listening.client.recv(100) == b"again at once"
    await listening.close()


@pytest_twisted.ensureDeferred
async def test_a_write_never_overtakes_what_is_queued() -> None:
    from twisted.internet import reactor

    listening = Listening(reactor)
    peer = await listening.peer.made
    while not peer.transport._queue:
        peer.transport.write(b"x" * 1_000_000)
    peer.transport.write(b"last")
    peer.transport.loseConnection()
    got = await read(reactor, listening.client, 1 << 40)
    assert got.endswith(b"xlast")
    assert await peer.lost == "ConnectionDone"
    await listening.close()


@pytest_twisted.ensureDeferred
async def test_a_lost_connection_is_told_by_the_loop_and_never_from_within_write() -> None:
    from twisted.internet import reactor

    listening = Listening(reactor)
    peer = await listening.peer.made
    peer.transport.registerProducer(peer, True)
    peer.transport.pauseProducing()
    linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
    listening.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    listening.client.close()
    peer.transport.write(b"a")
    peer.transport.write(b"b")
    assert peer.events == []
    peer.transport.write(b"dropped")
    assert await peer.lost == "ConnectionLost"
    assert peer.events == ["stop", "lost"]
    await listening.close()


@pytest_twisted.ensureDeferred
async def test_a_fin_is_a_half_close_and_a_half_close_is_a_fin() -> None:
    from twisted.internet import reactor

    listening = Listening(reactor)
    peer = await listening.peer.made
    listening.client.send(b"request")
    listening.client.shutdown(socket.SHUT_WR)
    await until(reactor, lambda: peer.events == ["fin"])
    assert bytes(peer.got) == b"request"
    peer.transport.write(b"answer")
    peer.transport.loseWriteConnection()
    assert await read(reactor, listening.client, 1 << 40) == b"answer"
    assert peer.events == ["fin", "shut"]
    await listening.close()


@pytest_twisted.ensureDeferred
async def test_a_half_close_waits_until_everything_is_sent() -> None:
    from twisted.internet import reactor

    listening = Listening(reactor)
    peer = await listening.peer.made
    peer.transport.write(b"x" * 12_000_000)
    peer.transport.loseWriteConnection()
    peer.transport.write(b"")
    assert len(await read(reactor, listening.client, 1 << 40)) == 12_000_000
    await listening.close()


@pytest_twisted.ensureDeferred
async def test_a_client_reads_what_was_sent_before_its_own_send_failed() -> None:
    """An early 413 and the reset after it arrive together: the 413 must not be lost."""
    from twisted.internet import reactor

    peer = Peer()
    factory = ClientFactory()
    factory.noisy = False
    factory.buildProtocol = lambda addr: peer  # type: ignore[method-assign]
    with socket.create_server(("127.0.0.1", 0)) as server:
        connect_tcp(reactor, "127.0.0.1", server.getsockname()[1], factory)
        await peer.made
        assert isinstance(peer.transport, LeanClient)
        accepted, _ = server.accept()
        peer.transport.write(b"upload")
        peer.transport.pauseProducing()
        await deferLater(reactor, 0.02)
        accepted.send(b"413")
        accepted.close()  # with unread bytes: a reset
        await deferLater(reactor, 0.02)
        peer.transport.write(b"more")
        peer.transport.write(b"and more")
        assert await peer.lost == "ConnectionLost"
    assert bytes(peer.got) == b"413"


@pytest_twisted.ensureDeferred
async def test_a_port_accepts_no_more_than_its_factory_has_room_for() -> None:
    from twisted.internet import reactor

    class Small(Factory):
        noisy = False

        def __init__(self) -> None:
            self.peers: list[Peer] = []
            self.waiting: list[Callable[[], None]] = []

        def room(self) -> int:
            return 2 - len(self.peers)

        def when_room(self, accept: Callable[[], None]) -> None:
            self.waiting.append(accept)

        def buildProtocol(self, addr: Any) -> Peer:
            self.peers.append(Peer())
            return self.peers[-1]

    factory = Small()
    port: Any = listen_tcp(reactor, "127.0.0.1", 0, factory)
    clients = [socket.create_connection(("127.0.0.1", port.getHost().port)) for _ in range(3)]
    await until(reactor, lambda: factory.waiting)
    assert len(factory.peers) == 2
    assert port not in reactor.getReaders()
    gone = factory.peers.pop(0)
    gone.transport.abortConnection()
    await gone.lost
    factory.waiting.pop()()
    await until(reactor, lambda: len(factory.peers) == 2)
    for peer in factory.peers:
        peer.transport.abortConnection()
        await peer.lost
    for client in clients:
        client.close()
    await port.stopListening()


@pytest_twisted.ensureDeferred
async def test_a_port_without_descriptors_waits_and_then_accepts_whoever_waited() -> None:
    from twisted.internet import reactor

    class Counting(Factory):
        noisy = False
        times_out_of_means = 0

        def __init__(self) -> None:
            self.peers: list[Peer] = []

        def out_of_means(self) -> None:
            self.times_out_of_means += 1

        def buildProtocol(self, addr: Any) -> Peer:
            self.peers.append(Peer())
            return self.peers[-1]

    class Scarce:
        """A listening socket in a process without a free descriptor."""

        refusals = 0

        def __init__(self, listening: socket.socket) -> None:
            self.listening = listening

        def accept(self) -> Any:
            self.refusals += 1
            raise OSError(errno.EMFILE, "Too many open files")

        def __getattr__(self, name: str) -> Any:
            return getattr(self.listening, name)

    factory = Counting()
    port: Any = listen_tcp(reactor, "127.0.0.1", 0, factory)
    listening = port.socket
    port.socket = scarce = Scarce(listening)
    with socket.create_connection(("127.0.0.1", port.getHost().port)) as client:
        await until(reactor, lambda: scarce.refusals >= 2)
        assert port not in reactor.getReaders(), "it does not spin"
        assert factory.peers == []
        assert factory.times_out_of_means == 1
        port.socket = listening
        await until(reactor, lambda: factory.peers)
        client.settimeout(5)
        factory.peers[0].transport.write(b"welcome")
        assert client.recv(100) == b"welcome"
        factory.peers[0].transport.abortConnection()
        await factory.peers[0].lost
    port.socket = scarce
    with socket.create_connection(("127.0.0.1", port.getHost().port)):
        await until(reactor, lambda: factory.times_out_of_means == 2)
        await port.stopListening()  # with a retry pending, which must not be left behind


@pytest_twisted.ensureDeferred
async def test_a_connection_that_cannot_be_served_is_closed_and_the_next_one_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    from twisted.internet import reactor

    peers: list[Peer] = []
    failed: list[bool] = []

    def build(addr: Any) -> Peer:
        if not failed:
            failed.append(True)
            raise RuntimeError("this factory fails once")
        peers.append(Peer())
        return peers[-1]

    factory = Factory()
    factory.noisy = False
    factory.buildProtocol = build  # type: ignore[method-assign]
    port: Any = listen_tcp(reactor, "127.0.0.1", 0, factory)
    logged: list[str] = []
    monkeypatch.setattr(type(port), "_log", SimpleNamespace(failure=logged.append))
    clients = [socket.create_connection(("127.0.0.1", port.getHost().port), timeout=5) for _ in range(2)]
    await until(reactor, lambda: peers)
    assert len(logged) == 1
    assert clients[0].recv(10) == b""
    peers[0].transport.abortConnection()
    await peers[0].lost
    for client in clients:
        client.close()
    await port.stopListening()


@pytest_twisted.ensureDeferred
async def test_a_port_that_stops_first_accepts_who_is_connected_already() -> None:
    from twisted.internet import reactor

    accepted: list[Peer] = []

    def build(addr: Any) -> Peer:
        accepted.append(Peer())
        return accepted[-1]

    factory = Factory()
    factory.noisy = False
    factory.buildProtocol = build  # type: ignore[method-assign]
    port: Any = listen_tcp(reactor, "127.0.0.1", 0, factory)
    clients = [socket.create_connection(("127.0.0.1", port.getHost().port)) for _ in range(150)]
    await port.stopListening()
    assert len(accepted) == 150
    for peer in accepted:
        peer.transport.abortConnection()
        await peer.lost
    for client in clients:
        client.close()


@pytest_twisted.ensureDeferred
async def test_a_port_opens_and_closes_without_a_line_in_the_log() -> None:
    from twisted.internet import reactor

    factory = Factory()
    factory.noisy = False
    events: list[Any] = []
    globalLogPublisher.addObserver(events.append)  # type: ignore[arg-type]  # any callable will do
    try:
        for host in ("127.0.0.1", "::1"):
            port: Any = listen_tcp(reactor, host, 0, factory)
            assert port.getHost().host == host
            assert factory.numPorts == 1
            with pytest.raises(CannotListenError) as taken:
                listen_tcp(reactor, host, port.getHost().port, factory)
            assert taken.value.socketError.errno == errno.EADDRINUSE
            await port.stopListening()
            assert factory.numPorts == 0
    finally:
        globalLogPublisher.removeObserver(events.append)  # type: ignore[arg-type]
    assert events == []


class Moody:
    """A socket that does what it is told."""

    def __init__(self) -> None:
        self.next: list[Any] = []

    def _do(self) -> Any:
        result = self.next.pop(0)
        if isinstance(result, Exception):
            raise result
        return result

    def recv(self, size: int) -> Any:
        return self._do()

    def send(self, data: bytes) -> Any:
        return self._do()

    def setblocking(self, blocking: bool) -> None:
        """It never blocks."""

    def fileno(self) -> int:
        return 7


def moody() -> tuple[Moody, LeanServer, Peer, MemoryReactorClock]:
    reactor = MemoryReactorClock()
    peer = Peer()
    plug = Moody()
    transport = LeanServer(plug, peer, ("192.0.2.1", 5), None, 0, reactor)
    peer.makeConnection(transport)
    return plug, transport, peer, reactor


def test_a_read_may_be_interrupted_fail_or_end() -> None:
    plug, transport, peer, _ = moody()
    plug.next = [BlockingIOError(), InterruptedError(), b"data", b"", ConnectionResetError()]
    assert [transport.doRead() for _ in range(3)] == [None] * 3
    assert bytes(peer.got) == b"data"
    assert isinstance(transport.doRead(), ConnectionDone)
    assert isinstance(transport.doRead(), ConnectionLost)


def test_a_write_that_is_interrupted_is_queued_and_sent_later_in_part() -> None:
    plug, transport, _, reactor = moody()
    plug.next = [BlockingIOError()]
    transport.write(b"hello")
    assert transport in reactor.writers
    plug.next = [InterruptedError(), 2, 3]
    assert [transport.doWrite() for _ in range(2)] == [None, None]
    assert transport in reactor.writers
    transport.write(b"")
    assert transport.doWrite() is None
    assert transport not in reactor.writers


def test_a_send_that_fails_is_reported_by_the_next_turn_whether_it_was_queued_or_not() -> None:
    plug, transport, peer, reactor = moody()
    plug.next = [BrokenPipeError()]
    transport.write(b"a")
    assert transport in reactor.writers
    assert isinstance(transport.doWrite(), ConnectionLost)
    plug, transport, peer, reactor = moody()
    plug.next = [1, ConnectionResetError()]
    transport.write(b"ab")
    assert transport.doWrite() is None
    assert isinstance(transport.doWrite(), ConnectionLost)
    assert peer.events == []
    plug.next = [b""]
    assert isinstance(transport.doRead(), ConnectionLost), "the send took the socket's error; this is no FIN"


def test_twisted_s_own_way_of_writing_works_too() -> None:
    plug, transport, _, _ = moody()
    plug.next = [3, BlockingIOError(), BrokenPipeError()]
    assert transport.writeSomeData(b"abc") == 3
    assert transport.writeSomeData(b"abc") == 0
    assert isinstance(transport.writeSomeData(b"abc"), ConnectionLost)


def test_a_producer_that_joins_a_full_queue_is_paused_with_the_next_write() -> None:
    plug, transport, peer, _ = moody()
    plug.next = [BlockingIOError()]
    transport.write(bytes(HIGH_WATERMARK + 1))
    transport.registerProducer(peer, True)
    transport.write(b"more")
    assert peer.events == ["pause"]
    assert transport._isSendBufferFull()


def test_reactors_without_descriptors_use_transports_of_their_own() -> None:
    reactor = MemoryReactorClock()
    listen_tcp(reactor, "127.0.0.1", 80, Factory())
    connect_tcp(reactor, "127.0.0.1", 80, ClientFactory())
    assert reactor.tcpServers[0][0] == 80
    assert reactor.tcpServers[0][2] == 1024
    assert reactor.tcpClients[0][:2] == ("127.0.0.1", 80)


def test_the_parts_of_twisted_that_this_rests_on_are_there() -> None:
    """A change in Twisted's internals must fail here, not at a user's."""
    from twisted.internet import tcp

    assert tcp.Port.transport is tcp.Server
    assert callable(tcp.Connector._makeTransport)
    assert {"producerPaused", "streamingProducer", "producer"} <= set(dir(tcp.Connection))
    for name in (
        "_writeDisconnected",
        "_writeDisconnecting",
        "disconnecting",
        "connected",
        "TLS",
        "_shouldShutdown",
        "_aborting",
    ):
        assert hasattr(tcp.Connection, name)
    assert issubclass(PosixReactorBase, object)
    for lean, plain in ((LeanServer, tcp.Server), (LeanClient, tcp.Client)):
        for name in ("doRead", "doWrite", "write", "writeSequence", "writeSomeData", "connectionLost", "_isSendBufferFull"):
            assert getattr(lean, name) is not getattr(plain, name), f"{lean.__name__}.{name} must come before Twisted's"
