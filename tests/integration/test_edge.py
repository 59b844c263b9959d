"""The balancer's edge as a process: who is believed, how requests are named, TLS and the PROXY protocol on both sides."""

import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scalability.testing.processes import Process

Start = Callable[..., Process]


class Recorder:
    """A server that answers each request with the head that it got, one connection after another."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(client,), daemon=True).start()

    def _answer(self, client: socket.socket) -> None:
        got = b""
        with client:
            while data := client.recv(65536):
                got += data
                while (end := got.find(b"\r\n\r\n")) >= 0:
                    head, got = got[:end], got[end + 4 :]
                    client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(head), head))

    def close(self) -> None:
        self._listening.close()


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    made = Recorder()
    yield made
    made.close()


def ask(port: int, fields: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """``GET /``: the fields that the server saw, and those of the answer, by lower-case name."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/", headers=fields)
    answer = connection.getresponse()
    seen = answer.read().decode()
    connection.close()
    return seen_fields(seen), {name.lower(): value for name, value in answer.getheaders()}


def seen_fields(text: str) -> dict[str, str]:
    return {name.lower(): value for name, _, value in (line.partition(": ") for line in text.split("\r\n")[1:])}


CLAIMS = {"X-Forwarded-For": "6.6.6.6, 7.7.7.7", "X-Forwarded-Proto": "https", "X-Request-Id": "theirs", "Forwarded": "for=6.6.6.6"}


def test_claims_are_replaced_and_the_request_is_named(start: Start, recorder: Recorder, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    process = start("scalelab-lb", "--backend", f"127.0.0.1:{recorder.port}", "--forwarded", "--access-log", str(log))
    seen, answer = ask(process.wait_listening(), CLAIMS)
    assert (seen["x-forwarded-for"], seen["x-real-ip"], seen["x-forwarded-proto"]) == ("127.0.0.1", "127.0.0.1", "http")
    assert seen["forwarded"].startswith('for=127.0.0.1;host="127.0.0.1:')
    assert len(seen["x-request-id"]) == 32
    assert seen["traceparent"][3:35] == answer["x-request-id"] == seen["x-request-id"]
    process.stop()
    (line,) = [json.loads(line) for line in log.read_text().splitlines()]
    assert (line["client"], line["request_id"]) == ("127.0.0.1", answer["x-request-id"])


def test_claims_of_a_trusted_proxy_are_kept(start: Start, recorder: Recorder, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    flags = ["--trusted-proxy", "127.0.0.0/8", "--trusted-proxy", "::1", "--access-log", str(log)]
    process = start("scalelab-lb", "--backend", f"127.0.0.1:{recorder.port}", *flags)
    seen, answer = ask(process.wait_listening(), CLAIMS)
    assert (seen["x-forwarded-for"], seen["x-real-ip"], seen["x-forwarded-proto"]) == ("6.6.6.6, 7.7.7.7, 127.0.0.1", "7.7.7.7", "https")
    assert (seen["forwarded"], seen["x-request-id"], answer["x-request-id"]) == ("for=6.6.6.6", "theirs", "theirs")
    process.stop()
    (line,) = [json.loads(line) for line in log.read_text().splitlines()]
    assert (line["client"], line["request_id"]) == ("7.7.7.7", "theirs")


def test_names_can_be_left_alone(start: Start, recorder: Recorder) -> None:
    process = start("scalelab-lb", "--backend", f"127.0.0.1:{recorder.port}", "--request-ids", "off")
    seen, answer = ask(process.wait_listening(), CLAIMS)
    assert seen["x-request-id"] == "theirs"
    assert "traceparent" not in seen
    assert "x-request-id" not in answer
