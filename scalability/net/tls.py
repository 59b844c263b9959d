"""TLS between a listener and the server above it."""

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IAddress, IOpenSSLServerConnectionCreator, IReactorTime
from twisted.protocols.tls import TLSMemoryBIOFactory


class TLSServerFactory(TLSMemoryBIOFactory):
    """Speaks TLS with clients and hands what they say to the connections of ``server``, an ``HTTPServerFactory`` or what stands before one.

    Connections count in ``server`` from the moment in which they are accepted, so that its caps and deadlines hold for handshakes too.
    Several such factories and a plain listener may share one server; whoever closes the last of them drains it.
    """

    def __init__(self, creator: IOpenSSLServerConnectionCreator, server: Any, clock: IReactorTime) -> None:
        super().__init__(creator, False, server, clock)
        self.room: Callable[[], int] = server.room
        self.when_room: Callable[[Callable[[], None]], None] = server.when_room
        self.out_of_means: Callable[[], None] = server.out_of_means

    def buildProtocol(self, addr: IAddress | None) -> Any:  # None where the server has no room
        served = self.wrappedFactory.buildProtocol(addr)
        return None if served is None else self.protocol(self, served)
