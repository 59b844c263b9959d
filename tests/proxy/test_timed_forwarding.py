"""What the access log is told of a request's way to its server."""

from scalability.config import Address
from scalability.lifecycle import DeadlineWheel
from scalability.net.connection_pool import ConnectionPool
from scalability.net.exchange import Exchange
from scalability.net.timed_server import TimedExchange, TimedServerFactory
from scalability.proxy.application import ProxyApplication
from scalability.proxy.timed_forwarding import TimedForwarding
from scalability.testing.memory import MemoryNetwork, MemoryTransport
from scalability.testing.retries import usual_retries
from scalability.upstream.rules import UpstreamRules
from scalability.upstream.selection import RoundRobin
from scalability.upstream.servers import Upstream
from scalability.upstream.spec import ServerSpec

GET = b"GET /a HTTP/1.1\r\nHost: shop\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


class Proxy:
    """A timed proxy in memory with ``servers`` behind it."""

    def __init__(self, servers: int = 1) -> None:
        self.network = MemoryNetwork()
        self.network.advance(1000)
        self.wheel = DeadlineWheel(self.network)
        self.wheel.startService()
        self.upstream = Upstream(
            RoundRobin, lambda spec: ConnectionPool(self.network, spec.address, self.wheel), rules=UpstreamRules(fall=1000, panic_percent=0)
        )
        self.upstream.name_servers("test", [ServerSpec(Address(f"10.0.0.{n + 1}", 80)) for n in range(servers)], trusted=True)
        application = ProxyApplication(self.upstream, via=b"lb", retries=usual_retries(self.network), forwarding=TimedForwarding)
        self.over: list[TimedExchange] = []
        factory = TimedServerFactory(application, clock=self.network, wheel=self.wheel, ended=self._ended)
        self.client = self.network.connect_to(factory)

    def _ended(self, exchange: Exchange, seconds: float) -> None:
        assert isinstance(exchange, TimedExchange)
        self.over.append(exchange)

    def connected(self) -> MemoryTransport:
        return self.network.accept()


def test_connecting_and_waiting_are_told_apart() -> None:
    proxy = Proxy()
    proxy.client.deliver(GET)
    proxy.network.advance(0.5)
    server = proxy.connected()
    proxy.network.advance(2)
    server.deliver(OK[:-1])
    proxy.network.advance(4)
    server.deliver(OK[-1:])
    (exchange,) = proxy.over
    assert (exchange.queue_s, exchange.connect_s, exchange.first_byte_s) == (0, 0.5, 2)
    assert (exchange.attempts, exchange.server) == (1, "10.0.0.1:80")


def test_a_connection_that_was_there_costs_no_time() -> None:
    proxy = Proxy()
    proxy.client.deliver(GET)
    server = proxy.connected()
    server.deliver(OK)
    proxy.client.deliver(GET)
    proxy.network.advance(1)
    server.deliver(OK)
    assert (proxy.over[1].connect_s, proxy.over[1].first_byte_s) == (0, 1)


def test_failed_attempts_count_as_retries_and_their_time_as_connecting() -> None:
    proxy = Proxy(servers=2)
    proxy.client.deliver(GET)
    assert len(proxy.network.attempts) == 1
    proxy.network.advance(1)
    proxy.network.refuse()
    proxy.network.advance(0.25)
    server = proxy.connected()
    server.deliver(OK)
    (exchange,) = proxy.over
    assert (exchange.attempts, exchange.connect_s, exchange.server) == (2, 1.25, "10.0.0.2:80")


def test_a_request_that_no_server_answers_still_says_who_was_asked() -> None:
    proxy = Proxy()
    proxy.client.deliver(GET)
    proxy.connected()
    proxy.client.reset()
    (exchange,) = proxy.over
    assert (exchange.server, exchange.served_by, exchange.trouble, exchange.first_byte_s) == ("10.0.0.1:80", "", "client_gone", 0)
