"""Names to addresses: what the files say, what a name server says, and what each way of failing means."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed
from twisted.internet.error import CannotListenError
from twisted.names import dns
from twisted.names.error import DomainError
from twisted.names.server import DNSServerFactory
from twisted.python.failure import Failure

from scalability.config import Address
from scalability.errors import DependencyDown
from scalability.upstream.discovery.srv import ServiceRecord
from scalability.upstream.resolver import NameResolver, hosts_addresses, name_servers

Answer = Callable[[dns.Query], Any]


class Zone:
    """The resolver behind the test's name server: answers from ``records`` or fails as told."""

    def __init__(self) -> None:
        self.records: list[dns.RRHeader] = []
        self.additional: list[dns.RRHeader] = []
        self.code = dns.OK
        self.silent = False
        self.queries: list[str] = []

    def a(self, name: str, *addresses: str) -> None:
        self.records += [dns.RRHeader(name.encode(), dns.A, dns.IN, 600, dns.Record_A(address, 600)) for address in addresses]

    def srv(self, name: str, priority: int, weight: int, port: int, target: str) -> None:
        record = dns.Record_SRV(priority, weight, port, target.encode(), 600)
        self.records.append(dns.RRHeader(name.encode(), dns.SRV, dns.IN, 600, record))

    def query(self, query: dns.Query, timeout: object = None) -> Deferred[Any]:
        self.queries.append(f"{query.name.name.decode()} {dns.QUERY_TYPES[query.type]}")
        if self.silent:
            return Deferred()
        if self.code != dns.OK:
            return fail(DomainError())
        return succeed(([r for r in self.records if r.type in (query.type, dns.CNAME)], [], self.additional))


class Server(DNSServerFactory):
    """Fails with the zone's code, where Twisted's own server knows NXDOMAIN only, and says so when an answer is too long for a datagram."""

    def __init__(self, zone: Zone) -> None:
        super().__init__(clients=[zone], verbose=0)
        self.noisy = False
        self.zone = zone

    def sendReply(self, protocol: Any, message: dns.Message, address: Any) -> None:  # noqa: N802 - Twisted's name
        message.maxSize = 0 if address is None else 512  # RFC 1035 section 4.2.1
        super().sendReply(protocol, message, address)

    def gotResolverError(self, failure: Failure, protocol: Any, message: dns.Message, address: Any) -> None:  # noqa: N802 - Twisted's name
        self.sendReply(protocol, self._responseFromMessage(message=message, rCode=self.zone.code), address)


async def listening(reactor: Any, protocol: dns.DNSDatagramProtocol, factory: Server) -> tuple[Any, Any]:
    """A port that is free for UDP and for TCP."""
    while True:
        udp = reactor.listenUDP(0, protocol, interface="127.0.0.1")
        try:
            return udp, reactor.listenTCP(udp.getHost().port, factory, interface="127.0.0.1")
        except CannotListenError:
            await maybeDeferred(udp.stopListening)


@asynccontextmanager
async def name_server(zone: Zone) -> AsyncIterator[NameResolver]:
    from twisted.internet import reactor

    factory = Server(zone)
    protocol = dns.DNSDatagramProtocol(factory)
    protocol.noisy = False
    udp, tcp = await listening(reactor, protocol, factory)
    port = udp.getHost().port
    try:
        yield NameResolver(reactor, server=Address("127.0.0.1", port))
    finally:
        await maybeDeferred(udp.stopListening)
        await maybeDeferred(tcp.stopListening)
        for connection in list(getattr(factory, "connections", [])):
            connection.transport.abortConnection()


async def test_all_addresses_of_a_name_are_found() -> None:
    zone = Zone()
    zone.a("gateway", "10.0.0.1", "10.0.0.2")
    async with name_server(zone) as resolver:
        assert await resolver.resolve("gateway") == ("10.0.0.1", "10.0.0.2")
        assert zone.queries == ["gateway A"]


async def test_a_name_with_an_alias_is_followed_and_doubles_are_dropped() -> None:
    zone = Zone()
    zone.records.append(dns.RRHeader(b"www", dns.CNAME, dns.IN, 600, dns.Record_CNAME(b"gateway", 600)))
    zone.a("gateway", "10.0.0.1", "10.0.0.1")
    async with name_server(zone) as resolver:
        assert await resolver.resolve("www") == ("10.0.0.1",)


async def test_ipv6_addresses_are_asked_for_when_there_is_no_ipv4_one() -> None:
    zone = Zone()
    zone.records.append(dns.RRHeader(b"six", dns.AAAA, dns.IN, 600, dns.Record_AAAA("2001:db8::1", 600)))
    async with name_server(zone) as resolver:
        assert await resolver.resolve("six") == ("2001:db8::1",)
        assert zone.queries == ["six A", "six AAAA"]


async def test_a_name_without_addresses_is_empty() -> None:
    async with name_server(Zone()) as resolver:
        assert await resolver.resolve("nothing") == ()


async def test_a_name_that_does_not_exist_is_empty() -> None:
    zone = Zone()
    zone.code = dns.ENAME
    async with name_server(zone) as resolver:
        assert await resolver.resolve("nobody") == ()


