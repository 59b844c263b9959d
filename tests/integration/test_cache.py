"""``scalelab-cache`` as a real process."""

import signal
import socket
import time
from collections.abc import Callable

from scalability.testing.client import HTTPClient
from scalability.testing.processes import Process

Start = Callable[..., Process]


def test_entries_expire_and_are_swept_without_being_read(start: Start, http: HTTPClient) -> None:
    cache = start("scalelab-cache", "--sweep-interval", "0.2", "--admin", "127.0.0.1:0")
    port, admin = cache.wait_listening(), cache.wait_admin()
    before = time.time()
    for number in range(50):
        answer = http.post(port, f"/cache/short/{number}", json={"value": number, "ttl": 0.2})
        assert before + 0.2 <= answer.json()["expires_at"] <= time.time() + 0.2
    http.post(port, "/cache/long", json={"value": {"a": ["é", None, 1.5]}, "ttl": 60})
    deadline = time.monotonic() + 10
    while http.get(port, "/health").json()["entries"] > 1:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert http.get(port, "/cache/long").json() == {"value": {"a": ["é", None, 1.5]}}
    assert http.get(port, "/cache/short/1").json() == {"value": None}
    assert http.get(port, "/stats").json()["expired"] == 50
    metrics = http.get(admin, "/metrics").text
    assert "scalelab_cache_expired_total 50.0" in metrics
    assert "scalelab_cache_hits_total 1.0" in metrics
    assert cache.stop() == -signal.SIGTERM  # as twistd gives it
    assert "Traceback" not in cache.output


def test_the_configured_time_to_live_is_the_default(start: Start, http: HTTPClient) -> None:
    port = start("scalelab-cache", env={"SCALELAB_CACHE_TTL": "100"}).wait_listening()
    left = http.post(port, "/cache/a", json={"value": 1}).json()["expires_at"] - time.time()
    assert 99 < left <= 100


def test_memory_is_bounded_and_what_is_used_stays(start: Start, http: HTTPClient) -> None:
    port = start("scalelab-cache", "--max-entries", "20", "--max-bytes", "100000").wait_listening()
    http.post(port, "/cache/used", json={"value": "x"})
    for number in range(200):
        http.get(port, "/cache/used")
        http.post(port, f"/cache/{number}", json={"value": "x" * 100})
    stats = http.get(port, "/stats").json()
    assert stats["entries"] == 20
    assert stats["bytes"] <= 100_000
    assert stats["evicted_entries"] == 181
    assert http.get(port, "/cache/used").json() == {"value": "x"}
    too_large = http.post(port, "/cache/large", json={"value": "x" * 100_000})
    assert (too_large.status, too_large.json()["error"]) == (413, "body_too_large")


def test_a_client_that_goes_away_in_the_middle_of_a_body_changes_nothing(start: Start, http: HTTPClient) -> None:
    cache = start("scalelab-cache")
    port = cache.wait_listening()
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b'POST /cache/a HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"value": 1')
    assert http.get(port, "/cache/a").json() == {"value": None}
    assert http.get(port, "/health").status == 200
    assert cache.stop() == -signal.SIGTERM  # as twistd gives it
    assert "Traceback" not in cache.output


def test_a_taken_port_is_one_line_and_a_status(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        cache = start("scalelab-cache", listen=f"127.0.0.1:{port}")
        assert cache.wait() != 0
    assert f"scalelab-cache: cannot listen on 127.0.0.1:{port}" in cache.output
    assert "Traceback" not in cache.output
