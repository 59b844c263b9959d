"""What the gateway's HTTP cache makes of an origin's bytes, to the letter: framing that contradicts itself, trailers, missing dates."""

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scalability.testing.processes import Process
from tests.integration.test_http_cache import Gateway

Start = Callable[..., Process]

BOTH = (
    b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 8\r\n\r\nsmuggled"
)
TRAILERS = (
    b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTrailer: ETag, X-Late\r\nTransfer-Encoding: chunked\r\n\r\n"
    b'5\r\nhello\r\n0\r\nETag: "late"\r\nX-Late: 1\r\nCache-Control: max-age=999\r\n\r\n'
)
UNDATED = b"HTTP/1.1 200 OK\r\nCache-Control: %b\r\nX-Unheard-Of: 1\r\nContent-Length: 5\r\n\r\nhello"
ANSWERS = {
    b"/shop/both": BOTH,
    b"/shop/trailers": TRAILERS,
    b"/shop/kept": UNDATED % b"max-age=60",
    b"/shop/passed": UNDATED % b"no-store",
    b"/shop/fine": b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine",
}


class RawOrigin:
    """Answers each path with the same bytes, and keeps the paths that came on each connection."""

    def __init__(self) -> None:
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.listening.getsockname()[1])
        self.connections: list[list[bytes]] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self.listening.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.listening.accept()
            except OSError:
                return
            asked: list[bytes] = []
            self.connections.append(asked)
            threading.Thread(target=self._serve, args=(client, asked), daemon=True).start()

    def _serve(self, client: socket.socket, asked: list[bytes]) -> None:
        received = b""
        with client:
            while data := client.recv(65536):
                received += data
                while b"\r\n\r\n" in received:
                    head, _, received = received.partition(b"\r\n\r\n")
                    path = head.split(b" ")[1]
                    asked.append(path)
                    client.sendall(ANSWERS[path])


@pytest.fixture
def origin() -> Iterator[RawOrigin]:
    server = RawOrigin()
    yield server
    server.close()


@pytest.fixture
def gateway(start: Start, origin: RawOrigin, tmp_path: Path) -> Gateway:
    return Gateway(start, origin.port, tmp_path)


def test_an_answer_with_content_length_and_transfer_encoding_ends_its_connection(gateway: Gateway, origin: RawOrigin) -> None:
    """RFC 9112 section 6.3: chunked overrides Content-Length, and what follows may be smuggled."""
    for number in range(2):
        answer = gateway.get("/shop/both")
        assert answer.body == b"hello"
        assert answer.headers.get("content-length", "5") == "5"
        assert ("; hit" in answer.headers["cache-status"]) is bool(number)
    for _ in range(3):
        assert gateway.get("/shop/fine").body == b"fine"
    asked = [paths for paths in origin.connections if b"/shop/both" in paths]
    assert asked == [[b"/shop/both"]], "nothing else was asked on that connection"


def test_rfc9111_3_1_trailers_are_not_combined_with_header_fields(gateway: Gateway) -> None:
    """Caches MUST NOT combine trailer fields with header fields."""
    for found in ("; stored", "; hit"):
        answer = gateway.get("/shop/trailers", TE="trailers", Connection="TE")
        assert answer.body == b"hello"
        assert found in answer.headers["cache-status"]
        assert answer.headers["cache-control"] == "max-age=60"
        assert not {"etag", "x-late"} & set(answer.headers)


def test_rfc9110_6_6_1_a_date_is_appended_to_what_is_forwarded_too(gateway: Gateway) -> None:
    """A recipient with a clock MUST record the time and append a Date to a message without, if it is cached or forwarded downstream."""
    for path in ("/shop/kept", "/shop/passed"):
        for _ in range(2):
            answer = gateway.get(path)
            assert answer.headers["date"].endswith(" GMT")
            assert answer.headers["x-unheard-of"] == "1"
