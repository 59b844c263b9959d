"""Lean TCP transports: send at the end of the turn and buffer only what the kernel refuses; one ``recv`` per read event (``net.wire``).

``transport.write`` of Twisted queues, arms EPOLLOUT, waits a turn of the loop, sends, and disarms again. Here nothing is armed
unless the kernel refuses bytes (measured: worth 10 us of CPU per proxied request), and order is kept. What is small is sent when the
lean reactor has handed out all events of its turn, one ``send`` after the other: a peer that was woken up for the first answer
finds the next ones waiting, instead of falling asleep in between (worth 1 us a request; what valkey and HAProxy do too). What is large, and
everything on other reactors, is sent at once.
The transports own their queue, because whether earlier bytes are waiting is nothing that Twisted's public interface tells.

They are ordinary Twisted transports otherwise: the producer of ``registerProducer`` is paused above 64 KiB of queued bytes and
resumed when all is sent. ``listen_tcp`` and ``connect_tcp`` use them on every reactor that watches descriptors, and the
reactor's own transports elsewhere (in-memory reactors of tests, for example); TLS runs above them unchanged.
"""

import errno
import socket
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from twisted.internet import main, tcp
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IDelayedCall, IListeningPort, IProtocolFactory
from twisted.internet.posixbase import PosixReactorBase
from twisted.internet.protocol import ClientFactory
from twisted.logger import Logger
from twisted.python.failure import Failure

from scalability.net.wire import READ_BYTES, SEND_SOON_BYTES, SMALL_READ_BYTES, Wire, ignore

HIGH_WATERMARK = 65536
"""Bytes that may wait for a slow peer before whoever produces them is paused."""

BACKLOG = 1024
"""Twisted's default of 50 serves only half of 100 simultaneous connects in the first second."""

RETRY_ACCEPT_S = 0.1
"""How long a port that ran out of means waits before it tries again, in seconds: whatever ends meanwhile gives some back."""

_MOST_ACCEPTS = 16
"""Connections that one turn of the loop accepts: about a millisecond, however many come at once."""

_OUT_OF_MEANS = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))
_DONE = Failure(main.CONNECTION_DONE)
_THEIR_FAULT = frozenset((errno.ECONNABORTED, errno.EPERM, errno.EPROTO))
"""One connection was over, or forbidden by a packet filter, before it was accepted; the next may be all right."""


