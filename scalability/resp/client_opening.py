"""How a connection to a server that speaks RESP comes to stand: its name looked up, connected, TLS, greeted, its role asked.

The greeting is ``HELLO 3`` with user and password, which servers before Redis 6 do not know: those are met in RESP2, with AUTH.
Then comes SELECT, and ROLE: of several servers the first that calls itself a master is taken. A server that has no ROLE, or keeps it
from this user, is taken for one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IAddress, IResolutionReceiver
from twisted.internet.protocol import ClientFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from scalability.config import Address
from scalability.errors import CommandRefused, ConnectError, ConnectTimeout, DependencyDown, ScalelabError, TLSFailed
from scalability.lifecycle import DeadlineWheel
from scalability.net.transport import connect_tcp
from scalability.resp.client_connection import Owner, RespConnection, SecureRespConnection

Secure = Callable[[Any], Any]
"""Wraps a connection into TLS: the protocol to give to the transport (``net.tls.ServerTLS.wrap``)."""

NAME = b"scalelab"
"""What CLIENT LIST shows."""


@dataclass(frozen=True, slots=True)
class Greeting:
    """Who we are for a server. The password stands in no ``repr``."""

    user: str = ""
    password: str | None = None
    database: int = 0

    def __repr__(self) -> str:
        return f"<Greeting of {self.user or 'default'}>"


@dataclass(slots=True)
class Opened:
    """A connection that stands. ``resp3``: the server can push; ``has_role``: it tells its role when it is asked."""

    connection: RespConnection
    server: Address
    resp3: bool
    has_role: bool


class Opener:
    """Opens connections to any of ``servers``. ``secure`` makes, of a host's name, what its connections are wrapped into."""

    def __init__(
        self,
        reactor: Any,
        wheel: DeadlineWheel,
        servers: tuple[Address, ...],
        greeting: Greeting,
        *,
        timeout_s: float,
        connect_timeout_s: float,
        secure: Callable[[str], Secure] | None = None,
    ) -> None:
        self._reactor = reactor
        self._wheel = wheel
        self._servers = servers
        self._greeting = greeting
        self._timeout_s = timeout_s
        self._connect_timeout_s = connect_timeout_s
        self._secure = secure

    async def open_master(self, owner: Owner) -> Opened:
        """A connection to the first server that is a master. Fails with the last server's ScalelabError when there is none.

        Each has ``connect_timeout_s``. What can be cancelled is: whatever was begun is closed then.
        """
        failure: ScalelabError = DependencyDown()
        for server in self._servers:
            try:
                return await self.open(server, owner)
            except ScalelabError as error:
                failure = error
        raise failure

    async def open(self, server: Address, owner: Owner) -> Opened:
        """A connection to ``server``, within ``connect_timeout_s``. Fails with a ScalelabError, DependencyDown where it is a replica."""
        timed_out: list[bool] = []
        opening = Deferred.fromCoroutine(self._open(server, owner))

        def expired() -> None:
            timed_out.append(True)
            opening.cancel()

        deadline = self._wheel.after(self._connect_timeout_s, expired)
        try:
            return await opening
        except CancelledError:
            if timed_out:
                raise ConnectTimeout from None
            raise
        finally:
            deadline.cancel()

    async def _open(self, server: Address, owner: Owner) -> Opened:
        failure: ScalelabError = ConnectError()
        for host in await _addresses(self._reactor, server):
            try:
                connection = await self._connect(server, host, owner)
            except ScalelabError as error:
                failure = error
                continue
            try:
                return await self._greet(connection, server)
            except BaseException:
                connection.close()
                raise
        raise failure

    async def _connect(self, server: Address, host: str, owner: Owner) -> RespConnection:
        kind = RespConnection if self._secure is None else SecureRespConnection
        connection = kind(self._reactor, self._wheel, owner, timeout_s=self._timeout_s)
        protocol = connection if self._secure is None else self._secure(server.host)(connection)
        attempt = _Attempt(connection, protocol)
        connector = connect_tcp(self._reactor, host, server.port, attempt)
        try:
            return await connection.made
        except CancelledError:
            connector.disconnect()
            raise
        except Exception as error:
            raise (TLSFailed() if attempt.connected and self._secure is not None else ConnectError()) from error

    async def _greet(self, connection: RespConnection, server: Address) -> Opened:
        greeting = self._greeting
        user = greeting.user or "default"
        password = greeting.password
        auth = () if password is None else ("AUTH", user, password)
        resp3 = True
        try:
            await connection.call("HELLO", 3, *auth, "SETNAME", NAME)
        except CommandRefused as error:
            if error.kind not in ("ERR", "NOPROTO"):  # these say that it knows no HELLO or no 3; NOAUTH, WRONGPASS, LOADING are final
                raise
            resp3 = False
            if password is not None:
                await connection.call("AUTH", *([greeting.user] if greeting.user else []), password)
        if greeting.database:
            await connection.call("SELECT", greeting.database)
        try:
            role = await connection.call("ROLE")
        except CommandRefused as error:
            if error.kind in ("LOADING", "NOAUTH"):
                raise
            return Opened(connection, server, resp3, has_role=False)
        if not is_master(role):
            raise DependencyDown("the server is a replica")
        return Opened(connection, server, resp3, has_role=True)


def is_master(role: Any) -> bool:
    """Whether a reply to ROLE is a master's."""
    return isinstance(role, list) and bool(role) and role[0] == b"master"


class _Attempt(ClientFactory):
    noisy = False

    def __init__(self, connection: RespConnection, protocol: Any) -> None:
        self.connected = False
        self._connection = connection
        self._protocol = protocol

    def buildProtocol(self, addr: IAddress | None) -> Any:
        self.connected = True
        return self._protocol

    def clientConnectionFailed(self, connector: Any, reason: Failure) -> None:
        if not self._connection.made.called:
            self._connection.made.errback(reason)


@implementer(IResolutionReceiver)
class _Resolution:
    def __init__(self) -> None:
        self.hosts: list[str] = []
        # Twisted's getaddrinfo runs on a thread and cannot be stopped; what it finds is ignored
        self.done: Deferred[list[str]] = Deferred()

    def resolutionBegan(self, resolution: Any) -> None:
        """Nothing to keep."""

    def addressResolved(self, address: IAddress) -> None:
        self.hosts.append(address.host)  # type: ignore[attr-defined]

    def resolutionComplete(self) -> None:
        if not self.done.called:
            self.done.callback(self.hosts)


async def _addresses(reactor: Any, server: Address) -> list[str]:
    if isIPAddress(server.host) or isIPv6Address(server.host):
        return [server.host]
    resolution = _Resolution()
    reactor.nameResolver.resolveHostName(resolution, server.host, server.port)
    return await resolution.done
