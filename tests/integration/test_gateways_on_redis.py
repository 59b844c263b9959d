"""Two real gateways on a real Redis or Valkey: over TLS, and on two servers of which one is a replica, demoted or killed."""

import re
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from scalability.lab.bench.programs import free_port
from scalability.testing.certificates import Authority
from scalability.testing.client import HTTPClient
from scalability.testing.processes import Process
from scalability.testing.redis_process import request as encoded
from scalability.testing.redis_server import PROGRAMS, RedisServer, installed

Start = Callable[..., Process]

LIMITS = "[gateway.rate_limit]\nlimits = [{ requests = 1000, window = 3600 }]\n"
SLOWEST_S = 3.0
"""Of an answer while a server goes: a call's deadline, and some time for a machine that is busy."""


@pytest.fixture(params=PROGRAMS)
def program(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if not installed(name):
        pytest.skip(f"{name} is not installed")
    return name


@pytest.fixture
def running() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


class Gateways:
    """Two, whose every request for /data asks the shared cache, and counts in shared limits."""

    def __init__(self, start: Start, http: HTTPClient, folder: Path, cache: str) -> None:
        self._http = http
        folder.mkdir(exist_ok=True)
        (folder / "gateway.toml").write_text(LIMITS)
        database = start("scalelab-database", cwd=folder).wait_listening()
        flags = ["--cache", cache, "--database", f"http://127.0.0.1:{database}", "--near-ttl", "0", "--rate-limit-store", "shared"]
        self.processes = [start("scalelab-gateway", *flags, config=str(folder / "gateway.toml"), cwd=folder) for _ in range(2)]
        self.ports = [process.wait_listening() for process in self.processes]

    def data(self, which: int) -> tuple[bool, int]:
        """Whether the answer came from the cache, and how many requests are left to both gateways together."""
        began = time.monotonic()
        answer = self._http.get(self.ports[which], "/data")
        assert answer.status == 200
        assert time.monotonic() - began < SLOWEST_S
        return answer.json()["cached"], int(answer.headers["ratelimit"].split("r=")[1].split(";")[0])

    def until(self, true: Callable[[], object], *, timeout_s: float = 15.0) -> None:
        """Wait, and go on asking both: no answer fails meanwhile."""
        ends = time.monotonic() + timeout_s
        while not true():
            assert time.monotonic() < ends
            for which in (0, 1):
                self.data(which)
            time.sleep(0.02)

    def share(self) -> bool:
        """Whether both use one cache and one count."""
        (_, left), (cached, later) = self.data(0), self.data(1)
        return cached and later == left - 1

    def check_logs(self) -> None:
        assert all("Traceback" not in process.output for process in self.processes)


def tell(port: int, *words: str) -> bytes:
    """A command to a server; the beginning of the reply."""
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.sendall(encoded(*words))
        return connection.recv(65536)


def clients(port: int) -> int:
    """How many gateways' connections a server has: one each, and one for limits each."""
    return len(re.findall(rb" name=scalelab ", tell(port, "CLIENT", "LIST")))


def test_over_tls(start: Start, http: HTTPClient, tmp_path: Path, running: ExitStack, program: str) -> None:
    authority = Authority()
    ca, both = authority.write_own(tmp_path / "ca.pem"), authority.write(tmp_path / "server.pem", "localhost")
    (tmp_path / "password").write_text("p@ss\n")
    files = ["--tls-cert-file", str(both), "--tls-key-file", str(both), "--tls-ca-cert-file", str(ca), "--tls-auth-clients", "no"]
    user = ["--user", "default", "off", "--user", "gateway", "on", ">p@ss", "~*", "+@all"]
    port = running.enter_context(RedisServer(tmp_path, *files, *user, program=program, tls=True)).port
    url = f"rediss://gateway:@localhost:{port}?password_file={tmp_path}/password&ca="
    gateways = Gateways(start, http, tmp_path, f"{url}{ca}")
    gateways.until(gateways.share)
    assert "p@ss" not in "".join(process.output for process in gateways.processes)
    gateways.check_logs()

    other = Authority().write_own(tmp_path / "other.pem")
    distrustful = Gateways(start, http, tmp_path / "distrustful", f"{url}{other}")
    for which in (0, 1):
        distrustful.processes[which].wait_for("the cache cannot be reached: .*certificate")
        assert [distrustful.data(which) for _ in range(2)] == [(False, 999), (False, 998)], "each for itself, from the database"
    distrustful.check_logs()


class Replicated:
    """A master and its replica; the gateways are told of the replica first."""

    def __init__(self, running: ExitStack, folder: Path, program: str) -> None:
        self.master = running.enter_context(RedisServer(folder, program=program))
        (folder / "second").mkdir()
        port = free_port()
        replica_of = ("--replicaof", "127.0.0.1", str(self.master.port))
        self.replica = running.enter_context(RedisServer(folder / "second", *replica_of, program=program, port=port))
        self.url = f"redis://127.0.0.1:{port},127.0.0.1:{self.master.port}"

    def in_step(self) -> bool:
        return b"master_link_status:up" in tell(self.replica.port, "INFO", "replication")

    def wait_until_copied(self) -> None:
        """All that the master has written so far: copying takes a moment, and what is under way at a change of masters is lost."""
        with socket.create_connection(("127.0.0.1", self.master.port), 5) as connection:
            connection.sendall(encoded("SET", "last", "1") + encoded("WAIT", "1", "4000"))
            reply = b""
            while len(reply) < len(b"+OK\r\n:1\r\n"):
                reply += connection.recv(100)
            assert reply == b"+OK\r\n:1\r\n"


def test_a_master_that_becomes_a_replica_is_left(start: Start, http: HTTPClient, tmp_path: Path, running: ExitStack, program: str) -> None:
    servers = Replicated(running, tmp_path, program)
    first, second = servers.master.port, servers.replica.port
    gateways = Gateways(start, http, tmp_path, servers.url)
    gateways.until(lambda: gateways.share() and servers.in_step())
    assert (clients(first), clients(second)) == (4, 0)
    left = gateways.data(0)[1]
    servers.wait_until_copied()
    assert tell(second, "REPLICAOF", "NO", "ONE") == b"+OK\r\n"
    assert tell(first, "REPLICAOF", "127.0.0.1", str(second)) == b"+OK\r\n"
    assert tell(first, "SET", "a", "1").startswith(b"-READONLY")
    gateways.until(lambda: clients(second) == 4 and gateways.share())
    assert clients(first) == 0
    # in 3.6 s there is one more again
    assert gateways.data(0)[1] < left + 5, "what was counted on the old master had been copied"
    gateways.check_logs()


def test_a_master_that_is_killed_is_left_for_its_replica(
    start: Start, http: HTTPClient, tmp_path: Path, running: ExitStack, program: str
) -> None:
    servers = Replicated(running, tmp_path, program)
    gateways = Gateways(start, http, tmp_path, servers.url)
    gateways.until(lambda: gateways.share() and servers.in_step())
    servers.master.process.kill(signal.SIGKILL)
    servers.master.process.wait()
    for which in (0, 1):
        process = gateways.processes[which]
        gateways.until(lambda process=process: "lost the connection to the cache" in process.output)  # type: ignore[misc]
        assert gateways.data(which)[0] is False, "from the database: a replica is not used"
    assert tell(servers.replica.port, "REPLICAOF", "NO", "ONE") == b"+OK\r\n"
    gateways.until(lambda: clients(servers.replica.port) == 4 and gateways.share())
    gateways.check_logs()