class LeanConnection(tcp.Connection):
    """The part that server and client transports share. Not for direct use."""

    producer: Any
    _accepted: bool
    _shouldShutdown = False  # noqa: N815 - Twisted's name: no other process has the descriptor, so that closing it is enough

    def _begin_lean(self) -> None:
        """Called first of all: Twisted's clients and servers come into being in different ways."""
        self.wire: Wire | None = None
        """The socket once the connection stands."""
        self._protocol: Any = None
        self._queue: Sequence[bytes | memoryview] = ()
        self._queued_bytes = 0
        self._broken = False
        """A send failed: what is written from now on is dropped, the loss is reported by the loop."""

    @property
    def protocol(self) -> Any:
        """Whoever is given what comes. Twisted sets it when the connection stands, and again when it becomes another one's."""
        return self._protocol

    @protocol.setter
    def protocol(self, protocol: Any) -> None:
        self._protocol = protocol
        if protocol is None:
            return
        wire = self.wire
        if wire is None:
            wire = self.wire = Wire(self, self.socket, protocol.dataReceived, accepted=self._accepted)
            self.write = wire.write  # type: ignore[method-assign]  # without a call in between
        else:
            wire.received, wire.answering = protocol.dataReceived, False

    @protocol.deleter
    def protocol(self) -> None:
        self._protocol = None

    def receive_with(self, received: Callable[[bytes], bytes | None], expected_bytes: int = 0) -> None:
        """Give what comes to ``received`` instead of the protocol's ``dataReceived``, and write what it returns, less than
        ``SEND_SOON_BYTES``: two calls less for each request of a protocol that answers at once.

        ``expected_bytes``: what comes will probably be as long as that, 0 where nobody knows.
        """
        wire = self.wire
        if wire is not None:
            wire.received, wire.answering = received, True
            wire.read_bytes = SMALL_READ_BYTES if 0 < expected_bytes < SMALL_READ_BYTES else READ_BYTES

    def doRead(self) -> Any:  # Twisted: None, or the exception that says why the connection ends
        assert self.wire is not None
        return self.wire.read()

    def read_ended(self) -> BaseException:
        """See ``wire.Connection``."""
        # after a failed send, which took the socket's error with it, this is a reset and not a FIN
        return main.CONNECTION_LOST if self._broken else main.CONNECTION_DONE

    def read_more(self) -> None:
        """See ``wire.Connection``."""
        read_again = getattr(self.reactor, "read_again", None)
        if read_again is not None:
            read_again(self)

    def write(self, data: bytes) -> None:
        """See ``Wire.write``, which takes this one's place as long as the connection stands."""
        self.write_carefully(data)

    def write_carefully(self, data: bytes) -> None:
        """See ``wire.Connection``."""
        wire = self.wire
        if wire is None or not self.connected or self._writeDisconnected or self._broken:
            return
        if self._queue:
            self._enqueue(data)
            return
        wire.direct = wire.soon_bytes > 0 and not self._writeDisconnecting
        if wire.held:
            wire.held += data
            if len(wire.held) >= SEND_SOON_BYTES:
                wire.send_held()
            return
        wire.held = data
        if len(data) < wire.soon_bytes:
            wire.unsent.append(wire)
        else:
            wire.send_held()

    def send_refused(self, data: bytes, sent: int) -> None:
        """See ``wire.Connection``."""
        self._enqueue(memoryview(data)[sent:] if sent else data)

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        self.write(b"".join(iovec))

    def writeSomeData(self, data: bytes) -> Any:
        try:
            return self.socket.send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:
            return main.CONNECTION_LOST

    def doWrite(self) -> Any:
        if self._broken:
            return main.CONNECTION_LOST
        if self._queue:
            data = self._queue[0] if len(self._queue) == 1 else b"".join(self._queue)
            try:
                sent = self.socket.send(data)
            except (BlockingIOError, InterruptedError):
                return None
            except OSError:
                self.send_failed()
                return None
            self._queued_bytes = len(data) - sent
            if self._queued_bytes:
                self._queue = [memoryview(data)[sent:]]
                return None
            self._queue = ()
        self.stopWriting()
        if self.producer is not None and (not self.streamingProducer or self.producerPaused):
            self.producerPaused = False
            self.producer.resumeProducing()
        elif self.disconnecting:
            return main.CONNECTION_DONE
        elif self._writeDisconnecting:
            self._writeDisconnected = True
            self._closeWriteConnection()
        return None

    def loseConnection(self) -> None:
        """As Twisted's, at the end of this turn when the kernel takes all, not in a later one: three system calls less."""
        closing = getattr(self.reactor, "closing", None)
        producing = self.producer is not None and (self.producerPaused or not self.streamingProducer)
        waits = producing or self._queue or self._broken or self._writeDisconnecting
        if closing is None or waits or self.TLS or not self.connected or self.disconnecting:
            super().loseConnection()
        else:
            self.disconnecting = True
            self.stopReading()
            closing.append(self)

    def close(self) -> None:
        """End what ``loseConnection`` was asked to. Called by the reactor at the end of a turn."""
        wire = self.wire
        if wire is not None and wire.held:
            wire.send_held()
        # where something waits, doWrite will find that we are disconnecting; an abort ends with a reset, soon
        if self.connected and not self._queue and not self._broken and not self._aborting:
            self.connectionLost(_DONE)

    def loseWriteConnection(self) -> None:
        if self.wire is not None:
            self.wire.direct = False
        super().loseWriteConnection()

    def connectionLost(self, reason: Any) -> None:
        wire, self.wire = self.wire, None
        if wire is not None:
            wire.direct = False
            wire.held = b""
            # what refers to itself only the garbage collector would find
            wire.received = ignore
            del self.write
        self._queue = ()
        self._queued_bytes = 0
        super().connectionLost(reason)

    @property
    def queued_bytes(self) -> int:
        """What was written and the kernel has not taken."""
        return self._queued_bytes + (len(self.wire.held) if self.wire is not None else 0)

    def _isSendBufferFull(self) -> bool:
        return self._queued_bytes > HIGH_WATERMARK

    def _enqueue(self, data: bytes | memoryview) -> None:
        if isinstance(self._queue, list):
            self._queue.append(data)
        else:
            self._queue = [data]
            if self.wire is not None:
                self.wire.direct = False
            self.startWriting()
        self._queued_bytes += len(data)
        if self._queued_bytes > HIGH_WATERMARK and self.streamingProducer and not self.producerPaused and self.producer is not None:
            self.producerPaused = True
            self.producer.pauseProducing()

    def send_failed(self) -> None:
        """See ``wire.Connection``."""
        self._broken = True
        if self.wire is not None:
            self.wire.direct = False
        self._queue = ()
        self._queued_bytes = 0
        # doWrite reports it, in a turn of its own: the caller of write is in the middle of something
        self.startWriting()


