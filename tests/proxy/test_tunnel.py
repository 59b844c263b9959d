"""Tunnels, in memory: the test is the client and the server behind the proxy."""

from typing import Any

import pytest

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
from scalability.upstream.servers import Upstream
from scalability.upstream.spec import ServerSpec

UPGRADE = b"GET /chat HTTP/1.1\r\nHost: shop\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


class Proxy:
    """A proxy that lets requests switch to websocket, one server behind it, and a client."""

    def __init__(self, **more: Any) -> None:
        self.network = MemoryNetwork()
        self.wheel = DeadlineWheel(self.network)
        self.wheel.startService()
        self.upstream = Upstream(
            RoundRobin, lambda spec: ConnectionPool(self.network, spec.address, self.wheel), rules=UpstreamRules(fall=1000, panic_percent=0)
        )
        self.upstream.name_servers("test", [ServerSpec(Address("10.0.0.1", 80))], trusted=True)
        self.application = ProxyApplication(
            self.upstream,
            via=b"lb",
            retries=usual_retries(self.network),
            upgrades=frozenset([b"websocket"]),
            tunnel_ticks=self.wheel.ticks(60),
            **more,
        )
        self.ended: list[tuple[int, int, str]] = []
        self.factory = HTTPServerFactory(self.application, clock=self.network, wheel=self.wheel, ended=self.note)
        self.client = self.network.connect_to(self.factory)

    def note(self, exchange: Exchange, seconds: float) -> None:
        self.ended.append((exchange.status, exchange.sent_bytes, exchange.trouble))

    def ask(self, request: bytes = UPGRADE) -> MemoryTransport:
        self.client.deliver(request)
        return self.network.accept()

    def tunnel(self) -> MemoryTransport:
        """Open one; the server's side."""
        server = self.ask()
        server.taken()
        server.deliver(SWITCH)
        self.client.taken()
        return server

    def pass_time(self, seconds: float) -> None:
        for _ in range(int(seconds / 0.25)):
            self.network.advance(0.25)

    def settled(self) -> bool:
        return (
            all(server.active == 0 for server in self.upstream) and self.factory.counts.active == 0 and self.application.tunnels.open == 0
        )


def test_rule_36_a_switch_that_was_asked_for_is_relayed_and_bytes_pass_both_ways() -> None:
    proxy = Proxy()
    server = proxy.ask()
    assert b"Upgrade: websocket\r\nConnection: Upgrade\r\n" in server.taken()
    server.deliver(SWITCH + b"first")
    head, _, rest = proxy.client.taken().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert head.endswith(b"Connection: Upgrade\r\nUpgrade: websocket")
    assert rest == b"first"
    proxy.client.deliver(b"GET / HTTP/1.1 is no request here\r\n\r\n")
    assert server.taken() == b"GET / HTTP/1.1 is no request here\r\n\r\n"
    server.deliver(b"HTTP/1.1 200 OK\r\n\r\n")
    assert proxy.client.taken() == b"HTTP/1.1 200 OK\r\n\r\n"
    tunnels = proxy.application.tunnels
    assert (tunnels.open, tunnels.opened, tunnels.client_bytes, tunnels.server_bytes) == (1, {"websocket": 1}, 37, 24)


def test_a_switch_in_pieces_is_the_same() -> None:
    proxy = Proxy()
    server = proxy.ask()
    for octet in SWITCH + b"ab":
        server.deliver(bytes([octet]))
    assert proxy.client.taken().endswith(b"\r\n\r\nab")


def test_interim_answers_may_come_before_the_switch() -> None:
    proxy = Proxy()
    server = proxy.ask()
    server.deliver(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + SWITCH)
    assert proxy.client.taken().count(b"HTTP/1.1 10") == 2
    assert proxy.application.tunnels.open == 1


