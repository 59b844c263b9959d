"""Who may ask a gateway, and how often: real processes, an issuer that changes its keys, hangs and dies, many clients at once."""

import json
import os
import signal
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from scalability.gateway.access.api_keys import line_for
from scalability.testing.client import Answer, HTTPClient
from scalability.testing.processes import Process
from scalability.testing.signing import SECRET, ec_key, key_set, member, rsa_key, signed

Start = Callable[..., Process]

PATH = "/process"
"""Behind which nobody is: 503 means that a request has passed."""


class Issuer:
    """Publishes a key set: a web server of the standard library, in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = 0
        self.process: Process | None = None

    def publish(self, *members: Any) -> None:
        (new := self._folder / "new").write_bytes(key_set(*members))
        os.replace(new, self._folder / "keys.json")

    def run(self) -> None:
        command = [sys.executable, "-m", "http.server", str(self.port), "--bind", "127.0.0.1", "--directory", str(self._folder)]
        self.process = Process(command, parent_pipe=False)
        self.port = int(self.process.wait_for(r"port (\d+)")[1])

    def kill(self, sig: int = signal.SIGKILL) -> None:
        assert self.process is not None
        self.process.kill(sig)
        if sig == signal.SIGKILL:
            self.process.wait()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/keys.json"


@pytest.fixture
def issuer(tmp_path: Path) -> Iterator[Issuer]:
    (folder := tmp_path / "published").mkdir()
    issuer = Issuer(folder)
    yield issuer
    if issuer.process is not None:
        issuer.process.kill(signal.SIGCONT)
        issuer.process.close()


def gateway(start: Start, folder: Path, config: str = "", *flags: str) -> tuple[Process, int]:
    """One without anything behind it but a database; its look-aside cache is its own memory."""
    database = start("scalelab-database", cwd=folder).wait_listening()
    (folder / "lab.toml").write_text(config)
    process = start(
        "scalelab-gateway",
        *("--cache", "memory:", "--database", f"http://127.0.0.1:{database}", "--microservice", closed(), *flags),
        config=str(folder / "lab.toml"),
        cwd=folder,
    )
    return process, process.wait_listening()


def closed() -> str:
    """The URL of a port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


