"""PURE. Content codings that this process can write: gzip always, br and zstd where their libraries are installed.

Encoders work in pieces, and hold as little memory as still compresses well: their windows are 32 KiB (gzip) and 256 KiB (the others).
"""

import zlib
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Final, Protocol


def _installed(name: str) -> Any:
    """A library of the extra ``compression``, or None."""
    try:
        return import_module(name)
    except ImportError:
        return None


brotli = _installed("brotli")
zstandard = _installed("zstandard")

GZIP_LEVEL: Final = 5
BROTLI_QUALITY: Final = 4
ZSTD_LEVEL: Final = 3
WINDOW_BITS: Final = 18

PIECE_BYTES: Final = 32 << 10
"""What is encoded at a time; the slowest of the codings takes about a millisecond for it."""


class Encoder(Protocol):
    """One body on its way."""

    def feed(self, data: bytes) -> bytes:
        """Take ``data``; answers what there is to send, perhaps nothing yet."""

    def flush(self) -> bytes:
        """What lets the receiver decode all that was fed."""

    def end(self) -> bytes:
        """The rest. Nothing may be fed afterwards."""


class _Gzip:
    def __init__(self) -> None:
        self._object = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, 31)
        self.feed = self._object.compress

    def flush(self) -> bytes:
        return self._object.flush(zlib.Z_SYNC_FLUSH)

    def end(self) -> bytes:
        return self._object.flush()


class _Brotli:
    def __init__(self) -> None:
        compressor = brotli.Compressor(quality=BROTLI_QUALITY, lgwin=WINDOW_BITS)
        self.feed: Callable[[bytes], bytes] = compressor.process
        self.flush: Callable[[], bytes] = compressor.flush
        self.end: Callable[[], bytes] = compressor.finish


class _Zstd:
    def __init__(self) -> None:
        parameters = zstandard.ZstdCompressionParameters.from_level(ZSTD_LEVEL, window_log=WINDOW_BITS)
        self._object = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
        self.feed: Callable[[bytes], bytes] = self._object.compress
        self.end: Callable[[], bytes] = self._object.flush

    def flush(self) -> bytes:
        flushed: bytes = self._object.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
        return flushed


ENCODERS: Final[Mapping[bytes, Callable[[], Encoder]]] = {
    **({b"br": _Brotli} if brotli is not None else {}),
    **({b"zstd": _Zstd} if zstandard is not None else {}),
    b"gzip": _Gzip,
}
"""By the name in Content-Encoding; the best first, as far as the libraries are there."""

KNOWN: Final = ("br", "zstd", "gzip")
"""All that a configuration may name."""
