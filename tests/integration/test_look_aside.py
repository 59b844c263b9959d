"""A thousand clients on a cold cache: real gateways, a real cache server, and a database that counts what it is asked."""

import re
import resource
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from scalability.lab.bench.programs import free_port
from scalability.testing.client import HTTPClient
from scalability.testing.processes import CHECKOUT, Process, twistd

Start = Callable[..., Process]
FRESH = b'"data":"Fetched fresh data from DB"}'
CLIENTS = 1_000
REQUEST = b"GET /data HTTP/1.1\r\nHost: crowd\r\nConnection: close\r\n\r\n"


@dataclass
class Told:
    """What a crowd was told."""

    answers: list[bytes] = field(default_factory=list)
    """Complete answers, the empty ones of broken connections included."""
    slowest_s: float = 0.0

    @property
    def good(self) -> int:
        return sum(answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(FRESH) for answer in self.answers)


def crowd(ports: Sequence[int], clients: int = CLIENTS, *, timeout_s: float = 30.0) -> Told:
    """So many clients at once, spread over ``ports``; each has a connection of its own and reads its answer to the end."""
    told = Told()
    with selectors.DefaultSelector() as selector:
        connections = [socket.create_connection(("127.0.0.1", ports[number % len(ports)]), timeout_s) for number in range(clients)]
        received = dict.fromkeys(connections, b"")
        started = time.monotonic()
        for connection in connections:
            connection.sendall(REQUEST)
            connection.setblocking(False)
            selector.register(connection, selectors.EVENT_READ, connection)
        while selector.get_map():
            ready = selector.select(max(0.0, started + timeout_s - time.monotonic()))
            assert ready, f"{len(selector.get_map())} clients still wait after {timeout_s} s"
            for key, _ in ready:
                connection = key.data
                try:
                    data = connection.recv(65536)
                except ConnectionError:
                    data = b""
                if data:
                    received[connection] += data
                else:
                    selector.unregister(connection)
                    connection.close()
                    told.answers.append(received[connection])
                    told.slowest_s = time.monotonic() - started
    return told


class Behind:
    """A cache, a database, and what is started in front of them."""

    def __init__(self, start: Start, http: HTTPClient, folder: Path, *, latency_s: float, over: str = "http") -> None:
        self._start = start
        self._http = http
        self._folder = folder
        resp = free_port()
        self.cache = start("scalelab-cache", *(["--resp", f"127.0.0.1:{resp}"] if over == "redis" else []), cwd=folder)
        self.database = start("scalelab-database", "--latency", str(latency_s), "--admin", "127.0.0.1:0", cwd=folder)
        self.named = [
            part
            for name, process in (("cache", self.cache), ("database", self.database))
            for part in (f"--{name}", f"http://127.0.0.1:{process.wait_listening()}")
        ]
        if over == "redis":
            self.named[1] = f"redis://127.0.0.1:{resp}"
        self._admin = self.database.wait_admin()

    def gateways(self, number: int, *flags: str) -> list[Process]:
        running = [self._start("scalelab-gateway", *self.named, *flags, cwd=self._folder) for _ in range(number)]
        for gateway in running:
            gateway.wait_listening()
        return running

    def balancer(self, gateways: Sequence[Process]) -> int:
        flags = [part for gateway in gateways for part in ("--backend", f"127.0.0.1:{gateway.wait_listening()}")]
        port = self._start("scalelab-lb", *flags, cwd=self._folder).wait_listening()
        deadline = time.monotonic() + 15
        while any(server["state"] != "up" for server in self._http.get(port, "/health").json()["servers"]):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return port

    def reads(self) -> tuple[int, int]:
        """What the database has been asked for /db, ever and now."""
        text = self._http.get(self._admin, "/metrics").text
        served, running = (re.search(rf"^scalelab_database_{name} (\S+)", text, re.MULTILINE) for name in ("served_total", "running"))
        assert served
        assert running
        return int(float(served[1])), int(float(running[1]))

    def counts(self, gateway: Process) -> dict[str, float]:
        found: dict[str, float] = self._http.get(gateway.wait_listening(), "/metrics").json()
        return found

    def wait_reading(self) -> None:
        deadline = time.monotonic() + 10
        while not self.reads()[1]:
            assert time.monotonic() < deadline
            time.sleep(0.02)


