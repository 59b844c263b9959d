"""``scalelab-gateway`` with the real services behind it, each of them ended or stopped in turn."""

import signal
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jwt
import pytest

from scalability.testing.client import Answer, HTTPClient
from scalability.testing.processes import Process

FRESH = "Fetched fresh data from DB"

Start = Callable[..., Process]


class Behind:
    """The services behind a gateway; those that are not started are addressed where nobody listens."""

    def __init__(self, start: Start, folder: Path) -> None:
        self._start = start
        self._folder = folder
        self.running: dict[str, Process] = {}
        self.ports: dict[str, int] = {}

    def run(self, name: str, *flags: str) -> Process:
        """Start a service, on its old port when it ran before."""
        listen = f"127.0.0.1:{self.ports.get(name, 0)}"
        process = self.running[name] = self._start(f"scalelab-{name}", *flags, listen=listen, cwd=self._folder)
        self.ports[name] = process.wait_listening()
        return process

    def end(self, name: str) -> None:
        self.running[name].kill(signal.SIGKILL)
        self.running[name].wait()

    def gateway(self, *flags: str) -> tuple[Process, int]:
        named = [part for name, port in self.ports.items() for part in (f"--{name}", f"http://127.0.0.1:{port}")]
        nobody = [
            part for name in ("cache", "database", "microservice", "worker") if name not in self.ports for part in (f"--{name}", closed())
        ]
        process = self._start("scalelab-gateway", *named, *nobody, *flags, cwd=self._folder)
        return process, process.wait_listening()


