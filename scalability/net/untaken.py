"""How much of what was written the other side has not taken: what tells a slow reader from one that does not read."""

import struct
from fcntl import ioctl
from termios import TIOCOUTQ
from typing import Any


def untaken_bytes(transport: Any) -> int | None:
    """Bytes that wait in ``transport``, and those that the kernel has sent or will send and the peer has not acknowledged (tcp(7),
    SIOCOUTQ). None where the transport does not tell, as Twisted's own do not."""
    queued: int | None = getattr(transport, "queued_bytes", None)
    fileno = getattr(transport, "fileno", None)
    if queued is None or fileno is None:
        return queued
    try:
        return queued + int(struct.unpack("i", ioctl(fileno(), TIOCOUTQ, bytes(4)))[0])
    except (OSError, ValueError):  # another system's sockets may not know it; a closed one has no number
        return queued
