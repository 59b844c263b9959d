"""A client of RESP that looks at the bytes of each reply, whatever they mean: for comparing servers."""

import socket
from collections.abc import Sequence

from scalability.testing.redis_process import request

Word = str | bytes | int
Words = tuple[Word, ...]

_MARK = b"$4\r\nMARK\r\n"
"""The reply to ``ECHO MARK``, which follows every request: it shows where a reply ends. No value may have it in itself."""


class WireClient:
    """A client over ``connection``, which is connected already and has a timeout."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def run(self, *words: Word) -> bytes:
        """The bytes of the reply."""
        return self.run_all([words])[0]

    def run_all(self, requests: Sequence[Words]) -> list[bytes]:
        """The replies to ``requests``, which are sent in one piece."""
        mark = request("ECHO", "MARK")
        self._connection.sendall(b"".join(request(*words) + mark for words in requests))
        received = bytearray()
        while received.count(_MARK) < len(requests):
            data = self._connection.recv(1 << 18)
            if not data:
                raise ConnectionError(f"the server closed the connection after {bytes(received[-200:])!r}")
            received += data
        return bytes(received).split(_MARK)[:-1]
