"""A large stored body on its way to one client: piece by piece, as fast as it takes them.

    pouring --the last piece--> over;  pouring --the client has left--> over

Written at once, each client that reads slowly would hold a copy of its own: with objects of 8 MiB a hundred of them are 800 MB, whatever
the bound of the cache says. Poured, they share the body, and what of it is stored no more is counted (``pins``).
"""

from collections.abc import Callable
from typing import Final

from scalability.errors import ScalelabError
from scalability.net.exchange import Exchange

PIECE_BYTES: Final = 256 << 10
"""What is written at once, and the largest body that is sent together with its head."""


class Pouring:
    """Answers ``exchange`` with ``block``, a complete head, and ``body``. The exchange's receiver until it is over.

    ``ended`` is called then.
    """

    __slots__ = ("_at", "_body", "_ended", "_exchange", "_full", "_pumping")

    def __init__(self, exchange: Exchange, body: memoryview, ended: Callable[[], None]) -> None:
        self._exchange = exchange
        self._body = body
        self._ended = ended
        self._at = 0
        self._full = False
        self._pumping = False

    def begin(self, status: int, block: bytes, *, keep_alive: bool) -> None:
        """Send the head, and what the client can take of the body."""
        self._exchange.receiver = self
        self._exchange.begin(status, block, keep_alive=keep_alive)
        self._pump()

    def _pump(self) -> None:
        if self._pumping:
            return  # a client that takes all at once says so while it is written to
        self._pumping = True
        exchange = self._exchange
        body = self._body
        while not self._full and exchange.receiver is self:
            piece = bytes(body[self._at : self._at + PIECE_BYTES])
            self._at += len(piece)
            if self._at >= len(body):
                exchange.receiver = None
                self._over()
                exchange.finish(piece)
            else:
                exchange.write(piece)
        self._pumping = False

    def _over(self) -> None:
        self._body = memoryview(b"")
        self._ended()

    # net.exchange.Receiver

    def body_received(self, data: bytes, ended: bool) -> None:
        """What is answered from memory has no body that anybody reads."""

    def client_lost(self, error: ScalelabError) -> None:
        self._exchange.receiver = None
        self._over()

    def client_full(self) -> None:
        self._full = True

    def client_ready(self) -> None:
        self._full = False
        self._pump()
