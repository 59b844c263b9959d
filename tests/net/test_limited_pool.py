"""A limit of connections holds, and idle ones make room."""

from typing import Any

import pytest

from scalability.config import Address
from scalability.errors import ConnectError, ConnectTimeout
from scalability.lifecycle import DeadlineWheel
from scalability.net.client_connection import ClientConnection
from scalability.net.limited_pool import LimitedPool, LimitedPrefacedPool
from scalability.testing.memory import MemoryNetwork


class Opened:
    """Whoever wanted a connection."""

    def __init__(self) -> None:
        self.connection: ClientConnection | None = None

    def connected(self, connection: ClientConnection) -> None:
        self.connection = connection

    def connect_failed(self, error: ConnectError | ConnectTimeout) -> None:
        raise AssertionError(error)


@pytest.mark.parametrize("kind", [LimitedPool, LimitedPrefacedPool])
def test_idle_connections_make_room_the_oldest_first(kind: type[LimitedPool]) -> None:
    network = MemoryNetwork()
    wheel = DeadlineWheel(network)
    wheel.startService()
    pool = kind(network, Address("10.0.0.1", 80), wheel)

    def opened(preface: bytes = b"") -> ClientConnection:
        receiver = Opened()
        pool.open(receiver, preface)
        network.accept()
        assert receiver.connection is not None
        return receiver.connection

    first, second = opened(b"one"), opened(b"two")
    pool.put(first)
    pool.put(second)
    opened(b"three")
    assert (pool.open_connections, pool.idle_connections) == (3, 2), "without a limit all are kept"
    pool.most = 3
    pool.open(Opened(), b"four")
    assert (pool.open_connections, pool.idle_connections) == (2, 1)
    taken: Any = pool.take(b"two")
    assert taken is second
    pool.open(Opened(), b"five")
    assert pool.open_connections == 2, "those in use are the business of who sends requests"
