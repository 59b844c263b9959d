"""Two real gateways on one real cache: what one of them, or anybody else, changes, the other's near cache has no longer."""

import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scalability.lab.bench.programs import free_port
from scalability.testing.client import HTTPClient
from scalability.testing.processes import Process
from scalability.testing.redis_server import RedisServer, installed

Start = Callable[..., Process]
FRESH = "Fetched fresh data from DB"


class Server:
    """A cache server that may be killed and started again on its port; ``tell`` sends it a command."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind = kind
        self.port = free_port()
        self._folder = folder
        self.process = self._started()

    def start_again(self) -> None:
        """It was killed."""
        self.process.close()
        self.process = self._started()

    def _started(self) -> Process:
        if self.kind == "scalelab-cache":
            process = Process.start("scalelab-cache", "--resp", f"127.0.0.1:{self.port}", cwd=self._folder)
            process.wait_listening()
            return process
        return RedisServer(self._folder, program=self.kind, port=self.port).process

    def tell(self, *words: bytes) -> bytes:
        """The beginning of the reply."""
        command = b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)
        with socket.create_connection(("127.0.0.1", self.port), 5) as connection:
            connection.sendall(command)
            return connection.recv(65536)


@pytest.fixture(params=["redis-server", "valkey-server", "scalelab-cache"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    if request.param != "scalelab-cache" and not installed(request.param):
        pytest.skip(f"{request.param} is not installed")
    server = Server(request.param, tmp_path)
    try:
        yield server
    finally:
        server.process.close()


class Two:
    """Two gateways whose near cache keeps what nobody watches for 50 ms, and what is watched for a minute and more."""

    def __init__(self, start: Start, http: HTTPClient, folder: Path, server: Server) -> None:
        self._http = http
        database = start("scalelab-database", cwd=folder).wait_listening()
        flags = ["--cache", f"redis://127.0.0.1:{server.port}", "--database", f"http://127.0.0.1:{database}"]
        lives = ["--ttl", "100", "--near-ttl", "0.05", "--early-refresh", "0"]
        self.gateways = [start("scalelab-gateway", *flags, *lives, cwd=folder) for _ in range(2)]
        self.ports = [gateway.wait_listening() for gateway in self.gateways]

    def data(self, number: int) -> Any:
        answer = self._http.get(self.ports[number], "/data")
        assert answer.status == 200
        return answer.json()

    def counts(self, number: int) -> dict[str, float]:
        found: dict[str, float] = self._http.get(self.ports[number], "/metrics").json()
        return found

    def watching(self, number: int) -> bool:
        text = self._http.get(self.ports[number], "/metrics", headers={"Accept": "text/plain"}).text
        return "\nscalelab_cache_near_watched 1.0" in text

    def until(self, true: Callable[[], object], *, timeout_s: float = 10.0) -> float:
        """Wait; how long it took, in seconds."""
        began = time.monotonic()
        while not true():
            assert time.monotonic() - began < timeout_s
            time.sleep(0.001)
        return time.monotonic() - began

    def wait_data(self, number: int, value: str) -> None:
        self.until(lambda: self.data(number)["data"] == value)

    def near_hits(self, number: int) -> float:
        return self.counts(number)["near_hits"]


@pytest.fixture
def two(start: Start, http: HTTPClient, tmp_path: Path, server: Server) -> Two:
    two = Two(start, http, tmp_path, server)
    two.until(lambda: two.watching(0) and two.watching(1))
    return two


def test_a_value_stays_near_until_anybody_changes_it(two: Two, server: Server) -> None:
    assert two.data(0) == {"cached": False, "data": FRESH}
    assert two.data(1) == {"cached": True, "data": FRESH}
    time.sleep(0.3)
    before = [two.near_hits(number) for number in (0, 1)]
    for number in (0, 1):
        assert two.data(number) == {"cached": True, "data": FRESH}
    assert [two.near_hits(number) for number in (0, 1)] == [hits + 1 for hits in before], "six times what is kept of what nobody watches"
    changed = time.monotonic()
    assert server.tell(b"SET", b"data", b'"changed"', b"PX", b"60000") == b"+OK\r\n"
    for number in (0, 1):
        two.wait_data(number, "changed")
    assert time.monotonic() - changed < 10.0, "a tenth of its life, on however busy a machine; it takes milliseconds"
    assert [two.counts(number)["near_invalidations"] for number in (0, 1)] == [1, 1]
    time.sleep(0.2)
    hits = two.near_hits(0)
    assert two.data(0)["data"] == "changed"
    assert two.near_hits(0) == hits + 1, "and the new value stays, too"


def test_one_gateways_load_is_news_to_the_other(two: Two, server: Server) -> None:
    two.data(0)
    two.data(1)
    assert server.tell(b"DEL", b"data") == b":1\r\n"
    two.until(lambda: all(two.counts(number)["near_invalidations"] == 1 for number in (0, 1)))
    two.data(0)
    two.data(1)
    assert two.counts(0)["database_reads"] == 2
    assert server.tell(b"SET", b"data", b'"again"') == b"+OK\r\n"
    two.until(lambda: all(two.counts(number)["near_invalidations"] >= 2 for number in (0, 1)))
    assert [two.data(number)["data"] for number in (0, 1)] == ["again", "again"]


def test_an_emptied_server_empties_the_near_caches(two: Two, server: Server) -> None:
    two.data(0)
    assert server.tell(b"FLUSHALL") == b"+OK\r\n"
    two.until(lambda: two.counts(0)["near_clears"] == 1)
    assert two.data(0)["cached"] is False


def test_a_lost_connection_empties_the_near_caches_and_a_new_one_is_watched(two: Two, server: Server) -> None:
    two.data(0)
    server.process.kill(signal.SIGKILL)
    server.process.wait()
    took_s = two.until(lambda: not two.watching(0))
    assert took_s < 5.0
    assert two.data(0) == {"cached": False, "data": FRESH}, "from the database: nobody answers else"
    server.start_again()
    two.until(lambda: two.watching(0) and two.watching(1))
    time.sleep(0.1)  # what was loaded while nobody watched has had its 50 ms
    two.data(0)
    time.sleep(0.2)
    hits = two.near_hits(0)
    two.data(0)
    assert two.near_hits(0) == hits + 1
    assert "Traceback" not in two.gateways[0].output


def test_a_server_that_hangs_is_noticed_although_nobody_asks_it(two: Two, server: Server) -> None:
    two.data(0)
    server.process.kill(signal.SIGSTOP)
    try:
        took_s = two.until(lambda: not two.watching(0))
        assert took_s < 1.0 + 1.0 + 3.0, "a second of silence, the deadline as coarse as it is, and some time for a busy machine"
        assert two.data(0) == {"cached": False, "data": FRESH}
    finally:
        server.process.kill(signal.SIGCONT)
    two.until(lambda: two.watching(0))


def test_no_answer_fails_while_the_cache_comes_and_goes(two: Two, server: Server) -> None:
    slowest_s = 0.0
    for _ in range(3):
        for ending in (signal.SIGKILL, signal.SIGSTOP):
            server.process.kill(ending)
            began = time.monotonic()
            while time.monotonic() - began < 0.7:
                for number in (0, 1):
                    asked = time.monotonic()
                    assert two.data(number)["data"] == FRESH
                    slowest_s = max(slowest_s, time.monotonic() - asked)
            if ending == signal.SIGKILL:
                server.start_again()
            else:
                server.process.kill(signal.SIGCONT)
            two.until(lambda: two.watching(0) and two.watching(1))
    assert slowest_s < 1.0 + 3.0, "one call's deadline, as coarse as it is, and some time for a busy machine"
    assert all("Traceback" not in gateway.output for gateway in two.gateways)
