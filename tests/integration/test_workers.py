"""The balancer as several processes: shared work, summed answers, and what happens when one of them is killed."""

import http.client
import json
import os
import signal
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from scalability.testing.certificates import Authority
from scalability.testing.client import HTTPClient
from scalability.testing.lab import whole_lab
from scalability.testing.processes import Process, twistd, wait_gone

Start = Callable[..., Process]
BROKEN = (OSError, http.client.HTTPException)
FAST = ("--health-interval", "0.2")


def backend(start: Start, *flags: str) -> tuple[Process, int]:
    process = start("scalelab-microservice", *flags)
    return process, process.wait_listening()


class House:
    """A balancer of two workers that serve."""

    def __init__(self, start: Start, backends: list[int], *flags: str, workers: int = 2, **more: Any) -> None:
        named = [flag for port in backends for flag in ("--backend", f"127.0.0.1:{port}")]
        self.process = start("scalelab-lb", "--admin", "127.0.0.1:0", "--workers", str(workers), *named, *flags, **more)
        self.front, self.admin = self.process.wait_listening(), self.process.wait_admin()
        for number in range(1, workers + 1):
            self.process.wait_for(f"worker {number} serves", timeout_s=40)

    def worker(self, number: int) -> int:
        """The process id of a worker."""
        for pid in self.process.children():
            argv = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
            if argv[2:4] == ["scalability.balancer.workers.child", str(number)]:
                return pid
        raise AssertionError(f"there is no worker {number}")

    def samples(self, http: HTTPClient, name: str) -> dict[str, float]:
        """The values of a metric by their labels."""
        lines = [line.rpartition(" ") for line in http.get(self.admin, "/metrics").text.splitlines()]
        return {
            labelled.removeprefix(name): float(value) for labelled, _, value in lines if labelled == name or labelled.startswith(name + "{")
        }

    def counted(self, http: HTTPClient) -> float:
        """Requests that were forwarded, by the histogram's count."""
        found = self.samples(http, "http_server_request_duration_seconds_count")
        return sum(value for labels, value in found.items() if 'http_route="*"' in labels)


def until(what: Callable[[], bool], *, timeout_s: float = 20.0) -> None:
    begun = time.monotonic()
    while not what():
        if time.monotonic() - begun > timeout_s:
            raise AssertionError(f"it did not happen within {timeout_s} s")
        time.sleep(0.02)


class Load:
    """Clients on kept-alive connections; each failure is noted with the connection that it was on."""

    def __init__(self, port: int, *, path: str = "/process", clients: int = 8) -> None:
        self.answered = 0
        self.failures: list[str] = []
        self._port = port
        self._path = path
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(clients)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(20)

    def _run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        while not self._stop.is_set():
            if connection.sock is None:
                try:
                    connection.connect()
                except ConnectionRefusedError:
                    return
            try:
                connection.request("GET", self._path)
                answer = connection.getresponse()
                answer.read()
                failure = "" if answer.status == 200 else str(answer.status)
            except BROKEN as error:
                failure = repr(error)
                connection.close()
            with self._lock:
                if failure:
                    self.failures.append(failure)
                else:
                    self.answered += 1
            time.sleep(0.002)
        connection.close()


