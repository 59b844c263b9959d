"""A connection to a server under TLS."""

from typing import Any

from twisted.internet.interfaces import IHandshakeListener
from twisted.python.failure import Failure
from zope.interface import implementer

from scalability.net.client_connection import ClientConnection


@implementer(IHandshakeListener)
class SecureConnection(ClientConnection):
    """A connection under TLS: it stands once the handshake is done and the server is the one that was meant."""

    def connectionMade(self) -> None:
        """The handshake comes first; and before it the preface."""
        if self.preface:
            self.transport.transport.write(self.preface)

    def _begin(self) -> None:
        """Done already."""

    def handshakeCompleted(self) -> None:
        super().connectionMade()

    def connectionLost(self, reason: Failure = None) -> None:  # type: ignore[assignment]
        opening, self._opening = self._opening, None
        super().connectionLost(reason)
        if opening is not None:
            opening.handshake_failed(reason)

    def give_up_handshake(self) -> None:
        """The attempt is over, without a word to it."""
        self._opening = None
        self.transport.abortConnection()

    def _socket_transport(self) -> Any:
        return self.transport.transport
