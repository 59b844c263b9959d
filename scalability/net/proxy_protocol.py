"""Connections that begin with a PROXY protocol header: the proxies that must send one, and what their connections become then (rule 46)."""

from collections.abc import Callable
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.python.failure import Failure

from scalability.errors import BadMessage
from scalability.http1.proxy_protocol import parse_proxy_header
from scalability.http1.trust import Networks
from scalability.lifecycle import Deadline, DeadlineWheel


class Announcements:
    """The headers that are awaited, for all listeners of ``server`` (an ``HTTPServerFactory``).

    A peer in ``senders`` must send its header within ``timeout_s`` seconds, from nobody else one is read. Connections whose header has not
    come yet take places among those that ``server`` has room for.
    """

    def __init__(self, server: Any, senders: Networks, wheel: DeadlineWheel, *, timeout_s: float, linger_s: float = 0.5) -> None:
        self.server = server
        self.senders = senders
        self.wheel = wheel
        self.timeout_s = timeout_s
        self.read = 0
        """Headers."""
        self.refused = 0
        """Connections that did not begin with a proper one, in time."""
        self._linger_s = linger_s
        self._awaited: set[HeaderReader] = set()
        self._waiting_for_room: list[Callable[[], None]] = []
        self._drained: list[Deferred[None]] = []

    def room(self) -> int:
        """How many more connections may be accepted now."""
        room: int = self.server.room()
        return room - len(self._awaited)

    def when_room(self, accept: Callable[[], None]) -> None:
        """Call ``accept`` (perhaps twice) when there may be room again."""
        self._waiting_for_room.append(accept)
        self.server.when_room(accept)

    def drain(self, grace_s: float) -> Deferred[None]:
        """As the server's; headers that have not come yet are given a moment first: their connections may have been made just now."""
        if not self._awaited:
            drained: Deferred[None] = self.server.drain(grace_s)
            return drained
        for reader in list(self._awaited):
            reader.hurry(self._linger_s)
        awaited: Deferred[None] = Deferred()
        self._drained.append(awaited)
        return awaited.addCallback(lambda _: self.server.drain(grace_s))

    def begun(self, reader: "HeaderReader") -> None:
        """Called by a reader whose connection was accepted."""
        self._awaited.add(reader)

    def ended(self, reader: "HeaderReader") -> None:
        """Called by a reader that has read a header, or will not."""
        self._awaited.discard(reader)
        waiting, self._waiting_for_room = self._waiting_for_room, []
        for accept in waiting:
            accept()
        if not self._awaited:
            drained, self._drained = self._drained, []
            for waiter in drained:
                waiter.callback(None)


class ProxyProtocolFactory(Factory):
    """Stands before ``served``, which is the server of ``announcements`` or speaks TLS above it."""

    noisy = False

    def __init__(self, announcements: Announcements, served: Any) -> None:
        self._announcements = announcements
        self._served = served
        self.room = announcements.room
        self.when_room = announcements.when_room
        self.out_of_means: Callable[[], None] = served.out_of_means

    def buildProtocol(self, addr: IAddress | None) -> Any:  # None where there is no room
        if getattr(addr, "host", "").encode() in self._announcements.senders:
            return HeaderReader(self._announcements, self._served, addr)
        return self._served.buildProtocol(addr)


class DrainingProxyProtocolFactory(ProxyProtocolFactory):
    """The one of several factories whose listener is closed last."""

    def drain(self, grace_s: float) -> Deferred[None]:
        """See ``net.listen``."""
        return self._announcements.drain(grace_s)


class HeaderReader(TwistedProtocol):
    """Reads the header and then gives its place at the transport to the server's own protocol."""

    transport: Any

    def __init__(self, announcements: Announcements, served: Any, peer: IAddress | None) -> None:
        self._announcements = announcements
        self._served = served
        self._peer = peer
        self._held = b""
        self._deadline: Deadline | None = None

    def connectionMade(self) -> None:
        announcements = self._announcements
        announcements.begun(self)
        self._deadline = announcements.wheel.after(announcements.timeout_s, self._refuse)

    def dataReceived(self, data: bytes) -> None:
        if self._deadline is None:
            return  # refused already
        self._held += data
        try:
            header = parse_proxy_header(self._held)
        except BadMessage:
            self._refuse()
            return
        if header is None:
            return
        self._announcements.read += 1
        peer = self._peer
        if header.source is not None:
            host, port = header.source
            peer = IPv6Address("TCP", host, port) if ":" in host else IPv4Address("TCP", host, port)
        self._end()
        transport = self.transport
        protocol = self._served.buildProtocol(peer)
        if protocol is None:
            transport.abortConnection()
            return
        getattr(protocol, "wrappedProtocol", protocol).announced = header
        transport.protocol = protocol
        protocol.makeConnection(transport)
        if len(self._held) > header.size:
            protocol.dataReceived(self._held[header.size :])

    def connectionLost(self, reason: Failure = None) -> None:  # type: ignore[assignment]
        if self._deadline is not None:
            self._announcements.refused += 1
            self._end()

    def hurry(self, seconds: float) -> None:
        """The server stops: the header must come within ``seconds``."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = self._announcements.wheel.after(seconds, self._refuse)

    def _refuse(self) -> None:
        """Nobody is answered: whoever this is, it does not speak as agreed."""
        self._announcements.refused += 1
        self._end()
        self.transport.abortConnection()

    def _end(self) -> None:
        deadline, self._deadline = self._deadline, None
        if deadline is not None:
            deadline.cancel()
        self._announcements.ended(self)
