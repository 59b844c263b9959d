"""Gateways that come and go in DNS, behind a running balancer. The name server is one of twisted.names on loopback."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.names import dns
from twisted.names.error import DomainError
from twisted.names.server import DNSServerFactory
from twisted.python.failure import Failure

from scalability.testing.client import Answer, HTTPClient
from scalability.testing.processes import Process

Start = Callable[..., Process]

FAST = ("--health-interval", "0.2", "--resolve-interval", "0.5")


class Zone(DNSServerFactory):
    """Answers ``addresses`` for every name, or fails with ``code``."""

    noisy = False

    def __init__(self) -> None:
        super().__init__(clients=[self], verbose=0)
        self.addresses: list[str] = []
        self.code = dns.OK
        self.asked = 0

    def query(self, query: dns.Query, timeout: object = None) -> Deferred[Any]:
        self.asked += 1
        if self.code != dns.OK:
            return fail(DomainError())
        if query.type != dns.A:
            return succeed(([], [], []))
        name = query.name.name
        return succeed(([dns.RRHeader(name, dns.A, dns.IN, 600, dns.Record_A(address, 600)) for address in self.addresses], [], []))

    def gotResolverError(self, failure: Failure, protocol: Any, message: dns.Message, address: Any) -> None:  # noqa: N802 - Twisted's name
        self.sendReply(protocol, self._responseFromMessage(message=message, rCode=self.code), address)


@asynccontextmanager
async def name_server() -> AsyncIterator[tuple[Zone, int]]:
    from twisted.internet import reactor

    zone = Zone()
    protocol = dns.DNSDatagramProtocol(zone)
    protocol.noisy = False
    port = reactor.listenUDP(0, protocol, interface="127.0.0.1")  # type: ignore[attr-defined]
    try:
        yield zone, port.getHost().port
    finally:
        await maybeDeferred(port.stopListening)


async def pause(seconds: float) -> None:
    from twisted.internet import reactor

    await deferLater(reactor, seconds)


class Scene:
    """A balancer, and what a test asks it without blocking the name server."""

    def __init__(self, zone: Zone, front: int, http: HTTPClient) -> None:
        self.zone = zone
        self.front = front
        self.http = http

    def get(self, path: str) -> Deferred[Answer]:
        return deferToThread(self.http.get, self.front, path)

    async def servers(self) -> dict[str, str]:
        answer = await self.get("/health")
        return {server["name"].partition(":")[0]: server["state"] for server in answer.json()["servers"]}

    async def until(self, wanted: dict[str, str], *, turns: int = 100) -> None:
        found: dict[str, str] = {}
        for _ in range(turns):
            found = await self.servers()
            if found == wanted:
                return
            await pause(0.1)
        raise AssertionError(f"the servers are {found}, not {wanted}")

    async def asked_again(self, times: int) -> None:
        """Let the balancer ask the name server this often."""
        wanted = self.zone.asked + times
        for _ in range(200):
            if self.zone.asked >= wanted:
                break
            await pause(0.1)
        assert self.zone.asked >= wanted
        await pause(0.1)


async def test_gateways_join_and_leave_through_dns_without_a_failed_request(start: Start, http: HTTPClient) -> None:
    one = start("scalelab-microservice", "--service-time", "0.2", listen="127.0.0.1:0")
    port = await deferToThread(one.wait_listening)
    two = start("scalelab-microservice", "--service-time", "0.2", listen=f"127.0.0.2:{port}")
    await deferToThread(two.wait_listening)
    async with name_server() as (zone, zone_port):
        zone.addresses = ["127.0.0.1"]
        process = start("scalelab-lb", "--backend", f"dns:gateway:{port}", "--resolver", f"127.0.0.1:{zone_port}", *FAST)
        scene = Scene(zone, await deferToThread(process.wait_listening), http)
        await scene.until({"127.0.0.1": "up"})
        assert (await scene.get("/process")).status == 200

        zone.addresses = ["127.0.0.2", "127.0.0.1"]
        await scene.until({"127.0.0.1": "up", "127.0.0.2": "up"})

        # one goes while requests are on their way to both: those are finished, no new one goes there
        asking = [scene.get("/process") for _ in range(8)]
        zone.addresses = ["127.0.0.2"]
        await scene.until({"127.0.0.2": "up"})
        assert [(await answer).status for answer in asking] == [200] * 8
        await deferToThread(one.stop)
        assert (await scene.get("/process")).status == 200

        # a name server that fails changes nothing
        zone.code = dns.ESERVER
        await scene.asked_again(2)
        assert await scene.servers() == {"127.0.0.2": "up"}

        # a name that does not exist is believed the third time
        zone.code = dns.ENAME
        await scene.asked_again(1)
        assert await scene.servers() == {"127.0.0.2": "up"}
        await scene.until({})
        assert (await scene.get("/process")).status == 503

        zone.code = dns.OK
        await scene.until({"127.0.0.2": "up"})
        assert (await scene.get("/process")).status == 200
        await deferToThread(process.stop)
        assert "Traceback" not in process.output


async def test_an_address_where_nothing_listens_gets_no_traffic(start: Start, http: HTTPClient) -> None:
    one = start("scalelab-microservice", listen="127.0.0.1:0")
    port = await deferToThread(one.wait_listening)
    async with name_server() as (zone, zone_port):
        zone.addresses = ["127.0.0.1", "127.0.0.3"]
        process = start("scalelab-lb", "--backend", f"dns:gateway:{port}", "--resolver", f"127.0.0.1:{zone_port}", *FAST)
        scene = Scene(zone, await deferToThread(process.wait_listening), http)
        await scene.until({"127.0.0.1": "up", "127.0.0.3": "waiting"})
        assert [(await scene.get("/process")).status for _ in range(4)] == [200] * 4
        assert (await scene.servers())["127.0.0.3"] == "waiting"
        await deferToThread(process.stop)


async def test_a_host_name_in_the_configuration_is_resolved(start: Start, http: HTTPClient) -> None:
    one = start("scalelab-microservice", listen="127.0.0.1:0")
    port = await deferToThread(one.wait_listening)
    for backend in (f"localhost:{port}", f"dns:localhost:{port}"):
        process = start("scalelab-lb", "--backend", backend)
        scene = Scene(Zone(), await deferToThread(process.wait_listening), http)
        for _ in range(50):
            if "up" in (await scene.servers()).values():
                break
            await pause(0.1)
        assert (await scene.get("/process")).status == 200
