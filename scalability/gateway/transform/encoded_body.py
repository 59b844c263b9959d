"""A body on its way through an encoder: in pieces, in turns with all others, so that no body, however large, holds anybody up.

idle     all that came is encoded
busy     more waits for its turn; above a limit whoever brings it is told to wait
apart    it is large: a thread encodes a piece, which takes no lock of the interpreter's (zlib, brotli and zstandard let go of it)
held     the client reads too slowly: nothing is encoded
ended    the last bytes are out, or nobody wants them
"""

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final

from twisted.logger import Logger
from twisted.python.failure import Failure

from scalability.errors import Overloaded
from scalability.gateway.transform.codings import PIECE_BYTES, Encoder
from scalability.gateway.transform.turns import Turns
from scalability.lifecycle.threads import Threads

MAX_WAITING_BYTES: Final = 128 << 10
"""Of the body, not encoded yet; above that ``full`` is called."""

LARGE_BYTES: Final = 64 << 10
"""A body of which that much has been encoded in turns goes on in a thread."""
WORTH_BYTES: Final = 8 << 10
"""Less than that is no work for a thread: events of a stream."""
APART_BYTES: Final = 64 << 10
"""What a thread encodes at a time: a millisecond or two, against 0.1 ms for the way there and back."""


class EncodedBody:
    """``write`` gets what is to be sent, ``ended`` the last of it. ``full`` and ``ready`` hold back whoever calls ``feed``.

    With ``flush`` (the body's end is not known) everything that came can be decoded by the receiver as soon as it is sent: events of a
    stream wait for nobody.
    """

    log = Logger()

    __slots__ = (
        "_asked",
        "_at",
        "_encoded_bytes",
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
        self._encoded_bytes = 0
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
            threads = self._turns.threads
            if threads is not None and self._encoded_bytes >= LARGE_BYTES and (self._over or self._waiting_bytes >= WORTH_BYTES):
                self._work_apart(threads)
            else:
                self._turns.ask(self._work)

    def _work(self) -> None:
        if self._held or self._gone:
            self._asked = False
            return
        piece = self._piece(PIECE_BYTES) if self._waiting else b""
        last = self._over and not self._waiting
        self._encoded(last, _encode(self._encoder, piece, last=last, flush=self._flush and not self._waiting))

    def _work_apart(self, threads: Threads) -> None:
        piece = self._piece(APART_BYTES) if self._waiting else b""
        last = self._over and not self._waiting
        work = partial(_encode, self._encoder, piece, last=last, flush=self._flush and not self._waiting)
        done = threads.run(work).addCallbacks(partial(self._encoded, last), partial(self._no_thread, last, work))
        done.addErrback(lambda failure: self.log.failure("a body could not be encoded", failure))

    def _no_thread(self, last: bool, work: Callable[[], bytes], failure: Failure) -> None:
        failure.trap(Overloaded)  # there are none any more, or not yet
        self._turns.ask(lambda: self._encoded(last, work()))

    def _encoded(self, last: bool, out: bytes) -> None:
        self._asked = False
        if self._gone:
            return
        if last:
            self._gone = True
            self._ended(out)
            return
        if out:
            self._write(out)
        if self._told_full and self._waiting_bytes <= MAX_WAITING_BYTES // 2:
            self._told_full = False
            self._ready()
        self._ask()

    def _piece(self, most: int) -> bytes:
        waiting = self._waiting
        at = self._at
        piece = waiting[0][at : at + most]  # the rest is not copied again and again
        self._at = at + len(piece)
        if self._at == len(waiting[0]):
            waiting.popleft()
            self._at = 0
        self._waiting_bytes -= len(piece)
        self._encoded_bytes += len(piece)
        return piece


def _encode(encoder: Encoder, piece: bytes, *, last: bool, flush: bool) -> bytes:
    out = encoder.feed(piece) if piece else b""
    if last:
        return out + encoder.end()
    return out + encoder.flush() if flush else out