def test_both_workers_get_connections_and_metrics_are_their_sum(start: Start, http: HTTPClient) -> None:
    _, one = backend(start)
    house = House(start, [one])
    with ExitStack() as stack:
        connections = []
        for _ in range(40):
            connection = http_connection(house.front)
            stack.callback(connection.close)
            connections.append(connection)
            time.sleep(0.01)  # while one worker is busy accepting, it is right that the other takes more
        for _ in range(3):
            for connection in connections:
                connection.request("GET", "/process")
                assert connection.getresponse().read()
        assert house.counted(http) == 120
        assert house.samples(http, "scalelab_upstream_requests_total") == {f'{{server="127.0.0.1:{one}"}}': 120}
        open_now = house.samples(http, "scalelab_lb_worker_open_connections")
        assert sum(open_now.values()) == 40
        assert len(open_now) == 2
        assert min(open_now.values()) >= 10, "both share the clients"
        assert house.samples(http, "scalelab_lb_open_connections") == {"": 40}
        for _ in range(5):
            health = http.get(house.front, "/health").json()
            assert health["workers"] == {"serving": 2, "of": 2}
            (server,) = health["servers"]
            assert (server["state"], server["requests"], server["active"]) == ("up", 120, 0)
    assert house.samples(http, "scalelab_lb_worker_up") == {'{worker="1"}': 1, '{worker="2"}': 1}
    assert http.get(house.admin, "/readyz").status == 200


def http_connection(port: int) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.connect()
    return connection


def test_a_worker_killed_under_load_fails_only_what_it_had_in_hand_and_is_replaced(start: Start, http: HTTPClient) -> None:
    _, one = backend(start)
    house = House(start, [one])
    with Load(house.front) as load:
        until(lambda: load.answered > 100)
        before = house.counted(http)
        os.kill(house.worker(1), signal.SIGKILL)
        house.process.wait_for("worker 1 was ended by SIGKILL")
        house.process.wait_for("worker 1 serves", count=2, timeout_s=40)
        answered = load.answered
        until(lambda: load.answered > answered + 100)
        assert house.counted(http) >= before, "no counter falls"
    # each of the clients had at most one request in hand, and some were the other worker's
    assert len(load.failures) <= 8, load.failures
    assert house.samples(http, "scalelab_lb_worker_restarts_total") == {'{worker="1"}': 1, '{worker="2"}': 0}
    assert http.get(house.front, "/health").json()["workers"]["serving"] == 2


def test_a_worker_that_is_asked_to_end_finishes_its_requests_and_is_replaced(start: Start, http: HTTPClient) -> None:
    _, one = backend(start, "--service-time", "0.05")
    house = House(start, [one])
    with Load(house.front) as load:
        until(lambda: load.answered > 40)
        os.kill(house.worker(2), signal.SIGTERM)
        house.process.wait_for("worker 2 ended with status 0")
        house.process.wait_for("worker 2 serves", count=2, timeout_s=40)
    assert load.failures == []
    assert house.counted(http) == load.answered, "its last report was read"


def test_a_parent_that_is_killed_leaves_no_orphan_and_its_port_free(start: Start, http: HTTPClient) -> None:
    _, one = backend(start)
    house = House(start, [one])
    workers = house.process.children()
    assert len(workers) == 2
    assert http.get(house.front, "/process").status == 200
    house.process.kill(signal.SIGKILL)
    house.process.wait()
    assert wait_gone(workers, timeout_s=15) == []
    again = start("scalelab-lb", "--backend", f"127.0.0.1:{one}", listen=f"127.0.0.1:{house.front}")
    again.wait_listening()
    assert http.get(house.front, "/process").status == 200


def test_sigterm_under_load_cuts_no_request(start: Start) -> None:
    _, one = backend(start, "--service-time", "0.05")
    house = House(start, [one])
    workers = house.process.children()
    with Load(house.front) as load:
        until(lambda: load.answered > 60)
        house.process.kill(signal.SIGTERM)
        assert house.process.wait(timeout_s=30) in (0, -signal.SIGTERM)
    assert load.failures == []
    assert wait_gone(workers, timeout_s=1) == []
    assert "Traceback" not in house.process.output
    assert "starting it again" not in house.process.output


