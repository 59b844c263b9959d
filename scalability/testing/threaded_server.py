"""A server of plain sockets and threads, for tests of clients: it shares nothing with the code under test."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress


class ThreadedServer:
    """Calls ``serve`` with each connection, on a thread of its own; an error of the network's ends that connection."""

    def __init__(self, serve: Callable[[socket.socket], None]) -> None:
        self._serve = serve
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        """How many there have been."""
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def close(self) -> None:
        """Accept nothing more, end every connection, and wait until its thread has ended: nothing is left behind."""
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes who waits in accept, which closing would not
        self._accepting.join(10)
        self._listener.close()
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            thread = threading.Thread(target=self._run, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _run(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            self._serve(connection)
