"""What the clients of a listener have sent of late: heads that need not be parsed, nor be kept, once for each connection.

Programs that share a library send the same field lines, and one that is not kept alive sends them on each of its connections. Who is not
the first to send them is spared the parsing; and a thousand connections that all repeat one head compare with, and forward from, the
same bytes, which the processor's caches then hold (worth 2 us a request at 1,000 connections that send the same; where each sends its
own, cookies for example, nothing is gained, and a new connection pays 0.5 us).
"""

from typing import Final

from scalability.http1.request_head import RequestHead

GENERATION: Final = 256
"""Twice as many heads are kept at most: a few MB, where clients send all that is remembered (``MEMO_BYTES``)."""


class KnownHeads:
    """The last head with each set of field lines, for at least the ``GENERATION`` sets that were asked for last.

    Two generations take the place of a list in the order of use: a full one becomes the elder, and the elder before it is forgotten.
    """

    __slots__ = ("_elder", "_younger")

    def __init__(self) -> None:
        self._younger: dict[bytes, tuple[bytes, RequestHead]] = {}
        self._elder: dict[bytes, tuple[bytes, RequestHead]] = {}

    def get(self, lines: bytes) -> tuple[bytes, RequestHead] | None:
        """The last head whose bytes end in ``lines``, from the first field's name to the empty line, behind its bytes; or None."""
        found = self._younger.get(lines)
        if found is None:
            found = self._elder.get(lines)
            if found is not None:
                self.put(lines, *found)
        return found

    def put(self, lines: bytes, block: bytes, head: RequestHead) -> None:
        """``block`` was parsed to ``head``, and ends in ``lines``."""
        if len(self._younger) >= GENERATION and lines not in self._younger:
            self._elder = self._younger
            self._younger = {}
        self._younger[lines] = (block, head)
