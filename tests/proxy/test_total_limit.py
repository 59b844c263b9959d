"""A whole exchange has a limit, wherever it stands; the next one has a limit of its own."""

from typing import Any

import pytest

from scalability.lifecycle import DeadlineWheel
from scalability.net.connection_pool import ConnectionPool
from scalability.net.http_server import HTTPServerFactory
from scalability.proxy.application import ProxyApplication
from scalability.proxy.total_limit import TotalLimit
from scalability.testing.memory import MemoryNetwork
from scalability.testing.retries import usual_retries
from scalability.upstream.selection import RoundRobin
from scalability.upstream.servers import Upstream
from scalability.upstream.spec import ServerSpec

GET = b"GET /a HTTP/1.1\r\nHost: shop\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"


class Limited:
    """A proxy whose exchanges may take 2 s."""

    def __init__(self, *servers: str, **more: Any) -> None:
        self.network = MemoryNetwork()
        wheel = DeadlineWheel(self.network)
        wheel.startService()
        self.upstream = Upstream(RoundRobin, lambda spec: ConnectionPool(self.network, spec.address, wheel), seconds=self.network.seconds)
        specs = [ServerSpec.parse(text) for text in servers or ("10.0.0.1:80",)]
        self.upstream.name_servers("test", specs, trusted=True)
        self.retries = usual_retries(self.network)
        total = TotalLimit(wheel, wheel.ticks(2.0))
        self.application = ProxyApplication(self.upstream, via=b"lb", retries=self.retries, total=total, **more)
        self.factory = HTTPServerFactory(self.application, clock=self.network, wheel=wheel)
        self.client = self.network.connect_to(self.factory)

    def pass_time(self, seconds: float) -> None:
        for _ in range(int(seconds / 0.25)):
            self.network.advance(0.25)

    def settled(self) -> bool:
        return all(server.active == 0 for server in self.upstream) and self.factory.counts.active == 0 and self.retries.budget.in_use == 0


def test_an_answer_that_does_not_come_in_time_is_504_and_cancelled_at_the_server() -> None:
    limited = Limited()
    limited.client.deliver(GET)
    server = limited.network.accept()
    limited.pass_time(1.5)
    assert limited.client.taken() == b""
    limited.pass_time(1.0)
    said = limited.client.taken()
    assert said.startswith(b"HTTP/1.1 504 ")
    assert b'"total_timeout"' in said
    assert server.ended == "reset"
    (one,) = limited.upstream
    assert one.failures == {"total_timeout": 1}
    assert one.outcomes.in_a_row == 0, "it says nothing about the server"
    assert limited.settled()


def test_an_answer_that_has_begun_is_cut_so_that_nobody_takes_it_for_a_complete_one() -> None:
    limited = Limited()
    limited.client.deliver(GET)
    server = limited.network.accept()
    server.deliver(OK + b"h")
    limited.pass_time(2.5)
    assert limited.client.ended == "reset"
    assert server.ended == "reset"
    assert limited.settled()


@pytest.mark.parametrize("where", ["connecting", "queued"])
def test_it_holds_while_a_server_is_waited_for_too(where: str) -> None:
    limited = Limited("10.0.0.1:80,maxconn=1")
    if where == "queued":
        other = limited.network.connect_to(limited.factory)
        limited.application.configure(None, 0.0)
        other.deliver(GET)
        limited.application.configure(TotalLimit(limited.factory.wheel, 8), 0.0)
    limited.client.deliver(GET)
    limited.pass_time(2.5)
    assert b"total_timeout" in limited.client.taken()
    if where == "connecting":
        assert limited.settled()


def test_each_request_of_a_connection_has_a_limit_of_its_own_and_one_that_is_over_none() -> None:
    limited = Limited()
    limited.client.deliver(GET)
    server = limited.network.accept()
    server.deliver(OK + b"hi")
    limited.pass_time(1.5)
    for _ in range(2):
        limited.client.deliver(GET)
        limited.pass_time(1.5)
        server.deliver(OK + b"hi")
    limited.pass_time(3)
    assert limited.client.taken().count(b"HTTP/1.1 200") == 3
    assert limited.settled()