@pytest.fixture(autouse=True)
def _descriptors() -> Iterator[None]:
    """One for each client."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, CLIENTS + 512)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("over", ["http", "redis"])
def test_a_thousand_clients_on_a_cold_cache_cost_one_read(start: Start, http: HTTPClient, tmp_path: Path, over: str) -> None:
    behind = Behind(start, http, tmp_path, latency_s=1.0, over=over)
    gateways = behind.gateways(2, "--lease", "10")
    told = crowd([gateway.wait_listening() for gateway in gateways])
    assert told.good == CLIENTS
    assert behind.reads() == (1, 0)
    counts = [behind.counts(gateway) for gateway in gateways]
    assert sum(count["database_reads"] for count in counts) == 1
    assert sum(count["lease_waits"] for count in counts) == 1
    assert sum(count["cache_hits"] + count["cache_misses"] for count in counts) == CLIENTS
    assert sum(count["collapsed"] + count["near_hits"] for count in counts) == CLIENTS - 2


@pytest.mark.parametrize("over", ["http", "redis"])
def test_a_lease_holder_that_is_killed_costs_its_lease_and_no_answer(start: Start, http: HTTPClient, tmp_path: Path, over: str) -> None:
    behind = Behind(start, http, tmp_path, latency_s=1.5, over=over)
    holder, other = gateways = behind.gateways(2, "--lease", "2")
    port = behind.balancer(gateways)
    with ThreadPoolExecutor(2) as threads:
        threads.submit(crowd, [holder.wait_listening()], 1)
        behind.wait_reading()
        asking = threads.submit(crowd, [port])
        deadline = time.monotonic() + 10
        while not behind.counts(other)["lease_waits"]:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        holder.kill(signal.SIGKILL)
        told = asking.result()
    assert told.good == CLIENTS, [answer for answer in told.answers if not answer.endswith(FRESH)][:3]
    assert told.slowest_s < 2 + 1.5 + 2.5, "the lease, one load, and some time for a thousand answers"
    assert behind.reads()[0] <= 2
    assert (behind.counts(other)["lease_timeouts"], behind.counts(other)["database_reads"]) in ((1, 1), (0, 1))
    assert "Traceback" not in other.output


@pytest.mark.parametrize("over", ["http", "redis"])
def test_without_the_cache_each_gateway_still_reads_once_for_all_its_clients(
    start: Start, http: HTTPClient, tmp_path: Path, over: str
) -> None:
    behind = Behind(start, http, tmp_path, latency_s=1.0, over=over)
    gateways = behind.gateways(2)
    behind.cache.kill(signal.SIGKILL)
    behind.cache.wait()
    told = crowd([gateway.wait_listening() for gateway in gateways])
    assert told.good == CLIENTS
    assert behind.reads() == (2, 0)
    assert [behind.counts(gateway)["database_reads"] for gateway in gateways] == [1, 1]
    assert all(behind.counts(gateway)["cache_failures"] for gateway in gateways)


def test_a_busy_value_is_read_anew_before_it_ends(start: Start, http: HTTPClient, tmp_path: Path) -> None:
    behind = Behind(start, http, tmp_path, latency_s=0.4)
    (gateway,) = behind.gateways(1, "--ttl", "2.5", "--near-ttl", "0.1", "--early-refresh", "1")
    port = gateway.wait_listening()
    http.get(port, "/data")
    until = time.monotonic() + 20
    while not behind.counts(gateway)["early_refreshes"]:
        assert time.monotonic() < until
        for _ in range(20):
            assert http.get(port, "/data").json()["cached"] is True or behind.counts(gateway)["database_reads"] > 1
            time.sleep(0.005)


def test_the_pages_route_of_ones_own_runs(start: Start, http: HTTPClient, tmp_path: Path) -> None:
    behind = Behind(start, http, tmp_path, latency_s=0.0)
    page = (CHECKOUT / "docs" / "caching.md").read_text()
    (source,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    ports = {"5002": behind.database.wait_listening(), "5004": behind.cache.wait_listening(), "8080": 0}
    for written, port in ports.items():
        assert written in source
        source = source.replace(written, str(port))
    (tmp_path / "products.tac").write_text(source)
    with Process([sys.executable, twistd(), "-n", "--pidfile=", "-y", "products.tac"], cwd=tmp_path) as process:
        port = process.wait_listening()
        missing = http.get(port, "/products/7")
        assert (missing.status, missing.json()["message"]) == (404, "no such product")
        assert http.put(port, "/products/7", json={"name": "seven"}).status == 201
        before = behind.reads()[0]
        for _ in range(3):
            assert http.get(port, "/products/7").json() == {"name": "seven"}
        assert behind.reads()[0] == before + 1
        assert http.put(port, "/products/7", json={"name": "new"}).status == 200
        assert http.get(port, "/products/7").json() == {"name": "new"}
        assert http.get(behind.cache.wait_listening(), "/cache/product:7").json() == {"value": {"name": "new"}}
        assert process.stop() in (0, -signal.SIGTERM)
        assert "Traceback" not in process.output
