"""What routes ask for, in front of a server that remembers everything it was sent: what is refused never gets there."""

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scalability.gateway.access.api_keys import line_for
from scalability.testing.client import Answer, HTTPClient
from scalability.testing.processes import Process
from scalability.testing.signing import SECRET, signed
from scalability.testing.threaded_server import ThreadedServer

KEY = "k" * 40

CONFIG = """
[[gateway.routes]]
prefix = "/secured"
url = "http://127.0.0.1:{port}"
[gateway.routes.api_keys]
file = "api.keys"
parameter = "key"
[gateway.routes.jwt]
secret_file = "secret"
require = ["scope=orders"]

[[gateway.routes]]
prefix = "/small"
url = "http://127.0.0.1:{port}"
max_body = 1000

[[gateway.routes]]
prefix = "/pages"
url = "http://127.0.0.1:{port}"
[gateway.routes.cors]
origins = ["https://app.example"]

[[gateway.routes]]
prefix = "/limited"
url = "http://127.0.0.1:{port}"
[gateway.routes.api_keys]
file = "api.keys"
[gateway.routes.rate_limit]
limits = [{{ requests = 3, window = 60, per = "consumer" }}]
older_fields = "x-ratelimit"

[[gateway.routes]]
prefix = "/cached"
url = "http://127.0.0.1:{port}"
[gateway.routes.api_keys]
file = "api.keys"
"""