class LeanServer(LeanConnection, tcp.Server):
    """A connection that was accepted."""

    _accepted = True

    def __init__(self, *args: Any) -> None:
        self._begin_lean()
        super().__init__(*args)


class LeanClient(LeanConnection, tcp.Client):
    """A connection that was opened.

    When a send fails, the bytes that the peer sent before may still wait to be read, an early 413 for example. So a failed send
    only makes the transport deaf to further writes; reading goes on, and finds first those bytes and then the end.
    """

    _accepted = False
    _reading_ended = False

    def __init__(self, *args: Any) -> None:
        self._begin_lean()
        super().__init__(*args)

    def readConnectionLost(self, reason: Any) -> None:
        self._reading_ended = True
        super().readConnectionLost(reason)

    def send_failed(self) -> None:
        super().send_failed()
        if not self._reading_ended and not self.disconnecting:
            self.stopWriting()
            self.startReading()


class LeanPort(tcp.Port):
    """A listening socket whose connections are lean.

    It accepts at most as many at once as the factory has ``room()`` for, and none while the process has no descriptor or memory
    left for one: then whoever wants to connect waits in the kernel's backlog, and is accepted as soon as that is possible. (Twisted's
    port closes such connections.) A factory with ``out_of_means()`` is told of each beginning of such a time.
    """

    _log = Logger()
    reactor: Any
    transport = LeanServer  # type: ignore[assignment]  # its arguments are those of tcp.Server
    _again: IDelayedCall | None = None
    _out_of_means = False

    def doRead(self) -> None:
        limit: int = self.numberAccepts
        room = getattr(self.factory, "room", None)
        if room is not None:
            places = room()
            if places <= 0:
                self.stopReading()
                self.factory.when_room(self._accept_again)  # type: ignore[union-attr]  # it has room, so it has this
                return
            limit = min(limit, places)
        accepted = self._accept(limit)
        # as Twisted's: as many at once as came the last time, so that processes that share a socket share the work too
        self.numberAccepts = min(limit + 4, _MOST_ACCEPTS) if accepted == limit else max(1, accepted)

    def startListening(self) -> None:  # noqa: N802 - Twisted's name
        """As Twisted's, without its line in the log: ``net.listen`` says more in its own."""
        listening = self._open()
        self._realPortNumber = listening.getsockname()[1]
        self.factory.doStart()  # type: ignore[union-attr]  # it always has one
        self.connected = True
        self.socket = listening
        self.fileno = listening.fileno  # type: ignore[method-assign]  # as Twisted does it
        self.numberAccepts = _MOST_ACCEPTS
        self.startReading()

    def _open(self) -> socket.socket:
        listening: socket.socket | None = None
        try:
            listening = self.createInternetSocket()
            ipv6 = self.addressFamily == socket.AF_INET6
            listening.bind(tcp._resolveIPv6(self.interface, self.port) if ipv6 else (self.interface, self.port))
            listening.listen(self.backlog)
        except OSError as error:
            if listening is not None:
                listening.close()
            raise CannotListenError(self.interface, self.port, error) from error
        return listening

    def _logConnectionLostMsg(self) -> None:  # noqa: N802 - Twisted's name
        """Nor a line at its end."""

    def connectionLost(self, reason: Any) -> None:
        """Whoever the kernel has connected already is accepted before the socket closes, which would reset them."""
        self._accept(BACKLOG)
        again, self._again = self._again, None
        if again is not None:
            again.cancel()
        super().connectionLost(reason)

    def _accept(self, limit: int) -> int:
        """Accept until there is nobody left, or ``limit`` connections; how many there were."""
        for accepted in range(limit):
            try:
                connection, address = self.socket.accept()
            except (BlockingIOError, InterruptedError):
                limit = accepted
                break
            except OSError as error:
                if error.errno in _THEIR_FAULT:
                    continue
                if error.errno not in _OUT_OF_MEANS:
                    self._log.failure("port {port} cannot accept a connection", port=self._realPortNumber)
                self._wait_for_means(error)
                return accepted
            try:
                self._serve(connection, address)
            except Exception:
                self._log.failure("a connection that was accepted could not be served, and is closed")
                connection.close()
        if self._out_of_means:
            self._out_of_means = False
            self._log.info("port {port} accepts connections again", port=self._realPortNumber)
        return limit

    def _serve(self, connection: socket.socket, address: Any) -> None:
        if len(address) == 4:
            # an IPv6 address says its scope only so
            host = socket.getnameinfo(address, socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)[0]
            address = (host, *address[1:])
        protocol = self.factory.buildProtocol(self._buildAddr(address))  # type: ignore[union-attr]  # a port has one
        if protocol is None:
            connection.close()
            return
        number = self.sessionno
        self.sessionno = number + 1
        protocol.makeConnection(self.transport(connection, protocol, address, self, number, self.reactor))

    def _wait_for_means(self, error: OSError) -> None:
        self.stopReading()
        if self._again is None:
            self._again = self.reactor.callLater(RETRY_ACCEPT_S, self._try_again)
        if self._out_of_means:
            return
        self._out_of_means = True
        self._log.warn(
            "port {port} accepts nobody for now: {why}; who wants to connect waits", port=self._realPortNumber, why=error.strerror
        )
        told = getattr(self.factory, "out_of_means", None)
        if told is not None:
            told()

    def _try_again(self) -> None:
        self._again = None
        self._accept_again()

    def _accept_again(self) -> None:
        if self.connected and not self.disconnecting:
            self.startReading()