def test_a_request_in_flight_is_finished_and_what_exceeds_the_grace_is_cut(start: Start, http: HTTPClient) -> None:
    _, slow = backend(start, "--service-time", "1.5")
    house = House(start, [slow])
    outcome: list[int] = []
    asking = threading.Thread(target=lambda: outcome.append(http.get(house.front, "/process").status), daemon=True)
    asking.start()
    until(lambda: http.get(house.front, "/health").json()["servers"][0]["active"] == 1)
    house.process.kill(signal.SIGTERM)
    until(lambda: http.get(house.admin, "/readyz").json().get("reason") == "it is stopping")

    def refused() -> bool:
        try:
            socket.create_connection(("127.0.0.1", house.front), 1).close()
        except ConnectionRefusedError:
            return True
        except ConnectionResetError:  # it was in line while the last socket closed
            return False
        return False

    until(refused, timeout_s=2)
    asking.join(10)
    assert outcome == [200]
    assert house.process.wait() in (0, -signal.SIGTERM)
    _, stuck = backend(start, "--service-time", "60")
    house = House(start, [stuck], "--grace", "0.5")
    connection = http_connection(house.front)
    connection.request("GET", "/process")
    until(lambda: http.get(house.front, "/health").json()["servers"][0]["active"] == 1)
    begun = time.monotonic()
    house.process.stop(timeout_s=15)
    assert time.monotonic() - begun < 8
    with pytest.raises(BROKEN):
        connection.getresponse()
    connection.close()


def test_the_parent_alone_checks_and_all_workers_follow_it(start: Start, http: HTTPClient) -> None:
    (victim, one), (_, two) = backend(start), backend(start)
    house = House(start, [one, two], *FAST)
    name = f"127.0.0.1:{one}"

    def state() -> str:
        return str({server["name"]: server["state"] for server in http.get(house.front, "/health").json()["servers"]}[name])

    until(lambda: state() == "up")
    with Load(house.front) as load:
        until(lambda: load.answered > 50)
        victim.kill(signal.SIGKILL)
        victim.wait()
        until(lambda: state() in ("down", "rising"))
        time.sleep(0.1)
        tried = house.samples(http, "scalelab_upstream_requests_total")[f'{{server="{name}"}}']
        answered = load.answered
        until(lambda: load.answered > answered + 100)
        assert house.samples(http, "scalelab_upstream_requests_total")[f'{{server="{name}"}}'] == tried, "no worker tries it any more"
        start("scalelab-microservice", listen=name).wait_listening()
        until(lambda: state() == "up")
        until(lambda: house.samples(http, "scalelab_upstream_requests_total")[f'{{server="{name}"}}'] > tried + 10)
    assert load.failures == []
    passed = house.samples(http, "scalelab_upstream_checks_total")
    assert len(passed) == 4, "two results of two servers, counted once"


def test_every_worker_appends_whole_lines_to_one_access_log(start: Start, http: HTTPClient, tmp_path: Path) -> None:
    _, one = backend(start)
    file = tmp_path / "access.log"
    house = House(start, [one], "--access-log", str(file))
    old = file.rename(tmp_path / "access.log.1")
    with Load(house.front) as load:
        house.process.kill(signal.SIGUSR1)
        until(lambda: file.exists())
        until(lambda: load.answered > 600)
    assert house.process.stop() in (0, -signal.SIGTERM)
    lines = [json.loads(line) for log in (old, file) for line in log.read_text().splitlines()]
    assert len(lines) == load.answered
    assert {line["server"] for line in lines} == {f"127.0.0.1:{one}"}