class Behind:
    """Reads requests, and answers each; ``cuts`` are bodies that did not come to their end."""

    def __init__(self) -> None:
        self.heads: list[str] = []
        self.cuts = 0
        self.fields = ["Access-Control-Allow-Origin: *", "Access-Control-Allow-Credentials: true"]
        self.server = ThreadedServer(self._serve)

    def _serve(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as stream:
            while head := self._head(stream):
                if head.startswith(("GET /health ", "HEAD ", "OPTIONS * ")):
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                    continue
                self.heads.append(head)
                try:
                    whole = self._skip_body(head, stream)
                except ConnectionResetError:
                    whole = False
                if not whole:
                    self.cuts += 1
                    return
                fields = "".join(f"{field}\r\n" for field in self.fields)
                connection.sendall(f"HTTP/1.1 200 OK\r\n{fields}Content-Length: 2\r\n\r\nok".encode())

    @staticmethod
    def _head(stream: Any) -> str:
        lines = []
        while (line := stream.readline()) not in (b"", b"\r\n"):
            lines.append(line.decode())
        return "".join(lines)

    @staticmethod
    def _skip_body(head: str, stream: Any) -> bool:
        lower = head.lower()
        if "content-length: " in lower:
            length = int(lower.partition("content-length: ")[2].partition("\r\n")[0])
            return len(stream.read(length)) == length
        if "transfer-encoding: chunked" in lower:
            while size := int(stream.readline() or b"-1", 16):
                if size < 0 or len(stream.read(size + 2)) < size + 2:
                    return False
            stream.readline()
        return True

    def field(self, name: str) -> list[str]:
        """Its values in the last request."""
        lines = [line.partition(": ") for line in self.heads[-1].splitlines()]
        return [value for known, _, value in lines if known.lower() == name]


@pytest.fixture
def behind() -> Iterator[Behind]:
    behind = Behind()
    yield behind
    behind.server.close()


@pytest.fixture
def port(start: Callable[..., Process], tmp_path: Path, behind: Behind) -> Iterator[int]:
    (tmp_path / "secret").write_bytes(SECRET)
    (tmp_path / "api.keys").write_text(line_for("app", KEY) + "\n")
    (tmp_path / "lab.toml").write_text(CONFIG.format(port=behind.server.port))
    process = start("scalelab-gateway", "--cache", "memory:", config=str(tmp_path / "lab.toml"), cwd=tmp_path)
    listening = process.wait_listening()
    deadline = time.monotonic() + 10
    while HTTPClient().post(listening, "/small", body=b"x").status != 200:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    behind.heads.clear()
    yield listening
    assert "Traceback" not in process.output
    assert KEY not in process.output


def token(**claims: Any) -> str:
    return signed({"sub": "ann", "exp": int(time.time()) + 600, **claims})


def test_servers_learn_who_asks_and_get_neither_key_nor_token(port: int, behind: Behind, http: HTTPClient) -> None:
    good = {"X-API-Key": KEY, "Authorization": f"Bearer {token(scope='orders read')}"}
    forged = {"X-Consumer": "root", "X-Subject": "root", "X_Consumer": "root", "Connection": "close, X-Consumer, X-Subject"}
    assert http.get(port, "/secured/a?b=1", headers={**good, **forged}).status == 200
    assert behind.heads[-1].startswith("GET /secured/a?b=1 HTTP/1.1\r\n")
    assert (behind.field("x-consumer"), behind.field("x-subject")) == (["app"], ["ann"])
    assert behind.field("authorization") == behind.field("x-api-key") == behind.field("x_consumer") == []

    assert http.get(port, f"/secured/a?key={KEY}&b=1", headers={"Authorization": good["Authorization"]}).status == 200
    assert behind.heads[-1].startswith("GET /secured/a?b=1 HTTP/1.1\r\n")

    seen = len(behind.heads)
    poor = {**good, "Authorization": f"Bearer {token(scope='read')}"}
    for headers, status in (({}, 401), ({"X-API-Key": KEY}, 401), ({**good, "X-API-Key": "wrong"}, 401), (poor, 403)):
        for path in ("/secured", "/secured/a", "/%73ecured/a", "/secured/../secured/a"):
            refused = http.get(port, path, headers=headers)
            assert refused.status == status or (refused.status == 400 and ".." in path)
    assert len(behind.heads) == seen


def test_a_body_that_is_too_large_is_refused_with_and_without_its_length(port: int, behind: Behind, http: HTTPClient) -> None:
    assert http.post(port, "/small", body=b"x" * 1000).status == 200
    seen = len(behind.heads)
    refused = http.post(port, "/small", body=b"x" * 1001)
    assert (refused.status, refused.json()["error"]) == (413, "body_too_large")
    assert len(behind.heads) == seen

    head = b"POST /small HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    assert http.raw(port, head + b"3e8\r\n" + b"x" * 1000 + b"\r\n0\r\n\r\n").startswith(b"HTTP/1.1 200 ")
    seen = len(behind.heads)
    assert http.raw(port, head + b"3e9\r\n" + b"x" * 1001 + b"\r\n0\r\n\r\n").startswith(b"HTTP/1.1 413 ")
    assert len(behind.heads) == seen
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(head + b"200\r\n" + b"x" * 512 + b"\r\n")
        time.sleep(0.3)
        client.sendall(b"200\r\n" + b"x" * 512 + b"\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 413 ")
    deadline = time.monotonic() + 5
    while not behind.cuts:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_gateway_says_which_pages_may_read_whatever_the_server_says(port: int, behind: Behind, http: HTTPClient) -> None:
    def ask(method: str, origin: str | None, **more: str) -> Answer:
        return http.request(method, port, "/pages/a", headers={**({"Origin": origin} if origin else {}), **more})

    preflight = ask("OPTIONS", "https://app.example", **{"Access-Control-Request-Method": "PUT"})
    assert (preflight.status, preflight.headers["access-control-allow-origin"]) == (204, "https://app.example")
    assert behind.heads == []
    known = ask("GET", "https://app.example")
    assert (known.status, known.headers["access-control-allow-origin"], known.headers["vary"]) == (200, "https://app.example", "Origin")
    for origin in ("https://evil.example", None):
        other = ask("GET", origin)
        assert (other.status, other.headers["vary"]) == (200, "Origin")
        assert not [name for name in other.headers if name.startswith("access-control-")]
    assert ask("OPTIONS", None).status == 200
    assert len(behind.heads) == 4


def test_a_consumer_has_so_many_requests_and_no_more_reach_the_server(port: int, behind: Behind, http: HTTPClient) -> None:
    answers = [http.get(port, f"/limited/{n}", headers={"X-API-Key": KEY}) for n in range(6)]
    assert [answer.status for answer in answers] == [200] * 3 + [429] * 3
    assert [answer.headers["x-ratelimit-remaining"] for answer in answers] == ["2", "1", "0", "0", "0", "0"]
    assert all(answer.headers["ratelimit-policy"] == '"default";q=3;w=60' for answer in answers)
    assert answers[-1].headers["retry-after"] in ("19", "20")
    assert len(behind.heads) == 3
    assert [http.get(port, "/limited").status for _ in range(4)] == [401, 401, 401, 429]


@pytest.mark.parametrize("said", ["max-age=60", "public, max-age=60", "s-maxage=60"])
def test_what_is_kept_of_an_answer_is_for_those_who_have_a_key(port: int, behind: Behind, http: HTTPClient, said: str) -> None:
    behind.fields = [f"Cache-Control: {said}", 'ETag: "1"']
    for _ in range(3):
        assert http.get(port, "/cached/a", headers={"X-API-Key": KEY}).status == 200
        assert http.get(port, "/cached/a").status == 401
    if said == "max-age=60":
        # RFC 9111 section 3.5: who asked was known, and nobody has said that the answer is for others too
        assert len(behind.heads) == 3
    else:
        assert len(behind.heads) in (1, 3)
