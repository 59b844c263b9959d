"""A pool of connections to a server in memory, which is the test, askers that remember what they are told, and time."""

from typing import Any

from scalability.config import Address
from scalability.errors import ConnectError, ConnectTimeout, UpstreamError
from scalability.http1.response_head import ResponseHead
from scalability.lifecycle import DeadlineWheel
from scalability.net.client_connection import ClientConnection
from scalability.net.connection_pool import ConnectionPool
from scalability.testing.memory import MemoryNetwork, MemoryTransport

HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


class Asker:
    """Sends requests and remembers what becomes of them."""

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []
        self.connection: ClientConnection | None = None

    def connected(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.events.append(("connected",))

    def connect_failed(self, error: ConnectError | ConnectTimeout) -> None:
        self.events.append(("failed", error.code, type(error.__cause__).__name__))

    def answer_interim(self, head: ResponseHead) -> None:
        self.events.append(("interim", head.status))

    def answer_received(self, head: ResponseHead, data: bytes, ended: bool) -> None:
        self.events.append(("head", head.status, data, ended))

    def answer_data(self, data: bytes, ended: bool) -> None:
        self.events.append(("data", data, ended))

    def answer_failed(self, error: UpstreamError) -> None:
        self.events.append(("failed", error.code))

    def upload_paused(self) -> None:
        self.events.append(("paused",))

    def upload_resumed(self) -> None:
        self.events.append(("resumed",))


class RecordedClient:
    """A pool, an asker, and the test as the server."""

    def __init__(self, host: str = "10.0.0.1", **more: Any) -> None:
        self.network = MemoryNetwork()
        self.wheel = DeadlineWheel(self.network)
        self.wheel.startService()
        self.pool = ConnectionPool(self.network, Address(host, 80), self.wheel, **more)

    def open(self) -> tuple[ClientConnection, MemoryTransport]:
        asker = Asker()
        self.pool.open(asker)
        transport = self.network.accept()
        assert asker.connection is not None
        return asker.connection, transport

    def ask(self, method: bytes = b"GET", **more: Any) -> tuple[Asker, MemoryTransport]:
        """A request on a new connection."""
        connection, transport = self.open()
        asker = Asker()
        asker.connection = connection
        connection.send(HEAD, method, asker, **more)
        assert transport.taken() == HEAD
        return asker, transport

    def pass_time(self, seconds: float) -> None:
        for _ in range(int(seconds / 0.25)):
            self.network.advance(0.25)
