"""The HTTP cache of a real gateway, in front of a server that says what may be stored and counts what it is asked."""

import itertools
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from scalability.testing.client import Answer, HTTPClient
from scalability.testing.processes import Process
from tests.integration.test_gateway import wait_until

Start = Callable[..., Process]

TOKEN = "0123456789abcdef"


class Origin(ThreadingHTTPServer):
    """Answers with the fields that the query names, after ``wait`` seconds; ``size`` bytes of body, ``cut`` of which are sent."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, str, Any]] = []
        self.numbers = itertools.count(1)
        self.status = 0
        """For all answers, unless it is 0."""

    def count(self, path: str) -> int:
        return sum(urlsplit(target).path == path for _, target, _ in self.asked)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Origin

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the standard library's name
        """Nobody reads it."""

    def answer(self) -> None:
        server = self.server
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        server.asked.append((self.command, self.path, self.headers))
        number = next(server.numbers)
        query = dict(parse_qsl(urlsplit(self.path).query))
        time.sleep(float(query.pop("wait", 0)))
        size, cut = int(query.pop("size", 5)), int(query.pop("cut", -1))
        etag = query.get("ETag")
        status = server.status or (304 if etag is not None and self.headers.get("If-None-Match") == etag else 200)
        self.send_response(status)
        for name, value in query.items():
            self.send_header(name, value)
        body = (b"%05d" % number + b"x" * size)[:size]
        if status == 304:
            self.end_headers()
            return
        self.send_header("Content-Length", str(size))
        self.end_headers()
        if self.command == "HEAD":
            return
        if cut >= 0:
            self.wfile.write(body[:cut])
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
        else:
            self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 - the standard library's names


@pytest.fixture
def origin() -> Iterator[Origin]:
    server = Origin()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join(5)


class Gateway:
    """A gateway whose route ``/shop`` leads to ``origin``."""

    def __init__(self, start: Start, origin: Origin | int, folder: Path, *flags: str, table: str = "") -> None:
        file = folder / "lab.toml"
        port = origin if isinstance(origin, int) else origin.server_address[1]
        file.write_text(f'[[gateway.routes]]\nprefix = "/shop"\nurl = "http://127.0.0.1:{port}"\n{table}')
        token = folder / "token"
        token.write_text(TOKEN)
        named = ("--config", str(file), "--cache", "memory:", "--admin", "127.0.0.1:0", "--admin-token-file", str(token))
        self.process = start("scalelab-gateway", *named, *flags)
        self.port = self.process.wait_listening()
        self.admin = self.process.wait_admin()
        self.http = HTTPClient()

    def get(self, target: str, method: str = "GET", **headers: str) -> Answer:
        return self.http.request(
            method, f"http://127.0.0.1:{self.port}{target}", headers={k.replace("_", "-"): v for k, v in headers.items()}
        )

    def purge(self, **wanted: Any) -> Answer:
        return self.http.post(
            self.admin,
            "/purge",
            body=json.dumps(wanted).encode(),
            headers={"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"},
        )

    def counts(self) -> Any:
        return self.http.get(self.admin, "/http-cache").json()


@pytest.fixture
def gateway(start: Start, origin: Origin, tmp_path: Path) -> Gateway:
    return Gateway(start, origin, tmp_path)


FRESH = "/shop/a?Cache-Control=max-age%3D60"


def test_what_may_be_stored_is_asked_once_and_hits_say_so(gateway: Gateway, origin: Origin) -> None:
    first = gateway.get(FRESH)
    assert "fwd=uri-miss" in first.headers["cache-status"]
    assert "stored" in first.headers["cache-status"]
    for _ in range(5):
        hit = gateway.get(FRESH)
        assert hit.body == first.body
        assert "; hit" in hit.headers["cache-status"]
        assert int(hit.headers["age"]) >= 0
    assert origin.count("/shop/a") == 1
    head = gateway.get(FRESH, "HEAD")
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", "5")
    part = gateway.get(FRESH, Range="bytes=1-2")
    assert (part.status, part.body, part.headers["content-range"]) == (206, first.body[1:3], "bytes 1-2/5")
    assert origin.count("/shop/a") == 1
    counts = gateway.counts()
    assert counts["requests"]["hit"] == 7
    assert counts["requests"]["miss"] == 1
    metrics = gateway.http.get(gateway.admin, "/metrics").text
    assert 'scalelab_http_cache_requests_total{result="hit"} 7.0' in metrics
    assert "scalelab_http_cache_bytes " in metrics
    own = gateway.http.get(gateway.port, "/metrics").json()
    assert {"cache_hits", "cache_misses", "avg_latency"} <= set(own)


def test_what_may_not_be_stored_is_asked_each_time(gateway: Gateway, origin: Origin) -> None:
    for value in ("no-store", "private"):
        for _ in range(3):
            assert "hit" not in gateway.get(f"/shop/{value}?Cache-Control={value}").headers["cache-status"]
        assert origin.count(f"/shop/{value}") == 3


def test_two_hundred_clients_that_miss_at_once_are_one_request(gateway: Gateway, origin: Origin) -> None:
    with ThreadPoolExecutor(200) as clients:
        answers = list(clients.map(lambda _: gateway.get("/shop/slow?wait=2&Cache-Control=max-age%3D60"), range(200)))
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body for answer in answers}) == 1
    assert origin.count("/shop/slow") == 1
    assert gateway.counts()["collapsed"] >= 49


def test_clients_do_not_wait_one_after_another_for_what_is_not_stored(gateway: Gateway, origin: Origin) -> None:
    target = "/shop/mine?wait=0.3&Cache-Control=private"
    began = time.monotonic()
    with ThreadPoolExecutor(30) as clients:
        answers = list(clients.map(lambda _: gateway.get(target), range(30)))
    assert len({answer.body for answer in answers}) == 30
    assert time.monotonic() - began < 3.0
    assert origin.count("/shop/mine") == 30


def test_a_stale_answer_is_validated_and_serves_on(gateway: Gateway, origin: Origin) -> None:
    target = "/shop/v?Cache-Control=max-age%3D1&ETag=%22one%22"
    first = gateway.get(target)
    time.sleep(1.3)
    again = gateway.get(target)
    assert again.body == first.body
    assert "fwd-status=304" in again.headers["cache-status"]
    assert origin.asked[-1][2]["If-None-Match"] == '"one"'
    assert gateway.get(target, If_None_Match='"one"').status == 304
    assert gateway.counts()["requests"]["revalidated"] == 1


def test_an_old_answer_stands_in_while_it_is_fetched_and_while_the_server_fails(gateway: Gateway, origin: Origin) -> None:
    behind = "/shop/swr?Cache-Control=max-age%3D1,stale-while-revalidate%3D60&wait=0.2"
    failing = "/shop/sie?Cache-Control=max-age%3D1,stale-if-error%3D60"
    old, kept = gateway.get(behind), gateway.get(failing)
    time.sleep(1.3)
    assert gateway.get(behind).body == old.body
    time.sleep(0.6)
    assert gateway.get(behind).body != old.body
    assert origin.count("/shop/swr") == 2
    origin.status = 503
    assert gateway.get(failing).body == kept.body
    assert gateway.get("/shop/other").status == 503


def test_only_if_cached_is_504_for_what_is_not_there(gateway: Gateway, origin: Origin) -> None:
    assert gateway.get(FRESH, Cache_Control="only-if-cached").status == 504
    gateway.get(FRESH)
    assert gateway.get(FRESH, Cache_Control="only-if-cached").status == 200


def test_an_unsafe_request_has_the_next_one_ask_again(gateway: Gateway, origin: Origin) -> None:
    first = gateway.get(FRESH)
    assert gateway.get(FRESH, "POST").status == 200
    assert gateway.get(FRESH).body != first.body


def test_variants_are_kept_apart(gateway: Gateway, origin: Origin) -> None:
    target = "/shop/vary?Cache-Control=max-age%3D60&Vary=Accept-Language"
    german, english = gateway.get(target, Accept_Language="de"), gateway.get(target, Accept_Language="en")
    assert german.body != english.body
    assert gateway.get(target, Accept_Language="de").body == german.body
    assert origin.count("/shop/vary") == 2


def test_a_client_that_leaves_does_not_spoil_what_is_stored(gateway: Gateway, origin: Origin) -> None:
    target = "/shop/left?wait=0.3&size=100000&Cache-Control=max-age%3D60"
    with socket.create_connection(("127.0.0.1", gateway.port)) as leaving:
        leaving.sendall(f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{gateway.port}\r\n\r\n".encode())
        time.sleep(0.1)
    time.sleep(0.8)
    answer = gateway.get(target)
    assert "; hit" in answer.headers["cache-status"]
    assert len(answer.body) == 100_000
    assert origin.count("/shop/left") == 1


def test_a_server_that_breaks_off_leaves_nothing_behind(gateway: Gateway, origin: Origin) -> None:
    target = "/shop/cut?size=100&cut=50&Cache-Control=max-age%3D60"
    for _ in range(2):
        with pytest.raises(Exception, match=r"."):
            gateway.get(target)
    assert origin.count("/shop/cut") >= 2
    assert gateway.counts()["entries"] == 0


HALF = """
import socket
listening = socket.create_server(("127.0.0.1", 0))
print(listening.getsockname()[1], flush=True)
while True:
    client, _ = listening.accept()
    client.recv(65536)
    client.sendall(b"HTTP/1.1 200 OK\\r\\nCache-Control: max-age=60\\r\\nContent-Length: 100\\r\\n\\r\\n" + b"x" * 50)
    print("half", flush=True)