@pytest.mark.parametrize("code", [dns.ESERVER, dns.EREFUSED, dns.EFORMAT, dns.ENOTIMP])
async def test_a_failing_name_server_is_no_answer(code: int) -> None:
    zone = Zone()
    zone.code = code
    async with name_server(zone) as resolver:
        with pytest.raises(DependencyDown, match="failed"):
            await resolver.resolve("gateway")


async def test_a_silent_name_server_is_given_up_after_three_seconds() -> None:
    zone = Zone()
    zone.silent = True
    async with name_server(zone) as resolver:
        with pytest.raises(DependencyDown, match="in time"):
            await resolver.resolve("gateway")


async def test_the_records_of_a_service_say_where_it_is_offered() -> None:
    zone = Zone()
    zone.srv("_http._tcp.gateway", 10, 60, 5000, "a.example")
    zone.srv("_http._tcp.gateway", 20, 0, 5003, "B.example")
    zone.additional = [
        dns.RRHeader(b"b.example", dns.A, dns.IN, 600, dns.Record_A("10.0.0.2", 600)),
        dns.RRHeader(b"b.example", dns.AAAA, dns.IN, 600, dns.Record_AAAA("2001:db8::2", 600)),
        dns.RRHeader(b"c.example", dns.A, dns.IN, 600, dns.Record_A("10.0.0.3", 600)),
    ]
    async with name_server(zone) as resolver:
        assert await resolver.services("_http._tcp.gateway") == (
            ServiceRecord(10, 60, 5000, "a.example"),
            ServiceRecord(20, 0, 5003, "B.example", ("10.0.0.2",)),
        )
        assert zone.queries == ["_http._tcp.gateway SRV"]


async def test_ipv6_addresses_of_a_target_come_along_when_it_has_no_others() -> None:
    zone = Zone()
    zone.srv("x", 0, 0, 80, "a")
    zone.additional = [dns.RRHeader(b"a", dns.AAAA, dns.IN, 600, dns.Record_AAAA("2001:db8::2", 600))]
    async with name_server(zone) as resolver:
        (record,) = await resolver.services("x")
        assert record.addresses == ("2001:db8::2",)


async def test_a_target_that_is_the_root_means_that_the_service_is_not_offered() -> None:
    zone = Zone()
    zone.srv("x", 0, 0, 80, ".")
    zone.srv("x", 0, 0, 80, "")
    zone.srv("x", 0, 0, 0, "a")
    async with name_server(zone) as resolver:
        assert await resolver.services("x") == ()


async def test_a_service_that_does_not_exist_has_no_records() -> None:
    zone = Zone()
    zone.code = dns.ENAME
    async with name_server(zone) as resolver:
        assert await resolver.services("nobody") == ()


async def test_a_service_that_cannot_be_asked_for_is_no_answer() -> None:
    zone = Zone()
    zone.code = dns.ESERVER
    async with name_server(zone) as resolver:
        with pytest.raises(DependencyDown, match="failed"):
            await resolver.services("x")


async def test_hundreds_of_records_come_whole() -> None:
    zone = Zone()
    for place in range(300):
        zone.srv("x", 0, 1, 1 + place, f"host-{place}.example")
    async with name_server(zone) as resolver:
        assert len(await resolver.services("x")) == 300


async def test_an_answer_too_long_for_a_datagram_comes_whole() -> None:
    zone = Zone()
    wanted = tuple(f"10.0.{i // 250}.{i % 250}" for i in range(60))
    zone.a("gateway", *wanted)
    async with name_server(zone) as resolver:
        assert await resolver.resolve("gateway") == wanted


async def test_an_address_is_its_own_answer() -> None:
    from twisted.internet import reactor

    resolver = NameResolver(reactor, server=Address("127.0.0.1", 1))
    assert await resolver.resolve("10.1.2.3") == ("10.1.2.3",)
    assert await resolver.resolve("::1") == ("::1",)


async def test_the_hosts_file_comes_first_and_is_read_anew_each_time(tmp_path: Path) -> None:
    from twisted.internet import reactor

    hosts = tmp_path / "hosts"
    hosts.write_text("10.0.0.7 gateway gw # the lab's\n::7 gateway\n")
    resolver = NameResolver(reactor, hosts=hosts, resolv_conf=tmp_path / "none")
    assert await resolver.resolve("GW") == ("10.0.0.7",)
    assert await resolver.resolve("gateway") == ("10.0.0.7",)
    hosts.write_text("10.0.0.8 gateway\n")
    assert await resolver.resolve("gateway") == ("10.0.0.8",)


def test_hosts_lines_are_read_as_hosts_5_says() -> None:
    hosts = "# comment\n127.0.0.1\tlocalhost\nnonsense gateway\n10.0.0.1 a b gateway\n10.0.0.2 gateway.\n::1 gateway # x\n\n"
    assert hosts_addresses(hosts, "gateway.") == ("10.0.0.1", "::1")
    assert hosts_addresses(hosts, "comment") == ()


def test_name_servers_are_read_as_resolv_conf_5_says() -> None:
    text = """\
# nameserver 9.9.9.9
search example
nameserver 127.0.0.11 # docker
nameserver
nameserver ::1
nameserver not-an-address
options ndots:0
"""
    assert name_servers(text) == [("127.0.0.11", 53), ("::1", 53)]
    assert name_servers("") == [("127.0.0.1", 53)]
