"""Tunnels through a real balancer: a WebSocket library at both ends, and raw sockets."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.http11 import Request, Response
from websockets.sync.client import connect
from websockets.sync.server import Server, ServerConnection, serve

from scalability.testing.client import HTTPClient
from scalability.testing.processes import Process

Start = Callable[..., Process]

TIMEOUT_S = 20.0
UPGRADE = b"GET /raw HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


@contextmanager
def running(server: Server) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.socket.getsockname()[1]
    finally:
        server.shutdown()
        thread.join(5)


def echo(connection: ServerConnection) -> None:
    with suppress(ConnectionClosed):
        for message in connection:
            connection.send(message)


def process_request(connection: ServerConnection, request: Request) -> Response | None:
    if request.path == "/health":
        return connection.respond(200, "fine")
    if request.path == "/closed":
        return connection.respond(403, "no")
    return None


@pytest.fixture
def echoing() -> Iterator[int]:
    """A WebSocket server that sends back what it gets."""
    with running(serve(echo, "127.0.0.1", 0, process_request=process_request, max_size=1 << 26)) as port:
        yield port


class RawServer:
    """A server of one raw connection, which ``accept`` answers; checks are answered 200."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(TIMEOUT_S)
        self.port: int = self._listener.getsockname()[1]

    def accept(self) -> tuple[socket.socket, bytes]:
        """The next connection that is no health check, and the head of its request."""
        while True:
            connection, _ = self._listener.accept()
            connection.settimeout(TIMEOUT_S)
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                octet = connection.recv(1)
                if not octet:
                    break
                head += octet
            if head and not head.startswith(b"GET /health "):
                return connection, head
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    def close(self) -> None:
        self._listener.close()


def exactly(connection: socket.socket, count: int) -> bytes:
    got = bytearray()
    while len(got) < count:
        data = connection.recv(min(65536, count - len(got)))
        assert data, bytes(got)
        got += data
    return bytes(got)


def head_of(connection: socket.socket) -> bytes:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        octet = connection.recv(1)
        assert octet, head
        head += octet
    return head


def test_websockets_pass_with_large_messages_pings_and_close_codes(start: Start, http: HTTPClient, echoing: int, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    balancer = start("scalelab-lb", f"--backend=127.0.0.1:{echoing}", "--admin=127.0.0.1:0", f"--access-log={log}")
    port, admin = balancer.wait_listening(), balancer.wait_admin()
    with connect(f"ws://127.0.0.1:{port}/chat", open_timeout=TIMEOUT_S, max_size=1 << 26, compression=None) as client:
        for message in ("hello", b"\x00\xff", "x" * 1_000_000, b"y" * 5_000_000, ""):
            client.send(message)
            assert client.recv(timeout=TIMEOUT_S) == message
        assert client.ping().wait(TIMEOUT_S)
        metrics = http.get(admin, "/metrics").text
        assert "scalelab_lb_open_tunnels 1.0" in metrics
        assert 'scalelab_lb_tunnels_total{protocol="websocket"} 1.0' in metrics
    deadline = time.monotonic() + TIMEOUT_S
    while "scalelab_lb_open_tunnels 0.0" not in http.get(admin, "/metrics").text:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    balancer.stop()
    (line,) = [json.loads(line) for line in log.read_text().splitlines() if "101" in line]
    assert (line["status"], line["path"], line["server"]) == (101, "/chat", f"127.0.0.1:{echoing}")
    assert min(line["bytes"], line["received_bytes"]) > 6_000_000
    assert line["duration_s"] > line["first_byte_s"] > 0
    assert "reason" not in line


def test_a_refused_websocket_gets_the_server_s_answer(start: Start, echoing: int) -> None:
    port = start("scalelab-lb", f"--backend=127.0.0.1:{echoing}").wait_listening()
    with pytest.raises(InvalidStatus) as refused:
        connect(f"ws://127.0.0.1:{port}/closed", open_timeout=TIMEOUT_S)
    assert refused.value.response.status_code == 403


def test_fifty_websockets_at_once_do_not_mix(start: Start, echoing: int) -> None:
    port = start("scalelab-lb", f"--backend=127.0.0.1:{echoing}").wait_listening()
    wrong: list[str] = []

    def talk(number: int) -> None:
        try:
            with connect(f"ws://127.0.0.1:{port}/", open_timeout=TIMEOUT_S) as client:
                for turn in range(10):
                    client.send(f"{number} {turn}")
                    answer = client.recv(timeout=TIMEOUT_S)
                    if answer != f"{number} {turn}":
                        wrong.append(f"{number} {turn}: {answer!r}")
        except Exception as error:
            wrong.append(f"{number}: {error!r}")

    threads = [threading.Thread(target=talk, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []


def test_without_the_protocol_enabled_upgrade_is_not_passed(start: Start) -> None:
    with closing(RawServer()) as server:
        port = start("scalelab-lb", f"--backend=127.0.0.1:{server.port}", "--upgrade=none").wait_listening()
        with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S) as client:
            client.sendall(UPGRADE)
            connection, head = server.accept()
            assert b"pgrade" not in head
            with connection:
                connection.sendall(SWITCH)
                assert head_of(client).startswith(b"HTTP/1.1 502 ")


def test_rule_43_half_closes_pass_and_a_stalled_reader_holds_the_writer_back(start: Start) -> None:
    with closing(RawServer()) as server:
        port = start("scalelab-lb", f"--backend=127.0.0.1:{server.port}").wait_listening()
        with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S) as client:
            client.sendall(UPGRADE)
            connection, _ = server.accept()
            with connection:
                connection.sendall(SWITCH + b"early")
                assert head_of(client).startswith(b"HTTP/1.1 101 ")
                assert exactly(client, 5) == b"early"
                total = 64 << 20
                sent = 0
                client.settimeout(1.0)
                with suppress(TimeoutError):
                    while sent < total:
                        sent += client.send(bytes(1 << 20))
                assert sent < 32 << 20, "what is not in the kernel's buffers waits at the client"
                client.settimeout(TIMEOUT_S)
                reading = threading.Thread(target=exactly, args=(connection, sent))
                reading.start()
                reading.join(TIMEOUT_S)
                assert not reading.is_alive()
                client.shutdown(socket.SHUT_WR)
                assert connection.recv(1) == b"", "the FIN has come through"
                connection.sendall(b"after the FIN")
                connection.shutdown(socket.SHUT_WR)
                assert exactly(client, 13) == b"after the FIN"
                assert client.recv(1) == b""


def test_an_idle_tunnel_is_closed(start: Start) -> None:
    with closing(RawServer()) as server:
        port = start("scalelab-lb", f"--backend=127.0.0.1:{server.port}", "--tunnel-timeout=1").wait_listening()
        with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S) as client:
            client.sendall(UPGRADE)
            connection, _ = server.accept()
            with connection:
                connection.sendall(SWITCH)
                head_of(client)
                began = time.monotonic()
                assert client.recv(1) == b""
                assert 0.7 < time.monotonic() - began < 10


