"""What a child prints, cut into lines that can be logged: bounded, and never two lines in one."""

from codecs import getincrementaldecoder

LIMIT = 8192
"""Characters in a line; what is longer comes in several, each but the last ending in " ..."."""

_MORE = " ..."
_decoder = getincrementaldecoder("utf-8")
# What a terminal would act on is shown instead: a child logs what its clients sent. Tabs indent tracebacks.
_VISIBLE = {code: f"\\x{code:02x}" for code in [*range(0x20), *range(0x7F, 0xA0)] if code not in (0x09, 0x0A)}


class Lines:
    """Bytes in, in any pieces; whole lines of text out. Bytes that are not UTF-8 are shown as ``\\xNN``.

    At most ``limit`` characters of an unfinished line are kept.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._decode = _decoder("backslashreplace").decode
        self._partial = ""

    def feed(self, data: bytes) -> list[str]:
        """The lines that ``data`` completes."""
        *whole, self._partial = (self._partial + self._decode(data)).split("\n")
        lines = [piece for line in whole for piece in self._pieces(line.removesuffix("\r"))]
        if len(self._partial) > self._limit:
            *pieces, self._partial = self._pieces(self._partial)
            lines += pieces
        return lines

    def end(self) -> list[str]:
        """The line that was never finished, if there is one. Call it once, at the end of the stream."""
        partial, self._partial = self._partial + self._decode(b"", True), ""
        return self._pieces(partial) if partial else []

    def _pieces(self, line: str) -> list[str]:
        line = line.translate(_VISIBLE)
        if len(line) <= self._limit:
            return [line]
        cuts = range(0, len(line), self._limit)
        return [line[at : at + self._limit] + (_MORE if at + self._limit < len(line) else "") for at in cuts]