class SharedLeanPort(LeanPort):
    """A listening socket that other processes accept from as well: one connection at a time, so that none takes them all."""

    _shouldShutdown = False  # noqa: N815 - Twisted's name: a shutdown would end it for the others too

    def __init__(self, inherited: socket.socket, factory: IProtocolFactory, reactor: Any) -> None:
        host, port = inherited.getsockname()[:2]
        super().__init__(port, factory, BACKLOG, host, reactor)
        self._inherited = inherited
        self._reading = False
        self._wait_in_turn: Callable[[int], None] | None = getattr(reactor, "read_in_turn", None)

    def startReading(self) -> None:
        super().startReading()
        self._reading = True
        if self._wait_in_turn is not None:
            self._wait_in_turn(self.fileno())

    def stopReading(self) -> None:
        self._reading = False
        super().stopReading()

    def doRead(self) -> None:
        self.numberAccepts = 1
        super().doRead()
        if self._reading and self._wait_in_turn is not None:
            self._wait_in_turn(self.fileno())

    def _open(self) -> socket.socket:
        return self._inherited


class _LeanConnector(tcp.Connector):
    def _makeTransport(self) -> LeanClient:
        return LeanClient(self.host, self.port, self.bindAddress, self, self.reactor)


def listen_tcp(reactor: Any, host: str, port: int, factory: IProtocolFactory) -> IListeningPort:
    """Listen on ``host`` (an IP address) and ``port`` (0: any free one). Raises CannotListenError."""
    if isinstance(reactor, PosixReactorBase):
        lean = LeanPort(port, factory, BACKLOG, host, reactor)
        lean.startListening()
        return lean
    listening: IListeningPort = reactor.listenTCP(port, factory, backlog=BACKLOG, interface=host)
    return listening


def bind_tcp(host: str, port: int) -> socket.socket:
    """A socket that listens on ``host`` and ``port``, for other processes to accept from (``adopt_tcp``). Raises CannotListenError."""
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listening.setblocking(False)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise CannotListenError(host, port, error) from error
    return listening


def adopt_tcp(reactor: Any, descriptor: int, factory: IProtocolFactory) -> IListeningPort:
    """Accept connections from the listening socket ``descriptor``, which belongs to the port that is returned, or is closed."""
    inherited = socket.socket(fileno=descriptor)
    inherited.setblocking(False)
    if isinstance(reactor, PosixReactorBase):
        lean = SharedLeanPort(inherited, factory, reactor)
        lean.startListening()
        return lean
    with inherited:
        adopted: IListeningPort = reactor.adoptStreamPort(descriptor, inherited.family, factory)
        return adopted


def connect_tcp(reactor: Any, host: str, port: int, factory: ClientFactory) -> Any:
    """Open a connection to ``host`` (an IP address), for as long as it takes: the IConnector's ``stopConnecting`` ends the attempt."""
    if isinstance(reactor, PosixReactorBase):
        connector = _LeanConnector(host, port, factory, None, None, reactor)  # type: ignore[arg-type]  # None: no timeout of its own
        connector.connect()
        return connector
    return reactor.connectTCP(host, port, factory, timeout=None)
