"""The servers of a route of a real gateway: the breaker of one that fails, and servers that come and go in DNS."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.names import dns

from scalability.testing.client import HTTPClient
from scalability.testing.name_server import Zone, name_server
from scalability.testing.processes import Process
from tests.integration.test_gateway import wait_until

Start = Callable[..., Process]


def backend(run: Start, host: str = "127.0.0.1", port: int = 0) -> int:
    process = run(sys.executable, "-m", "scalability.testing.faulty_backend", f"{host}:{port}")
    return int(process.wait_for(r"listens on .*:(\d+)")[1])


def gateway(start: Start, folder: Path, table: str) -> tuple[int, int]:
    """Its port, and that of its admin listener."""
    file = folder / "lab.toml"
    file.write_text('[[gateway.routes]]\nprefix = "/shop"\n' + table)
    process = start("scalelab-gateway", "--config", str(file), "--cache", "memory:", "--admin", "127.0.0.1:0")
    return process.wait_listening(), process.wait_admin()


def servers(http: HTTPClient, admin: int) -> list[Any]:
    (route,) = http.get(admin, "/routes").json()["routes"]
    found: list[Any] = route["servers"]
    return found


def test_the_breaker_of_a_route_s_server_opens_tries_and_closes(run: Start, start: Start, http: HTTPClient, tmp_path: Path) -> None:
    port = backend(run)
    url = f'url = "http://127.0.0.1:{port}"\n[gateway.routes.upstream]\nretries = 0\neject_failures = 0\neject_percent = 0\n'
    front, admin = gateway(start, tmp_path, url + "max_queue = 0\n")

    def state() -> str:
        (server,) = servers(http, admin)
        found: str = server["breaker"]
        return found

    def asked() -> int:
        (server,) = servers(http, admin)
        found: int = server["requests"]
        return found

    assert http.get(front, "/shop/a").status == 200
    assert http.put(port, "/behave/closes/good").status == 204
    statuses = [http.get(front, "/shop/a").status for _ in range(25)]
    opened = time.monotonic()
    assert state() == "open"
    # half of twenty at least; what comes then fails at once, and never reaches the server
    assert statuses[:18] == [502] * 18
    assert statuses[-3:] == [503] * 3
    before = asked()
    began = time.monotonic()
    refused = http.get(front, "/shop/a")
    assert refused.status == 503
    assert refused.headers["content-type"] == "application/json"
    assert time.monotonic() - began < 1
    assert asked() == before
    labels = f'{{route="/shop",server="127.0.0.1:{port}",state="open"}}'
    assert f"scalelab_upstream_breaker_state{labels} 1.0" in http.get(admin, "/metrics").text

    # ten seconds later some are sent to try; they succeed, and all is well
    assert http.put(port, "/behave/good/good").status == 204
    wait_until(lambda: state() == "half-open", timeout_s=15)
    assert time.monotonic() - opened > 8
    assert [http.get(front, "/shop/a").status for _ in range(10)] == [200] * 10
    assert state() == "closed"


def test_the_breaker_of_one_server_leaves_a_route_to_the_other(run: Start, start: Start, http: HTTPClient, tmp_path: Path) -> None:
    ports = [backend(run) for _ in range(2)]
    named = ", ".join(f'"127.0.0.1:{port}"' for port in ports)
    table = f"servers = [{named}]\n[gateway.routes.upstream]\neject_failures = 0\neject_percent = 0\n"
    front, admin = gateway(start, tmp_path, table)
    assert http.put(ports[0], "/behave/closes/good").status == 204
    # a retry hides each failure, so that no client sees why
    assert {http.get(front, "/shop/a").status for _ in range(80)} == {200}
    assert [server["breaker"] for server in servers(http, admin)] == ["open", "closed"]
    before = [server["requests"] for server in servers(http, admin)]
    assert {http.get(front, "/shop/a").status for _ in range(10)} == {200}
    after = [server["requests"] for server in servers(http, admin)]
    assert [now - then for now, then in zip(after, before, strict=True)] == [0, 10]


class Scene:
    """A gateway whose servers a name server names, asked without blocking that."""

    def __init__(self, zone: Zone, front: int, admin: int, http: HTTPClient) -> None:
        self.zone = zone
        self.front = front
        self.admin = admin
        self.http = http

    def get(self, path: str) -> Deferred[int]:
        return deferToThread(lambda: self.http.get(self.front, path).status)

    async def until(self, wanted: dict[str, str]) -> None:
        from twisted.internet import reactor

        found: dict[str, str] = {}
        for _ in range(100):
            listed = await deferToThread(servers, self.http, self.admin)
            found = {server["name"].partition(":")[0]: server["state"] for server in listed}
            if found == wanted:
                return
            await deferLater(reactor, 0.1)
        raise AssertionError(f"the servers are {found}, not {wanted}")


async def test_the_servers_of_a_route_join_and_leave_through_dns(run: Start, start: Start, http: HTTPClient, tmp_path: Path) -> None:
    port = await deferToThread(backend, run)
    await deferToThread(backend, run, "127.0.0.2", port)
    async with name_server() as (zone, zone_port):
        zone.addresses = ["127.0.0.1"]
        table = (
            f'servers = ["dns:shop.internal:{port}"]\n[gateway.routes.health]\ninterval = 0.2\n'
            f'[gateway.routes.upstream]\nresolve_interval = 0.3\nresolver = "127.0.0.1:{zone_port}"\n'
        )
        front, admin = await deferToThread(gateway, start, tmp_path, table)
        scene = Scene(zone, front, admin, http)
        await scene.until({"127.0.0.1": "up"})
        assert await scene.get("/shop/a") == 200

        zone.addresses = ["127.0.0.2", "127.0.0.1"]
        await scene.until({"127.0.0.1": "up", "127.0.0.2": "up"})
        assert [await scene.get("/shop/a") for _ in range(4)] == [200] * 4

        # one goes while requests are on their way to both: those are finished
        assert (await deferToThread(http.put, port, "/behave/slow:1/good")).status == 204
        asking = [scene.get("/shop/slow") for _ in range(8)]
        zone.addresses = ["127.0.0.2"]
        await scene.until({"127.0.0.2": "up"})
        assert [await answer for answer in asking] == [200] * 8

        # a name server that fails changes nothing; a name that is gone is believed in the end, and comes back
        zone.code = dns.ESERVER
        seen = zone.asked
        while zone.asked < seen + 2:
            assert await scene.get("/shop/a") == 200
        await scene.until({"127.0.0.2": "up"})
        zone.code = dns.ENAME
        await scene.until({})
        assert await scene.get("/shop/a") == 503
        zone.code = dns.OK
        await scene.until({"127.0.0.2": "up"})
        assert await scene.get("/shop/a") == 200
