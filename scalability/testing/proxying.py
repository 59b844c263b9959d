"""A proxy in memory: the test is its client, and its servers."""

import json
import weakref
from typing import Any

from scalability.config import Address
from scalability.lifecycle import DeadlineWheel
from scalability.net.connection_pool import ConnectionPool
from scalability.net.exchange import Exchange
from scalability.net.http_server import HTTPServerFactory
from scalability.proxy.application import ProxyApplication
from scalability.testing.memory import MemoryNetwork, MemoryTransport
from scalability.testing.retries import usual_retries
from scalability.upstream.rules import UpstreamRules
from scalability.upstream.selection import RoundRobin
from scalability.upstream.server import Server
from scalability.upstream.servers import Upstream
from scalability.upstream.spec import ServerSpec

GET = b"GET /a HTTP/1.1\r\nHost: shop\r\nX-A: 1\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nServer: s\r\n\r\nhi"


class Proxy:
    """A proxy in memory with ``servers`` behind it, and a client connected to it."""

    def __init__(self, servers: int = 1, **more: Any) -> None:
        self.network = MemoryNetwork()
        self.wheel = DeadlineWheel(self.network)
        self.wheel.startService()
        self.upstream = Upstream(RoundRobin, self.pool, rules=UpstreamRules(fall=1000, panic_percent=0))
        self.upstream.name_servers("test", [ServerSpec(Address(f"10.0.0.{n + 1}", 80)) for n in range(servers)], trusted=True)
        self.application = ProxyApplication(self.upstream, via=b"lb", **{"retries": usual_retries(self.network), **more})
        self.ended: list[tuple[int, str, str]] = []
        self.clients: list[bytes] = []
        self.factory = HTTPServerFactory(self.application, clock=self.network, wheel=self.wheel, ended=self.note, wall=self.network.seconds)
        self.client = self.connect()

    def pool(self, spec: ServerSpec) -> ConnectionPool:
        return ConnectionPool(self.network, spec.address, self.wheel)

    def note(self, exchange: Exchange, seconds: float) -> None:
        self.last = weakref.ref(exchange)
        self.clients.append(exchange.client_host)
        self.ended.append((exchange.status, exchange.served_by, exchange.trouble))

    def connect(self) -> MemoryTransport:
        return self.network.connect_to(self.factory)

    @property
    def servers(self) -> list[Server]:
        return list(self.upstream)

    def ask(self, request: bytes = GET) -> MemoryTransport:
        """The client sends ``request``; the server that it reaches."""
        self.client.deliver(request)
        return self.network.accept()

    def pass_time(self, seconds: float) -> None:
        for _ in range(int(seconds / 0.25)):
            self.network.advance(0.25)

    def settled(self) -> bool:
        """Nothing is counted as in flight any more."""
        return all(server.active == 0 for server in self.upstream) and self.factory.counts.active == 0


def error_of(sent: bytes) -> tuple[int, str]:
    """The status and the code of an error that was answered as JSON."""
    head, _, body = sent.partition(b"\r\n\r\n")
    return int(head[9:12]), json.loads(body)["error"]


def body_of(sent: bytes) -> bytes:
    """What stands behind an answer's head."""
    return sent.partition(b"\r\n\r\n")[2]
