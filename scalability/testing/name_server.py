"""A name server of twisted.names on loopback, in the reactor of the test, which says what its records are."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed
from twisted.names import dns
from twisted.names.error import DomainError
from twisted.names.server import DNSServerFactory
from twisted.python.failure import Failure


class Zone(DNSServerFactory):
    """Answers ``addresses`` for every name and ``services`` (priority, weight, port) for every service, or fails with ``code``."""

    noisy = False

    def __init__(self) -> None:
        super().__init__(clients=[self], verbose=0)
        self.addresses: list[str] = []
        self.services: list[tuple[int, int, int]] = []
        self.code = dns.OK
        self.asked = 0

    def query(self, query: dns.Query, timeout: object = None) -> Deferred[Any]:
        self.asked += 1
        if self.code != dns.OK:
            return fail(DomainError())
        name = query.name.name
        if query.type == dns.SRV:
            records = [dns.Record_SRV(*service, b"target.example", 600) for service in self.services]
            return succeed(([dns.RRHeader(name, dns.SRV, dns.IN, 600, record) for record in records], [], []))
        if query.type != dns.A:
            return succeed(([], [], []))
        return succeed(([dns.RRHeader(name, dns.A, dns.IN, 600, dns.Record_A(address, 600)) for address in self.addresses], [], []))

    def gotResolverError(self, failure: Failure, protocol: Any, message: dns.Message, address: Any) -> None:  # noqa: N802 - Twisted's name
        self.sendReply(protocol, self._responseFromMessage(message=message, rCode=self.code), address)


@asynccontextmanager
async def name_server() -> AsyncIterator[tuple[Zone, int]]:
    """A zone and the port of 127.0.0.1 that answers for it, over UDP. A test that blocks keeps it from answering."""
    from twisted.internet import reactor

    zone = Zone()
    protocol = dns.DNSDatagramProtocol(zone)
    protocol.noisy = False
    port = reactor.listenUDP(0, protocol, interface="127.0.0.1")  # type: ignore[attr-defined]
    try:
        yield zone, port.getHost().port
    finally:
        await maybeDeferred(port.stopListening)