def until(what: Callable[[], bool], timeout_s: float = 10.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def token(key: Any, kid: str | None = None, **claims: Any) -> str:
    return signed({"sub": "ann", "exp": int(time.time()) + 600, **claims}, key, kid)


def test_keys_that_an_issuer_changes_are_followed_and_one_that_dies_or_hangs_hurts_nobody_who_has_a_good_token(
    start: Start, http: HTTPClient, tmp_path: Path, issuer: Issuer
) -> None:
    one, two, three = (token(key, kid) for key, kid in ((rsa_key(), "one"), (ec_key(), "two"), (ec_key(1), "three")))
    issuer.publish(member(rsa_key(), kid="one"), {"kty": "unheard of"}, {"kty": "oct", "k": "AAAA", "kid": "two"})
    issuer.run()
    process, port = gateway(start, tmp_path, "", "--jwks-url", issuer.url, "--jwks-timeout", "1", "--jwks-cooldown", "1")

    def ask(text: str) -> Answer:
        return http.get(port, "/data", headers={"Authorization": f"Bearer {text}"})

    assert (ask(one).status, ask(two).status) == (200, 401)
    assert http.get(port, "/data").headers["www-authenticate"] == 'Bearer realm="scalelab"'
    # HS256 with the public key, which everybody has, for a secret
    assert ask(token(b"0123456789abcdef0123456789abcdef", "one")).status == 401

    time.sleep(1.1)
    issuer.publish(member(ec_key(), kid="two"))
    with ThreadPoolExecutor(20) as clients:
        assert Counter(clients.map(lambda _: ask(two).status, range(40))) == {200: 40}
    assert ask(one).status == 401  # its key is gone, however well it was remembered

    issuer.kill(signal.SIGSTOP)
    time.sleep(1.1)
    began = time.monotonic()
    with ThreadPoolExecutor(8) as clients:
        hanging = [clients.submit(ask, three) for _ in range(4)]
        time.sleep(0.3)
        while time.monotonic() < began + 0.9:
            assert ask(two).status == 200
        answers = [waiting.result() for waiting in hanging]
    assert {(answer.status, answer.json()["error"], answer.headers["retry-after"]) for answer in answers} == {(503, "dependency_down", "5")}
    assert 0.8 < time.monotonic() - began < 5
    issuer.kill(signal.SIGCONT)

    issuer.kill()
    time.sleep(1.1)
    assert (ask(three).status, ask(two).status) == (503, 200)
    issuer.publish(member(ec_key(), kid="two"), member(ec_key(1), kid="three"))
    issuer.run()
    until(lambda: ask(three).status == 200)
    assert ask(two).status == 200

    told = http.get(port, "/metrics", headers={"Accept": "text/plain;version=0.0.4"}).text
    assert f'scalelab_jwks_keys{{url="{issuer.url}"}} 2.0' in told
    assert not any(text in process.output for text in (one, two, three, "Traceback"))


def test_an_api_key_opens_as_long_as_it_stands_in_the_file(start: Start, http: HTTPClient, tmp_path: Path) -> None:
    keys = {name: name * 20 for name in ("one", "two")}
    (tmp_path / "api.keys").write_text(line_for("one", keys["one"]) + "\n")
    process, port = gateway(start, tmp_path, '[gateway.api_keys]\nfile = "api.keys"\nparameter = "key"\n')

    def ask(name: str) -> int:
        return http.get(port, "/data", headers={"X-API-Key": keys[name]}).status

    refused = http.get(port, "/data")
    assert (refused.status, refused.headers["www-authenticate"]) == (401, 'ApiKey realm="scalelab", field="X-API-Key"')
    assert (ask("one"), ask("two"), http.get(port, f"/data?key={keys['one']}").status) == (200, 401, 200)
    (tmp_path / "api.keys").write_text("half a li")
    until(lambda: "the API keys stay as they were" in process.output)
    assert ask("one") == 200
    (new := tmp_path / "new").write_text(line_for("two", keys["two"]))
    os.replace(new, tmp_path / "api.keys")
    until(lambda: ask("two") == 200)
    assert ask("one") == 401
    assert not any(key in process.output for key in keys.values())


class Load:
    """Clients that ask as fast as they can, on connections of their own that stay open."""

    def __init__(self, port: int, clients: int) -> None:
        self.statuses: Counter[int] = Counter()
        self.retry_after: set[bytes] = set()
        self._port = port
        self._ends = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def run(self, seconds: float) -> float:
        began = time.monotonic()
        for thread in self._threads:
            thread.start()
        time.sleep(seconds)
        self._ends.set()
        for thread in self._threads:
            thread.join()
        return time.monotonic() - began

    def _ask(self) -> None:
        seen: Counter[int] = Counter()
        waits = set()
        with socket.create_connection(("127.0.0.1", self._port), timeout=10) as connection:
            while not self._ends.is_set():
                connection.sendall(b"GET /data HTTP/1.1\r\nHost: x\r\n\r\n" * 4)
                received = b""
                while received.count(b"\r\n\r\n") < 4 or not received.endswith(b"}"):
                    received += connection.recv(65536)
                for part in received.split(b"HTTP/1.1 ")[1:]:
                    seen[int(part[:3])] += 1
                    assert b"\r\nRateLimit-Policy: " in part
                    if part.startswith(b"429"):
                        waits.add(part.partition(b"Retry-After: ")[2].partition(b"\r\n")[0])
        with self._lock:
            self.statuses += seen
            self.retry_after |= waits


def test_under_load_a_limit_admits_what_it_says_and_no_more(start: Start, http: HTTPClient, tmp_path: Path) -> None:
    process, port = gateway(start, tmp_path, "[gateway.rate_limit]\nlimits = [{ requests = 100, window = 1, burst = 20 }]\n")
    load = Load(port, 8)
    took = load.run(2.0)
    assert set(load.statuses) == {200, 429}
    assert 20 + 100 * 1.5 < load.statuses[200] <= 20 + 100 * took + 1
    assert load.statuses[429] > load.statuses[200]
    assert load.retry_after == {b"1"}
    # what watches a gateway is never told to come again later
    assert {http.get(port, "/health").status for _ in range(50)} == {200}
    assert http.get(port, "/metrics").status == 200
    time.sleep(0.3)
    assert http.get(port, "/data").headers["ratelimit"].startswith('"gateway";r=')
    assert "Traceback" not in process.output


def test_behind_a_trusted_proxy_each_client_has_its_own_quota(start: Start, http: HTTPClient, tmp_path: Path) -> None:
    config = '[gateway]\ntrusted_proxy = ["127.0.0.1"]\n[gateway.rate_limit]\nlimits = [{ requests = 2, window = 60 }]\n'
    _, port = gateway(start, tmp_path, config)

    def ask(client: str) -> int:
        return http.get(port, PATH, headers={"X-Forwarded-For": client}).status

    assert [ask("192.0.2.1") for _ in range(3)] == [503, 503, 429]
    assert [ask("192.0.2.2"), ask("2001:db8::1"), ask("2001:db8::2"), ask("2001:db8::3")] == [503, 503, 503, 429]


def test_a_browser_is_told_what_its_pages_may_do(start: Start, http: HTTPClient, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(SECRET)
    config = '[gateway]\njwt_secret_file = "secret"\n[gateway.cors]\norigins = ["https://app.example"]\ncredentials = true\n'
    _, port = gateway(start, tmp_path, config)
    asked = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    preflight = http.request("OPTIONS", port, "/longtask", headers=asked)
    assert (preflight.status, preflight.body) == (204, b"")
    assert preflight.headers["access-control-allow-origin"] == "https://app.example"
    assert preflight.headers["access-control-allow-credentials"] == "true"
    assert "POST" in preflight.headers["access-control-allow-methods"]
    assert "Authorization" in preflight.headers["access-control-allow-headers"]
    stranger = http.request("OPTIONS", port, "/longtask", headers={**asked, "Origin": "https://evil.example"})
    assert (stranger.status, "access-control-allow-origin" in stranger.headers) == (204, False)

    good = {"Authorization": f"Bearer {token(SECRET)}"}
    for headers, status in ((good, 200), ({}, 401)):
        answer = http.get(port, "/data", headers={**headers, "Origin": "https://app.example"})
        assert (answer.status, answer.headers["access-control-allow-origin"]) == (status, "https://app.example")
        assert "Origin" in answer.headers["vary"]
    for origin in ({}, {"Origin": "https://evil.example"}):
        answer = http.get(port, "/data", headers={**good, **origin})
        assert (answer.status, answer.headers["vary"], "access-control-allow-origin" in answer.headers) == (200, "Origin", False)
    assert json.loads(http.get(port, "/health", headers={"Origin": "https://app.example"}).body)["status"] == "ok"
