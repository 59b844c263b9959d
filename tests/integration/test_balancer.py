"""The balancer as a process, in front of real ones: turns, checks, failures under load, a clean end."""

import http.client
import json
import re
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from typing import Any, Self

from scalability.testing.client import Answer, HTTPClient
from scalability.testing.processes import Process

Start = Callable[..., Process]
BROKEN = (OSError, http.client.HTTPException)
"""What a client sees of a connection that breaks."""
FAST = ("--health-interval", "0.2")


def backend(start: Start, *flags: str, port: int = 0, host: str = "127.0.0.1") -> tuple[Process, int]:
    process = start("scalelab-microservice", *flags, listen=f"{host}:{port}")
    return process, process.wait_listening()


def balancer(start: Start, ports: list[int], *flags: str) -> tuple[Process, int, int]:
    named = [flag for port in ports for flag in ("--backend", f"127.0.0.1:{port}")]
    process = start("scalelab-lb", "--admin", "127.0.0.1:0", *named, *flags)
    return process, process.wait_listening(), process.wait_admin()


def states(http: HTTPClient, front: int) -> dict[str, str]:
    return {server["name"]: server["state"] for server in http.get(front, "/health").json()["servers"]}


def until(what: Callable[[], bool], *, timeout_s: float = 10.0) -> float:
    """Wait until ``what`` holds; how long that took."""
    begun = time.monotonic()
    while not what():
        if time.monotonic() - begun > timeout_s:
            raise AssertionError(f"it did not happen within {timeout_s} s")
        time.sleep(0.02)
    return time.monotonic() - begun


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Load:
    """Clients that ask ``GET path`` over kept-alive connections until told to stop, and write down whatever is not a 200.

    A client whose connection the server has announced to close opens another; when that is refused it has nothing left to do.
    """

    def __init__(self, port: int, *, path: str = "/process", clients: int = 4, pause_s: float = 0.002) -> None:
        self.answered = 0
        self.failures: list[str] = []
        self._port = port
        self._path = path
        self._pause_s = pause_s
        self._stop = Event()
        self._threads = [Thread(target=self._run, daemon=True) for _ in range(clients)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(20)

    def _run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        try:
            while not self._stop.is_set():
                if connection.sock is None:
                    try:
                        connection.connect()
                    except ConnectionRefusedError:
                        return
                try:
                    connection.request("GET", self._path)
                    answer = connection.getresponse()
                    body = answer.read()
                except BROKEN as error:
                    self.failures.append(repr(error))
                    connection.close()
                    continue
                if answer.status == 200:
                    self.answered += 1
                else:
                    self.failures.append(f"{answer.status} {body[:200]!r}")
                time.sleep(self._pause_s)
        finally:
            connection.close()


def in_background(ask: Callable[[], Answer]) -> tuple[Thread, list[Any]]:
    """Ask on a thread; the list gets the answer or the exception."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append(ask())
        except BROKEN as error:
            outcome.append(error)

    thread = Thread(target=run, daemon=True)
    thread.start()
    return thread, outcome


def sample(http: HTTPClient, admin: int, name: str, server: str) -> float:
    for line in http.get(admin, "/metrics").text.splitlines():
        if line.startswith(name + "{") and f'server="{server}"' in line:
            return float(line.rpartition(" ")[2])
    raise AssertionError(f"there is no {name} of {server}")


def test_two_backends_take_turns_and_weights_are_shares(start: Start, http: HTTPClient) -> None:
    (_, one), (_, two) = backend(start), backend(start)
    _, front, admin = balancer(start, [one, two])
    for _ in range(10):
        assert http.get(front, "/process").json() == {"message": "Business logic executed"}
    counts = [sample(http, admin, "scalelab_upstream_requests_total", f"127.0.0.1:{port}") for port in (one, two)]
    assert counts == [5, 5]
    flags = ["--backend", f"127.0.0.1:{one},weight=3", "--backend", f"127.0.0.1:{two}"]
    _, front, admin = balancer(start, [], *flags)
    for _ in range(12):
        http.get(front, "/process")
    counts = [sample(http, admin, "scalelab_upstream_requests_total", f"127.0.0.1:{port}") for port in (one, two)]
    assert counts == [9, 3]


def test_a_backend_killed_under_load_costs_no_get_and_comes_back(start: Start, http: HTTPClient) -> None:
    (victim, one), (_, two) = backend(start), backend(start)
    _, front, admin = balancer(start, [one, two], *FAST)
    name = f"127.0.0.1:{one}"
    until(lambda: set(states(http, front).values()) == {"up"})
    with Load(front) as load:
        until(lambda: load.answered > 50)
        victim.kill(signal.SIGKILL)
        victim.wait()
        until(lambda: states(http, front)[name] == "down")
        before = load.answered
        until(lambda: load.answered > before + 50)
        backend(start, port=one)
        until(lambda: states(http, front)[name] == "up")
        requests = sample(http, admin, "scalelab_upstream_requests_total", name)
        until(lambda: sample(http, admin, "scalelab_upstream_requests_total", name) > requests + 10)
    assert load.failures == []


def test_a_backend_that_stops_answering_is_down_after_three_checks(start: Start, http: HTTPClient) -> None:
    (hung, one), (_, two) = backend(start), backend(start)
    _, front, _ = balancer(start, [one, two], *FAST, "--answer-timeout", "1")
    name = f"127.0.0.1:{one}"
    until(lambda: set(states(http, front).values()) == {"up"})
    hung.kill(signal.SIGSTOP)
    try:
        assert until(lambda: states(http, front)[name] == "down") < 3
        assert [http.get(front, "/process").status for _ in range(4)] == [200] * 4
    finally:
        hung.kill(signal.SIGCONT)
    until(lambda: states(http, front)[name] == "up")


def test_without_a_backend_the_answer_is_503_and_health_is_200(start: Start, http: HTTPClient) -> None:
    port = free_port()
    process, front, admin = balancer(start, [port], *FAST)
    process.wait_for("is down")
    answer = http.get(front, "/data")
    assert answer.status == 503
    assert answer.headers["retry-after"] == "1"
    assert answer.json() == {"error": "no_server", "message": "No healthy server is there to answer."}
    assert str(port) not in answer.text
    assert http.get(front, "/health").status == 200
    assert http.get(front, "/health").json()["status"] == "ok"
    assert http.get(admin, "/healthz").status == 200
    unready = http.get(admin, "/readyz")
    assert (unready.status, unready.json()["reason"]) == (503, "no server is healthy")
    backend(start, port=port)
    until(lambda: http.get(admin, "/readyz").status == 200)
    assert http.get(front, "/process").status == 200


def test_readyz_on_the_balancers_own_port_is_forwarded(start: Start, http: HTTPClient) -> None:
    _, one = backend(start)
    _, front, _ = balancer(start, [one])
    assert http.get(front, "/readyz").status == 404  # the microservice's answer: there is none there


def test_a_backend_that_fails_its_checks_gets_no_traffic_though_it_listens(start: Start, http: HTTPClient) -> None:
    _, one = backend(start)
    process, front, _ = balancer(start, [one], *FAST, "--health-path", "/no-such-path")
    process.wait_for("is down: the check was answered 404")
    assert http.get(front, "/process").status == 503


def test_sigterm_under_load_cuts_no_request(start: Start, http: HTTPClient) -> None:
    _, one = backend(start, "--service-time", "0.05")
    process, front, _ = balancer(start, [one])
    with Load(front, clients=8, pause_s=0) as load:
        until(lambda: load.answered > 40)
        process.kill(signal.SIGTERM)
        assert process.wait(timeout_s=20) in (0, -signal.SIGTERM)
    assert load.failures == []
    assert "Traceback" not in process.output


def test_a_request_in_flight_is_finished_after_sigterm_and_new_clients_are_refused(start: Start, http: HTTPClient) -> None:
    _, one = backend(start, "--service-time", "1.5")
    process, front, admin = balancer(start, [one])
    asking, outcome = in_background(lambda: http.get(front, "/process"))
    until(lambda: http.get(front, "/health").json()["servers"][0]["active"] == 1)
    process.kill(signal.SIGTERM)

    def refused() -> bool:
        try:
            socket.create_connection(("127.0.0.1", front), 1).close()
        except ConnectionRefusedError:
            return True
        return False

    until(refused, timeout_s=1)
    unready = http.get(admin, "/readyz")
    assert (unready.status, unready.json()["reason"]) == (503, "it is stopping")
    asking.join(10)
    assert outcome[0].status == 200
    assert outcome[0].headers["connection"] == "close"
    assert process.wait() in (0, -signal.SIGTERM)


def test_what_is_not_finished_within_the_grace_is_cut(start: Start, http: HTTPClient) -> None:
    _, one = backend(start, "--service-time", "60")
    process, front, _ = balancer(start, [one], "--grace", "0.5")
    asking, outcome = in_background(lambda: http.get(front, "/process"))
    until(lambda: http.get(front, "/health").json()["servers"][0]["active"] == 1)
    begun = time.monotonic()
    process.stop(timeout_s=10)
    assert time.monotonic() - begun < 5
    asking.join(10)
    assert isinstance(outcome[0], BROKEN)


def test_each_request_is_a_line_of_the_access_log(start: Start, http: HTTPClient, tmp_path: Path) -> None:
    _, one = backend(start)
    file = tmp_path / "access.log"
    process, front, _ = balancer(start, [one], "--access-log", str(file))
    http.get(front, "/process?token=x")
    http.post(front, "/nothing", json={})
    http.get(front, "/health")
    process.stop()
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(line["method"], line["path"], line["status"]) for line in lines] == [
        ("GET", "/process", 200),
        ("POST", "/nothing", 404),
        ("GET", "/health", 200),
    ]
    assert [line.get("server", "") for line in lines] == [f"127.0.0.1:{one}", f"127.0.0.1:{one}", ""]


def test_the_access_log_says_where_the_time_went_and_is_reopened_on_its_signal(start: Start, http: HTTPClient, tmp_path: Path) -> None:
    _, one = backend(start, "--service-time", "0.2")
    file = tmp_path / "access.log"
    process, front, _ = balancer(start, [one], "--access-log", str(file))
    http.get(front, "/process")
    until(lambda: file.stat().st_size > 0)
    file.rename(tmp_path / "access.log.1")
    process.kill(signal.SIGUSR1)
    until(file.exists)
    http.get(front, "/health")
    process.stop()
    (first,) = [json.loads(line) for line in (tmp_path / "access.log.1").read_text().splitlines()]
    assert "reason" not in first  # complete
    assert first["server"] == f"127.0.0.1:{one}"
    assert 0.2 <= first["first_byte_s"] <= first["duration_s"]
    assert 0 < first["connect_s"] < first["duration_s"]
    assert first["received_bytes"] > 20
    (second,) = [json.loads(line) for line in file.read_text().splitlines()]
    assert second["path"] == "/health"


def test_without_an_access_log_the_signal_of_its_rotation_ends_nobody(start: Start, http: HTTPClient) -> None:
    process, front, _ = balancer(start, [])
    process.kill(signal.SIGUSR1)
    assert http.get(front, "/health").status == 200
    assert process.stop() in (0, -signal.SIGTERM)


def test_the_access_log_can_be_in_the_common_log_format(start: Start, http: HTTPClient, tmp_path: Path) -> None:
    _, one = backend(start)
    file = tmp_path / "access.log"
    process, front, _ = balancer(start, [one], "--access-log", str(file), "--access-log-format", "common")
    http.get(front, "/process")
    process.stop()
    (line,) = file.read_text().splitlines()
    assert re.fullmatch(r'127\.0\.0\.1 - - \[\d\d/[A-Z][a-z]{2}/\d{4}(:\d\d){3} \+0000\] "GET /process HTTP/1\.1" 200 [1-9]\d*', line)


def test_a_taken_port_is_one_line_and_a_status(start: Start) -> None:
    _, front, _ = balancer(start, [free_port()])
    second = start("scalelab-lb", listen=f"127.0.0.1:{front}")
    assert second.wait(timeout_s=20) == 1
    (line,) = second.stderr.strip().splitlines()
    assert line.startswith("scalelab-lb: ")
    assert str(front) in line


def test_a_balancer_that_was_killed_serves_again_at_once(start: Start, http: HTTPClient) -> None:
    _, one = backend(start)
    process, front, _ = balancer(start, [one])
    http.get(front, "/process")
    process.kill(signal.SIGKILL)
    process.wait()
    begun = time.monotonic()
    again = start("scalelab-lb", "--backend", f"127.0.0.1:{one}", listen=f"127.0.0.1:{front}")
    again.wait_listening()
    assert http.get(front, "/process").status == 200
    assert time.monotonic() - begun < 5  # an idle machine needs 0.5 s
