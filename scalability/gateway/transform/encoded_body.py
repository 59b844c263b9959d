"""A body on its way through an encoder: in pieces, a turn of the loop each, so that no body, however large, holds up the others.

idle     all that came is encoded
busy     more waits: one piece is encoded each turn; above a limit whoever brings it is told to wait
ended    the last bytes are out
"""

from collections import deque
from collections.abc import Callable
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from scalability.gateway.transform.codings import PIECE_BYTES, Encoder

MAX_WAITING_BYTES: Final = 128 << 10
"""Of the body, not encoded yet; above that ``full`` is called."""


class EncodedBody:
    """``write`` gets what is to be sent, ``ended`` the last of it. ``full`` and ``ready`` hold back whoever calls ``feed``.

    With ``flush`` (the body's end is not known) everything that came can be decoded by the receiver as soon as it is sent: events of a
    stream wait for nobody.
    """

    __slots__ = (
        "_at",
        "_call",
        "_clock",
        "_encoder",
        "_ended",
        "_flush",
        "_full",
        "_held",
        "_over",
        "_ready",
        "_told_full",
        "_waiting",
        "_waiting_bytes",
        "_write",
    )

    def __init__(
        self,
        encoder: Encoder,
        clock: IReactorTime,
        *,
        flush: bool,
        write: Callable[[bytes], None],
        ended: Callable[[bytes], None],
        full: Callable[[], None],
        ready: Callable[[], None],
    ) -> None:
        self._encoder = encoder
        self._clock = clock
        self._flush = flush
        self._write = write
        self._ended = ended
        self._full = full
        self._ready = ready
        self._waiting: deque[bytes] = deque()
        self._at = 0
        """What of the first of them is encoded."""
        self._waiting_bytes = 0
        self._told_full = False
        self._held = False
        self._over = False
        self._call: IDelayedCall | None = None

    def feed(self, data: bytes) -> None:
        """More of the body. The first piece is encoded at once."""
        if not data:
            return
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        if self._call is None and not self._held:
            self._work()
        if self._waiting_bytes > MAX_WAITING_BYTES and not self._told_full:
            self._told_full = True
            self._full()

    def end(self) -> None:
        """That was all of it."""
        self._over = True
        if self._call is None and not self._held:
            self._work()

    def hold(self) -> None:
        """The client reads too slowly: encode nothing for now."""
        self._held = True
        self._stop()

    def go_on(self) -> None:
        """It reads again."""
        self._held = False
        if self._call is None and (self._waiting or self._over):
            self._work()

    def cancel(self) -> None:
        """Nobody wants it any more."""
        self._waiting.clear()
        self._waiting_bytes = 0
        self._held = True
        self._stop()

    def _stop(self) -> None:
        call, self._call = self._call, None
        if call is not None:
            call.cancel()

    def _work(self) -> None:
        self._call = None
        encoder = self._encoder
        out = encoder.feed(self._piece()) if self._waiting else b""
        if self._waiting:
            self._call = self._clock.callLater(0, self._work)
        elif self._over:
            self._over = False
            self._ended(out + encoder.end())
            return
        elif self._flush:
            out += encoder.flush()
        if out:
            self._write(out)
        if self._told_full and self._waiting_bytes <= MAX_WAITING_BYTES // 2:
            self._told_full = False
            self._ready()

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
