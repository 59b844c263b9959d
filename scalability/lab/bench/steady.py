"""Requests at a steady rate over connections that are kept, whatever the answers do (an open loop)."""

import selectors
import socket
import time
from collections import deque

CONNECTIONS = 64


def percentile(values: list[float], share: float) -> float:
    """The value that ``share`` of all are at most."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class SteadyClient:
    """Sends GETs for ``path`` to ``port``, ``rate_per_s`` of them a second; ``latencies`` in seconds, ``failures`` counts the rest.

    A request is timed from the moment it is sent, or from when it was due if all connections were waiting for answers then: an answer
    that hangs delays no request that is measured without it.
    """

    def __init__(self, port: int, *, path: bytes = b"/data", rate_per_s: int = 400) -> None:
        self._request = b"GET %b HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: steady\r\nAccept: */*\r\n\r\n" % path
        self._rate_per_s = rate_per_s
        self._selector = selectors.DefaultSelector()
        self._free: deque[socket.socket] = deque()
        self._sent: dict[socket.socket, float] = {}
        self._all: list[socket.socket] = []
        self.latencies: list[float] = []
        self.failures = 0
        for _ in range(CONNECTIONS):
            connection = socket.create_connection(("127.0.0.1", port), timeout=10)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._all.append(connection)
            self._free.append(connection)
            self._selector.register(connection, selectors.EVENT_READ)

    def run(self, seconds: float) -> list[float]:
        """Send for ``seconds``, wait for what is still to come; the latencies of that time."""
        self.latencies = []
        began = time.perf_counter()
        number, last = 0, int(seconds * self._rate_per_s)
        while number < last or self._sent:
            now = time.perf_counter()
            due = began + number / self._rate_per_s
            if now > began + seconds + 10:
                self.failures += len(self._sent) + last - number
                break
            while number < last and due <= now and self._free:
                connection = self._free.popleft()
                # the clock of select is coarse: being a little late is ours, waiting for a connection is the server's
                self._sent[connection] = now if now - due < 0.005 else due
                connection.sendall(self._request)
                number += 1
                due = began + number / self._rate_per_s
            self._read(max(0.0, min(due - now, 0.05)) if number < last else 0.05)
        return self.latencies

    def _read(self, wait_s: float) -> None:
        for key, _ in self._selector.select(wait_s):
            connection: socket.socket = key.fileobj  # type: ignore[assignment]  # it is what was registered
            try:
                answer = connection.recv(65536)
            except OSError:
                answer = b""
            sent = self._sent.pop(connection, None)
            if sent is None or not answer.startswith(b"HTTP/1.1 200 "):
                self.failures += 1
                self._selector.unregister(connection)
                continue
            self.latencies.append(time.perf_counter() - sent)
            self._free.append(connection)

    def close(self) -> None:
        """Close all connections."""
        self._selector.close()
        for connection in self._all:
            connection.close()
