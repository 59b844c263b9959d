"""A body on its way through an encoder: in pieces, in turns with all others, so that no body, however large, holds anybody up.

idle     all that came is encoded
busy     more waits for its turn; above a limit whoever brings it is told to wait
held     the client reads too slowly: nothing is encoded
ended    the last bytes are out, or nobody wants them
"""

from collections import deque
from collections.abc import Callable
from typing import Final

from scalability.gateway.transform.codings import PIECE_BYTES, Encoder
from scalability.gateway.transform.turns import Turns

MAX_WAITING_BYTES: Final = 128 << 10
"""Of the body, not encoded yet; above that ``full`` is called."""


class EncodedBody:
    """``write`` gets what is to be sent, ``ended`` the last of it. ``full`` and ``ready`` hold back whoever calls ``feed``.

    With ``flush`` (the body's end is not known) everything that came can be decoded by the receiver as soon as it is sent: events of a
    stream wait for nobody.
    """

    __slots__ = (
        "_asked",
        "_at",
        "_encoder",
        "_ended",
        "_flush",
        "_full",
        "_gone",
        "_held",
        "_over",
        "_ready",
        "_told_full",
        "_turns",
        "_waiting",
        "_waiting_bytes",
        "_write",
    )

    def __init__(
        self,
        encoder: Encoder,
        turns: Turns,
        *,
        flush: bool,
        write: Callable[[bytes], None],
        ended: Callable[[bytes], None],
        full: Callable[[], None],
        ready: Callable[[], None],
    ) -> None:
        self._encoder = encoder
        self._turns = turns
        self._flush = flush
        self._write = write
        self._ended = ended
        self._full = full
        self._ready = ready
        self._waiting: deque[bytes] = deque()
        self._at = 0
        """What of the first of them is encoded."""
        self._waiting_bytes = 0
        self._asked = False
        """For a turn."""
        self._told_full = False
        self._held = False
        self._over = False
        self._gone = False

    def feed(self, data: bytes) -> None:
        """More of the body."""
        if not data or self._gone:
            return
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        self._ask()
        if self._waiting_bytes > MAX_WAITING_BYTES and not self._told_full:
            self._told_full = True
            self._full()

    def end(self) -> None:
        """That was all of it."""
        self._over = True
        self._ask()

    def hold(self) -> None:
        """The client reads too slowly: encode nothing for now."""
        self._held = True

    def go_on(self) -> None:
        """It reads again."""
        self._held = False
        self._ask()

    def cancel(self) -> None:
        """Nobody wants it any more."""
        self._gone = True
        self._waiting.clear()

    def _ask(self) -> None:
        if not self._asked and not self._held and not self._gone and (self._waiting or self._over):
            self._asked = True
            self._turns.ask(self._work)

    def _work(self) -> None:
        self._asked = False
        if self._held or self._gone:
            return
        encoder = self._encoder
        out = encoder.feed(self._piece()) if self._waiting else b""
        if not self._waiting:
            if self._over:
                self._gone = True
                self._ended(out + encoder.end())
                return
            if self._flush:
                out += encoder.flush()
        if out:
            self._write(out)
        if self._told_full and self._waiting_bytes <= MAX_WAITING_BYTES // 2:
            self._told_full = False
            self._ready()
        self._ask()

    def _piece(self) -> bytes:
        waiting = self._waiting
        at = self._at
        piece = waiting[0][at : at + PIECE_BYTES]  # the rest is not copied again and again
        self._at = at + len(piece)
        if self._at == len(waiting[0]):
            waiting.popleft()
            self._at = 0
        self._waiting_bytes -= len(piece)
        return piece
