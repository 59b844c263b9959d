"""Routes of a real gateway, with real servers behind them."""

import json
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import jwt
import pytest
from websockets.sync.client import connect
from websockets.sync.server import serve

from scalability.testing.client import HTTPClient
from scalability.testing.processes import Process
from tests.integration.test_edge import AUTHORITY, secured_server
from tests.integration.test_gateway import wait_until
from tests.integration.test_proxy_tunnel import echo, running

Start = Callable[..., Process]


class Shop:
    """Two servers whose faults a test chooses, and a gateway with a route to them."""

    def __init__(self, run: Start, start: Start, folder: Path) -> None:
        self.run, self.start, self.folder = run, start, folder
        self.backends = [self.backend() for _ in range(2)]

    def backend(self) -> tuple[Process, int]:
        process = self.run(sys.executable, "-m", "scalability.testing.faulty_backend", "127.0.0.1:0")
        return process, int(process.wait_for(r"listens on .*:(\d+)")[1])

    def gateway(self, more: str = "", *flags: str) -> tuple[Process, int, int]:
        file = self.folder / "lab.toml"
        servers = ", ".join(f'"127.0.0.1:{port}"' for _, port in self.backends)
        file.write_text(f'[[gateway.routes]]\nprefix = "/shop"\nservers = [{servers}]\n{more}')
        process = self.start("scalelab-gateway", "--config", str(file), "--cache", "memory:", "--admin", "127.0.0.1:0", *flags)
        return process, process.wait_listening(), process.wait_admin()


@pytest.fixture
def shop(run: Start, start: Start, tmp_path: Path) -> Shop:
    return Shop(run, start, tmp_path)


@pytest.fixture
def echoing() -> Iterator[int]:
    with running(serve(echo, "127.0.0.1", 0)) as port:
        yield port


def test_a_route_serves_through_both_servers_and_goes_on_when_one_dies(shop: Shop, http: HTTPClient) -> None:
    _, port, admin = shop.gateway()
    for number in range(10):
        assert http.get(port, f"/shop/{number}").text == f"/shop/{number}"
    assert http.get(port, "/nowhere").status == 404
    shop.backends[0][0].kill(signal.SIGKILL)
    shop.backends[0][0].wait()
    for number in range(20):
        assert http.get(port, f"/shop/after/{number}").status == 200
    (route,) = http.get(admin, "/routes").json()["routes"]
    assert sorted(server["requests"] > 0 for server in route["servers"]) == [True, True]
    metrics = http.get(admin, "/metrics").text
    assert f'scalelab_upstream_requests_total{{route="/shop",server="127.0.0.1:{shop.backends[1][1]}"}}' in metrics
    assert "/shop/after" not in metrics
    wait_until(lambda: 'scalelab_upstream_healthy{route="/shop"} 1.0' in http.get(admin, "/metrics").text)


def test_the_cheapest_route_is_a_flag(shop: Shop, http: HTTPClient) -> None:
    _, port, _ = shop.gateway("", "--route", f"/other=http://127.0.0.1:{shop.backends[0][1]}")
    assert http.get(port, "/other/a?b").text == "/other/a?b"
    assert http.get(port, "/otherwise").status == 404


def test_requests_in_flight_are_finished_when_the_gateway_is_told_to_end(shop: Shop, http: HTTPClient) -> None:
    for _, port in shop.backends:
        assert http.put(port, "/behave/slow:1/good").status == 204
    process, port, admin = shop.gateway()
    assert http.get(admin, "/readyz").status == 200
    assert http.get(admin, "/healthz").status == 200
    began = time.monotonic()
    got: list[int] = []
    thread = threading.Thread(target=lambda: got.append(http.get(port, "/shop/slow").status))
    thread.start()
    time.sleep(0.4)
    process.kill(signal.SIGTERM)
    thread.join()
    assert got == [200]
    assert process.wait() == -signal.SIGTERM
    assert time.monotonic() - began < 10


def test_a_websocket_passes_a_route(shop: Shop, echoing: int) -> None:
    _, port, _ = shop.gateway("", "--route", f"/ws=http://127.0.0.1:{echoing}")
    with connect(f"ws://127.0.0.1:{port}/ws/chat") as socket:
        socket.send("hello")
        assert socket.recv(10) == "hello"


