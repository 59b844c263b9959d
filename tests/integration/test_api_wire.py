"""What every HTTP API of the suite does on a real socket, tried on the cache and on a slow microservice."""

import json
import signal
import socket
import time
from collections.abc import Callable

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from scalability.testing.client import HTTPClient
from scalability.testing.processes import Process

Start = Callable[..., Process]


def read_all(connection: socket.socket) -> bytes:
    received = b""
    while chunk := connection.recv(65536):
        received += chunk
    return received


@pytest.mark.parametrize("framing", ["Content-Length: 3000000", "Transfer-Encoding: chunked"])
def test_a_client_that_uploads_too_much_reads_its_413_and_no_reset(start: Start, framing: str) -> None:
    port = start("scalelab-cache").wait_listening()
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(f"POST /cache/a HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{framing}\r\n\r\n".encode())
        piece = b"x" * 30_000 if framing.startswith("Content") else b"7530\r\n" + b"x" * 30_000 + b"\r\n"
        for _ in range(100):
            connection.sendall(piece)  # a client like this one looks at the answer only when it has sent everything
        answer = read_all(connection)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 413 ")
    assert json.loads(body)["error"] == "body_too_large"


def test_a_client_that_waits_for_100_is_refused_before_it_sends(start: Start) -> None:
    port = start("scalelab-cache").wait_listening()
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(b"POST /cache/a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3000000\r\n\r\n")
        assert read_all(connection).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    ("sent", "status", "error"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "bad_request"),
        (b"GET / HTTP/1.1\r\n\r\n", 400, "bad_request"),
        (b"GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "bad_request"),
        (b"GET /%ff HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 400, "bad_request"),
        (b"GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 404, "not_found"),
    ],
)
def test_what_is_wrong_with_a_request_is_said_as_json(start: Start, http: HTTPClient, sent: bytes, status: int, error: str) -> None:
    process = start("scalelab-cache")
    port = process.wait_listening()
    head, _, body = http.raw(port, sent).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert json.loads(body)["error"] == error
    assert "Traceback" not in process.output
    assert http.get(port, "/health").status == 200


def test_what_is_in_flight_at_sigterm_is_answered_and_nothing_else_is_accepted(start: Start) -> None:
    process = start("scalelab-microservice", "--service-time", "1.5")
    port = process.wait_listening()
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(b"GET /process HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(0.4)  # until it is in flight
        process.kill(signal.SIGTERM)
        answer = read_all(connection)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"\r\nConnection: close\r\n" in answer
    assert b"Business logic executed" in answer
    assert process.wait() == -signal.SIGTERM  # as twistd gives it
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", port), 1).close()
    assert "Unhandled" not in process.output


def test_the_admin_listener_shows_requests_by_route_and_the_process(start: Start, http: HTTPClient) -> None:
    process = start("scalelab-cache", "--admin", "127.0.0.1:0")
    port, admin = process.wait_listening(), process.wait_admin()
    for n in range(3):
        http.get(port, f"/cache/key-{n}")
    text = http.get(admin, "/metrics")
    assert text.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = {family.name: family for family in parse_text(text.text)}
    counts = [s for s in families["http_server_request_duration_seconds"].samples if s.name.endswith("_count")]
    assert sum(s.value for s in counts if s.labels["http_response_status_code"] == "200") == 3
    assert "key-" not in text.text
    assert families["process_resident_memory_bytes"].samples[0].value > 1e6
    assert "scalelab_event_loop_lag_seconds" in families
    openmetrics = http.get(admin, "/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert openmetrics.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert list(parse_openmetrics(openmetrics.text))
    assert http.get(admin, "/healthz").json() == {"status": "ok"}
    assert http.get(admin, "/readyz").status == 200
