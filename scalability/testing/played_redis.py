"""A server that speaks RESP, played by a test: it reads commands whole and answers what the test says.

network = MemoryNetwork()
...                                    # the code under test connects
server = PlayedRedis(network.accept())
server.greet()                         # HELLO and ROLE, as a master
assert server.asked() == [[b"GET", b"k"]]
server.say(b"$1\\r\\nv\\r\\n")
"""

from typing import Any

import hiredis

from scalability.testing.memory import MemoryTransport

MASTER = b"*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n"
REPLICA = b"*5\r\n$5\r\nslave\r\n$9\r\n127.0.0.1\r\n:6379\r\n$9\r\nconnected\r\n:0\r\n"
HELLO = b"%1\r\n$5\r\nproto\r\n:3\r\n"
OK = b"+OK\r\n"
NO_SUCH_COMMAND = b"-ERR unknown command\r\n"


class PlayedRedis:
    """The server's end of ``transport``."""

    def __init__(self, transport: MemoryTransport) -> None:
        self.transport = transport
        self._reader: Any = hiredis.Reader()

    def asked(self) -> list[list[bytes]]:
        """The commands that came since the last call."""
        self.transport._clock.advance(0)  # type: ignore[attr-defined]  # what is joined is sent a turn later
        self._reader.feed(self.transport.taken())
        commands = []
        while (command := self._reader.gets()) is not False:
            commands.append(command)
        return commands

    def say(self, data: bytes) -> None:
        """Send ``data``."""
        self.transport.deliver(data)

    def greet(self, role: bytes = MASTER, *, hello: bytes = HELLO) -> list[list[bytes]]:
        """Answer HELLO and ROLE; the commands."""
        commands = self.asked()
        self.say(hello)
        commands += self.asked()
        self.say(role)
        return commands


def bulk(value: bytes) -> bytes:
    """A bulk string."""
    return b"$%d\r\n%b\r\n" % (len(value), value)


def invalidation(*keys: bytes) -> bytes:
    """The push that says that ``keys`` have changed; without any: that everything has."""
    if not keys:
        return b">2\r\n" + bulk(b"invalidate") + b"_\r\n"
    return b">2\r\n" + bulk(b"invalidate") + b"*%d\r\n" % len(keys) + b"".join(map(bulk, keys))
