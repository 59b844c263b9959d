"""What the proxy does with a request before a server is chosen: names, and whom it believes."""

import json
import weakref
from ipaddress import ip_network
from typing import Any

from scalability.config import Address
from scalability.http1.trace import Identifiers
from scalability.http1.trust import Networks
from scalability.lifecycle import DeadlineWheel
from scalability.net.http_client import ConnectionPool
from scalability.net.http_server import Exchange, HTTPServerFactory
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
        self.factory = HTTPServerFactory(self.application, clock=self.network, wheel=self.wheel, ended=self.note)
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
    head, _, body = sent.partition(b"\r\n\r\n")
    return int(head[9:12]), json.loads(body)["error"]


def body_of(sent: bytes) -> bytes:
    return sent.partition(b"\r\n\r\n")[2]


def identified(**more: Any) -> Proxy:
    return Proxy(identifiers=Identifiers(bytes), **more)  # zeros for random bytes: no trace, but easy to recognise


NAME = b"0" * 32


def test_a_named_request_tells_its_name_to_the_server_and_to_the_client() -> None:
    proxy = identified()
    server = proxy.ask(b"GET /a HTTP/1.1\r\nHost: shop\r\nX-Request-Id: forged\r\n\r\n")
    sent = server.taken()
    assert b"forged" not in sent
    assert b"\r\nX-Request-Id: " + NAME + b"\r\ntraceparent: 00-" + NAME + b"-0000000000000000-01\r\n\r\n" in sent
    server.deliver(b"HTTP/1.1 200 OK\r\nX-Request-Id: its own\r\nContent-Length: 2\r\n\r\nok")
    assert proxy.client.taken() == (
        b"HTTP/1.1 200 OK\r\nVia: 1.1 lb\r\n"
        + b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
        + b"Content-Length: 2\r\nX-Request-Id: "
        + NAME
        + b"\r\n\r\nok"
    )


def test_a_failed_request_s_answer_says_its_name_too() -> None:
    proxy = identified(servers=0)
    proxy.client.deliver(GET)
    sent = proxy.client.taken()
    assert error_of(sent) == (503, "no_server")
    assert b"\r\nX-Request-Id: " + NAME + b"\r\n" in sent


def test_a_trusted_proxy_in_front_tells_who_the_client_is() -> None:
    proxy = Proxy(servers=0, trusted=Networks([ip_network("192.0.2.0/24")]))
    proxy.client.deliver(b"GET /a HTTP/1.1\r\nHost: shop\r\nX-Forwarded-For: 6.6.6.6, 7.7.7.7\r\n\r\n")
    proxy.client.deliver(GET)
    assert proxy.clients == [b"7.7.7.7", b"192.0.2.1"]


def test_nobody_is_believed_unless_named() -> None:
    proxy = Proxy(servers=0)
    proxy.client.deliver(b"GET /a HTTP/1.1\r\nHost: shop\r\nX-Forwarded-For: 7.7.7.7\r\n\r\n")
    assert proxy.clients == [b""]
