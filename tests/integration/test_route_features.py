"""Routes that rewrite, compress, check and compose: a real gateway, with real servers behind it."""

import gzip
import http.server
import json
import os
import signal
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import brotli
import pytest
import zstandard
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.sync.server import ServerConnection, serve

from scalability.gateway.openapi.own import documented
from scalability.testing.api_document import SHOP
from scalability.testing.client import HTTPClient
from scalability.testing.processes import Process, wait_gone

Start = Callable[..., Process]

LARGE = json.dumps([{"id": number, "name": f"name {number % 7}"} for number in range(40_000)]).encode()


class Behind(http.server.BaseHTTPRequestHandler):
    """A server behind the gateway."""

    protocol_version = "HTTP/1.1"
    asked: list[tuple[str, str, dict[str, str]]]
    go_on: threading.Event

    def do_GET(self) -> None:
        self.asked.append((self.command, self.path, {name.lower(): value for name, value in self.headers.items()}))
        path, _, _ = self.path.partition("?")
        last = path.rpartition("/")[2]
        if path.startswith("/users/") and last != "nobody":
            self._answer(200, json.dumps({"name": f"user {last}", "secret": 1}).encode(), ("Cache-Control", "max-age=60"))
        elif path.startswith("/orders/"):
            if last == "slow":
                time.sleep(3)
            self._answer(200, json.dumps([f"order of {last}"]).encode(), ("Cache-Control", "private, max-age=5"))
        elif path == "/files/fresh.json":
            self._answer(200, LARGE, ("Cache-Control", "max-age=600"))
        elif path == "/files/large.json":
            if '"v1"' in self.headers.get("If-None-Match", ""):
                self._answer(304, b"", ("ETag", '"v1"'))
            else:
                self._answer(200, LARGE, ("ETag", '"v1"'), ("Server", "secret/1.0"))
        elif path == "/files/events":
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for number in range(2):
                event = b"data: %d\n\n" % number
                self.wfile.write(b"%x\r\n%b\r\n" % (len(event), event))
                self.wfile.flush()
                assert self.go_on.wait(20)
            self.wfile.write(b"0\r\n\r\n")
        else:
            self._answer(404, b'{"error": "not_found"}')

    do_HEAD = do_GET  # noqa: N815 - http.server's name

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.asked.append((self.command, self.path, {name.lower(): value for name, value in self.headers.items()}))
        self._answer(201, body)

    def _answer(self, status: int, body: bytes, *fields: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in (("Content-Type", "application/json"), *fields):
            self.send_header(name, value)
        if status != 304:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        """Nobody reads it."""


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


@pytest.fixture
def behind() -> Iterator[Any]:
    handler = type("Handler", (Behind,), {"asked": [], "go_on": threading.Event()})
    server = _Server(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    handler.port = server.server_port  # type: ignore[attr-defined]
    try:
        yield handler
    finally:
        handler.go_on.set()  # type: ignore[attr-defined]
        server.shutdown()
        server.server_close()
        thread.join()


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


@pytest.fixture
def gateway(start: Start, behind: Any, tmp_path: Path) -> int:
    (tmp_path / "shop.json").write_text(json.dumps(SHOP))
    url = f"http://127.0.0.1:{behind.port}"
    file = tmp_path / "gateway.toml"
    file.write_text(f"""
[gateway]
cache = "memory:"

[[gateway.routes]]
prefix = "/users"
url = "{url}"

[[gateway.routes]]
prefix = "/orders"
url = "{url}"

[[gateway.routes]]
prefix = "/dead"
url = "http://127.0.0.1:{closed_port()}"

[[gateway.routes]]
prefix = "/pages"
[gateway.routes.compose]
path = "/pages/{{id}}"
timeout = 1.0
query = ["lang"]
parts = [
    {{name = "user", target = "/users/{{id}}", pick = ["name"]}},
    {{name = "orders", target = "/orders/of/{{id}}", group = "orders", fallback = []}},
]

[[gateway.routes]]
prefix = "/broken"
[gateway.routes.compose]
path = "/broken/{{id}}"
parts = [{{name = "dead", target = "/dead/{{id}}"}}, {{name = "user", target = "/users/{{id}}"}}]

[[gateway.routes]]
prefix = "/files"
url = "{url}"
[gateway.routes.compression]
[gateway.routes.rewrite]
request = {{set = {{X-Route = "${{route}} for ${{client_address}}"}}}}
answer = {{remove = ["Server"], set = {{X-Frame-Options = "DENY"}}}}

[[gateway.routes]]
prefix = "/v1"
url = "{url}"
validate = {{file = "shop.json"}}
rewrite = {{replace_prefix = "/internal"}}
""")
    return start("scalelab-gateway", config=str(file), cwd=tmp_path).wait_listening()


def test_a_page_is_composed_of_its_parts(gateway: int, behind: Any, http: HTTPClient) -> None:
    page = http.get(gateway, "/pages/7?lang=de&debug=1")
    assert page.status == 200
    assert page.json() == {"name": "user 7", "orders": ["order of 7"]}
    assert page.headers["x-scalelab-completed"] == "true"
    assert page.headers["cache-control"] in ("private, max-age=5", "private, max-age=4")
    assert sorted(path for _, path, _ in behind.asked) == ["/orders/of/7?lang=de", "/users/7?lang=de"]


def test_parts_that_fail_are_replaced_or_named(gateway: int, http: HTTPClient) -> None:
    late = http.get(gateway, "/pages/slow")
    assert (late.status, late.json(), late.headers["x-scalelab-completed"]) == (200, {"name": "user slow", "orders": []}, "false")
    missing = http.get(gateway, "/pages/nobody")
    assert (missing.status, missing.json()["part"]) == (404, "user")
    broken = http.get(gateway, "/broken/1")
    assert (broken.status, broken.json()["error"], broken.json()["part"]) == (502, "part_failed", "dead")
    assert http.get(gateway, "/pages/a%2Fb").status == 404
    assert http.post(gateway, "/pages/1").status == 405


def test_no_client_ever_gets_a_part_of_another_ones_page(gateway: int) -> None:
    def ask(number: int) -> bool:
        page: Any = HTTPClient().get(gateway, f"/pages/{number}").json()
        return bool(page == {"name": f"user {number}", "orders": [f"order of {number}"]})

    with ThreadPoolExecutor(16) as threads:
        assert all(threads.map(ask, range(200)))


def test_bodies_come_in_the_coding_that_the_client_likes(gateway: int, http: HTTPClient) -> None:
    def zstd(body: bytes) -> bytes:
        return zstandard.ZstdDecompressor().decompressobj().decompress(body)

    for accepted, decode in (("gzip", gzip.decompress), ("br", brotli.decompress), ("zstd", zstd), ("identity", bytes)):
        first, got = [http.get(gateway, "/files/large.json", headers={"Accept-Encoding": accepted}) for _ in range(2)]
        for one in (first, got):  # the second perhaps from the cache
            assert decode(one.body) == LARGE
            assert one.headers.get("content-encoding", "identity") == accepted
            assert "Accept-Encoding" in one.headers["vary"]
        tag = got.headers["etag"]
        assert tag == ('"v1"' if accepted == "identity" else f'W/"v1-{accepted}"')
        again = http.get(gateway, "/files/large.json", headers={"Accept-Encoding": accepted, "If-None-Match": tag})
        assert (again.status, again.body, again.headers["etag"]) == (304, b"", tag)
        head = http.request("HEAD", gateway, "/files/large.json", headers={"Accept-Encoding": accepted})
        assert (head.headers.get("content-encoding"), head.headers["etag"]) == (got.headers.get("content-encoding"), tag)


def test_a_hit_is_not_compressed_again(gateway: int, behind: Any, http: HTTPClient) -> None:
    for accepted in ("gzip", "br", "gzip, deflate", "br", "gzip;q=1.0"):
        got = http.get(gateway, "/files/fresh.json", headers={"Accept-Encoding": accepted})
        assert accepted.startswith(got.headers["content-encoding"])
    counts = http.get(gateway, "/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"}).text
    assert 'scalelab_compression_encoded_total{route="/files"} 3' in counts, "gzip, br, and the list with deflate"
    assert len(behind.asked) == 3


def test_fields_are_rewritten_both_ways(gateway: int, behind: Any, http: HTTPClient) -> None:
    got = http.get(gateway, "/files/large.json", headers={"X-Route": "spoofed"})
    assert got.headers["x-frame-options"] == "DENY"
    assert "secret" not in got.headers.get("server", "")
    assert behind.asked[-1][2]["x-route"] == "/files for 127.0.0.1"


def test_an_event_arrives_before_the_stream_has_ended(gateway: int, behind: Any) -> None:
    with socket.create_connection(("127.0.0.1", gateway), 20) as client:
        client.sendall(b"GET /files/events HTTP/1.0\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n")
        received = b""
        decoded = b""
        while b"data: 0\n\n" not in decoded:
            more = client.recv(65536)
            assert more, "it waited for the end of the stream"
            received += more
            body = received.partition(b"\r\n\r\n")[2]
            decoded = _decoded(body)
        behind.go_on.set()
        while more := client.recv(65536):
            received += more
    assert gzip.decompress(received.partition(b"\r\n\r\n")[2]) == b"data: 0\n\ndata: 1\n\n"


def _decoded(body: bytes) -> bytes:
    return zlib.decompressobj(31).decompress(body)


def echo(connection: ServerConnection) -> None:
    with suppress(ConnectionClosed):
        for message in connection:
            connection.send(message)


def test_websockets_pass_through_a_route_that_changes_answers(start: Start, http: HTTPClient, tmp_path: Path) -> None:
    server = serve(echo, "127.0.0.1", 0)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        file = tmp_path / "gateway.toml"
        file.write_text(f"""
            [[gateway.routes]]
            prefix = "/ws"
            url = "http://127.0.0.1:{server.socket.getsockname()[1]}"
            compression = {{}}
            rewrite = {{replace_prefix = "/", answer = {{remove = ["Server"], set = {{X-Route = "ws"}}}}}}
        """)
        port = start("scalelab-gateway", config=str(file), cwd=tmp_path).wait_listening()
        with connect(f"ws://127.0.0.1:{port}/ws/chat") as client:
            for message in ("hello", b"\x00" * 200_000):
                client.send(message)
                assert client.recv(20) == message
        refused = http.get(port, "/ws/chat")
        assert (refused.status, refused.headers["x-route"], refused.headers.get("server")) == (426, "ws", None)
    finally:
        server.shutdown()
        thread.join(5)


def test_only_described_requests_reach_the_server(gateway: int, behind: Any, http: HTTPClient) -> None:
    good = http.post(gateway, "/v1/orders", json={"items": [{"sku": "a"}]})
    assert (good.status, good.json()) == (201, {"items": [{"sku": "a"}]})
    assert [(method, path) for method, path, _ in behind.asked] == [("POST", "/internal/orders")]
    bad = http.post(gateway, "/v1/orders", json={"items": [{"sku": 5}]})
    assert (bad.status, bad.json()["errors"][0]["pointer"]) == (422, "/items/0/sku")
    assert http.post(gateway, "/v1/orders", body=b"{", headers={"Content-Type": "application/json"}).status == 400
    assert http.post(gateway, "/v1/orders", body=b"x", headers={"Content-Type": "text/plain"}).status == 415
    assert http.post(gateway, "/v1/orders", body=b"x" * 200_000, headers={"Content-Type": "application/json"}).status == 413
    assert http.get(gateway, "/v1/orders?limit=0").status == 400
    assert http.get(gateway, "/v1/other").status == 404
    assert len(behind.asked) == 1


def test_the_gateway_describes_every_route_that_it_has_and_answers_it(gateway: int, http: HTTPClient) -> None:
    document = http.get(gateway, "/openapi.json").json()
    for path in ("/data", "/users/{rest}", "/pages/{id}", "/v1/orders/{id}", "/files", "/docs"):
        assert path in document["paths"], path
    for method, path, operation in documented(document):
        json_body = {"task": "x"} if "requestBody" in operation else None
        answer = http.request(method, gateway, path, json=json_body)
        assert str(answer.status) in operation["responses"] or "default" in operation["responses"], (method, path, answer.status)
        assert answer.status != 500, (method, path)
        assert b"Traceback" not in answer.body
    page = http.get(gateway, "/docs")
    assert page.status == 200
    assert "/pages/<var>{id}</var>" in page.text


def test_large_bodies_are_checked_while_others_are_served(start: Start, behind: Any, http: HTTPClient, tmp_path: Path) -> None:
    schema = {"type": "array", "items": {"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}}}
    body = {"required": True, "content": {"application/json": {"schema": schema}}}
    paths = {"/items": {"post": {"requestBody": body, "responses": {"200": {"description": "ok"}}}}}
    document = {"openapi": "3.1.0", "info": {"title": "t", "version": "1"}, "paths": paths}
    (tmp_path / "items.json").write_text(json.dumps(document))
    file = tmp_path / "gateway.toml"
    file.write_text(
        f'[[gateway.routes]]\nprefix = "/shop"\nurl = "http://127.0.0.1:{behind.port}"\n'
        f'validate = {{file = "{tmp_path}/items.json", base = "/shop", max_body = 8000000}}\n'
    )
    process = start("scalelab-gateway", "--config", str(file), "--cache", "memory:")
    port = process.wait_listening()
    good = json.dumps([{"id": number} for number in range(300_000)]).encode()
    bad = good[:-1] + b', {"id": "x"}]'
    kind = {"Content-Type": "application/json"}

    def post(data: bytes) -> Any:
        return http.post(port, "/shop/items", body=data, headers=kind)

    with ThreadPoolExecutor(4) as pool:
        posts = [pool.submit(post, data) for data in (good, bad, good, bad)]
        waits = []
        while not all(one.done() for one in posts):
            began = time.monotonic()
            assert http.get(port, "/nowhere").status == 404
            waits.append(time.monotonic() - began)
            time.sleep(0.01)
    answers = [one.result() for one in posts]
    assert [answer.status for answer in answers] == [201, 422, 201, 422]
    assert [answer.body == good for answer in answers[::2]] == [True, True]
    (problem,) = answers[1].json()["errors"]
    assert problem["pointer"] == "/300000/id"
    # reading 3.6 MB takes some 200 ms each; the loop reads, hands on and writes them, no more
    assert sorted(waits)[len(waits) // 2] < 0.1
    checkers = process.children()
    assert 1 <= len(checkers) <= 2
    # they end with the gateway however that ends, and another one is started when one dies
    os.kill(checkers[0], signal.SIGKILL)
    assert wait_gone(checkers[:1]) == []
    assert [post(data).status for data in (good, bad)] == [201, 422]
    checkers = process.children()
    process.kill(signal.SIGKILL)
    process.wait()
    assert wait_gone(checkers) == []
    assert "Traceback" not in process.output


def test_processes_that_check_bodies_end_when_the_gateway_is_told_to(start: Start, behind: Any, http: HTTPClient, tmp_path: Path) -> None:
    (tmp_path / "shop.json").write_text(json.dumps(SHOP))
    file = tmp_path / "gateway.toml"
    file.write_text(
        f'[[gateway.routes]]\nprefix = "/shop"\nurl = "http://127.0.0.1:{behind.port}"\n'
        f'validate = {{file = "{tmp_path}/shop.json", base = "/shop"}}\n'
    )
    process = start("scalelab-gateway", "--config", str(file), "--cache", "memory:")
    port = process.wait_listening()
    assert process.children() == []
    body = json.dumps({"items": [{"sku": f"sku-{number}"} for number in range(3000)]}).encode()
    answer = http.post(port, "/shop/orders", body=body, headers={"Content-Type": "application/json"})
    assert (answer.status, len(process.children())) in [(201, 1), (422, 1)]
    checkers = process.children()
    process.stop()
    assert wait_gone(checkers) == []
