"""A client of RESP without a network: commands of the tables that a test names, on entries and a clock of its own.

client = RespSession(strings.FAMILY)
assert client.run("SET", "a", "1") == b"+OK\\r\\n"
client.clock.advance(10)
"""

from collections.abc import Callable
from random import Random
from typing import Any

from twisted.internet.task import Clock

from scalability.cache.entries import Entries
from scalability.cache.resp.commands import CommandError, Family, table
from scalability.cache.resp.server import ServerState
from scalability.resp import replies
from scalability.ttlcache import TTLCache

START = 1_700_000_000.0
"""The clock's unix seconds at the beginning."""


class Changes:
    """An observer that writes down what it hears."""

    def __init__(self) -> None:
        self.keys: list[bytes] = []
        self.by: list[Any] = []

    def changed(self, key: bytes, by: Any) -> None:
        """Part of ``Observer``."""
        self.keys.append(key)
        self.by.append(by)

    def cleared(self, by: Any) -> None:
        """Part of ``Observer``: noted as the key ``*``."""
        self.changed(b"*", by)


class RespSession:
    """One session of a server that is not there. ``now`` (unix seconds) is ``clock``'s unless given."""

    def __init__(
        self, *families: Family, max_bytes: int = 1 << 22, max_object_bytes: int | None = None, now: Callable[[], float] | None = None
    ) -> None:
        self.clock = Clock()
        self.clock.advance(START)
        self.cache: TTLCache[bytes, bytes] = TTLCache(max_bytes=max_bytes, max_object_bytes=max_object_bytes)
        self.entries = Entries(self.cache, now or self.clock.seconds)
        self.changes = Changes()
        """Every change since the start."""
        self.entries.observe(self.changes)
        self.server = ServerState(self.entries, table(families), draw=Random(1).random)
        self.session = self.server.open("memory", lambda message: None)

    def run(self, *words: str | bytes | int) -> bytes:
        """The answer, as a client would get it."""
        request = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        command = self.server.commands.get(request[0].lower())
        if command is None:
            return replies.error(b"ERR unknown command '%b'" % request[0])
        if not command.admits(len(request)):
            return replies.error(b"ERR wrong number of arguments for '%b' command" % command.name.encode())
        self.session.now = self.entries.now()
        try:
            return command.run(self.session, request)
        except CommandError as error:
            return replies.error(error.text)

    def value(self, key: str | bytes) -> bytes | None:
        """What ``key`` holds. Not counted as a read."""
        name = key.encode() if isinstance(key, str) else key
        found: bytes | None = self.cache.peek(name, self.entries.now())
        return found

    def ends_in(self, key: str) -> float | None:
        """Seconds that ``key`` has still to live; None without such a key."""
        expires_at = self.cache.expires_at(key.encode(), self.entries.now())
        return None if expires_at is None else expires_at - self.entries.now()
