"""A small blocking HTTP client for tests that talk to real processes. Never for servers that run in the test's own reactor."""

import http.client
import json as jsonlib
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Answer:
    """A complete answer. ``headers`` has lower-case names, repeated fields joined with a comma."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON, whatever its content type."""
        return jsonlib.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


class HTTPClient:
    """One connection a request; every wait ends after ``timeout_s``. Broken answers raise ``http.client.HTTPException`` or ``OSError``."""

    def __init__(self, *, timeout_s: float = 10.0) -> None:
        self._timeout_s = timeout_s

    def request(
        self,
        method: str,
        url: str | int,
        path: str = "",
        *,
        json: Any = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send ``method`` to ``url`` (or to a port of 127.0.0.1), with ``json`` or ``body``; the whole answer."""
        parts = urlsplit(f"http://127.0.0.1:{url}{path}" if isinstance(url, int) else url + path)
        fields = dict(headers or {})
        if json is not None:
            body = jsonlib.dumps(json).encode()
            fields.setdefault("Content-Type", "application/json")
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=self._timeout_s)
        try:
            connection.request(method, (parts.path or "/") + (f"?{parts.query}" if parts.query else ""), body, fields)
            answer = connection.getresponse()
            joined: dict[str, str] = {}
            for name, value in answer.getheaders():
                name = name.lower()
                joined[name] = f"{joined[name]}, {value}" if name in joined else value
            return Answer(answer.status, joined, answer.read())
        finally:
            connection.close()

    def get(self, url: str | int, path: str = "", **more: Any) -> Answer:
        return self.request("GET", url, path, **more)

    def post(self, url: str | int, path: str = "", **more: Any) -> Answer:
        return self.request("POST", url, path, **more)

    def put(self, url: str | int, path: str = "", **more: Any) -> Answer:
        return self.request("PUT", url, path, **more)

    def delete(self, url: str | int, path: str = "", **more: Any) -> Answer:
        return self.request("DELETE", url, path, **more)

    def raw(self, port: int, sent: bytes) -> bytes:
        """Send bytes as they are to a port of 127.0.0.1; everything that comes back until the server closes."""
        with socket.create_connection(("127.0.0.1", port), self._timeout_s) as connection:
            connection.sendall(sent)
            received = b""
            while chunk := connection.recv(65536):
                received += chunk
            return received
