"""A network in memory, with a clock of its own: transports that a test is the other end of, and connections that it accepts or refuses.

    network = MemoryNetwork()
    client = network.connect_to(factory)          # an accepted connection; the test is the client
    client.deliver(b"GET / HTTP/1.1\\r\\n...")      # the client's bytes, cut as you like
    assert client.taken() == b"HTTP/1.1 200 ..."  # what the client was sent
    server = network.accept()                     # the connection that the code under test has just opened

Endings come a turn later, as from the reactor: ``network.advance(0)``.
"""

from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet import error
from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IHalfCloseableProtocol, IProtocol, IPushProducer, IReactorTime, ITCPTransport
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

HIGH_WATERMARK = 65536


@implementer(ITCPTransport, IPushProducer)
class MemoryTransport:
    """One side's transport; the test is the peer. It takes everything at once until ``stop_taking``."""

    disconnecting = False

    def __init__(self, protocol: Any, clock: IReactorTime, peer: IPv4Address) -> None:
        self.protocol = protocol
        self.writes = 0
        """How often something was written."""
        self.reading = True
        """False while the protocol has paused the peer."""
        self.ended = ""
        """How the protocol's side ended the connection: ``closed`` (a FIN), ``reset``, or nothing yet."""
        self.half_closed = False
        """The protocol has sent a FIN and reads on."""
        self.no_delay = False
        self._clock = clock
        self._peer = peer
        self._sent = bytearray()
        self._queue = bytearray()
        self._taking = True
        self._arrived: list[bytes] = []
        self._producer: Any = None
        self._producer_paused = False
        self._lost = False

    # the test's side

    def deliver(self, data: bytes) -> None:
        """The peer sends ``data``; a paused protocol gets it when it resumes."""
        if self._lost or self.ended:
            return
        if self.reading and not self._arrived:
            self.protocol.dataReceived(data)
        else:
            self._arrived.append(data)

    def taken(self) -> bytes:
        """What the peer has received since the last call."""
        sent = bytes(self._sent)
        self._sent.clear()
        return sent

    def stop_taking(self) -> None:
        """The peer reads no more: what is written queues up."""
        self._taking = False

    def take_all(self) -> None:
        """The peer reads again, everything there is."""
        self._taking = True
        self._sent += self._queue
        self._queue.clear()
        if self._producer is not None and self._producer_paused:
            self._producer_paused = False
            self._producer.resumeProducing()
        elif self.disconnecting:
            self._end("closed", error.ConnectionDone())

    def take(self, size: int) -> None:
        """The peer reads so many bytes of what waits, and no more: some are left."""
        assert size < len(self._queue)
        self._sent += self._queue[:size]
        del self._queue[:size]

    @property
    def open(self) -> bool:
        """Neither side has ended it."""
        return not self.ended and not self._lost

    @property
    def queued_bytes(self) -> int:
        """What waits for the peer."""
        return len(self._queue)

    def finish(self) -> None:
        """The peer sends a FIN."""
        if self._lost or self.ended:
            return
        if IHalfCloseableProtocol.providedBy(self.protocol):
            self.protocol.readConnectionLost()
        else:
            self._lose(error.ConnectionDone())

    def reset(self) -> None:
        """The peer sends a reset."""
        self._lose(error.ConnectionLost())

    # the protocol's side: ITCPTransport, IConsumer, IPushProducer

    def write(self, data: bytes) -> None:
        if self._lost or self.ended or self.half_closed:
            return
        self.writes += 1
        if self._taking:
            self._sent += data
            return
        self._queue += data
        if len(self._queue) > HIGH_WATERMARK and self._producer is not None and not self._producer_paused:
            self._producer_paused = True
            self._producer.pauseProducing()

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        self.write(b"".join(iovec))

    def loseConnection(self) -> None:
        if self._lost or self.ended or self.disconnecting:
            return
        self.disconnecting = True
        self.reading = False
        if not self._queue:
            self._end("closed", error.ConnectionDone())

    def loseWriteConnection(self) -> None:
        self.half_closed = True

    def abortConnection(self) -> None:
        if not self._lost and self.ended != "reset":
            self._end("reset", error.ConnectionAborted())

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        if self._producer is not None:
            raise RuntimeError("there is a producer already")
        self._producer = producer

    def unregisterProducer(self) -> None:
        self._producer = None

    def pauseProducing(self) -> None:
        self.reading = False

    def resumeProducing(self) -> None:
        self.reading = True
        self._clock.callLater(0, self._deliver_arrived)

    def stopProducing(self) -> None:
        self.loseConnection()

    def getPeer(self) -> IPv4Address:
        return self._peer

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", "192.0.2.254", 80)

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.no_delay = enabled

    def getTcpNoDelay(self) -> bool:
        return self.no_delay

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """Nothing keeps a connection in memory alive."""

    def getTcpKeepAlive(self) -> bool:
        return False

    def _deliver_arrived(self) -> None:
        while self._arrived and self.reading and not self._lost:
            self.protocol.dataReceived(self._arrived.pop(0))

    def _end(self, how: str, reason: Exception) -> None:
        self.ended = how
        self.reading = False
        self._clock.callLater(0, self._lose, reason)

    def _lose(self, reason: Exception) -> None:
        if self._lost:
            return
        self._lost = True
        self.reading = False
        if self._producer is not None:
            self._producer.stopProducing()
            self._producer = None
        self.protocol.connectionLost(Failure(reason))


