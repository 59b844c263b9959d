"""The balancer's bounds on the wire: timeouts, sizes, caps and descriptors, each under its flag's name."""

import resource
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

import pytest

from scalability.testing.client import HTTPClient
from scalability.testing.processes import Process, processes

Start = Callable[..., Process]

GET = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
NOBODY = "--backend=127.0.0.1:9"
TIMEOUT_S = 20.0


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S)


def everything(connection: socket.socket) -> bytes:
    got = b""
    with suppress(ConnectionResetError):
        while data := connection.recv(65536):
            got += data
    return got


def answer_to(port: int, request: bytes) -> bytes:
    """What comes back, up to the end of the connection."""
    with connect(port) as connection:
        connection.sendall(request)
        return everything(connection)


@pytest.fixture(scope="module")
def strict() -> Iterator[int]:
    """A balancer with bounds that are soon reached."""
    flags = "--header-timeout=0.5 --body-timeout=0.5 --idle-timeout=0.5 --max-header-bytes=1024 --max-headers=5 --max-target-bytes=100"
    with processes() as started:
        started.append(Process.start("scalelab-lb", NOBODY, *flags.split(), "--max-body-bytes=10"))
        yield started[0].wait_listening()


@pytest.mark.parametrize(
    ("request_bytes", "status", "code"),
    [
        (b"GET / HTTP/1.1\r\nHost:", 408, b"request_timeout"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n", 413, b"body_too_large"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n", 413, b"body_too_large"),
        (b"GET /" + b"a" * 100 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414, b"target_too_long"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: 1\r\n" * 5 + b"\r\n", 431, b"head_too_large"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 1000 + b"\r\n\r\n", 431, b"head_too_large"),
        (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505, b"version_not_supported"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501, b"not_implemented"),
    ],
    ids=["408", "413 length", "413 chunked", "414", "431 fields", "431 bytes", "505", "501"],
)
def test_a_bound_that_is_passed_has_its_own_status_and_ends_the_connection(
    strict: int, request_bytes: bytes, status: int, code: bytes
) -> None:
    got = answer_to(strict, request_bytes)
    assert got.startswith(b"HTTP/1.1 %d " % status), got
    assert b'{"error":"%s","message":"' % code in got
    assert b"Connection: close\r\n" in got


def test_an_idle_connection_is_closed_without_a_word(strict: int) -> None:
    with connect(strict) as connection:
        connection.sendall(GET)
        began = time.monotonic()
        got = everything(connection)
    assert got.count(b"HTTP/1.1 ") == 1
    assert 0.4 < time.monotonic() - began < 5


def test_rule_49_connections_beyond_the_cap_wait_and_are_served_when_others_end(start: Start, http: HTTPClient) -> None:
    balancer = start("scalelab-lb", NOBODY, "--max-connections=2", "--admin=127.0.0.1:0")
    port, admin = balancer.wait_listening(), balancer.wait_admin()
    first, second, third = (connect(port) for _ in range(3))
    for connection in (first, second, third):
        connection.sendall(GET)
    for connection in (first, second):
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
    third.settimeout(0.5)
    with pytest.raises(TimeoutError):
        third.recv(1)
    assert 'scalelab_lb_accept_pauses_total{reason="cap"} 1.0' in http.get(admin, "/metrics").text
    first.close()
    third.settimeout(TIMEOUT_S)
    assert third.recv(65536).startswith(b"HTTP/1.1 200 ")
    second.close()
    third.close()


def test_rule_49_a_client_at_its_own_cap_is_closed_at_once_while_others_are_served(start: Start, http: HTTPClient) -> None:
    balancer = start("scalelab-lb", NOBODY, "--max-connections-per-client=2", "--admin=127.0.0.1:0")
    port, admin = balancer.wait_listening(), balancer.wait_admin()
    with connect(port) as first, connect(port) as second:
        for connection in (first, second):
            connection.sendall(GET)
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        with connect(port) as third:
            assert everything(third) == b""
        with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S, source_address=("127.0.0.2", 0)) as other:
            other.sendall(GET)
            assert other.recv(65536).startswith(b"HTTP/1.1 200 ")
        assert "scalelab_lb_rejected_total 1.0" in http.get(admin, "/metrics").text
    deadline = time.monotonic() + TIMEOUT_S
    while not answer_to(port, GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")).startswith(b"HTTP/1.1 200 "):
        assert time.monotonic() < deadline, "those that have ended count no more"
        time.sleep(0.02)


def test_without_free_descriptors_accepting_pauses_and_goes_on_afterwards(start: Start) -> None:
    balancer = start("scalelab-lb", NOBODY)
    port = balancer.wait_listening()
    with connect(port) as first:
        first.sendall(GET)
        assert first.recv(65536).startswith(b"HTTP/1.1 200 ")
        soft, hard = resource.prlimit(balancer.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(balancer.pid, resource.RLIMIT_NOFILE, (3, hard))
        with ExitStack() as waiting:
            connections = [waiting.enter_context(connect(port)) for _ in range(5)]
            for connection in connections:
                connection.sendall(GET)
            connections[0].settimeout(0.5)
            with pytest.raises(TimeoutError):
                connections[0].recv(1)
            first.sendall(GET)
            assert first.recv(65536).startswith(b"HTTP/1.1 200 "), "who is connected is served meanwhile"
            resource.prlimit(balancer.pid, resource.RLIMIT_NOFILE, (soft, hard))
            for connection in connections:
                connection.settimeout(TIMEOUT_S)
                assert connection.recv(65536).startswith(b"HTTP/1.1 200 "), "nobody who waited was turned away"
    assert "accepts nobody for now" in balancer.output
    assert "Traceback" not in balancer.output