def test_each_request_is_a_line_of_the_access_log(shop: Shop, http: HTTPClient, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    process, port, admin = shop.gateway("rate_limit = {limits = [{requests = 3, window = 1000}]}\n", "--access-log", str(log))

    def lines() -> list[dict[str, object]]:
        return [json.loads(line) for line in log.read_text().splitlines()]

    answers = [http.get(port, path).status for path in ("/shop/a?b=c", "/shop/b", "/shop/c", "/shop/d", "/nowhere", "/health")]
    assert answers[:5] == [200, 200, 200, 429, 404]
    wait_until(lambda: len(lines()) == 6)
    found = [(line["path"], line["status"], line.get("route"), line.get("reason", "complete")) for line in lines()]
    assert found[:4] == [
        ("/shop/a", 200, "/shop", "complete"),
        ("/shop/b", 200, "/shop", "complete"),
        ("/shop/c", 200, "/shop", "complete"),
        ("/shop/d", 429, "/shop", "too_many_requests"),
    ]
    assert found[4][:3] == ("/nowhere", 404, None)
    assert lines()[0]["server"] in [f"127.0.0.1:{backend}" for _, backend in shop.backends]
    assert "scalelab_access_log_dropped_total 0.0" in http.get(admin, "/metrics").text
    log.rename(tmp_path / "old.log")
    process.kill(signal.SIGUSR1)
    wait_until(log.exists)
    http.get(port, "/health")
    process.stop()
    assert [line["path"] for line in lines()] == ["/health"]
    assert len((tmp_path / "old.log").read_text().splitlines()) == 6


def test_the_access_log_can_be_in_the_common_log_format_and_without_it_its_signal_ends_nobody(
    shop: Shop, http: HTTPClient, tmp_path: Path
) -> None:
    log = tmp_path / "access.log"
    process, port, _ = shop.gateway("", "--access-log", str(log), "--access-log-format", "common")
    http.get(port, "/shop/a")
    process.stop()
    assert re.fullmatch(r'127\.0\.0\.1 - - \[.*\] "GET /shop/a HTTP/1\.1" 200 [0-9]+\n', log.read_text())
    process, port, _ = shop.gateway()
    process.kill(signal.SIGUSR1)
    assert http.get(port, "/shop/a").status == 200


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ('prefix = "shop"\nurl = "http://h:1"\n', "'shop' is not a path"),
        ('prefix = "/a"\n', "needs servers"),
        ('prefix = "/a"\nurl = "http://h:1"\nsrip_prefix = true\n', "unknown field"),
        ('prefix = "/a"\nservers = ["file:/nowhere/x"]\n', "/nowhere/x"),
        ('prefix = "/a"\nurl = "http://h:1"\n[gateway.routes.upstream]\nalgorithm = "best"\n', "there is no 'best'"),
        ('prefix = "/a"\nurl = "http://h:1"\n[gateway.routes.health]\ninterval = 0\n', ">= 0.05"),
    ],
)
def test_a_bad_route_is_one_line_from_check_config(start: Start, tmp_path: Path, table: str, why: str) -> None:
    file = tmp_path / "lab.toml"
    file.write_text("[[gateway.routes]]\n" + table)
    process = start("scalelab-gateway", "--config", str(file), "--check-config", listen=None)
    assert process.wait() == 1
    (line,) = process.stderr.strip().splitlines()
    assert why in line
    assert "[gateway] routes" in line


def test_check_config_prints_routes_that_it_reads_again(start: Start, tmp_path: Path) -> None:
    file = tmp_path / "lab.toml"
    file.write_text('[[gateway.routes]]\nprefix = "/a"\nservers = ["h:1,weight=2"]\n')
    first = start("scalelab-gateway", "--config", str(file), "--check-config", listen=None)
    assert first.wait() == 0
    file.write_text(first.stdout)
    second = start("scalelab-gateway", "--config", str(file), "--check-config", listen=None)
    assert second.wait() == 0
    assert json.dumps(second.stdout) == json.dumps(first.stdout)


