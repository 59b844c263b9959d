"""One attempt to connect to a server: its name is looked up, its addresses are tried in turn, TLS is agreed on, all by one deadline."""

from collections.abc import Callable
from ipaddress import ip_address
from typing import Any, Protocol

from twisted.internet.interfaces import IAddress, IHostResolution, IResolutionReceiver
from twisted.internet.protocol import ClientFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from scalability.config import Address
from scalability.errors import ConnectError, ConnectTimeout, TLSFailed
from scalability.lifecycle import Deadline
from scalability.net.client_connection import ClientConnection, OwningPool
from scalability.net.secure_connection import SecureConnection
from scalability.net.transport import connect_tcp

Secure = Callable[[SecureConnection], Any]
"""Wraps a connection into TLS: the protocol to give to the transport."""


class ConnectReceiver(Protocol):
    """Whoever waits for a new connection."""

    def connected(self, connection: ClientConnection) -> None: ...

    def connect_failed(self, error: ConnectError | ConnectTimeout) -> None: ...


class ConnectingPool(OwningPool, Protocol):
    """What an attempt needs of the pool that it connects for."""

    address: Address
    connect_timeout_s: float
    secure: Secure | None

    def opened(self, opening: "Opening", connection: ClientConnection) -> None:
        """The attempt has succeeded."""

    def not_opened(self, opening: "Opening") -> None:
        """The attempt is over."""


@implementer(IResolutionReceiver)
class Opening(ClientFactory):
    """One attempt to connect: a look-up if there is a name, then each address in turn, all of it within the connect timeout."""

    noisy = False

    def __init__(self, pool: ConnectingPool, receiver: ConnectReceiver, preface: bytes = b"") -> None:
        self._pool = pool
        self._preface = preface
        self.receiver: ConnectReceiver | None = receiver
        """Who waits; None when the attempt is over."""
        self._reactor: Any = None
        self._hosts: list[str] = []
        self._connector: Any = None
        self._handshaking: SecureConnection | None = None
        self._secured = False
        self._resolution: IHostResolution | None = None
        self._error: BaseException | None = None
        self._deadline: Deadline = pool.wheel.after(pool.connect_timeout_s, self._timed_out)

    def begin(self, reactor: Any) -> None:
        self._reactor = reactor
        host = self._pool.address.host
        if _is_ip(host):
            self._hosts = [host]
            self._next()
        else:
            reactor.nameResolver.resolveHostName(self, host, self._pool.address.port)

    def cancel(self) -> None:
        """Stop trying; nobody is called back."""
        self.receiver = None
        self._stop()

    def fail(self, error: ConnectError | ConnectTimeout) -> None:
        receiver, self.receiver = self.receiver, None
        self._stop()
        if receiver is not None:
            error.__cause__ = self._error
            receiver.connect_failed(error)

    # IResolutionReceiver

    def resolutionBegan(self, resolution: IHostResolution) -> None:
        self._resolution = resolution

    def addressResolved(self, address: IAddress) -> None:
        self._hosts.append(address.host)  # type: ignore[attr-defined]

    def resolutionComplete(self) -> None:
        self._resolution = None
        self._next()

    # ClientFactory

    def buildProtocol(self, addr: IAddress | None) -> Any:  # a ClientConnection, perhaps within TLS
        secure = self._pool.secure
        if secure is None:
            connection = ClientConnection(self._pool, self)
            if self._preface:
                connection.preface = self._preface
            return connection
        self._secured = True
        self._handshaking = SecureConnection(self._pool, self)
        self._handshaking.preface = self._preface
        return secure(self._handshaking)

    def clientConnectionFailed(self, connector: Any, reason: Failure) -> None:
        self._connector = None
        if self.receiver is not None:
            self._error = reason.value
            self._next()

    def established(self, connection: ClientConnection) -> None:
        """Called by the connection when it stands."""
        self._handshaking = None
        self._deadline.cancel()
        self._pool.opened(self, connection)
        receiver, self.receiver = self.receiver, None
        if receiver is None:
            connection.abort()
        else:
            receiver.connected(connection)

    def handshake_failed(self, reason: Failure) -> None:
        """Called by the connection when it ends before it stands."""
        self._handshaking = None
        self._connector = None
        self._error = reason.value
        self._next()

    def _next(self) -> None:
        if self.receiver is None:
            return
        if not self._hosts:
            self.fail(TLSFailed() if self._secured else ConnectError())
            return
        self._secured = False
        self._connector = connect_tcp(self._reactor, self._hosts.pop(0), self._pool.address.port, self)

    def _timed_out(self) -> None:
        self.fail(ConnectTimeout())

    def _stop(self) -> None:
        self._deadline.cancel()
        self._pool.not_opened(self)
        if self._resolution is not None:
            # Twisted's getaddrinfo runs on a thread and cannot be stopped; what it finds is ignored
            self._resolution = None
        handshaking, self._handshaking = self._handshaking, None
        if handshaking is not None:
            handshaking.give_up_handshake()
        connector, self._connector = self._connector, None
        if connector is not None and connector.state == "connecting":
            connector.stopConnecting()


def _is_ip(host: str) -> bool:
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
