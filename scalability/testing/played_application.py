"""An application whose answers a test writes, and a client in memory that asks a server of the gateway's for it."""

from collections.abc import Callable
from typing import Any

from scalability.gateway.exchange import GatewayFactory
from scalability.http1 import DEFAULT_LIMITS, find_head_end, parse_response_head, response_body
from scalability.lifecycle import DeadlineWheel
from scalability.net.exchange import Application, Exchange
from scalability.testing.memory import MemoryNetwork


class PlayedApplication:
    """Keeps every exchange that it was given; ``answers`` does what is to be done at once, if anything."""

    def __init__(self, answers: Callable[[Exchange], None] | None = None) -> None:
        self.answers = answers
        self.exchanges: list[Exchange] = []
        self.heard: list[str] = []

    def request_received(self, exchange: Exchange) -> None:
        self.exchanges.append(exchange)
        exchange.receiver = self
        if self.answers is not None:
            self.answers(exchange)

    @property
    def last(self) -> Exchange:
        """The exchange that came last."""
        return self.exchanges[-1]

    def body_received(self, data: bytes, ended: bool) -> None:
        self.heard.append(f"body {data.decode()}{' end' if ended else ''}")

    def client_lost(self, error: Exception) -> None:
        self.heard.append("lost")

    def client_full(self) -> None:
        self.heard.append("full")

    def client_ready(self) -> None:
        self.heard.append("ready")


class Answered:
    """An answer as it was received: ``fields`` in order, names in lower case."""

    def __init__(self, received: bytes, method: str) -> None:
        end = find_head_end(received, 0, DEFAULT_LIMITS)
        assert end > 0, f"no answer yet, only {received!r}"
        head = parse_response_head(received[:end], DEFAULT_LIMITS)
        self.status = head.status
        self.fields = [(name.decode().lower(), value.decode()) for name, value in head.fields]
        reader = response_body(head, method.encode(), DEFAULT_LIMITS)
        self.body, self.rest = reader.feed(received[end:])
        if not reader.complete:
            reader.eof()

    def get(self, name: str) -> str | None:
        """The field's values, joined."""
        values = [value for one, value in self.fields if one == name]
        return ", ".join(values) if values else None


class Client:
    """One connection to a server of ``application``."""

    def __init__(self, make: Callable[[MemoryNetwork], Application]) -> None:
        self.network = MemoryNetwork()
        wheel = DeadlineWheel(self.network)
        wheel.startService()
        factory: Any = GatewayFactory(make(self.network), clock=self.network, wheel=wheel)
        self.transport = self.network.connect_to(factory)

    def send(self, method: str, target: str, *fields: str, body: bytes = b"", minor: int = 1) -> None:
        """A whole request; without a Host field among ``fields`` it gets one."""
        lines = [f"{method} {target} HTTP/1.{minor}", "Host: gateway.example", *fields]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        self.transport.deliver("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    def ask(self, method: str, target: str, *fields: str, body: bytes = b"", minor: int = 1) -> Answered:
        """``send``, and what it is answered when all turns are over."""
        self.send(method, target, *fields, body=body, minor=minor)
        return self.answered(method)

    def answered(self, method: str = "GET") -> Answered:
        """What has come since the last call."""
        self.network.advance(0)
        return Answered(self.transport.taken(), method)
