"""A server that answers at the least cost that Twisted has: 60 bytes, or as many as the path ``/bytes/N`` names.

What begins with ``/cacheable`` may be stored for ten minutes.
It reads as much of a request as benchmarks need: the target, and a Content-Length to skip. It serves nothing else.
"""

import re
import sys
from typing import Any

from twisted.internet.protocol import Factory, Protocol

from scalability.net.reactor import install
from scalability.net.transport import listen_tcp

BODY = b'{"message": "Fetched fresh data from DB", "filler": "....."}'
MAX_BYTES = 16 << 20
"""The largest N of ``/bytes/N``; more is answered as one of these."""

_SIZE = re.compile(rb"[A-Z]+ /bytes/([0-9]{1,12})[ ?]")
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]{1,12})\r\n", re.IGNORECASE)
_SIMPLE = b"GET /data "
_CACHEABLE = b"GET /cacheable"


def answer_of(body: bytes, more: bytes = b"") -> bytes:
    """A complete 200, with ``more`` field lines."""
    head = b"HTTP/1.1 200 OK\r\nServer: bench\r\nContent-Type: application/json\r\n%bContent-Length: %d\r\n\r\n"
    return head % (more, len(body)) + body


ANSWER = answer_of(BODY)
TO_BE_STORED = answer_of(BODY, b"Cache-Control: max-age=600\r\n")


class Upstream(Protocol):
    """Answers every request when all of it has come."""

    made: dict[bytes, bytes] = {}  # noqa: RUF012 - one for all connections: every size is made once
    _held = b""
    _answer = b""
    _skip = 0

    def dataReceived(self, data: bytes) -> None:
        transport: Any = self.transport
        if not self._held and not self._skip and data.startswith(_SIMPLE) and data.find(b"\r\n\r\n") == len(data) - 4:
            transport.write(ANSWER)
            return
        data = self._held + data
        answers = []
        while True:
            if self._skip:
                skipped = min(self._skip, len(data))
                self._skip -= skipped
                data = data[skipped:]
                if self._skip:
                    break
                answers.append(self._answer)
            end = data.find(b"\r\n\r\n") + 4
            if end == 3:
                break
            head, data = data[:end], data[end:]
            size = _SIZE.match(head)
            if head.startswith(_CACHEABLE):
                self._answer = TO_BE_STORED
            else:
                self._answer = ANSWER if size is None else self._sized(size[1])
            length = _LENGTH.search(head)
            self._skip = 0 if length is None else int(length[1])
            if not self._skip:
                answers.append(self._answer)
        self._held = data[-65536:]
        if answers:
            transport.write(b"".join(answers))

    def _sized(self, size: bytes) -> bytes:
        known = self.made.get(size)
        if known is None:
            known = self.made[size] = answer_of(b"x" * min(int(size), MAX_BYTES))
        return known


def main() -> None:
    reactor = install()
    listen_tcp(reactor, "127.0.0.1", int(sys.argv[1]), Factory.forProtocol(Upstream))
    reactor.run()


if __name__ == "__main__":
    main()