"""
"""An origin that sends half of its body, and waits."""


def test_an_origin_that_is_killed_in_the_middle_of_a_body_leaves_nothing_behind(start: Start, tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HALF], stdout=subprocess.PIPE, text=True) as killed:
        try:
            assert killed.stdout is not None
            port = int(killed.stdout.readline())
            gateway = Gateway(start, port, tmp_path)
            with socket.create_connection(("127.0.0.1", gateway.port), timeout=10.0) as client:
                client.sendall(b"GET /shop/half HTTP/1.1\r\nHost: x\r\n\r\n")
                assert killed.stdout.readline() == "half\n"
                received = b""
                while b"x" * 50 not in received:
                    received += client.recv(65536)
                killed.kill()
                with suppress(ConnectionResetError):  # how a client is told that a body is cut short
                    while data := client.recv(65536):
                        received += data
        finally:
            killed.kill()
    assert received.count(b"x" * 50) == 1
    assert gateway.counts()["entries"] == 0
    assert gateway.get("/shop/half").status in (502, 503)


def test_what_is_too_large_passes_unstored_and_memory_is_bounded(start: Start, origin: Origin, tmp_path: Path) -> None:
    gateway = Gateway(start, origin, tmp_path, "--cache-max-bytes", "200000", "--cache-max-object-bytes", "50000")
    large = "/shop/large?size=300000&Cache-Control=max-age%3D60"
    assert len(gateway.get(large).body) == 300_000
    assert "hit" not in gateway.get(large).headers["cache-status"]
    for number in range(30):
        gateway.get(f"/shop/{number}?size=20000&Cache-Control=max-age%3D60")
    counts = gateway.counts()
    assert counts["bytes"] <= 200_000
    assert counts["evicted"] > 10


def test_what_slow_clients_read_counts_after_it_was_evicted(start: Start, origin: Origin, tmp_path: Path) -> None:
    gateway = Gateway(start, origin, tmp_path, "--cache-max-bytes", "33554432", "--cache-max-object-bytes", "8388608")
    targets = [f"/shop/{number}?size=8000000&Cache-Control=max-age%3D60&ETag=%22a%22" for number in range(8)]
    slow: list[socket.socket] = []
    try:
        for target in targets:
            assert len(gateway.get(target).body) == 8_000_000
            client = socket.socket()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", gateway.port))
            client.sendall(f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{gateway.port}\r\n\r\n".encode())
            slow.append(client)
            time.sleep(0.05)
            counts = gateway.counts()
            assert counts["bytes"] + sum(counts["outside"].values()) <= 33_554_432 + 2 * 8_000_000
        assert gateway.counts()["crowded"] > 0  # evicting what is being read would free nothing
        gateway.purge(all=True)
        pinned = gateway.counts()["outside"]["pinned"]
        assert pinned == 32_000_000
        gateway.get(targets[-1])
        assert gateway.counts()["entries"] == 0
    finally:
        for client in slow:
            client.close()
    wait_until(lambda: gateway.counts()["outside"] == {"arriving": 0, "held": 0, "pinned": 0, "prepared": 0})
    gateway.get("/shop/last?size=8000000&Cache-Control=max-age%3D60")
    assert "hit" in gateway.get("/shop/last?size=8000000&Cache-Control=max-age%3D60").headers["cache-status"]


def test_it_is_purged_by_url_prefix_and_tag_hard_and_soft(gateway: Gateway, origin: Origin) -> None:
    base = f"http://127.0.0.1:{gateway.port}"
    tagged = "/shop/t/1?Cache-Control=max-age%3D60&Surrogate-Key=red+blue&ETag=%22x%22"

    def asked_again(target: str, **wanted: Any) -> bool:
        gateway.get(target)
        before = len(origin.asked)
        answer = gateway.purge(**wanted)
        assert (answer.status, answer.json()["purged"]) == (200, 1), answer
        again = gateway.get(target)
        assert again.status == 200
        return len(origin.asked) == before + 1

    assert asked_again(FRESH, url=base + FRESH)
    assert asked_again(tagged, prefix=base + "/shop/t/")
    assert asked_again(tagged, tag="blue")
    assert asked_again(tagged, tag="red", soft=True)
    assert "If-None-Match" in origin.asked[-1][2]
    assert gateway.purge(all=True).json()["purged"] == 2
    nobody = gateway.http.post(gateway.admin, "/purge", body=b'{"all": true}', headers={"Content-Type": "application/json"})
    assert nobody.status == 401
    assert gateway.purge().status in (400, 422)


def test_a_route_may_have_no_cache(start: Start, origin: Origin, tmp_path: Path) -> None:
    gateway = Gateway(start, origin, tmp_path, table="[gateway.routes.cache]\nenabled = false\n")
    for _ in range(2):
        assert "cache-status" not in gateway.get(FRESH).headers
    assert origin.count("/shop/a") == 2


def test_limits_come_before_hits(start: Start, origin: Origin, tmp_path: Path) -> None:
    table = "[gateway.routes.rate_limit]\nlimits = [{requests = 3, window = 60}]\n"
    gateway = Gateway(start, origin, tmp_path, table=table)
    answers = [gateway.get(FRESH) for _ in range(5)]
    assert [answer.status for answer in answers] == [200, 200, 200, 429, 429]
    assert "; hit" in answers[2].headers["cache-status"]
    assert "ratelimit" in answers[2].headers
    assert "retry-after" in answers[3].headers


def test_large_bodies_stream_both_ways_and_are_not_held(gateway: Gateway, origin: Origin) -> None:
    size = 64 << 20
    with socket.create_connection(("127.0.0.1", gateway.port), 30) as sending:
        sending.sendall(b"PUT /shop/up HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size >> 20):
            sending.sendall(bytes(1 << 20))
        assert sending.recv(12) == b"HTTP/1.1 200"
    with socket.create_connection(("127.0.0.1", gateway.port), 30) as reading:
        reading.sendall(b"GET /shop/down?size=%d&Cache-Control=max-age%%3D60 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % size)
        time.sleep(0.5)  # it does not read yet: the server is held up, not the gateway's memory
        received = 0
        while piece := reading.recv(1 << 20):
            received += len(piece)
    assert received > size
    status = Path(f"/proc/{gateway.process.pid}/status").read_text()
    (peak_kib,) = (int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    assert peak_kib < 200 << 10


def test_a_request_that_expects_100_is_told_by_the_server(gateway: Gateway, origin: Origin) -> None:
    with socket.create_connection(("127.0.0.1", gateway.port), 10) as client:
        client.sendall(b"POST /shop/wait HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Length: 4\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 100 ")
        client.sendall(b"body")
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_what_is_on_its_way_when_the_gateway_ends_arrives(gateway: Gateway, origin: Origin) -> None:
    target = "/shop/late?wait=2&size=100000&Cache-Control=max-age%3D60"
    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(gateway.get, target) for _ in range(3)]
        # all three must have come: a listener that is closed takes nobody
        wait_until(lambda: "\nscalelab_http_connections_open 3.0\n" in gateway.http.get(gateway.admin, "/metrics").text)
        wait_until(lambda: origin.count("/shop/late") == 1)
        gateway.process.kill()
        assert [len(each.result().body) for each in waiting] == [100_000] * 3
    gateway.process.wait()
    assert origin.count("/shop/late") == 1
