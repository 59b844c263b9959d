"""Messages between processes: a length of four bytes, then JSON of one type of a tagged union. PURE.

``Frames`` takes the bytes however they are cut. Nothing larger than ``LIMIT`` is sent or accepted.
"""

from collections.abc import Iterator
from typing import Generic, TypeVar

import msgspec

LIMIT = 64 << 20
"""Bytes of one message: far above a report about 4,096 servers, and enough for 10,000 certificates."""

_LENGTH_BYTES = 4

M = TypeVar("M")


class FrameError(ValueError):
    """These bytes are no message: the other side is of another version, or broken. The link is of no use any more."""


def frame(message: msgspec.Struct) -> bytes:
    """``message`` as it travels. Raises FrameError when it is too long."""
    body = msgspec.json.encode(message)
    if len(body) > LIMIT:
        raise FrameError(f"a message of {len(body)} bytes")
    return len(body).to_bytes(_LENGTH_BYTES) + body


class Frames(Generic[M]):
    """Reads messages of one direction; ``decoder`` knows their types."""

    def __init__(self, decoder: "msgspec.json.Decoder[M]") -> None:
        self._decode = decoder.decode
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterator[M]:
        """Each message that ``data`` completes. Raises FrameError; nothing can be read after that."""
        held = self._held
        held += data
        while len(held) >= _LENGTH_BYTES:
            end = _LENGTH_BYTES + int.from_bytes(held[:_LENGTH_BYTES])
            if end > _LENGTH_BYTES + LIMIT:
                raise FrameError(f"a message of {end - _LENGTH_BYTES} bytes is announced")
            if len(held) < end:
                return
            body = bytes(memoryview(held)[_LENGTH_BYTES:end])
            del held[:end]
            try:
                message = self._decode(body)
            except msgspec.MsgspecError as error:
                raise FrameError(str(error)) from error
            yield message
