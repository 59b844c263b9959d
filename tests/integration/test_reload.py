"""A balancer that reads its configuration again while requests run: nothing fails, streams go on, and a bad file changes nothing."""

import http.client
import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any, Self

import pytest

from scalability.testing.client import HTTPClient
from scalability.testing.processes import Process

Start = Callable[..., Process]
TOKEN = "0123456789abcdef"
BROKEN = (OSError, http.client.HTTPException)


class Answers(BaseHTTPRequestHandler):
    """Says which server it is; to /stream fifty times a second until ``Backend.end_streams``."""

    protocol_version = "HTTP/1.1"
    server: "Backend"

    def do_GET(self) -> None:
        said = f"{self.server.server_port}\n".encode()
        self.send_response(200)
        if self.path == "/stream":
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            while not self.server.end_streams.wait(0.02):
                self._send_chunk(said)
            self._send_chunk(b"")
        else:
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

    def _send_chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))

    def log_message(self, *_: object) -> None:
        """Not in the test's output."""


class Backend(ThreadingHTTPServer):
    """A server behind the balancer, on threads of the test."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.end_streams = Event()

    @property
    def name(self) -> str:
        return f"127.0.0.1:{self.server_port}"


@contextmanager
def backends(count: int) -> Iterator[list[Backend]]:
    with ExitStack() as stack:
        found = []
        for _ in range(count):
            backend = stack.enter_context(Backend())
            stack.callback(backend.shutdown)
            stack.callback(backend.end_streams.set)
            Thread(target=backend.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
            found.append(backend)
        yield found


class Load:
    """Clients on kept-alive connections; whatever is not a 200 is noted."""

    def __init__(self, port: int, *, clients: int = 4) -> None:
        self.answered = 0
        self.failures: list[str] = []
        self._port = port
        self._stop = Event()
        self._threads = [Thread(target=self._run, daemon=True) for _ in range(clients)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(20)

    def _run(self) -> None:
        with closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)) as connection:
            while not self._stop.wait(0.005):
                try:
                    connection.request("GET", "/")
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


class Scene:
    """A balancer with its configuration in a file."""

    def __init__(self, start: Start, http: HTTPClient, folder: Path, servers: list[str], *flags: str) -> None:
        self.http = http
        self.file = folder / "lb.toml"
        self.write(servers)
        token = folder / "token"
        token.write_text(TOKEN)
        self.process = start("scalelab-lb", "--admin", "127.0.0.1:0", "--admin-token-file", str(token), *flags, config=str(self.file))
        self.front, self.admin = self.process.wait_listening(), self.process.wait_admin()
        self._said: dict[str, int] = {}

    def write(self, servers: list[str], **more: Any) -> None:
        values = {"backend": servers, "health_interval": 0.2, **more}
        text = "[lb]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())
        new = self.file.with_suffix(".new")
        new.write_text(text)
        new.replace(self.file)

    def reload(self, pattern: str = "the configuration has changed") -> str:
        """SIGHUP; the line in which it says what came of it."""
        self.process.kill(signal.SIGHUP)
        self._said[pattern] = self._said.get(pattern, 0) + 1
        return self.process.wait_for(f"{pattern}.*", count=self._said[pattern])[0]

    def servers(self) -> dict[str, tuple[str, int]]:
        """State and weight of each server that is named."""
        health = self.http.get(self.front, "/health").json()
        return {server["name"]: (server["state"], server.get("weight", 0)) for server in health["servers"] if server["state"] != "leaving"}

    def until(self, wanted: dict[str, tuple[str, int]]) -> None:
        found: dict[str, tuple[str, int]] = {}
        for _ in range(200):
            found = self.servers()
            if found == wanted:
                return
            time.sleep(0.05)
        raise AssertionError(f"the servers are {found}, not {wanted}")

    def reloads(self) -> dict[str, float]:
        lines = [line.split() for line in self.http.get(self.admin, "/metrics").text.splitlines()]
        return {name.split('"')[1]: float(value) for name, value in lines_of(lines, "scalelab_lb_reloads_total")}


def lines_of(lines: list[list[str]], name: str) -> Iterator[tuple[str, str]]:
    for line in lines:
        if line[0].startswith(name):
            yield line[0], line[1]


@contextmanager
def stream_of(port: int, backend: Backend) -> Iterator[http.client.HTTPResponse]:
    """A stream that ``backend`` serves; those that others serve are given up."""
    for _ in range(20):
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
            connection.request("GET", "/stream")
            with connection.getresponse() as answer:
                if answer.readline() == f"{backend.server_port}\n".encode():
                    yield answer
                    return
    raise AssertionError("no stream came from that server")


@pytest.mark.parametrize("workers", [1, 2])
def test_servers_and_options_change_under_load_and_no_request_fails(start: Start, http: HTTPClient, tmp_path: Path, workers: int) -> None:
    with backends(3) as (a, b, c):
        scene = Scene(start, http, tmp_path, [a.name, b.name], "--workers", str(workers))
        process = scene.process
        if workers > 1:
            process.wait_for("worker 2 serves")
        scene.until({a.name: ("up", 1), b.name: ("up", 1)})
        with stream_of(scene.front, a) as stream, Load(scene.front) as load:
            for turn in range(5):
                scene.write([f"{a.name},weight=3", c.name], idle_timeout=30 + turn)
                assert f"backend +{a.name},weight=3 +{c.name} -{a.name} -{b.name}" in scene.reload()
                scene.until({a.name: ("up", 3), c.name: ("up", 1)})
                scene.write([a.name, b.name], idle_timeout=30 + turn)
                process.kill(signal.SIGHUP)  # and again, at once
                scene.reload()
                scene.until({a.name: ("up", 1), b.name: ("up", 1)})

            scene.write([a.name, "nonsense"])
            line = scene.reload("the configuration is not changed")
            assert f"{scene.file}: [lb] backend: 'nonsense' is not HOST:PORT" in line
            scene.write([a.name], algorithm="random", max_connections=7)
            assert "a restart is needed for another algorithm, max_connections" in scene.reload("the configuration is not changed")
            answer = http.post(scene.admin, "/reload", headers={"Authorization": f"Bearer {TOKEN}"})
            assert (answer.status, "a restart is needed" in answer.text) == (422, True)
            assert scene.servers() == {a.name: ("up", 1), b.name: ("up", 1)}
            said = stream.read(1)
            a.end_streams.set()
            said += stream.read()
            assert len(said.split()) > 10, "the stream went on all the while"
            assert set(said.split()[1:]) == {str(a.server_port).encode()}
        assert load.failures == []
        assert load.answered > 50
        counts = scene.reloads()
        assert (counts["changed"], counts["refused"]) == (10, 3)
        assert process.stop() in (0, -signal.SIGTERM)
        assert "Traceback" not in process.output


@pytest.mark.parametrize("workers", [1, 2])
def test_all_servers_may_be_replaced_at_once_without_a_gap(start: Start, http: HTTPClient, tmp_path: Path, workers: int) -> None:
    with backends(2) as (a, b):
        scene = Scene(start, http, tmp_path, [a.name], "--workers", str(workers))
        scene.until({a.name: ("up", 1)})
        with Load(scene.front) as load:
            for old, new in ((a, b), (b, a)):
                scene.write([new.name])
                scene.reload()
                scene.process.wait_for(f"{old.name} go on, although they are named no more")
                scene.until({new.name: ("up", 1)})
            (tmp_path / "servers").write_text(b.name)
            scene.write([f"file:{tmp_path / 'servers'}"])
            scene.reload()
            scene.until({b.name: ("up", 1)})
        assert load.failures == []
        assert load.answered > 20
