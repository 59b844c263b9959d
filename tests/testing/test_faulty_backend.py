"""The backend that misbehaves: each of its faults, on a thread of this process, and it as a process."""

import http.client
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from threading import Thread

import pytest

from scalability.testing.client import HTTPClient
from scalability.testing.faulty_backend import FaultyBackend, checked
from scalability.testing.processes import Process

HEAD = b"GET /a?n=1 HTTP/1.1\r\nHost: test\r\n\r\n"


@pytest.fixture
def backend() -> Iterator[FaultyBackend]:
    made = FaultyBackend(("127.0.0.1", 0))
    thread = Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join(5)


def port_of(backend: FaultyBackend) -> int:
    port: int = backend.server_address[1]
    return port


def test_a_good_one_answers_with_the_target_over_a_connection_that_stays(backend: FaultyBackend) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port_of(backend), timeout=5)
    for target in ("/a?n=1", "/health", "/b"):
        connection.request("GET", target)
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (200, target.encode())
    connection.close()


def test_a_body_comes_back_behind_the_target(backend: FaultyBackend, http: HTTPClient) -> None:
    assert http.put(port_of(backend), "/a", json={"b": 1}).body == b'/a{"b": 1}'


def test_requests_and_checks_are_treated_each_as_told(backend: FaultyBackend, http: HTTPClient) -> None:
    port = port_of(backend)
    assert http.put(port, "/behave/status:503/good").status == 204
    assert (http.get(port, "/a").status, http.get(port, "/health").status) == (503, 200)
    assert http.put(port, "/behave/slow:0.01/status:500").status == 204
    assert (http.get(port, "/a").status, http.get(port, "/health").status) == (200, 500)


@pytest.mark.parametrize(("fault", "received"), [("closes", b""), ("cuts", b"HTTP/1.1 200 X\r\nCont"), ("babbles", b"220 mail.example")])
def test_what_is_no_answer_ends_the_connection(backend: FaultyBackend, http: HTTPClient, fault: str, received: bytes) -> None:
    backend.behave(fault)
    found = http.raw(port_of(backend), HEAD)
    assert found == received or (fault == "babbles" and found.startswith(received))


def test_a_mute_one_keeps_the_connection_and_says_nothing(backend: FaultyBackend) -> None:
    backend.behave("mute")
    with socket.create_connection(("127.0.0.1", port_of(backend)), timeout=0.05) as connection:
        connection.sendall(HEAD)
        with pytest.raises(TimeoutError):
            connection.recv(1)


@pytest.mark.parametrize("fault", ["evil", "slow", "status", "mute:3", "slow:soon"])
def test_a_fault_that_there_is_not_is_refused(fault: str) -> None:
    with pytest.raises(ValueError):
        checked(fault)


def test_as_a_process_it_says_where_it_listens_and_dies_of_a_signal(run: Callable[..., Process], http: HTTPClient) -> None:
    process = run(sys.executable, "-m", "scalability.testing.faulty_backend", "127.0.0.1:0", "good", "status:500")
    port = process.wait_listening()
    assert (http.get(port, "/a").text, http.get(port, "/health").status) == ("/a", 500)
    assert process.stop() == -signal.SIGTERM
