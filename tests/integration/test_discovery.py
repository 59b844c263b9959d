"""Gateways that come and go, in DNS and in a file, behind a running balancer. The name server is one of twisted.names on loopback."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.names import dns

from scalability.testing.client import Answer, HTTPClient
from scalability.testing.name_server import Zone, name_server
from scalability.testing.processes import CHECKOUT, Process

Start = Callable[..., Process]

FAST = ("--health-interval", "0.2", "--resolve-interval", "0.5")


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

    async def by_port(self, what: str) -> dict[int, Any]:
        """What ``/health`` says of each server, by its port."""
        answer = await self.get("/health")
        return {int(server["name"].rpartition(":")[2]): server[what] for server in answer.json()["servers"]}

    async def until_by_port(self, wanted: dict[int, Any], *, what: str = "state", turns: int = 100) -> None:
        found: dict[int, Any] = {}
        for _ in range(turns):
            found = await self.by_port(what)
            if found == wanted:
                return
            await pause(0.1)
        raise AssertionError(f"the servers' {what} is {found}, not {wanted}")

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


async def test_a_service_s_records_say_ports_and_weights_and_targets_that_fail_to_resolve_stay(start: Start, http: HTTPClient) -> None:
    processes = [start("scalelab-microservice", "--service-time", "0.05", listen="127.0.0.1:0") for _ in range(3)]
    one, two, three = [await deferToThread(process.wait_listening) for process in processes]
    async with name_server() as (zone, zone_port):
        zone.addresses = ["127.0.0.1"]
        zone.services = [(0, 30, one), (0, 10, two)]
        process = start("scalelab-lb", "--backend", "dns+srv:_http._tcp.gateway", "--resolver", f"127.0.0.1:{zone_port}", *FAST)
        scene = Scene(zone, await deferToThread(process.wait_listening), http)
        await scene.until_by_port({one: "up", two: "up"})
        assert await scene.by_port("weight") == {one: 30, two: 10}
        before = await scene.by_port("requests")
        assert [(await scene.get("/process")).status for _ in range(8)] == [200] * 8
        after = await scene.by_port("requests")
        assert {port: after[port] - before[port] for port in after} == {one: 6, two: 2}

        # a server takes another's place; large weights are scaled
        asking = [scene.get("/process") for _ in range(8)]
        zone.services = [(0, 60000, three), (0, 30000, two)]
        await scene.until_by_port({two: "up", three: "up"})
        await scene.until_by_port({two: 128, three: 256}, what="weight")
        assert [(await answer).status for answer in asking] == [200] * 8

        # a name server that fails changes nothing; a service without records is believed the third time
        zone.code = dns.ESERVER
        await scene.asked_again(2)
        assert set(await scene.by_port("state")) == {two, three}
        zone.code = dns.OK
        zone.services = []
        await scene.until_by_port({})
        zone.services = [(5, 0, one)]
        await scene.until_by_port({one: "up"})
        assert (await scene.get("/process")).status == 200
        await deferToThread(process.stop)
        assert "Traceback" not in process.output


async def test_gateways_join_and_leave_through_a_file_without_a_failed_request(start: Start, http: HTTPClient, tmp_path: Path) -> None:
    processes = [start("scalelab-microservice", "--service-time", "0.2", listen="127.0.0.1:0") for _ in range(2)]
    one, two = [await deferToThread(process.wait_listening) for process in processes]
    file = tmp_path / "servers"

    def write(text: str) -> None:
        (tmp_path / "new").write_text(text)
        (tmp_path / "new").replace(file)

    write(f"127.0.0.1:{one}\n")
    process = start("scalelab-lb", "--backend", f"file:{file}", "--health-interval", "0.2")
    scene = Scene(Zone(), await deferToThread(process.wait_listening), http)
    assert (await scene.get("/process")).status == 200
    write(f"# both of them\n127.0.0.1:{one}\n127.0.0.1:{two},weight=2\n")
    await scene.until_by_port({one: "up", two: "up"})

    # one goes while requests are on their way to both: those are finished, no new one goes there
    asking = [scene.get("/process") for _ in range(8)]
    file.write_text(f"127.0.0.1:{two},weight=5\n")
    await scene.until_by_port({two: "up"})
    assert [(await answer).status for answer in asking] == [200] * 8
    assert await scene.by_port("weight") == {two: 5}
    await deferToThread(processes[0].stop)

    # neither a bad file nor a missing one changes anything
    write(f"127.0.0.1:{two}\nnonsense\n")
    await deferToThread(process.wait_for, r"changes nothing: .*servers: line 2: 'nonsense' is not HOST:PORT; servers kept: 1")
    file.unlink()
    await deferToThread(process.wait_for, r"changes nothing: there is no file .*servers any more; servers kept: 1")
    assert await scene.by_port("state") == {two: "up"}
    assert (await scene.get("/process")).status == 200
    await deferToThread(process.stop)
    assert "Traceback" not in process.output


@pytest.mark.parametrize(
    ("text", "why"),
    [(None, "cannot read servers: No such file or directory"), ("127.0.0.1:80\nx\n", "servers: line 2: 'x' is not HOST:PORT")],
)
def test_a_file_that_cannot_be_taken_in_at_the_start_is_one_line(start: Start, tmp_path: Path, text: str | None, why: str) -> None:
    if text is not None:
        (tmp_path / "servers").write_text(text)
    for flags in (["--check-config"], []):
        process = start("scalelab-lb", "--backend", "file:servers", *flags, cwd=tmp_path, env={"PYTHONPATH": str(CHECKOUT)})
        assert process.wait() == 1
        assert process.stderr == f"scalelab-lb: --backend: {why}\n"
