"""The client that keeps its rate."""

import socket
from collections.abc import Iterator

import pytest

from scalability.lab.bench.steady import CONNECTIONS, SteadyClient, percentile
from scalability.testing.threaded_server import ThreadedServer


class Answering(ThreadedServer):
    """Answers each request with ``status`` and keeps what it was sent first."""

    def __init__(self) -> None:
        self.status = 200
        self.first = b""
        super().__init__(self._answer)

    def _answer(self, connection: socket.socket) -> None:
        while data := connection.recv(65536):
            self.first = self.first or data
            connection.sendall(b"HTTP/1.1 %d X\r\nContent-Length: 2\r\n\r\nhi" % self.status)


@pytest.fixture
def server() -> Iterator[Answering]:
    made = Answering()
    yield made
    made.close()


def test_percentiles_are_values_that_were_measured() -> None:
    values = [float(value) for value in range(100, 0, -1)]
    assert (percentile(values, 0.5), percentile(values, 0.99), percentile(values, 1.0)) == (51.0, 100.0, 100.0)


def test_requests_keep_their_rate_and_are_all_timed(server: Answering) -> None:
    client = SteadyClient(server.port, path=b"/process", rate_per_s=400)
    latencies = client.run(0.25)
    client.close()
    assert len(latencies) == 100
    assert client.failures == 0
    assert all(0 < latency < 5 for latency in latencies)
    assert server.first.startswith(b"GET /process HTTP/1.1\r\nHost: ")


def test_an_answer_that_is_not_200_is_a_failure_and_the_end_of_its_connection(server: Answering) -> None:
    server.status = 503
    client = SteadyClient(server.port)
    assert client.run(CONNECTIONS / 2 / 400) == []
    client.close()
    assert client.failures == CONNECTIONS // 2
