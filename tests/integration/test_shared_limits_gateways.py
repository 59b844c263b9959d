"""Two gateways as real processes that share their limits."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from scalability.lab.bench.programs import free_port
from scalability.testing.client import HTTPClient
from scalability.testing.processes import Process
from scalability.testing.redis_server import RedisServer, installed

Start = Callable[..., Process]

CONFIG = "[gateway.rate_limit]\nlimits = [{ requests = 6, window = 3600 }]\n"
SLOWEST_S = 2.0
"""A request's deadline is 0.1 s; the rest is for a machine that is busy."""


class Gateways:
    def __init__(self, start: Start, http: HTTPClient, folder: Path, redis: str) -> None:
        (folder / "gateway.toml").write_text(CONFIG)
        flags = ("--cache", redis, "--rate-limit-store", "shared", "--admin", "127.0.0.1:0")
        self.processes = [start("scalelab-gateway", *flags, config=str(folder / "gateway.toml")) for _ in range(2)]
        self.ports = [process.wait_listening() for process in self.processes]
        self.admins = [process.wait_admin() for process in self.processes]
        self.http = http
        for process in self.processes:
            process.wait_for("connected to the cache at")

    def ask(self, which: int) -> int:
        """One request of a limited path; its status."""
        began = time.monotonic()
        status: int = self.http.get(self.ports[which], "/openapi.json").status
        assert time.monotonic() - began < SLOWEST_S
        return status

    def value(self, which: int, name: str) -> float:
        lines = self.http.get(self.admins[which], "/metrics").text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))

    def until_shared(self, up: int) -> None:
        """Ask both gateways until they know."""
        deadline = time.monotonic() + 15
        for which in (0, 1):
            while True:
                self.ask(which)
                # a probe that this began has ended by then: no request is decided on the server before we know
                time.sleep(0.2)
                if self.value(which, "scalelab_rate_limit_shared_up ") == up:
                    break
                assert time.monotonic() < deadline


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    if not installed():
        pytest.skip("redis-server is not installed")
    with RedisServer(tmp_path) as server:
        yield server


@pytest.mark.parametrize("server", ["redis-server", "valkey-server", "scalelab-cache"])
def test_what_one_admits_the_other_has_less_of(start: Start, http: HTTPClient, tmp_path: Path, server: str) -> None:
    with ExitStack() as running:
        if server == "scalelab-cache":
            port = start("scalelab-cache").wait_resp()
        elif installed(server):
            port = running.enter_context(RedisServer(tmp_path, program=server)).port
        else:
            pytest.skip(f"{server} is not installed")
        _share(Gateways(start, http, tmp_path, f"redis://127.0.0.1:{port}"))


def _share(gateways: Gateways) -> None:
    left = [gateways.http.get(gateways.ports[n % 2], "/openapi.json").headers["ratelimit"].split(";")[1] for n in range(6)]
    assert left == [f"r={n}" for n in (5, 4, 3, 2, 1, 0)]
    assert [gateways.ask(n % 2) for n in range(4)] == [429] * 4
    assert [gateways.value(which, "scalelab_rate_limit_decisions_total") for which in (0, 1)] == [5, 5]
    assert all("Traceback" not in process.output for process in gateways.processes)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_without_the_server_each_counts_for_itself_and_nobody_waits(
    start: Start, http: HTTPClient, tmp_path: Path, redis: RedisServer, how: signal.Signals
) -> None:
    gateways = Gateways(start, http, tmp_path, f"redis://127.0.0.1:{redis.port}")
    assert [gateways.ask(n % 2) for n in range(7)] == [200] * 6 + [429]
    redis.process.kill(how)
    for which in (0, 1):
        assert [gateways.ask(which) for _ in range(8)] == [200] * 6 + [429] * 2, "its own count, from nothing"
        assert gateways.value(which, "scalelab_rate_limit_shared_up ") == 0
    if how is signal.SIGSTOP:
        redis.process.kill(signal.SIGCONT)
    else:
        redis.process.wait()
        redis = RedisServer(tmp_path, port=redis.port)
    try:
        gateways.until_shared(1)
        statuses = [gateways.ask(n % 2) for n in range(8)]
        assert statuses.count(200) == (0 if how is signal.SIGSTOP else 6), "what the server kept counts"
    finally:
        redis.close()
    for process in gateways.processes:
        process.wait_for("rate limits are counted by each gateway for itself")
        process.wait_for("rate limits are shared again")
        assert "Traceback" not in process.output


def test_one_without_a_server_at_the_start_serves(start: Start, http: HTTPClient, tmp_path: Path) -> None:
    (tmp_path / "gateway.toml").write_text(CONFIG)
    cache = f"redis://127.0.0.1:{free_port()}"
    process = start("scalelab-gateway", "--cache", cache, "--rate-limit-store", "shared", config=str(tmp_path / "gateway.toml"))
    port = process.wait_listening()
    assert [http.get(port, "/openapi.json").status for _ in range(7)] == [200] * 6 + [429]
