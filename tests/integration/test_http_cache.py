"""The HTTP cache of a real gateway, in front of an origin that is slow, breaks off, fails, or is gone."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from email.utils import formatdate
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple

import pytest

from scalability.testing.client import HTTPClient
from scalability.testing.processes import Process
from scalability.testing.threaded_server import ThreadedServer

Start = Callable[..., Process]
TOKEN = "0123456789abcdef0123456789abcdef"


class Origin:
    """Answers what a path says: ``/shop/KIND/...``; counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.go_on = threading.Event()
        self.failing = False
        self.server = ThreadedServer(self._serve)
        self._open = True

    def close(self) -> None:
        """It is gone; a second time says nothing."""
        if self._open:
            self._open = False
            self.server.close()

    def _serve(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as lines:
            while line := lines.readline():
                path = line.split()[1].decode()
                while lines.readline().strip():
                    pass
                self.asked.append(path)
                if not self._answer(connection, path):
                    return

    def _answer(self, connection: socket.socket, path: str) -> bool:
        kind = path.split("/")[2]
        body = b"x" * 100_000
        fields = f"Date: {formatdate(usegmt=True)}\r\nContent-Length: {len(body)}\r\n"
        if self.failing:
            connection.sendall(b"HTTP/1.1 503 Down\r\nContent-Length: 0\r\n\r\n")
            return True
        if kind == "error":
            fields += "Cache-Control: max-age=1, stale-if-error=60\r\n"
        elif kind == "tagged":
            fields += "Cache-Control: max-age=60\r\nSurrogate-Key: one two\r\n"
        else:
            fields += "Cache-Control: max-age=60\r\n"
        head = f"HTTP/1.1 200 OK\r\n{fields}\r\n".encode()
        if kind == "slow":
            time.sleep(0.5)
        connection.sendall(head + body[:50_000])
        if kind == "halting":
            self.go_on.wait(20)
        if kind == "breaking":
            return False
        connection.sendall(body[50_000:])
        return True


class Gateway(NamedTuple):
    process: Process
    port: int
    admin: int


@pytest.fixture
def origin() -> Iterator[Origin]:
    origin = Origin()
    yield origin
    origin.go_on.set()
    origin.close()


@pytest.fixture
def gateway(start: Start, origin: Origin, tmp_path: Path) -> Gateway:
    token = tmp_path / "token"
    token.write_text(TOKEN)
    flags = ("--cache", "memory:", "--admin", "127.0.0.1:0", "--admin-token-file", str(token))
    process = start("scalelab-gateway", *flags, "--route", f"/shop=http://127.0.0.1:{origin.server.port}")
    return Gateway(process, process.wait_listening(), process.wait_admin())


def test_two_hundred_misses_are_one_request(gateway: Gateway, origin: Origin, http: HTTPClient) -> None:
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: http.get(gateway.port, "/shop/slow/a"), range(200)))
    assert origin.asked == ["/shop/slow/a"]
    assert {len(answer.body) for answer in answers} == {100_000}
    assert sum("collapsed" in answer.headers["cache-status"] for answer in answers) >= 10
    found = http.get(gateway.admin, "/http-cache").json()
    assert found["fetches"] == 1
    assert found["entries"] == 1
    assert "scalelab_http_cache_fetches_total 1.0" in http.get(gateway.admin, "/metrics").text


def test_an_origin_that_breaks_off_leaves_nothing_behind(gateway: Gateway, origin: Origin, http: HTTPClient) -> None:
    for _ in range(2):
        with pytest.raises((HTTPException, OSError)):
            http.get(gateway.port, "/shop/breaking/a")
    assert http.get(gateway.admin, "/http-cache").json()["entries"] == 0
    assert origin.asked.count("/shop/breaking/a") >= 2


def test_a_client_that_leaves_spoils_nothing(gateway: Gateway, origin: Origin, http: HTTPClient) -> None:
    with socket.create_connection(("127.0.0.1", gateway.port), 10) as leaving:
        leaving.sendall(b"GET /shop/halting/a HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % gateway.port)
        assert leaving.recv(1000).startswith(b"HTTP/1.1 200 ")
    origin.go_on.set()
    assert len(http.get(gateway.port, "/shop/halting/a").body) == 100_000
    assert origin.asked == ["/shop/halting/a"]


def test_a_stale_answer_stands_in_for_an_origin_that_fails(gateway: Gateway, origin: Origin, http: HTTPClient) -> None:
    assert http.get(gateway.port, "/shop/error/a").status == 200
    origin.failing = True
    time.sleep(2.1)
    answer = http.get(gateway.port, "/shop/error/a")
    assert answer.status == 200
    assert "stale-if-error" in answer.headers["cache-status"]
    origin.close()
    answer = http.get(gateway.port, "/shop/error/a")
    assert (answer.status, len(answer.body)) == (200, 100_000)


def test_purging_by_url_tag_and_prefix(gateway: Gateway, origin: Origin, http: HTTPClient) -> None:
    paths = ["/shop/tagged/a", "/shop/tagged/b", "/shop/plain/c"]
    wanted = {"Authorization": f"Bearer {TOKEN}"}
    for body, left in (
        ({"url": f"http://127.0.0.1:{gateway.port}/shop/tagged/a"}, 2),
        ({"tag": "two"}, 1),
        ({"prefix": f"http://127.0.0.1:{gateway.port}/shop/"}, 0),
    ):
        for path in paths:
            assert http.get(gateway.port, path).status == 200
        assert http.post(gateway.admin, "/purge", json=body).status == 401
        assert http.get(gateway.admin, "/http-cache").json()["entries"] == 3
        assert http.post(gateway.admin, "/purge", json=body, headers=wanted).json()["purged"] == 3 - left
        assert http.get(gateway.admin, "/http-cache").json()["entries"] == left


def test_what_is_arriving_when_the_gateway_ends_arrives(gateway: Gateway, origin: Origin, http: HTTPClient) -> None:
    got: list[int] = []

    def ask() -> None:
        with suppress(HTTPException, OSError):
            got.append(len(http.get(gateway.port, "/shop/halting/a").body))

    thread = threading.Thread(target=ask)
    thread.start()
    while not origin.asked:
        time.sleep(0.01)
    time.sleep(0.2)
    gateway.process.kill()
    time.sleep(0.2)
    origin.go_on.set()
    thread.join()
    gateway.process.wait()
    assert got == [100_000]
