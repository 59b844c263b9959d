"""What every byte of a lean connection passes through: one ``recv`` for a read event, one ``send`` at the end of the turn.

One class with slots, for connections that were accepted and for those that were opened: code that meets two classes by turns, a
server's transport and a client's, gets none of CPython 3.11's fast ways to attributes and methods (worth 0.4 us a request). Whatever
is not usual, bytes that the kernel refuses, half-closes, endings, is its connection's (``net.transport``).
"""

import socket
from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet import main

READ_BYTES = 65536

SMALL_READ_BYTES = 448
"""CPython makes objects of up to 512 bytes by itself, larger ones by ``malloc``: a ``recv`` into so little takes 600 instructions less."""

SEND_SOON_BYTES = 8192
"""What is smaller may wait for the end of the turn; so a turn holds back at most this for each of its events."""


def ignore(data: bytes) -> None:
    """Takes what comes when nobody does any more."""


class Connection(Protocol):
    """What a wire belongs to."""

    reactor: Any

    def read_ended(self) -> BaseException:
        """The peer has sent its FIN, or the connection is lost: why."""

    def read_more(self) -> None:
        """The socket may hold more than was read."""

    def write_carefully(self, data: bytes) -> None:
        """Write what cannot just be held until the end of the turn."""

    def send_refused(self, data: bytes, sent: int) -> None:
        """The kernel has taken ``sent`` bytes of ``data`` only."""

    def send_failed(self) -> None:
        """Nothing can be sent any more."""


class Wire:
    """The socket of a connection that stands; ``received`` is given what comes."""

    __slots__ = ("accepted", "answering", "connection", "direct", "held", "read_bytes", "received", "socket", "soon_bytes", "unsent")

    def __init__(self, connection: Connection, plug: socket.socket, received: Callable[[bytes], Any], *, accepted: bool) -> None:
        self.connection = connection
        self.socket = plug
        self.received = received
        self.answering = False
        """Whether what ``received`` returns, unless it is None, is to be written: less than ``SEND_SOON_BYTES``."""
        self.read_bytes = READ_BYTES
        """What is read at once: fewer as long as no more than that is expected."""
        self.accepted = accepted
        """Whether the peer connected to us, and not we to it."""
        self.direct = False
        """Whether what is written may be held: the reactor sends it, nothing is queued, nothing has failed, our side is open."""
        self.held = b""
        """What is to be sent at the end of the turn. Nothing is queued while there is something."""
        unsent: list[Wire] | None = getattr(connection.reactor, "unsent", None)
        self.unsent: list[Wire] = [] if unsent is None else unsent
        """The reactor's list of those that have something to send at the end of this turn."""
        self.soon_bytes = 0 if unsent is None else SEND_SOON_BYTES

    def read(self) -> BaseException | None:
        """Read once, and hand it on. None, or the exception that says why the connection ends."""
        try:
            data = self.socket.recv(self.read_bytes)
        except OSError as error:
            return read_error(error)
        if not data:
            return self.connection.read_ended()
        if len(data) == self.read_bytes:
            self.filled()
        reply = self.received(data)
        if reply is not None and self.answering:
            self.write(reply)
        return None

    def filled(self) -> None:
        """What was read is as much as was asked for."""
        self.read_bytes = READ_BYTES
        self.connection.read_more()

    def write(self, data: bytes) -> None:
        """Send ``data`` at the end of this turn, or as soon as the peer takes it; never out of order. Never calls back."""
        if len(data) < self.soon_bytes and not self.held and self.direct:
            self.held = data
            self.unsent.append(self)
        else:
            self.connection.write_carefully(data)

    def send_held(self) -> None:
        """Send what is held: the turn ends, it has become much, or there is no end of the turn. Never raises."""
        data = self.held
        if not data:
            return  # sent already, or the connection is gone
        self.held = b""
        try:
            sent = self.socket.send(data)
        except OSError as error:
            self.send_failed(data, error)
            return
        if sent != len(data):
            self.connection.send_refused(data, sent)

    def send_failed(self, data: bytes, error: OSError) -> None:
        """Sending ``data`` has raised ``error``."""
        if isinstance(error, BlockingIOError | InterruptedError):
            self.connection.send_refused(data, 0)
        else:
            self.connection.send_failed()


def read_error(error: OSError) -> BaseException | None:
    """Why the connection ends on whose reading ``error`` was raised; None: there was nothing to be read."""
    return None if isinstance(error, BlockingIOError | InterruptedError) else main.CONNECTION_LOST