def test_certificates_are_changed_in_all_workers_and_survive_a_broken_file_and_a_killed_worker(
    start: Start, http: HTTPClient, tmp_path: Path
) -> None:
    _, one = backend(start)
    authority = Authority()
    file = authority.write(tmp_path / "cert.pem", "old.example")
    house = House(start, [one], "--tls-listen", "127.0.0.1:0", "--tls-cert", str(file))
    secured = int(house.process.wait_for(r"scalelab-lb tls listens on 127\.0\.0\.1:(\d+)")[1])

    def served() -> set[str]:
        """What eight connections, one after the other, were shown."""
        return {str(x509.load_pem_x509_certificate(ssl.get_server_certificate(("127.0.0.1", secured)).encode()).subject) for _ in range(8)}

    assert served() == {"<Name(CN=old.example)>"}
    authority.write(file, "new.example")
    until(lambda: served() == {"<Name(CN=new.example)>"})
    file.write_bytes(b"half of one")
    house.process.wait_for("is not read anew, the old one is served on")
    os.kill(house.worker(1), signal.SIGKILL)
    house.process.wait_for("worker 1 serves", count=2, timeout_s=40)
    assert served() == {"<Name(CN=new.example)>"}
    assert house.samples(http, "scalelab_lb_certificate_reads_total") == {'{result="changed"}': 1, '{result="failed"}': 1}
    assert "Traceback" not in house.process.output


def test_all_workers_together_accept_no_more_clients_than_one_would(start: Start, http: HTTPClient) -> None:
    _, one = backend(start)
    house = House(start, [one], "--max-connections", "3")
    with ExitStack() as stack:
        for _ in range(12):
            stack.callback(http_connection(house.front).close)
        until(lambda: house.samples(http, "scalelab_lb_open_connections") == {"": 3})
        time.sleep(0.2)
        assert house.samples(http, "scalelab_lb_open_connections") == {"": 3}
        assert sorted(house.samples(http, "scalelab_lb_worker_open_connections").values()) == [1, 2]


@pytest.mark.parametrize("reactor", ["poll", "asyncio"])
def test_it_works_on_any_reactor(start: Start, run: Callable[..., Process], http: HTTPClient, reactor: str) -> None:
    _, one = backend(start)
    argv = [sys.executable, twistd(), "-n", f"--reactor={reactor}", "scalelab-lb", "--listen", "127.0.0.1:0", "--workers", "2"]
    process = run(*argv, "--backend", f"127.0.0.1:{one}")
    port = process.wait_listening()
    for number in (1, 2):
        process.wait_for(f"worker {number} serves", timeout_s=40)
    assert [http.get(port, "/process").status for _ in range(4)] == [200] * 4
    assert http.get(port, "/health").json()["servers"][0]["requests"] == 4
    workers = process.children()
    assert process.stop() in (0, -signal.SIGTERM)
    assert wait_gone(workers, timeout_s=5) == []


def test_a_taken_port_is_one_line_and_a_status_and_starts_no_worker(start: Start) -> None:
    taken = start("scalelab-cache").wait_listening()
    process = start("scalelab-lb", "--workers", "2", listen=f"127.0.0.1:{taken}")
    assert process.wait(timeout_s=20) == 1
    (line,) = process.stderr.strip().splitlines()
    assert line.startswith(f"scalelab-lb: cannot listen on 127.0.0.1:{taken}")


def test_with_one_worker_there_is_no_parent(start: Start) -> None:
    process = start("scalelab-lb", "--workers", "1")
    process.wait_listening()
    assert process.children() == []
    process.stop()


def test_the_lab_runs_a_balancer_of_several_workers_and_starts_it_again(tmp_path: Path, http: HTTPClient) -> None:
    with whole_lab(tmp_path, more={"lb": {"workers": 2}}) as lab:
        assert [http.get(lab.port("lb"), "/data").status for _ in range(4)] == [200] * 4
        # the lab is ready with the first of them
        until(lambda: http.get(lab.port("lb"), "/health").json()["workers"] == {"serving": 2, "of": 2})
        (balancer,) = [pid for pid in lab.process.children() if b"scalelab-lb" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")]
        workers = [int(pid) for pid in Path(f"/proc/{balancer}/task/{balancer}/children").read_text().split()]
        os.kill(balancer, signal.SIGKILL)
        lab.process.wait_for(r"\[lab\] lb is ready again", timeout_s=40)
        assert wait_gone(workers, timeout_s=5) == []
        assert http.get(lab.port("lb"), "/data").status == 200
        assert lab.process.stop() in (0, -signal.SIGTERM)
