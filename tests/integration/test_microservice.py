"""The microservice as a process: known cost, a bounded line, health in any case."""

import os
import signal
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from scalability.testing.client import HTTPClient
from scalability.testing.processes import Process, alive, wait_gone

Start = Callable[..., Process]

GET = b"GET /process HTTP/1.1\r\nHost: x\r\n\r\n"


def asked(port: int) -> socket.socket:
    """A connection on which /process was asked for."""
    connection = socket.create_connection(("127.0.0.1", port), 10)
    connection.sendall(GET)
    return connection


def in_line(http: HTTPClient, port: int) -> tuple[int, int]:
    health = http.get(port, "/health").json()
    return health["running"], health["waiting"]


def until_in_line(http: HTTPClient, port: int, wanted: tuple[int, int]) -> None:
    deadline = time.monotonic() + 15
    while (found := in_line(http, port)) != wanted:
        assert time.monotonic() < deadline, f"{found} are running and waiting, not {wanted}"
        time.sleep(0.02)


def test_sleeping_takes_the_service_time_for_all_at_once(start: Start, http: HTTPClient) -> None:
    port = start("scalelab-microservice", "--service-time", "0.5").wait_listening()
    begun = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: http.get(port, "/process"), range(8)))
    took = time.monotonic() - begun
    assert [answer.json() for answer in answers] == [{"message": "Business logic executed"}] * 8
    assert 0.5 <= took < 0.5 * 8


def test_the_queue_is_bounded_and_who_leaves_it_gives_its_place_up(start: Start, http: HTTPClient) -> None:
    port = start("scalelab-microservice", "--service-time", "60", "--concurrency", "1").wait_listening()
    waiting = [asked(port) for _ in range(901)]
    try:
        until_in_line(http, port, (1, 900))
        waiting += [asked(port) for _ in range(100)]
        until_in_line(http, port, (1, 1000))
        refused = http.get(port, "/process")
        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
        assert refused.json()["error"] == "overloaded"
        for connection in waiting[-10:]:
            connection.close()
        until_in_line(http, port, (1, 990))
        waiting[0].close()
        until_in_line(http, port, (1, 989))
    finally:
        for connection in waiting:
            connection.close()
    until_in_line(http, port, (0, 0))


def test_spinning_burns_processor_time_and_health_is_answered_meanwhile(start: Start, http: HTTPClient) -> None:
    service = start("scalelab-microservice", "--kind", "spin", "--service-time", "0.3")
    port = service.wait_listening()
    waits = []
    with ThreadPoolExecutor(6) as pool:
        asking = [pool.submit(http.get, port, "/process") for _ in range(6)]
        while not all(answer.done() for answer in asking):
            begun = time.monotonic()
            assert http.get(port, "/health").status == 200
            waits.append(time.monotonic() - begun)
    assert [answer.result().status for answer in asking] == [200] * 6
    burners = service.children()
    assert 1 <= len(burners) <= (os.cpu_count() or 1)
    assert sum(spent(pid) for pid in burners) >= 6 * 0.3 * 0.95
    assert sorted(waits)[len(waits) // 2] < 0.3, "half of the health checks came within one service time"
    service.stop()
    assert wait_gone(burners) == []


def spent(pid: int) -> float:
    """Seconds of processor time of a process."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_no_burner_outlives_a_killed_service(start: Start, http: HTTPClient) -> None:
    service = start("scalelab-microservice", "--kind", "spin", "--service-time", "0.1")
    port = service.wait_listening()
    http.get(port, "/process")
    burners = service.children()
    assert all(alive(pid) for pid in burners)
    service.kill(signal.SIGKILL)
    service.wait()
    assert wait_gone(burners) == []


def test_sigterm_lets_work_in_progress_finish(start: Start, http: HTTPClient) -> None:
    for kind in ("sleep", "spin"):
        service = start("scalelab-microservice", "--kind", kind, "--service-time", "0.8")
        port = service.wait_listening()
        with ThreadPoolExecutor(1) as pool:
            asking = pool.submit(http.get, port, "/process")
            until_in_line(http, port, (1, 0))
            assert service.stop() in (0, -signal.SIGTERM)
            assert asking.result().status == 200


def test_metrics_count_the_work(start: Start, http: HTTPClient) -> None:
    service = start("scalelab-microservice", "--admin", "127.0.0.1:0")
    port, admin = service.wait_listening(), service.wait_admin()
    for _ in range(3):
        http.get(port, "/process")
    text = http.get(admin, "/metrics").text
    assert "scalelab_work_completed_total 3.0" in text
    assert "scalelab_work_duration_seconds_count 3.0" in text


def test_a_taken_port_is_one_line_and_a_status(start: Start) -> None:
    port = start("scalelab-microservice").wait_listening()
    second = start("scalelab-microservice", listen=f"127.0.0.1:{port}")
    assert second.wait(timeout_s=20) == 1
    (line,) = second.stderr.strip().splitlines()
    assert line.startswith("scalelab-microservice: ")