def test_a_composed_route_that_asks_for_no_token_has_no_part_that_does(start: Start, tmp_path: Path, http: HTTPClient) -> None:
    secret = tmp_path / "secret"
    secret.write_text("0123456789abcdef0123456789abcdef\n")
    parts = '[{name = "data", target = "/data"}, {name = "health", target = "/health", required = false}]'
    compose = '[gateway.routes.compose]\npath = "{path}"\nparts = ' + parts + "\n"
    file = tmp_path / "lab.toml"
    file.write_text(
        '[[gateway.routes]]\nprefix = "/open"\n'
        + compose.replace("{path}", "/open")
        + '[[gateway.routes]]\nprefix = "/closed"\njwt = {}\n'
        + compose.replace("{path}", "/closed")
    )
    database = start("scalelab-database", "--store", f"sqlite:{tmp_path}/db.sqlite3")
    behind = ("--database", f"http://127.0.0.1:{database.wait_listening()}", "--cache", "memory:")
    gateway = start("scalelab-gateway", "--config", str(file), "--jwt-secret-file", str(secret), *behind)
    port = gateway.wait_listening()
    good = {"Authorization": "Bearer " + jwt.encode({"sub": "ann"}, "0123456789abcdef0123456789abcdef", algorithm="HS256")}
    assert http.get(port, "/data", headers=good).status == 200  # now it is near
    assert http.get(port, "/open").status == 401
    assert http.get(port, "/open", headers=good).status == 401
    assert http.get(port, "/closed").status == 401
    composed = http.get(port, "/closed", headers=good)
    assert (composed.status, composed.headers["x-scalelab-completed"]) == (200, "true")
    assert composed.json()["data"] == "Fetched fresh data from DB"


def test_a_key_for_a_composed_route_does_not_open_a_part_that_asks_for_another(shop: Shop, http: HTTPClient, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_text(name.ljust(40, "x"))
    for _, port in shop.backends:
        http.put(port, "/behave/status:200/good")
    server = f'url = "http://127.0.0.1:{shop.backends[0][1]}"\n'
    compose = '[gateway.routes.compose]\npath = "/{name}"\nparts = [{{name = "inner", target = "/inner/a", group = "inner"}}]\n'
    tables = [f'[[gateway.routes]]\nprefix = "/inner"\n{server}jwt = {{secret_file = "{tmp_path}/one"}}\n']
    for name, secret in (("good", "one"), ("bad", "two")):
        tables.append(
            f'[[gateway.routes]]\nprefix = "/{name}"\njwt = {{secret_file = "{tmp_path}/{secret}"}}\n' + compose.format(name=name)
        )
    _, front, _ = shop.gateway("".join(tables))

    def asked(path: str, secret: str) -> int:
        token = jwt.encode({"sub": "ann"}, secret.ljust(40, "x"), algorithm="HS256")
        return http.get(front, path, headers={"Authorization": f"Bearer {token}"}).status

    assert [asked("/inner/a", "one"), asked("/inner/a", "two")] == [200, 401]
    assert [asked("/good", "one"), asked("/good", "two")] == [200, 401]
    assert [asked("/bad", "one"), asked("/bad", "two")] == [401, 403]


def test_the_servers_of_a_route_may_be_found_in_a_file_that_changes(shop: Shop, http: HTTPClient, tmp_path: Path) -> None:
    file = tmp_path / "servers"
    file.write_text(f"127.0.0.1:{shop.backends[0][1]}\n")
    _, port, admin = shop.gateway(f'[[gateway.routes]]\nprefix = "/found"\nservers = ["file:{file}"]\n')

    def names() -> list[str]:
        routes = {route["prefix"]: route for route in http.get(admin, "/routes").json()["routes"]}
        return [server["name"] for server in routes["/found"]["servers"]]

    assert http.get(port, "/found/a").text == "/found/a"
    assert names() == [f"127.0.0.1:{shop.backends[0][1]}"]
    file.write_text(f"127.0.0.1:{shop.backends[1][1]}\n")
    wait_until(lambda: names() == [f"127.0.0.1:{shop.backends[1][1]}"])
    # a server that is found while others serve takes traffic once its first check has passed
    wait_until(lambda: http.get(port, "/found/b").text == "/found/b")


def test_a_server_that_speaks_tls_is_believed_by_the_authorities_of_its_route_only(start: Start, http: HTTPClient, tmp_path: Path) -> None:
    server = secured_server(tmp_path, "127.0.0.1")
    try:
        ca = AUTHORITY.write_own(tmp_path / "ca.pem")
        file = tmp_path / "lab.toml"
        tables = [f'[[gateway.routes]]\nprefix = "/{name}"\nservers = ["127.0.0.1:{server.port},tls"]\n' for name in ("good", "bad")]
        file.write_text(tables[0] + f'[gateway.routes.upstream]\nca = "{ca}"\n' + tables[1])
        port = start("scalelab-gateway", "--config", str(file), "--cache", "memory:").wait_listening()
        assert http.get(port, "/good").status == 200
        assert http.get(port, "/bad").status in (502, 503)
    finally:
        server.close()
