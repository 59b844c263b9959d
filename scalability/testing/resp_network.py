"""The whole RESP server in memory: all commands, any number of clients, a clock of the test's own.

network = RespNetwork()
client = network.client()
assert client.run("SET", "a", "1") == b"+OK\\r\\n"
"""

from collections.abc import Callable
from random import Random

from scalability.cache.entries import Entries
from scalability.cache.resp.command_table import COMMANDS
from scalability.cache.resp.connection import RESPFactory
from scalability.cache.resp.process import process_facts
from scalability.cache.resp.server import ServerState
from scalability.lifecycle import DeadlineWheel
from scalability.testing.memory import MemoryNetwork
from scalability.testing.redis_process import request
from scalability.ttlcache import TTLCache

START = 1_700_000_000.0
"""The clock's unix seconds at the beginning."""


class RespClient:
    """One client of the network's server."""

    def __init__(self, network: "RespNetwork") -> None:
        self._network = network
        self._transport = network.reactor.connect_to(network.factory)
        self.session = network.state.sessions[max(network.state.sessions)]
        self.run("CLIENT", "ID")

    def run(self, *words: str | bytes | int) -> bytes:
        """The reply, and whatever else has come since the last one."""
        return self.send(request(*words))

    def send(self, data: bytes) -> bytes:
        """The answer to any bytes, and whatever else has come by the reactor's next turn."""
        self._transport.deliver(data)
        return self.received()

    def received(self) -> bytes:
        """What has come since the last reply, by the reactor's next turn."""
        self._network.turn()
        return self._transport.taken()

    def leave(self) -> None:
        """Close the connection."""
        self._transport.finish()

    @property
    def connected(self) -> bool:
        """Neither side has ended the connection."""
        return self._transport.open


class RespNetwork:
    """The server. ``right_password`` as in ``ServerState``."""

    def __init__(
        self,
        *,
        max_bytes: int = 1 << 24,
        max_entries: int = 0,
        right_password: Callable[[bytes], bool] | None = None,
        settings: dict[str, str] | None = None,
    ) -> None:
        self.reactor = MemoryNetwork()
        self.reactor.advance(START)
        self.cache: TTLCache[bytes, bytes] = TTLCache(max_bytes=max_bytes, max_entries=max_entries)
        self.entries = Entries(self.cache, self.reactor.seconds)
        self.state = ServerState(
            self.entries,
            COMMANDS,
            right_password=right_password,
            settings=settings,
            draw=Random(1).random,
            port=6379,
            process=process_facts,
            later=lambda call: self.reactor.callLater(0, call),
        )
        wheel = DeadlineWheel(self.reactor)
        wheel.startService()
        self.factory = RESPFactory(self.state, wheel, max_bulk_bytes=1 << 24, max_request_bytes=1 << 24, max_held_bytes=1 << 24)

    def client(self, *, resp3: bool = False) -> RespClient:
        """A client that has connected."""
        client = RespClient(self)
        if resp3:
            client.run("HELLO", 3)
        return client

    def turn(self) -> None:
        """Let the reactor do what it was asked to do later."""
        self.reactor.advance(0)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.reactor.advance(seconds)

    def expire(self) -> None:
        """Remove what has expired, or will within two seconds: the sweeper goes by whole seconds."""
        self.cache.sweep(self.reactor.seconds() + 2, 1000)