@pytest.mark.parametrize(
    ("request_head", "switch"),
    [
        (UPGRADE.replace(b"Upgrade: websocket\r\n", b""), SWITCH),
        (UPGRADE.replace(b"websocket", b"h2c"), SWITCH),
        (UPGRADE.replace(b"1.1", b"1.0"), SWITCH),
        (UPGRADE, SWITCH.replace(b"websocket", b"h2c")),
        (UPGRADE, SWITCH.replace(b"websocket", b"websocket, h2c")),
        (UPGRADE, SWITCH.replace(b"Upgrade: websocket\r\n", b"")),
        (UPGRADE, SWITCH.replace(b"Connection: Upgrade\r\n", b"")),
    ],
    ids=["not asked", "not enabled", "1.0", "another", "two", "no Upgrade", "not nominated"],
)
def test_rule_36_a_switch_that_was_not_asked_for_is_a_bad_answer(request_head: bytes, switch: bytes) -> None:
    proxy = Proxy()
    server = proxy.ask(request_head)
    server.deliver(switch)
    assert b" 502 " in proxy.client.taken().partition(b"\r\n")[0]
    assert server.ended == "reset"
    assert proxy.settled()


def test_a_connection_that_asked_once_may_not_switch_at_a_later_request() -> None:
    proxy = Proxy()
    server = proxy.ask()
    server.deliver(OK)
    proxy.client.taken()
    proxy.client.deliver(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    server.deliver(SWITCH)
    assert proxy.client.taken().startswith(b"HTTP/1.1 502 ")


def test_another_answer_to_an_upgrade_is_an_ordinary_one_and_the_connections_go_on() -> None:
    proxy = Proxy()
    server = proxy.ask()
    server.deliver(OK)
    assert proxy.client.taken().endswith(b"\r\n\r\nhi")
    proxy.client.deliver(b"GET /again HTTP/1.1\r\nHost: x\r\n\r\n")
    server.deliver(OK)
    assert proxy.client.taken().endswith(b"\r\n\r\nhi")
    assert proxy.network.attempts == []
    assert proxy.settled()


def test_what_the_client_sent_behind_its_request_belongs_to_the_new_protocol() -> None:
    proxy = Proxy()
    server = proxy.ask()
    proxy.client.deliver(b"hasty" + bytes(70_000))
    assert not proxy.client.reading
    server.taken()
    server.deliver(SWITCH)
    assert server.taken() == b"hasty" + bytes(70_000)
    assert proxy.client.reading


def test_rule_43_a_slow_client_pauses_the_server_and_not_the_other_way() -> None:
    proxy = Proxy()
    server = proxy.tunnel()
    proxy.client.stop_taking()
    server.deliver(bytes(70_000))
    assert not server.reading
    proxy.client.deliver(b"up")
    assert server.taken() == b"up"
    proxy.pass_time(50)
    assert proxy.client.open, "a reader may be slow in a tunnel as long as its idle limit"
    proxy.client.take_all()
    assert server.reading
    assert len(proxy.client.taken()) == 70_000


def test_rule_43_a_slow_server_pauses_the_client() -> None:
    proxy = Proxy()
    server = proxy.tunnel()
    server.stop_taking()
    proxy.client.deliver(bytes(70_000))
    assert not proxy.client.reading
    server.deliver(b"down")
    assert proxy.client.taken() == b"down"
    server.take_all()
    assert proxy.client.reading
    assert len(server.taken()) == 70_000


def test_rule_43_a_client_s_fin_is_passed_on_and_the_server_may_go_on() -> None:
    proxy = Proxy()
    server = proxy.tunnel()
    proxy.client.deliver(b"last words")
    proxy.client.finish()
    assert server.taken() == b"last words"
    assert server.half_closed
    assert server.open
    server.deliver(b"answer to them")
    assert proxy.client.taken() == b"answer to them"
    server.finish()
    proxy.network.advance(0)
    assert (proxy.client.ended, server.ended) == ("closed", "closed")
    assert [(status, trouble) for status, _, trouble in proxy.ended] == [(101, "")]
    assert proxy.settled()


def test_rule_43_a_server_s_fin_is_passed_on_and_the_client_may_go_on() -> None:
    proxy = Proxy()
    server = proxy.tunnel()
    server.deliver(b"last words")
    server.finish()
    assert proxy.client.taken() == b"last words"
    assert proxy.client.half_closed
    assert proxy.client.open
    proxy.client.deliver(b"answer to them")
    assert server.taken() == b"answer to them"
    proxy.client.finish()
    proxy.network.advance(0)
    assert (proxy.client.ended, server.ended) == ("closed", "closed")
    assert proxy.settled()


def test_a_client_that_has_finished_before_the_switch_is_finished_in_the_tunnel() -> None:
    proxy = Proxy()
    server = proxy.ask()
    proxy.client.finish()
    server.deliver(SWITCH)
    assert server.half_closed
    server.deliver(b"still heard")
    assert proxy.client.taken().endswith(b"still heard")


def test_a_client_that_resets_ends_the_tunnel() -> None:
    proxy = Proxy()
    server = proxy.tunnel()
    proxy.client.reset()
    assert server.ended == "reset"
    assert [(status, trouble) for status, _, trouble in proxy.ended] == [(101, "client_gone")]
    assert proxy.settled()


def test_a_server_that_resets_ends_the_tunnel_visibly() -> None:
    proxy = Proxy()
    server = proxy.tunnel()
    server.reset()
    assert proxy.client.ended == "reset"
    assert [(status, trouble) for status, _, trouble in proxy.ended] == [(101, "broken_answer")]
    assert proxy.settled()


def test_a_tunnel_through_which_nothing_passes_is_closed() -> None:
    proxy = Proxy()
    server = proxy.tunnel()
    for _ in range(4):
        proxy.pass_time(50)
        proxy.client.deliver(b"x")
        proxy.pass_time(50)
        server.deliver(b"y")
    assert proxy.client.open
    proxy.pass_time(62)
    assert server.ended == "reset"
    assert proxy.client.half_closed or proxy.client.ended == "closed"
    assert [(status, trouble) for status, _, trouble in proxy.ended] == [(101, "tunnel_timeout")]
    assert proxy.settled()
    proxy.pass_time(10)
    assert not proxy.client.open


def test_a_tunnel_whose_reader_takes_nothing_ends_at_the_idle_limit_too() -> None:
    proxy = Proxy()
    server = proxy.tunnel()
    proxy.client.stop_taking()
    server.deliver(bytes(70_000))
    proxy.pass_time(63)
    assert server.ended == "reset"
    assert proxy.settled()
    proxy.pass_time(40)
    assert not proxy.client.open


def test_a_server_that_takes_nothing_at_the_end_is_not_waited_for_for_ever() -> None:
    proxy = Proxy()
    server = proxy.tunnel()
    server.stop_taking()
    proxy.client.deliver(b"never read")
    proxy.client.finish()
    server.finish()
    assert proxy.settled()
    assert server.ended == ""
    proxy.pass_time(63)
    assert server.ended == "reset"


def test_a_stopping_server_leaves_tunnels_their_grace_and_then_cuts_them() -> None:
    proxy = Proxy()
    server = proxy.tunnel()
    drained = proxy.factory.drain(5.0)
    proxy.pass_time(4)
    proxy.client.deliver(b"still")
    assert server.taken() == b"still"
    proxy.pass_time(2)
    assert drained.called
    assert server.ended == "reset"
    assert proxy.client.ended == "reset"
    assert proxy.settled()


def test_a_request_with_a_body_that_is_still_arriving_cannot_become_a_tunnel() -> None:
    proxy = Proxy()
    proxy.client.deliver(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n")
    connection: Any = proxy.client.protocol
    with pytest.raises(RuntimeError, match="cannot become a tunnel"):
        connection._exchange.switch(b"", None)
