"""A load for tests of what must never fail: GETs or PUTs at a steady rate from a thread of its own, each answer checked to the last byte.

Open loop: a request is sent when it is due, whatever became of those before it. A server that hangs therefore gets no less traffic,
and does not hide in a client that waits for it.
"""

import selectors
import socket
import time
from collections import deque
from threading import Event, Thread
from typing import Self

from scalability.errors import BadMessage
from scalability.http1.body import BodyReader, response_body
from scalability.http1.head_end import find_head_end
from scalability.http1.limits import DEFAULT_LIMITS
from scalability.http1.response_head import ResponseHead, parse_response_head

MAX_FAILURES = 1000
"""How many are described; ``failed`` counts the rest too."""


class _Connection:
    """A connection that is kept, and the request that it waits for an answer to."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.sent_s = 0.0
        self.target = b""
        self._held = b""
        self._body = b""
        self._head: ResponseHead | None = None
        self._reader: BodyReader | None = None

    def ask(self, target: bytes, now: float, upload: bytes = b"") -> None:
        """Send a request for ``target``, a PUT if there is something to ``upload``. Raises OSError."""
        self.target, self.sent_s = target, now
        self._held = self._body = b""
        self._head = self._reader = None
        if upload:
            self.socket.sendall(b"PUT %b HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n%b" % (target, len(upload), upload))
        else:
            self.socket.sendall(b"GET %b HTTP/1.1\r\nHost: test\r\n\r\n" % target)

    def received(self, data: bytes) -> tuple[ResponseHead, bytes, bytes] | None:
        """Take in what came; the head, body and surplus of an answer that is complete. Raises BadMessage."""
        if self._reader is None:
            data = self._held + data
            end = find_head_end(data, 0, DEFAULT_LIMITS)
            if end < 0:
                self._held = data
                return None
            self._head = parse_response_head(data[:end], DEFAULT_LIMITS)
            self._reader = response_body(self._head, b"GET", DEFAULT_LIMITS)
            data = data[end:]
        payload, rest = self._reader.feed(data) if data else (b"", b"")
        self._body += payload
        assert self._head is not None
        return (self._head, self._body, rest) if self._reader.complete else None


class SteadyLoad:
    """``rate_per_s`` requests a second to ``port`` of 127.0.0.1, from ``with`` to the end of its block, over kept connections.

    Each asks for ``path`` with a number of its own as the query. The right answer is 200 with ``body``, or where that is None with the
    target itself, which is what ``faulty_backend`` answers. With something to ``upload`` each is a PUT with that as its body, which
    comes back behind the target. A request that has none after ``timeout_s`` has failed. When ``connections``
    requests wait for answers, the next ones are sent late.
    """

    def __init__(
        self,
        port: int,
        *,
        rate_per_s: float = 150.0,
        path: bytes = b"/load",
        body: bytes | None = None,
        upload: bytes = b"",
        connections: int = 200,
        timeout_s: float = 10.0,
    ) -> None:
        self.answered = 0
        """Right answers."""
        self.failed = 0
        self.failures: list[str] = []
        """Each with the seconds since the load began, when it was seen."""
        self.slowest_s = 0.0
        """The longest that any right answer took."""
        self._port = port
        self._rate_per_s = rate_per_s
        self._path = path
        self._expected = body
        self._upload = upload
        self._most = connections
        self._timeout_s = timeout_s
        self._began_s = 0.0
        self._stopping = Event()
        self._thread = Thread(target=self._run, daemon=True)
        self._selector = selectors.DefaultSelector()
        self._free: deque[_Connection] = deque()
        self._asked: dict[_Connection, None] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Send nothing more; return when all that was sent is answered or has failed."""
        self._stopping.set()
        self._thread.join(2 * self._timeout_s)
        assert not self._thread.is_alive(), "the load does not end"

    @property
    def waiting(self) -> int:
        """Requests that have no answer yet."""
        return len(self._asked)

    def more(self, count: int, *, timeout_s: float = 20.0) -> None:
        """Wait until ``count`` more right answers have come. Raises AssertionError after ``timeout_s``."""
        wanted = self.answered + count
        end = time.monotonic() + timeout_s
        while self.answered < wanted:
            assert time.monotonic() < end, f"only {self.answered} of {wanted} right answers within {timeout_s} s; {self}"
            time.sleep(0.01)

    def __str__(self) -> str:
        shown = "".join(f"\n  {failure}" for failure in self.failures[:10])
        return f"{self.answered} answered, {self.failed} failed, {self.waiting} waiting, the slowest {self.slowest_s:.2f} s{shown}"

    def _run(self) -> None:
        self._began_s = due_s = time.monotonic()
        number = 0
        try:
            while not self._stopping.is_set() or self._asked:
                now = time.monotonic()
                if self._stopping.is_set():
                    due_s = now + 1
                while due_s <= now and len(self._asked) < self._most:
                    number += 1
                    self._ask(b"%b?n=%d" % (self._path, number), now)
                    due_s += 1 / self._rate_per_s
                self._read(min(max(0.0, due_s - now), 0.05))
                self._give_up(time.monotonic() - self._timeout_s)
        finally:
            for connection in (*self._free, *self._asked):
                connection.socket.close()
            self._selector.close()

    def _ask(self, target: bytes, now: float) -> None:
        connection = self._kept()
        if connection is None:
            try:
                connection = _Connection(self._port)
            except OSError as error:
                self._fail(target, repr(error))
                return
            self._selector.register(connection.socket, selectors.EVENT_READ, connection)
        try:
            connection.ask(target, now, self._upload)
        except OSError as error:
            self._close(connection)
            self._fail(target, repr(error))
            return
        self._asked[connection] = None

    def _kept(self) -> _Connection | None:
        """A connection that lies idle; one that was closed meanwhile, which is the server's right, is no failure."""
        while self._free:
            connection = self._free.popleft()
            try:
                connection.socket.recv(1, socket.MSG_PEEK)
            except BlockingIOError:
                return connection
            except OSError:
                pass
            self._close(connection)
        return None

    def _read(self, wait_s: float) -> None:
        for key, _ in self._selector.select(wait_s):
            connection: _Connection = key.data
            if connection not in self._asked:
                self._free.remove(connection)
                self._close(connection)
                continue
            try:
                data = connection.socket.recv(65536)
                if not data:
                    raise ConnectionResetError("it was closed without an answer")
                answer = connection.received(data)
            except (OSError, BadMessage) as error:
                self._end(connection)
                self._close(connection)
                self._fail(connection.target, repr(error))
                continue
            if answer is not None:
                self._end(connection)
                self._answered(connection, *answer)

    def _answered(self, connection: _Connection, head: ResponseHead, body: bytes, rest: bytes) -> None:
        if head.status != 200 or body != (connection.target + self._upload if self._expected is None else self._expected) or rest:
            self._fail(connection.target, f"{head.status} {body[:200]!r} {rest[:100]!r}")
        else:
            self.answered += 1
            self.slowest_s = max(self.slowest_s, time.monotonic() - connection.sent_s)
        if head.keep_alive and not rest:
            self._free.append(connection)
        else:
            self._close(connection)

    def _give_up(self, since_s: float) -> None:
        while self._asked:
            oldest = next(iter(self._asked))
            if oldest.sent_s > since_s:
                break
            self._end(oldest)
            self._close(oldest)
            self._fail(oldest.target, f"no answer within {self._timeout_s} s")

    def _end(self, connection: _Connection) -> None:
        del self._asked[connection]

    def _close(self, connection: _Connection) -> None:
        self._selector.unregister(connection.socket)
        connection.socket.close()

    def _fail(self, target: bytes, why: str) -> None:
        self.failed += 1
        if len(self.failures) < MAX_FAILURES:
            self.failures.append(f"{time.monotonic() - self._began_s:.3f} s: {target.decode()}: {why}")
