"""A listening socket as a service: loud when it cannot listen, and drained before it is gone."""

import errno
import socket
from typing import Any, NoReturn, Protocol, runtime_checkable

from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.logger import Logger

from scalability.config import Address, fail
from scalability.net.transport import adopt_tcp, bind_tcp, listen_tcp


@runtime_checkable
class Drains(Protocol):
    """A factory that can let its requests finish."""

    def drain(self, grace_s: float) -> Deferred[None]:
        """Answer no further requests; fire when those in flight have ended, or were aborted after ``grace_s`` seconds."""


class Listener(Service):
    """Accepts connections on ``address`` for ``factory``; ``who`` names the plugin in messages.

    Binds in ``privilegedStartService``, before the process gives up rights. An address that cannot be listened on ends the
    process with one line that names ``flag``, the way to choose another. Port 0 takes any free one: ``address`` tells which.
    Stopping closes the socket and then drains the factory, if it can, for at most ``grace_s`` seconds.

    With ``descriptor`` it accepts from that listening socket, which it then owns, instead of one of its own.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        address: Address,
        factory: IProtocolFactory,
        *,
        who: str,
        flag: str = "--listen",
        grace_s: float = 30.0,
        descriptor: int | None = None,
    ) -> None:
        self._reactor = reactor
        self.address = address
        self._factory = factory
        self._who = who
        self._flag = flag
        self._grace_s = grace_s
        self._descriptor = descriptor
        self._port: IListeningPort | None = None

    def privilegedStartService(self) -> None:
        super().privilegedStartService()
        self._listen()

    def startService(self) -> None:
        self._listen()
        super().startService()
        if self._descriptor is None:
            self.log.info("{who} listens on {address}", who=self._who, address=self.address)

    def stopService(self) -> Deferred[None]:
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    def _listen(self) -> None:
        if self._port is not None:
            return
        if self._descriptor is not None:
            self._port = adopt_tcp(self._reactor, self._descriptor, self._factory)
            return
        try:
            self._port = listen_tcp(self._reactor, self.address.host, self.address.port, self._factory)
        except CannotListenError as error:
            _fail(self._who, self.address, self._flag, error)
        host: Any = self._port.getHost()
        self.address = Address(self.address.host, host.port)

    async def _stop(self) -> None:
        port, self._port = self._port, None
        if port is not None:
            await maybeDeferred(port.stopListening)
        if isinstance(self._factory, Drains):
            await self._factory.drain(self._grace_s)


class SharedSocket:
    """A listening socket that this process opens and others accept from: each ``Listener`` there is given a copy of ``descriptor``."""

    log = Logger()

    def __init__(self, address: Address, *, who: str, flag: str = "--listen") -> None:
        self.address = address
        self.flag = flag
        self._who = who
        self._socket: socket.socket | None = None

    @property
    def descriptor(self) -> int:
        """Of the socket, while it is open."""
        assert self._socket is not None
        return self._socket.fileno()

    def open(self) -> None:
        """Bind; harmless when that is done. Ends the process as ``Listener`` does when the address cannot be had."""
        if self._socket is not None:
            return
        try:
            self._socket = bind_tcp(self.address.host, self.address.port)
        except CannotListenError as error:
            _fail(self._who, self.address, self.flag, error)
        self.address = Address(self.address.host, self._socket.getsockname()[1])

    def announce(self) -> None:
        """Log where it listens, in ``Listener``'s words."""
        self.log.info("{who} listens on {address}", who=self._who, address=self.address)

    def close(self) -> None:
        """Close this process's end; who holds a copy accepts on. Twice is harmless."""
        listening, self._socket = self._socket, None
        if listening is not None:
            listening.close()


_HINTS = {
    errno.EADDRINUSE: "is it running already?",
    errno.EACCES: "ports below 1024 need a privilege",
    errno.EADDRNOTAVAIL: "no interface of this machine has it",
}


def _fail(who: str, address: Address, flag: str, error: CannotListenError) -> NoReturn:
    fail(who, f"cannot listen on {address}: {_why(error)}; {flag} names another address")


def _why(error: CannotListenError) -> str:
    cause = error.socketError
    why = getattr(cause, "strerror", None) or str(cause)
    hint = _HINTS.get(getattr(cause, "errno", 0))
    return f"{why}; {hint}" if hint else why