def closed() -> str:
    """The URL of a port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture
def behind(start: Start, tmp_path: Path) -> Behind:
    return Behind(start, tmp_path)


def timed(ask: Callable[[], Answer]) -> tuple[float, Answer]:
    started = time.monotonic()
    got = ask()
    return time.monotonic() - started, got


def wait_until(what: Callable[[], bool], timeout_s: float = 15.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_two_gateways_share_what_one_of_them_has_read(behind: Behind, http: HTTPClient) -> None:
    behind.run("cache")
    behind.run("database")
    (_, one), (_, other) = behind.gateway("--ttl", "1.5"), behind.gateway("--ttl", "1.5")
    assert http.get(one, "/data").json() == {"cached": False, "data": FRESH}
    assert http.get(one, "/data").json() == {"cached": True, "data": FRESH}
    assert http.get(other, "/data").json() == {"cached": True, "data": FRESH}
    assert http.get(behind.ports["cache"], "/cache/data").json() == {"value": FRESH}
    wait_until(lambda: http.get(behind.ports["cache"], "/cache/data").json()["value"] is None)
    assert http.get(other, "/data").json() == {"cached": False, "data": FRESH}
    found = http.get(one, "/metrics").json()
    assert (found["cache_hits"], found["cache_misses"], found["database_reads"]) == (1, 1, 1)
    assert 0 < found["avg_latency"] < 1


def test_many_concurrent_misses_cost_one_read_of_the_database_a_gateway(behind: Behind, http: HTTPClient) -> None:
    behind.run("cache")
    behind.run("database", "--latency", "1")
    (_, one), (_, other) = behind.gateway(), behind.gateway()
    with ThreadPoolExecutor(40) as clients:
        answers = list(clients.map(lambda number: http.get((one, other)[number % 2], "/data"), range(40)))
    assert {answer.status for answer in answers} == {200}
    assert {answer.json()["data"] for answer in answers} == {FRESH}
    for gateway in (one, other):
        found = http.get(gateway, "/metrics").json()
        assert found["database_reads"] <= 1
        assert found["cache_hits"] + found["cache_misses"] == 20


def test_without_its_cache_a_gateway_asks_the_database_and_counts(behind: Behind, http: HTTPClient) -> None:
    behind.run("cache")
    behind.run("database")
    process, port = behind.gateway("--near-ttl", "0")
    http.get(port, "/data")
    assert http.get(port, "/data").json()["cached"] is True
    behind.end("cache")
    for _ in range(5):
        assert http.get(port, "/data").json() == {"cached": False, "data": FRESH}
    assert http.get(port, "/metrics").json()["cache_failures"] >= 5
    health = http.get(port, "/health")
    assert (health.status, health.json()["dependencies"]["cache"]["status"]) == (200, "down")
    behind.run("cache")
    wait_until(lambda: bool(http.get(port, "/data").json()["cached"]))
    assert http.get(port, "/health").json()["dependencies"]["cache"]["status"] == "up"
    assert "Traceback" not in process.output


def test_a_cache_that_hangs_is_passed_over(behind: Behind, http: HTTPClient) -> None:
    cache = behind.run("cache")
    behind.run("database")
    _, port = behind.gateway("--cache-timeout", "0.3", "--near-ttl", "0")
    http.get(port, "/data")
    cache.kill(signal.SIGSTOP)
    try:
        first_s, first = timed(lambda: http.get(port, "/data"))
        assert (first.status, first.json()["data"]) == (200, FRESH)
        assert first_s < 2
        spent_s, answers = 0.0, []
        for _ in range(20):
            took_s, answer = timed(lambda: http.get(port, "/data"))
            spent_s += took_s
            answers.append(answer)
        assert {answer.status for answer in answers} == {200}
        assert spent_s < 4, "each would have waited for the deadline"
    finally:
        cache.kill(signal.SIGCONT)
    wait_until(lambda: bool(http.get(port, "/data").json()["cached"]))


def test_without_its_database_a_gateway_serves_the_last_good_value_for_a_while(behind: Behind, http: HTTPClient) -> None:
    behind.run("cache")
    behind.run("database")
    process, port = behind.gateway("--ttl", "0.2", "--stale-ttl", "2")
    assert http.get(port, "/data").json()["cached"] is False
    behind.end("database")
    time.sleep(0.3)
    stale = http.get(port, "/data")
    assert (stale.status, stale.json()) == (200, {"cached": True, "data": FRESH, "stale": True})
    wait_until(lambda: http.get(port, "/data").status == 503)
    refused = http.get(port, "/data")
    assert refused.json()["error"] == "dependency_down"
    assert int(refused.headers["retry-after"]) >= 1
    behind.run("database")
    assert http.get(port, "/data").json() == {"cached": False, "data": FRESH}
    assert "Traceback" not in process.output


def test_a_database_that_hangs_costs_a_deadline_and_no_more(behind: Behind, http: HTTPClient) -> None:
    database = behind.run("database")
    _, port = behind.gateway("--cache", "memory:", "--ttl", "0.2", "--timeout", "0.5", "--early-refresh", "0")
    http.get(port, "/data")
    time.sleep(0.3)
    database.kill(signal.SIGSTOP)
    try:
        first_s, first = timed(lambda: http.get(port, "/data"))
        assert (first.status, first.json()["stale"]) == (200, True)
        assert first_s < 2
        later_s, later = timed(lambda: http.get(port, "/data"))
        assert (later.status, later.json()["stale"]) == (200, True)
        assert later_s < 0.4
    finally:
        database.kill(signal.SIGCONT)
    wait_until(lambda: http.get(port, "/data").json().get("stale") is None)


def test_long_tasks_go_to_the_worker_and_are_followed_there(behind: Behind, http: HTTPClient) -> None:
    behind.run("worker")
    process, port = behind.gateway("--cache", "memory:")
    queued = http.post(port, "/longtask", json={"task": "report"})
    assert (queued.status, queued.json()["status"]) == (202, "Task queued")
    assert queued.headers["location"] == f"/tasks/{queued.json()['task_id']}"
    seen = http.get(port, queued.headers["location"])
    assert (seen.status, seen.body) == (200, http.get(behind.ports["worker"], queued.headers["location"]).body)
    assert http.get(port, "/tasks/none").status == 404
    behind.end("worker")
    for refused in (http.post(port, "/longtask", json={"task": "report"}), http.get(port, queued.headers["location"])):
        assert (refused.status, refused.json()["error"]) == (503, "dependency_down")
        assert int(refused.headers["retry-after"]) >= 1
    behind.run("worker")
    assert http.get(port, queued.headers["location"]).status == 200
    assert "Traceback" not in process.output


def test_process_is_relayed_and_a_dead_microservice_is_a_clear_answer(behind: Behind, http: HTTPClient) -> None:
    behind.run("microservice")
    _, port = behind.gateway("--cache", "memory:")
    assert http.get(port, "/process").json() == {"message": "Business logic executed"}
    behind.end("microservice")
    refused = http.get(port, "/process")
    assert (refused.status, refused.json()["error"], refused.headers["retry-after"]) == (503, "dependency_down", "1")
    behind.run("microservice")
    assert http.get(port, "/process").status == 200


def test_with_a_secret_tokens_are_asked_for(behind: Behind, http: HTTPClient, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("0123456789abcdef0123456789abcdef\n")
    behind.run("database")
    _, port = behind.gateway("--cache", "memory:", "--jwt-secret-file", str(secret), "--jwt-require", "role=student")

    def ask(authorization: str | None) -> Answer:
        return http.get(port, "/data", headers={"Authorization": authorization} if authorization else {})

    def signed(**claims: object) -> str:
        return jwt.encode(dict(claims), "0123456789abcdef0123456789abcdef", algorithm="HS256")

    none = ask(None)
    assert (none.status, none.headers["www-authenticate"][:6]) == (401, "Bearer")
    assert ask("Bearer nonsense").status == 401
    assert ask("Bearer " + signed(role="student", exp=int(time.time()) - 10)).status == 401
    assert ask("Bearer " + signed(role="teacher")).status == 403
    assert ask("Bearer " + signed(role="student", exp=int(time.time()) + 60)).json()["data"] == FRESH
    assert ask(signed(role="student")).status == 200
    assert http.get(port, "/health").status == 200


def test_requests_under_way_are_answered_when_a_gateway_is_asked_to_end(behind: Behind, http: HTTPClient) -> None:
    behind.run("microservice", "--service-time", "1")
    process, port = behind.gateway("--cache", "memory:")
    with ThreadPoolExecutor(1) as client:
        asked = client.submit(http.get, port, "/process")
        time.sleep(0.4)
        process.kill(signal.SIGTERM)
        assert asked.result().json() == {"message": "Business logic executed"}
    assert process.wait() == -signal.SIGTERM  # as twistd gives it
    assert "Traceback" not in process.output


def test_a_client_that_goes_away_in_the_middle_of_a_body_queues_nothing(behind: Behind, http: HTTPClient) -> None:
    behind.run("worker")
    process, port = behind.gateway("--cache", "memory:")
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(
            b'POST /longtask HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"task": "x"}'
        )
    assert http.get(port, "/health").status == 200
    assert "scalelab_dependency_requests_total" in (text := http.get(port, "/metrics", headers={"Accept": "text/plain;version=0.0.4"}).text)
    assert 'scalelab_dependency_requests_total{dependency="worker"} 0.0' in text
    assert "Traceback" not in process.output


def test_a_gateway_with_nothing_behind_it_still_answers(behind: Behind, http: HTTPClient) -> None:
    process, port = behind.gateway()
    assert http.get(port, "/health").status == 200
    for path in ("/data", "/process", "/tasks/1"):
        refused = http.get(port, path)
        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
    assert http.get(port, "/metrics").json()["cache_misses"] == 1
    assert "Traceback" not in process.output
