"""A server that answers every request with the same 60 bytes: the cheapest upstream that Twisted gives.

It looks only for the end of each head, so it serves benchmarks, which send no bodies, and nothing else.
"""

import sys
from typing import Any

from twisted.internet.protocol import Factory, Protocol

BODY = b'{"message": "Fetched fresh data from DB", "filler": "....."}'
ANSWER = b"HTTP/1.1 200 OK\r\nServer: bench\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)


class Upstream(Protocol):
    """Answers as often as it has seen the end of a head."""

    _rest = b""

    def dataReceived(self, data: bytes) -> None:
        seen = self._rest + data
        heads = seen.count(b"\r\n\r\n")
        self._rest = b"" if seen.endswith(b"\r\n\r\n") else seen[-16384:].rpartition(b"\r\n\r\n")[2]
        if heads and self.transport is not None:
            self.transport.write(ANSWER * heads)


def main() -> None:
    from twisted.internet import reactor as installed

    reactor: Any = installed

    factory = Factory.forProtocol(Upstream)
    reactor.listenTCP(int(sys.argv[1]), factory, backlog=1024, interface="127.0.0.1")
    reactor.run()


if __name__ == "__main__":
    main()
