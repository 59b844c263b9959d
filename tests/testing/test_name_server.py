"""The name server of tests: what it answers is what the test has said, over real datagrams."""

import pytest
from twisted.names import dns
from twisted.names.client import Resolver
from twisted.names.error import DNSNameError, DNSServerError

from scalability.testing.name_server import name_server


async def test_addresses_and_services_are_what_the_zone_says_now() -> None:
    async with name_server() as (zone, port):
        resolver = Resolver(servers=[("127.0.0.1", port)])
        zone.addresses = ["127.0.0.1"]
        zone.services = [(0, 5, 8080)]
        found, _, _ = await resolver.lookupAddress("gateway.example")
        assert [record.payload.dottedQuad() for record in found] == ["127.0.0.1"]
        zone.addresses = ["127.0.0.2", "127.0.0.3"]
        resolver = Resolver(servers=[("127.0.0.1", port)])
        found, _, _ = await resolver.lookupAddress("gateway.example")
        assert [record.payload.dottedQuad() for record in found] == zone.addresses
        found, _, _ = await resolver.lookupService("_http._tcp.gateway")
        assert [(record.payload.weight, record.payload.port) for record in found] == [(5, 8080)]
        assert zone.asked == 3


@pytest.mark.parametrize(("code", "error"), [(dns.ESERVER, DNSServerError), (dns.ENAME, DNSNameError)])
async def test_it_fails_with_the_code_that_is_set(code: int, error: type[Exception]) -> None:
    async with name_server() as (zone, port):
        zone.code = code
        with pytest.raises(error):
            await Resolver(servers=[("127.0.0.1", port)]).lookupAddress("gateway.example")
