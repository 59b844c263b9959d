"""A real redis-server, or valkey-server, for tests that compare ours with it.

It listens on a socket in a folder of its own, not on a port: nothing else can be there, and nothing else finds it.
"""

import shutil
import socket
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from scalability.testing.processes import Process

SERVERS = ("redis-server", "valkey-server")

_MARK = b"$4\r\nMARK\r\n"


def installed(server: str) -> str | None:
    """The path of ``server``, one of ``SERVERS``, or None where it is not installed."""
    return shutil.which(server)


class RedisProcess:
    """The server, and one connection to it. Use it as a context manager, or ``close`` it."""

    def __init__(self, server: str, *, timeout_s: float = 20.0) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="redis-")
        self.program = Path(server).name
        path = self.path = Path(self._folder.name, "socket")
        """The socket on which it listens."""
        options = ["--port", "0", "--unixsocket", str(path), "--save", "", "--appendonly", "no", "--dir", self._folder.name]
        self._process = Process([server, *options], cwd=self._folder.name, parent_pipe=False)
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._process.wait_for("[Rr]eady to accept connections", timeout_s=timeout_s)
            self._socket.settimeout(timeout_s)
            self._socket.connect(str(path))
        except BaseException:
            self.close()
            raise

    def run(self, *words: str | bytes | int) -> bytes:
        """The bytes of the answer."""
        self._socket.sendall(request(*words) + request("ECHO", "MARK"))
        answer = b""
        while not answer.endswith(_MARK):
            received = self._socket.recv(65536)
            if not received:
                raise ConnectionError(f"the server closed the connection after {answer[-200:]!r}")
            answer += received
        return answer.removesuffix(_MARK)

    def close(self) -> None:
        """End the server and remove its folder."""
        self._socket.close()
        self._process.close()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()


def request(*words: str | bytes | int) -> bytes:
    """A request on the wire."""
    parts = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n%b" % (len(parts), b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts))