class MemoryConnector:
    """An attempt to connect that the code under test has begun."""

    def __init__(self, network: "MemoryNetwork", host: str, port: int, factory: Any) -> None:
        self.host = host
        self.port = port
        self.factory = factory
        self.state = "connecting"
        self._network = network

    def stopConnecting(self) -> None:
        self.fail(error.UserError())

    def disconnect(self) -> None:
        self.stopConnecting()

    def fail(self, reason: Exception) -> None:
        """The attempt fails."""
        self.state = "disconnected"
        self._network.attempts.remove(self)
        self.factory.clientConnectionFailed(self, Failure(reason))


class MemoryNetwork(Clock):
    """A reactor in memory: a clock, connections in both directions, and names of the test's choice."""

    def __init__(self) -> None:
        super().__init__()
        self.attempts: list[MemoryConnector] = []
        """Connections that wait to be accepted or refused, oldest first."""
        self.names: dict[str, list[str]] = {}
        """Addresses by host name, for ``nameResolver``."""
        self._client_port = 40000

    @property
    def nameResolver(self) -> "MemoryNetwork":
        return self

    def resolveHostName(self, receiver: Any, hostName: str, portNumber: int = 0) -> None:  # noqa: N803 - Twisted's names
        receiver.resolutionBegan(None)

        def resolved() -> None:
            for host in self.names.get(hostName, ()):
                receiver.addressResolved(IPv4Address("TCP", host, portNumber))
            receiver.resolutionComplete()

        self.callLater(0, resolved)

    def connectTCP(self, host: str, port: int, factory: Any, timeout: float | None = 30, bindAddress: Any = None) -> MemoryConnector:  # noqa: N803
        connector = MemoryConnector(self, host, port, factory)
        self.attempts.append(connector)
        return connector

    def connect_to(self, factory: Any, *, host: str = "192.0.2.1") -> MemoryTransport:
        """A client connects to ``factory``; the test is that client."""
        self._client_port += 1
        peer = IPv4Address("TCP", host, self._client_port)
        return self._make(factory.buildProtocol, peer)

    def accept(self) -> MemoryTransport:
        """Accept the oldest attempt; the test is the server."""
        connector = self.attempts.pop(0)
        connector.state = "connected"
        return self._make(connector.factory.buildProtocol, IPv4Address("TCP", connector.host, connector.port))

    def refuse(self, reason: Exception | None = None) -> None:
        """Refuse the oldest attempt."""
        self.attempts[0].fail(reason or error.ConnectionRefusedError())

    def _make(self, build: Callable[[Any], IProtocol | None], peer: IPv4Address) -> MemoryTransport:
        protocol: Any = build(peer)
        transport = MemoryTransport(protocol, self, peer)
        protocol.makeConnection(transport)
        return transport
