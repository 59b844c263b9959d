"""Connections that begin with a PROXY header, in memory."""

from ipaddress import ip_network
from typing import Any

import pytest

from scalability.http1.proxy_protocol import proxy_header
from scalability.http1.trust import Networks
from scalability.lifecycle import DeadlineWheel
from scalability.net.exchange import Exchange
from scalability.net.http_server import HTTPServerFactory
from scalability.net.proxy_protocol import Announcements, DrainingProxyProtocolFactory, ProxyProtocolFactory
from scalability.testing.memory import MemoryNetwork, MemoryTransport

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
FROM = ("203.0.113.9", 4711)
TO = ("198.51.100.1", 443)


class Telling:
    def request_received(self, exchange: Exchange) -> None:
        exchange.answer(200, exchange.peer_host)


class Announced:
    """A server that expects headers from 192.0.2.0/24."""

    def __init__(self, **more: Any) -> None:
        self.network = MemoryNetwork()
        wheel = DeadlineWheel(self.network)
        wheel.startService()
        self.server = HTTPServerFactory(Telling(), clock=self.network, wheel=wheel, **more)
        self.announcements = Announcements(self.server, Networks([ip_network("192.0.2.0/24")]), wheel, timeout_s=3)
        self.factory = DrainingProxyProtocolFactory(self.announcements, self.server)

    def connect(self, host: str = "192.0.2.1") -> MemoryTransport:
        return self.network.connect_to(self.factory, host=host)

    def pass_time(self, seconds: float) -> None:
        for _ in range(int(seconds / 0.25)):
            self.network.advance(0.25)


@pytest.mark.parametrize("version", [1, 2])
def test_rule_46_the_client_is_the_header_s_however_it_is_cut(version: int) -> None:
    announced = Announced()
    sent = proxy_header(version, FROM, TO) + GET
    for cut in range(1, len(sent) + 1):
        client = announced.connect()
        client.deliver(sent[:cut])
        if cut < len(sent):
            client.deliver(sent[cut:])
        assert client.taken().endswith(b"\r\n\r\n203.0.113.9")
        client.reset()
        announced.network.advance(0)
    one = announced.connect()
    for byte in sent:
        one.deliver(bytes([byte]))
    assert one.taken().endswith(b"\r\n\r\n203.0.113.9")
    assert (announced.announcements.read, announced.announcements.refused) == (len(sent) + 1, 0)


def test_rule_46_a_header_is_read_from_the_named_networks_only() -> None:
    announced = Announced()
    client = announced.connect("198.51.100.7")
    client.deliver(proxy_header(1, FROM, TO) + GET)
    assert client.taken().startswith(b"HTTP/1.1 400 ")
    client = announced.connect("198.51.100.7")
    client.deliver(GET)
    assert client.taken().endswith(b"\r\n\r\n198.51.100.7")


@pytest.mark.parametrize("sent", [GET, b"\x16\x03\x01", b"PROXY TCP4 x\r\n", b"PROXY " + b"x" * 200])
def test_rule_46_a_header_is_required_from_the_named_networks(sent: bytes) -> None:
    announced = Announced()
    client = announced.connect()
    client.deliver(sent)
    announced.network.advance(0)
    assert client.ended == "reset"
    assert client.taken() == b""
    assert announced.announcements.refused == 1
    assert announced.server.counts.accepted == 0


def test_rule_46_a_header_must_come_in_time() -> None:
    announced = Announced()
    client = announced.connect()
    for byte in b"PROXY ":
        client.deliver(bytes([byte]))
        announced.pass_time(0.5)
    announced.pass_time(1)
    assert client.ended == "reset"
    assert announced.announcements.refused == 1


def test_a_proxy_that_speaks_for_itself_keeps_its_address() -> None:
    announced = Announced()
    client = announced.connect()
    client.deliver(b"PROXY UNKNOWN\r\n" + GET)
    assert client.taken().endswith(b"\r\n\r\n192.0.2.1")


def test_a_client_that_leaves_before_its_header_is_forgotten() -> None:
    announced = Announced()
    client = announced.connect()
    client.deliver(b"PRO")
    client.reset()
    announced.network.advance(0)
    assert announced.announcements.refused == 1
    assert announced.factory.room() == announced.server.room()
    announced.pass_time(5)


def test_an_ipv6_client_is_known_by_its_address() -> None:
    announced = Announced()
    client = announced.connect()
    client.deliver(proxy_header(2, ("2001:db8::7", 1), ("2001:db8::1", 2)) + GET)
    assert client.taken().endswith(b"\r\n\r\n2001:db8::7")


def test_connections_without_a_header_yet_take_places() -> None:
    announced = Announced(max_connections=2)
    accepted: list[str] = []
    first = announced.connect()
    assert announced.factory.room() == 1
    second = announced.connect()
    assert announced.factory.room() == 0
    announced.factory.when_room(lambda: accepted.append("room"))
    first.deliver(proxy_header(1, FROM, TO))
    second.reset()
    announced.network.advance(0)
    assert "room" in accepted
    assert announced.factory.room() == 1


def test_a_client_that_the_server_has_no_place_for_is_cut_after_its_header() -> None:
    announced = Announced(max_connections=5, max_connections_per_client=1)
    for ended in ("", "reset"):
        client = announced.connect()
        client.deliver(proxy_header(1, FROM, TO))
        assert client.ended == ended


def test_draining_gives_awaited_headers_a_moment() -> None:
    announced = Announced()
    late, silent = announced.connect(), announced.connect()
    done: list[object] = []
    announced.factory.drain(10).addCallback(done.append)
    late.deliver(proxy_header(1, FROM, TO) + GET)
    assert late.taken().startswith(b"HTTP/1.1 200 ")
    announced.pass_time(2)
    assert silent.ended == "reset"
    assert done == [None]


def test_draining_without_any_is_the_server_s() -> None:
    announced = Announced()
    done: list[object] = []
    announced.factory.drain(10).addCallback(done.append)
    assert done == [None]
    assert announced.server.draining


def test_only_the_last_listener_s_factory_drains() -> None:
    announced = Announced()
    assert not hasattr(ProxyProtocolFactory(announced.announcements, announced.server), "drain")
