"""An HTTP server in memory whose application remembers what it is told, a client of it, and time."""

import json
from collections.abc import Callable
from typing import Any

from scalability.errors import ScalelabError
from scalability.lifecycle import DeadlineWheel
from scalability.net.exchange import Exchange
from scalability.net.http_server import HTTPServerFactory
from scalability.testing.memory import MemoryNetwork, MemoryTransport

GET = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
EPOCH = b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"


class Recorder:
    """An application that remembers its exchanges and answers when it is told to."""

    def __init__(self, answer: Callable[[Exchange], None] | None = None) -> None:
        self.exchanges: list[Exchange] = []
        self.events: list[tuple[Any, ...]] = []
        self._answer = answer

    def request_received(self, exchange: Exchange) -> None:
        self.exchanges.append(exchange)
        exchange.receiver = self
        if self._answer is not None:
            self._answer(exchange)

    def body_received(self, data: bytes, ended: bool) -> None:
        self.events.append(("body", data, ended))

    def client_lost(self, error: ScalelabError) -> None:
        self.events.append(("lost", error.code))

    def client_full(self) -> None:
        self.events.append(("full",))

    def client_ready(self) -> None:
        self.events.append(("ready",))

    @property
    def body(self) -> bytes:
        return b"".join(event[1] for event in self.events if event[0] == "body")


def hello(exchange: Exchange) -> None:
    exchange.answer(200, exchange.head.target, b"text/plain")


class RecordedServer:
    """A server in memory, a client connected to it, and time."""

    def __init__(self, answer: Callable[[Exchange], None] | None = None, **more: Any) -> None:
        self.network = MemoryNetwork()
        self.wheel = DeadlineWheel(self.network)
        self.wheel.startService()
        self.application = Recorder(answer)
        self.factory = HTTPServerFactory(self.application, clock=self.network, wheel=self.wheel, **{"wall": self.network.seconds, **more})
        self.client = self.connect()

    def connect(self) -> MemoryTransport:
        return self.network.connect_to(self.factory)

    def pass_time(self, seconds: float) -> None:
        for _ in range(int(seconds / 0.25)):
            self.network.advance(0.25)


def statuses(sent: bytes) -> list[int]:
    return [int(part[:3]) for part in sent.split(b"HTTP/1.1 ")[1:]]


def error_of(sent: bytes) -> tuple[int, str]:
    head, _, body = sent.partition(b"\r\n\r\n")
    return int(head[9:12]), json.loads(body)["error"]
