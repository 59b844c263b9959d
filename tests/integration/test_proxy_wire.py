"""The balancer's proxy on the wire: a real process, raw sockets as its clients and as the servers behind it."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress

import pytest

from scalability.testing.processes import Process

Start = Callable[..., Process]
Serve = Callable[[socket.socket], None]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
GET = b"GET /a HTTP/1.1\r\nHost: shop\r\n\r\n"
TIMEOUT_S = 20.0


class Backend:
    """A server of raw sockets. ``serve`` runs on a thread for each connection but those of health checks, which are answered 200."""

    def __init__(self, serve: Serve) -> None:
        self._serve = serve
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.connections = 0
        """Those that brought requests."""
        self.errors: list[BaseException] = []
        self._threads: list[threading.Thread] = []
        self._sockets: list[socket.socket] = []
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.settimeout(TIMEOUT_S)
            self._sockets.append(connection)
            thread = threading.Thread(target=self._run, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _run(self, connection: socket.socket) -> None:
        with closing(connection):
            try:
                if connection.recv(11, socket.MSG_PEEK | socket.MSG_WAITALL) == b"GET /health":
                    head(connection)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                    return
                self.connections += 1
                self._serve(connection)
            except (ConnectionError, TimeoutError, EOFError):
                pass  # the balancer's business; the test looks at what its client sees
            except BaseException as error:
                self.errors.append(error)

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._sockets:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in [self._accepting, *self._threads]:
            thread.join(5)
        assert not self.errors, self.errors


def head(connection: socket.socket) -> bytes:
    """Read one message head, no byte more."""
    got = b""
    while not got.endswith(b"\r\n\r\n"):
        octet = connection.recv(1)
        if not octet:
            raise EOFError(got)
        got += octet
    return got


def exactly(connection: socket.socket, count: int) -> bytes:
    got = bytearray()
    while len(got) < count:
        data = connection.recv(min(65536, count - len(got)))
        if not data:
            raise EOFError(bytes(got))
        got += data
    return bytes(got)


def everything(connection: socket.socket) -> bytes:
    """Read until the end; a reset counts as the end too."""
    got = bytearray()
    with suppress(ConnectionResetError):
        while data := connection.recv(65536):
            got += data
    return bytes(got)


def always(answer: bytes) -> Serve:
    def serve(connection: socket.socket) -> None:
        while True:
            head(connection)
            connection.sendall(answer)

    return serve


def once(answer: bytes) -> Serve:
    def serve(connection: socket.socket) -> None:
        head(connection)
        connection.sendall(answer)

    return serve


class Lab:
    """Backends and balancers of one test."""

    def __init__(self, start: Start) -> None:
        self._start = start
        self.backends: list[Backend] = []
        self.balancer: Process | None = None

    def backend(self, serve: Serve) -> Backend:
        backend = Backend(serve)
        self.backends.append(backend)
        return backend

    def balance(self, *backends: Backend | int, args: tuple[str, ...] = ()) -> int:
        """Start a balancer in front of ``backends``; its port."""
        named = [f"--backend=127.0.0.1:{backend if isinstance(backend, int) else backend.port}" for backend in backends]
        self.balancer = self._start("scalelab-lb", *named, *args)
        return self.balancer.wait_listening()

    def front(self, serve: Serve) -> int:
        return self.balance(self.backend(serve))

    @property
    def memory_bytes(self) -> int:
        assert self.balancer is not None
        with open(f"/proc/{self.balancer.pid}/statm") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture
def lab(start: Start) -> Iterator[Lab]:
    made = Lab(start)
    yield made
    for backend in made.backends:
        backend.close()


@contextmanager
def client(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S) as connection:
        yield connection


def ask(port: int, request: bytes = GET) -> bytes:
    """One request on a connection of its own; everything that comes back."""
    with client(port) as connection:
        connection.sendall(request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))
        return everything(connection)


def test_a_large_upload_streams_through_without_being_buffered(lab: Lab) -> None:
    size = 64 << 20
    first_bytes = threading.Event()

    def serve(connection: socket.socket) -> None:
        assert b"Content-Length: %d\r\n" % size in head(connection)
        exactly(connection, 1000)
        first_bytes.set()
        exactly(connection, size - 1000)
        connection.sendall(OK)

    port = lab.front(serve)
    ask_small = lab.memory_bytes
    with client(port) as connection:
        connection.sendall(b"PUT /up HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size)
        connection.sendall(bytes(1000))
        assert first_bytes.wait(TIMEOUT_S), "the server sees the body before it is complete"
        peak = 0
        chunk = bytes(1 << 20)
        left = size - 1000
        while left:
            sent = connection.send(chunk[: min(left, len(chunk))])
            left -= sent
            peak = max(peak, lab.memory_bytes)
        assert head(connection).startswith(b"HTTP/1.1 200 ")
    assert peak - ask_small < 8 << 20


def test_a_large_download_streams_through_and_a_slow_reader_holds_the_server_back(lab: Lab) -> None:
    size = 64 << 20
    sent = 0

    def serve(connection: socket.socket) -> None:
        nonlocal sent
        head(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        chunk = bytes(1 << 16)
        while sent < size:
            sent += connection.send(chunk[: size - sent])

    port = lab.front(serve)
    before = lab.memory_bytes
    with client(port) as connection:
        connection.sendall(GET)
        head(connection)
        exactly(connection, 1 << 16)
        held_at = -1
        while held_at != sent:
            held_at = sent
            time.sleep(0.3)
        assert sent < 24 << 20, "what is not in the kernel's buffers waits at the server"
        assert lab.memory_bytes - before < 8 << 20
        exactly(connection, size - (1 << 16))
    assert lab.memory_bytes - before < 8 << 20


def test_a_slow_server_holds_a_fast_uploader_back(lab: Lab) -> None:
    size = 64 << 20
    go_on = threading.Event()

    def serve(connection: socket.socket) -> None:
        head(connection)
        assert go_on.wait(TIMEOUT_S)
        exactly(connection, size)
        connection.sendall(OK)

    port = lab.front(serve)
    before = lab.memory_bytes
    with client(port) as connection:
        connection.sendall(b"PUT /up HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size)
        connection.settimeout(0.5)
        sent = 0
        chunk = bytes(1 << 20)

        def send_all() -> None:
            nonlocal sent
            while sent < size:
                sent += connection.send(chunk[: size - sent])

        with pytest.raises(TimeoutError):
            send_all()
        assert sent < 32 << 20
        assert lab.memory_bytes - before < 8 << 20
        go_on.set()
        connection.settimeout(TIMEOUT_S)
        send_all()
        assert head(connection).startswith(b"HTTP/1.1 200 ")


def test_an_upload_that_trickles_in_arrives_as_it_comes(lab: Lab) -> None:
    seen: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        head(connection)
        while len(seen) < 5:
            seen.append(exactly(connection, 2))
        connection.sendall(OK)

    port = lab.front(serve)
    with client(port) as connection:
        connection.sendall(b"POST /up HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n")
        for number in range(5):
            connection.sendall(b"%d%d" % (number, number))
            deadline = time.monotonic() + TIMEOUT_S
            while len(seen) <= number:
                assert time.monotonic() < deadline
                time.sleep(0.01)
        assert head(connection).startswith(b"HTTP/1.1 200 ")


def test_chunked_bodies_pass_in_both_directions(lab: Lab) -> None:
    def serve(connection: socket.socket) -> None:
        request = head(connection)
        if request.startswith(b"HEAD "):
            connection.sendall(OK[:-2])
            return
        assert b"Transfer-Encoding: chunked\r\n" in request
        body = b""
        while not body.endswith(b"0\r\n\r\n"):
            body += connection.recv(65536)
        payload = body.replace(b"\r\n", b"").replace(b"3abc2de0", b"abcde")
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for octet in payload:
            connection.sendall(b"1\r\n%c\r\n" % octet)
        connection.sendall(b"0\r\nSum: 5\r\n\r\n")

    port = lab.front(serve)
    with client(port) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        time.sleep(0.05)
        connection.sendall(b"2\r\nde\r\n0\r\n\r\n")
        assert b"Transfer-Encoding: chunked\r\n" in head(connection)
        body = b""
        while not body.endswith(b"Sum: 5\r\n\r\n"):
            body += connection.recv(65536)
        payload = body.removesuffix(b"0\r\nSum: 5\r\n\r\n")
        assert payload.translate(None, b"\r\n0123456789") == b"abcde"
        connection.sendall(GET.replace(b"GET", b"HEAD"))
        assert head(connection).startswith(b"HTTP/1.1 200 "), "the framing was clean, so the connection goes on"


def test_pipelined_requests_are_answered_in_order_on_one_connection(lab: Lab) -> None:
    def serve(connection: socket.socket) -> None:
        while True:
            target = head(connection).split(b" ")[1]
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(target), target))

    port = lab.front(serve)
    with client(port) as connection:
        connection.sendall(b"".join(GET.replace(b"/a", b"/%03d" % n) for n in range(100)))
        bodies = [head(connection) and exactly(connection, 4) for _ in range(100)]
    assert bodies == [b"/%03d" % n for n in range(100)]
    assert lab.backends[0].connections == 1


def test_head_204_and_304_have_no_body_and_the_connections_go_on(lab: Lab) -> None:
    answers = {
        b"HEAD": b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n",
        b"DELETE": b"HTTP/1.1 204 No Content\r\n\r\n",
        b"OPTIONS": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n",
        b"GET": OK,
    }

    def serve(connection: socket.socket) -> None:
        while True:
            connection.sendall(answers[head(connection).split(b" ")[0]])

    port = lab.front(serve)
    with client(port) as connection:
        for method in answers:
            connection.sendall(GET.replace(b"GET", method))
            got = head(connection)
            if method == b"HEAD":
                assert b"Content-Length: 500\r\n" in got
        assert exactly(connection, 2) == b"hi"
    assert lab.backends[0].connections == 1


@pytest.mark.parametrize(
    "part",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ],
    ids=["length", "chunked"],
)
def test_an_answer_that_breaks_off_is_seen_as_broken(lab: Lab, part: bytes) -> None:
    port = lab.front(once(part))
    with client(port) as connection:
        connection.sendall(GET)
        got = head(connection)
        body = b""
        broken = False
        try:
            while data := connection.recv(65536):
                body += data
        except ConnectionResetError:
            broken = True
        assert broken or b"Content-Length: 100" in got
        assert not body.endswith(b"0\r\n\r\n")


def test_a_server_that_closes_before_it_answers_is_replaced_for_get_and_502_for_post(lab: Lab) -> None:
    dead = lab.backend(once(b""))
    alive = lab.backend(always(OK))
    port = lab.balance(dead, alive, args=("--eject-failures=0", "--breaker-percent=0"))
    for _ in range(4):
        assert ask(port).endswith(b"hi")
    assert dead.connections >= 1
    answers = [ask(port, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n") for _ in range(4)]
    refused = [answer for answer in answers if b" 502 " in answer.partition(b"\r\n")[0]]
    assert len(refused) == 2
    assert b'"error":"no_answer"' in refused[0]


def test_a_refused_connection_is_tried_elsewhere_and_502_or_503_with_nobody_left(lab: Lab) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = taken.getsockname()[1]
    alive = lab.backend(always(OK))
    port = lab.balance(nobody, alive)
    for _ in range(6):
        assert ask(port, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").endswith(b"hi")
    alone = lab.balance(nobody)
    answer = ask(alone)
    assert answer.partition(b"\r\n")[0] in (b"HTTP/1.1 502 Bad Gateway", b"HTTP/1.1 503 Service Unavailable")
    assert b'{"error":"' in answer
    assert str(nobody).encode() not in answer


def test_a_client_that_leaves_in_the_middle_of_its_body_ends_the_request_at_the_server(lab: Lab) -> None:
    ended = threading.Event()

    def serve(connection: socket.socket) -> None:
        head(connection)
        try:
            everything(connection)
        finally:
            ended.set()

    port = lab.front(serve)
    with client(port) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf")
    assert ended.wait(TIMEOUT_S)


def test_a_client_that_resets_in_the_middle_of_the_answer_ends_it_at_the_server(lab: Lab) -> None:
    ended = threading.Event()

    def serve(connection: socket.socket) -> None:
        head(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        try:
            while True:
                connection.sendall(bytes(65536))
        finally:
            ended.set()

    port = lab.front(serve)
    with client(port) as connection:
        connection.sendall(GET)
        exactly(connection, 100_000)
    assert ended.wait(TIMEOUT_S)


def test_expect_100_continue_works_end_to_end(lab: Lab) -> None:
    def serve(connection: socket.socket) -> None:
        assert b"Expect: 100-continue\r\n" in head(connection)
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert exactly(connection, 4) == b"body"
        connection.sendall(OK)

    port = lab.front(serve)
    with client(port) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
        assert head(connection).startswith(b"HTTP/1.1 100 Continue\r\n")
        connection.sendall(b"body")
        assert head(connection).startswith(b"HTTP/1.1 200 ")


def test_an_early_refusal_reaches_a_client_that_is_still_uploading(lab: Lab) -> None:
    def serve(connection: socket.socket) -> None:
        head(connection)
        exactly(connection, 1000)
        connection.sendall(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")

    port = lab.front(serve)
    for _ in range(5):
        with client(port) as connection:
            connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 20000000\r\n\r\n")
            with suppress(ConnectionError):
                for _ in range(20):
                    connection.sendall(bytes(1_000_000))
            got = everything(connection)
            assert got.startswith(b"HTTP/1.1 413 "), got[:100]


def test_http_1_0_clients_are_served(lab: Lab) -> None:
    port = lab.front(always(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"))
    with client(port) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        got = everything(connection)
    assert got.endswith(b"\r\n\r\nhi")
    assert b"Transfer-Encoding" not in got


def test_a_half_close_after_the_request_still_gets_the_answer(lab: Lab) -> None:
    def serve(connection: socket.socket) -> None:
        head(connection)
        time.sleep(0.2)
        connection.sendall(OK)

    port = lab.front(serve)
    with client(port) as connection:
        connection.sendall(GET)
        connection.shutdown(socket.SHUT_WR)
        assert everything(connection).endswith(b"hi")


def test_what_is_no_request_is_refused_with_json(lab: Lab) -> None:
    port = lab.front(always(OK))
    with client(port) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
        got = everything(connection)
    assert got.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b'{"error":"bad_request","message":"' in got
    assert lab.backends[0].connections == 0


def test_kept_connections_that_the_server_closes_cost_no_request(lab: Lab) -> None:
    def serve(connection: socket.socket) -> None:
        for _ in range(3):
            head(connection)
            connection.sendall(OK)

    port = lab.front(serve)
    with client(port) as connection:
        for _ in range(60):
            connection.sendall(GET)
            assert head(connection).startswith(b"HTTP/1.1 200 ")
            assert exactly(connection, 2) == b"hi"


def test_sigterm_lets_a_request_in_flight_finish(lab: Lab) -> None:
    asked = threading.Event()
    go_on = threading.Event()

    def serve(connection: socket.socket) -> None:
        head(connection)
        asked.set()
        assert go_on.wait(TIMEOUT_S)
        connection.sendall(OK)

    port = lab.front(serve)
    with client(port) as connection:
        connection.sendall(GET)
        assert asked.wait(TIMEOUT_S)
        assert lab.balancer is not None
        lab.balancer.kill()
        time.sleep(0.5)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
        go_on.set()
        assert everything(connection).endswith(b"hi")
