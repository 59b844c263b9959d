"""Who reads slowly, and who does not read, on real sockets: what the kernel holds for a client counts too."""

import random
import socket
from contextlib import suppress
from math import inf
from typing import Any

from twisted.internet.defer import maybeDeferred
from twisted.internet.task import deferLater

from scalability.cache.entries import Entries
from scalability.cache.resp.command_table import COMMANDS
from scalability.cache.resp.connection import RESPFactory
from scalability.cache.resp.server import ServerState
from scalability.lifecycle import DeadlineWheel
from scalability.net.transport import listen_tcp
from scalability.testing.redis_process import request
from scalability.ttlcache import TTLCache

PATIENCE_S = 2.0
VALUE_BYTES = 12 << 20
PIECE_BYTES = 50_000


def read_some(client: socket.socket, size: int) -> int:
    taken = 0
    with suppress(BlockingIOError):
        while taken < size and (received := client.recv(size - taken)):
            taken += len(received)
    return taken


async def test_slow_readers_are_waited_for_until_they_stop() -> None:
    """One goes on, the other has asked to leave."""
    from twisted.internet import reactor

    clock: Any = reactor
    cache: TTLCache[bytes, bytes] = TTLCache(max_bytes=1 << 26)
    state = ServerState(Entries(cache, clock.seconds), COMMANDS, draw=random.random, later=lambda call: clock.callLater(0, call))
    cache.put(b"a", b"x" * VALUE_BYTES, 0.0, inf, VALUE_BYTES)
    wheel = DeadlineWheel(clock)
    wheel.startService()
    limits = {"max_bulk_bytes": 1 << 20, "max_request_bytes": 1 << 20, "max_held_bytes": 1 << 20}
    port: Any = listen_tcp(clock, "127.0.0.1", 0, RESPFactory(state, wheel, **limits, patience_s=PATIENCE_S))
    clients = [socket.socket(), socket.socket()]
    try:
        for client, more in zip(clients, [b"", request("QUIT")], strict=True):
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            client.connect(("127.0.0.1", port.getHost().port))
            client.sendall(request("GET", "a") + more)
            client.setblocking(False)
        began, taken = clock.seconds(), [0, 0]
        while clock.seconds() - began < 3 * PATIENCE_S:
            await deferLater(clock, 0.05)
            assert len(state.sessions) == 2
            taken = [before + read_some(client, PIECE_BYTES) for before, client in zip(taken, clients, strict=True)]
        assert 0 < min(taken) <= max(taken) < VALUE_BYTES
        stopped = clock.seconds()
        while state.sessions:
            assert clock.seconds() - stopped < 2 * PATIENCE_S + 10.0
            await deferLater(clock, 0.05)
        assert state.counts.slow_readers == 2
    finally:
        for client in clients:
            client.close()
        await port.stopListening()
        await maybeDeferred(wheel.stopService)
