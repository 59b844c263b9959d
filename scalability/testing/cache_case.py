"""A network in memory with the gateway's HTTP cache between clients and an origin; the test is both."""

from email.utils import formatdate
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from scalability.gateway.exchange import GatewayFactory
from scalability.gateway.http_cache.cache import HTTPCache
from scalability.gateway.http_cache.store import AnswerStore
from scalability.lifecycle import DeadlineWheel
from scalability.testing.memory import MemoryNetwork

EPOCH_S = 1.7e9
"""When the reactor's clock was at 0, by the wall clock."""


class Origin:
    """Keeps what it is asked; the test answers."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.lost: list[Any] = []
        self.full: list[Any] = []
        self.bodies: list[bytes] = []

    def request_received(self, exchange: Any) -> None:
        self.asked.append(exchange)
        exchange.receiver = self
        self.bodies.append(exchange.body)

    def body_received(self, data: bytes, ended: bool) -> None:
        self.bodies[-1] += data

    def client_lost(self, error: Any) -> None:
        self.lost.append(error)

    def client_full(self) -> None:
        self.full.append("full")

    def client_ready(self) -> None:
        self.full.append("ready")

    def answer(self, *lines: str, body: bytes = b"hello", status: str = "200 OK", which: int = -1) -> None:
        """A whole answer."""
        fields = "".join(f"{line}\r\n" for line in lines)
        length = "" if status.startswith(("304", "204")) else f"Content-Length: {len(body)}\r\n"
        self.asked[which].reply(int(status[:3]), f"HTTP/1.1 {status}\r\n{length}{fields}\r\n".encode() + body, keep_alive=True)

    def begin(self, *lines: str, data: bytes = b"", which: int = -1, status: str = "200 OK") -> None:
        """The beginning of one."""
        fields = "".join(f"{line}\r\n" for line in lines)
        self.asked[which].begin(int(status[:3]), f"HTTP/1.1 {status}\r\n{fields}\r\n".encode() + data, keep_alive=True)

    def field(self, name: str, which: int = -1) -> bytes | None:
        value: bytes | None = self.asked[which].head.get(name.encode())
        return value


class CacheCase(SynchronousTestCase):
    max_object_bytes = 200_000

    def setUp(self) -> None:
        self.network = MemoryNetwork()
        self.network.advance(1_000_000.0)
        self.wheel = DeadlineWheel(self.network)
        self.wheel.startService()
        self.origin = Origin()
        self.store = AnswerStore(max_bytes=10_000_000, max_object_bytes=self.max_object_bytes)
        self.cache = HTTPCache(self.origin, self.store, seconds=self.network.seconds, wall=self.wall)
        self.factory = GatewayFactory(self.cache, clock=self.network, wheel=self.wheel, wall=self.wall)

    def tearDown(self) -> None:
        self.wheel.stopService()

    def wall(self) -> float:
        """The Unix time, which is another one than the reactor's."""
        return EPOCH_S + self.network.seconds()

    def client(self) -> Any:
        return self.network.connect_to(self.factory)

    def ask(self, *lines: str, target: str = "/a", method: str = "GET", client: Any = None, body: str = "") -> Any:
        client = client or self.client()
        fields = "".join(f"{line}\r\n" for line in lines)
        client.deliver(f"{method} {target} HTTP/1.1\r\nHost: x\r\n{fields}\r\n{body}".encode())
        return client

    def date(self, ago_s: float = 0.0) -> str:
        return "Date: " + formatdate(self.wall() - ago_s, usegmt=True)

    def got(self, client: Any) -> str:
        taken: str = client.taken().decode("latin-1")
        return taken

    def stored(self, *lines: str, target: str = "/a", body: bytes = b"hello", request: tuple[str, ...] = ()) -> None:
        """Have an answer stored."""
        client = self.ask(*request, target=target)
        self.origin.answer(*lines, self.date(), body=body)
        assert "stored" in self.got(client)
        self.origin.asked.clear()