def test_sigterm_gives_tunnels_their_grace(start: Start) -> None:
    with closing(RawServer()) as server:
        balancer = start("scalelab-lb", f"--backend=127.0.0.1:{server.port}", "--grace=1.5")
        port = balancer.wait_listening()
        with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S) as client:
            client.sendall(UPGRADE)
            connection, _ = server.accept()
            with connection:
                connection.sendall(SWITCH)
                head_of(client)
                balancer.kill()
                time.sleep(0.5)
                client.sendall(b"still here")
                assert exactly(connection, 10) == b"still here"
                with suppress(ConnectionResetError):
                    assert client.recv(1) == b""
        assert balancer.wait(timeout_s=10) in (0, -15)
        assert "Traceback" not in balancer.output


def test_server_sent_events_pass_one_by_one(start: Start) -> None:
    """Each event arrives before the next one is sent."""
    with closing(RawServer()) as server:
        port = start("scalelab-lb", f"--backend=127.0.0.1:{server.port}").wait_listening()
        with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S) as client:
            client.sendall(b"GET /events HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n")
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
                assert b"Transfer-Encoding: chunked\r\n" in head_of(client), "its end is that of its connection: rule 18"
                for number in range(5):
                    event = b"data: %d\n\n" % number
                    connection.sendall(event)
                    assert exactly(client, len(event) + 5) == b"%x\r\n%b\r\n" % (len(event), event)
            assert exactly(client, 5) == b"0\r\n\r\n"


def test_rule_36_early_hints_pass_at_once_to_1_1_clients_only(start: Start) -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"
    with closing(RawServer()) as server:
        port = start("scalelab-lb", f"--backend=127.0.0.1:{server.port}").wait_listening()
        for version in (b"1.1", b"1.0"):
            with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S) as client:
                client.sendall(b"GET / HTTP/%s\r\nHost: x\r\n\r\n" % version)
                connection, _ = server.accept()
                with connection:
                    connection.sendall(b"HTTP/1.1 102 Processing\r\n\r\n" + hints)
                    if version == b"1.1":
                        assert head_of(client).startswith(b"HTTP/1.1 102 ")
                        assert b"Link: </style.css>" in head_of(client)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                    assert head_of(client).startswith(b"HTTP/1.1 200 ")


def test_an_http_1_0_server_is_understood(start: Start) -> None:
    with closing(RawServer()) as server:
        port = start("scalelab-lb", f"--backend=127.0.0.1:{server.port}").wait_listening()
        with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S) as client:
            for _ in range(2):
                client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                connection, head = server.accept()
                assert head.startswith(b"GET / HTTP/1.1\r\n")
                with connection:
                    connection.sendall(b"HTTP/1.0 200 OK\r\nServer: old\r\n\r\nold body")
                assert b"Transfer-Encoding: chunked\r\n" in head_of(client)
                assert exactly(client, 18) == b"8\r\nold body\r\n0\r\n\r\n"


def test_rule_38_an_early_refusal_ends_both_connections(start: Start) -> None:
    with closing(RawServer()) as server:
        port = start("scalelab-lb", f"--backend=127.0.0.1:{server.port}").wait_listening()
        with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S) as client:
            client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n" + bytes(100_000))
            connection, _ = server.accept()
            with connection:
                # it would keep its connection, but cannot be asked anything else on it: the body is not complete
                connection.sendall(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno")
                answer = head_of(client)
                assert answer.startswith(b"HTTP/1.1 413 ")
                assert b"Connection: close\r\n" in answer
                assert exactly(client, 2) == b"no"
                assert client.recv(1) == b""
                with suppress(ConnectionResetError):
                    while connection.recv(1 << 20):
                        pass
        with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
                assert head_of(client).startswith(b"HTTP/1.1 200 ")
