"""Mutated requests and answers through a proxy in memory; h11 judges what comes out on the other side."""

import re
from typing import Any

import h11
from hypothesis import event, given, settings
from hypothesis import strategies as st

from scalability.config import Address
from scalability.errors import BadMessage
from scalability.http1 import DEFAULT_LIMITS, find_head_end, parse_request_head, parse_response_head, request_body, response_body
from scalability.http1.response_head import ResponseHead
from scalability.lifecycle import DeadlineWheel
from scalability.net.connection_pool import ConnectionPool
from scalability.net.http_server import HTTPServerFactory
from scalability.proxy.application import ProxyApplication
from scalability.testing.memory import MemoryNetwork, MemoryTransport
from scalability.testing.retries import usual_retries
from scalability.upstream.rules import UpstreamRules
from scalability.upstream.selection import RoundRobin
from scalability.upstream.servers import Upstream
from scalability.upstream.spec import ServerSpec

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
ODD = [b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"\x00", b" ", b"\t", b":", b",", b";", b"0", b"5", b"x", b"\xa0", b"#", b"-", b"+", b"\x7f"]

FIELDS = [
    b"Content-Length: 5",
    b"Content-Length: 5",
    b"content-length: 5, 5",
    b"Content-Length: 6",
    b"Content-Length: +5",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: identity",
    b"Transfer-Encoding : chunked",
    b"Connection: close",
    b"Connection: keep-alive, X-A",
    b"Connection: upgrade",
    b"Upgrade: h2c",
    b"Trailer: X-T",
    b"X-A: one",
    b"X-A:",
    b" folded",
]
BODIES = [
    b"",
    b"hello",
    b"hello" + OK,
    b"5\r\nhello\r\n0\r\n\r\n",
    b"5;a=b\r\nhello\r\n0\r\n\r\n" + OK,
    b"3\r\nhel\r\n02\r\nlo\r\n000\r\nX-T: y\r\nContent-Length: 9\r\n\r\n",
    b"5\r\nhello\r\n",
    b"5\r\nhello!\r\n0\r\n\r\n",
    b"0\r\n\r\n",
    b"GET /evil HTTP/1.1\r\nHost: evil\r\n\r\n",
]


def edited(message: bytes, edits: list[tuple[int, str, bytes]]) -> bytes:
    for at, kind, odd in edits:
        at %= len(message) + 1
        match kind:
            case "cut":
                message = message[:at] + message[at + 1 :]
            case "end":
                message = message[:at]
            case "double":
                message = message[: at + 1] + message[at:]
            case "insert":
                message = message[:at] + odd + message[at:]
            case _:
                message = message[:at] + odd + message[at + 1 :]
    return message


EDITS = st.lists(
    st.tuples(st.integers(0, 400), st.sampled_from(["cut", "end", "double", "insert", "replace"]), st.sampled_from(ODD)), max_size=2
)
CUTS = st.lists(st.integers(1, 300), max_size=4)


def messages(start_lines: list[bytes], common: list[bytes]) -> st.SearchStrategy[bytes]:
    return st.builds(
        lambda start, fields, body, edits: edited(b"\r\n".join([start, *common, *fields]) + b"\r\n\r\n" + body, edits),
        st.sampled_from(start_lines),
        st.lists(st.sampled_from(FIELDS), max_size=3),
        st.sampled_from(BODIES),
        EDITS,
    )


INTERIM = st.sampled_from(
    [b"", b"", b"", b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 102 P\r\n\r\n"]
)
ANSWERS = st.builds(
    lambda interim, answer: interim + answer,
    INTERIM,
    messages(
        [
            b"HTTP/1.1 200 OK",
            b"HTTP/1.1 404",
            b"HTTP/1.0 200 Fine",
            b"HTTP/1.1 204 No Content",
            b"HTTP/1.1 304 N",
            b"HTTP/1.1 500 ",
            b"HTTP/1.1 101 Switching",
            b"HTTP/2.0 200 OK",
        ],
        [],
    ),
)
REQUESTS = st.lists(
    messages(
        [
            b"GET / HTTP/1.1",
            b"POST /a?b=%zz HTTP/1.1",
            b"GET http://c:1/d HTTP/1.1",
            b"OPTIONS * HTTP/1.1",
            b"POST / HTTP/1.0",
            b"HEAD / HTTP/1.1",
        ],
        [b"Host: a"],
    ),
    min_size=1,
    max_size=3,
)


class Proxy:
    """A proxy with one server behind it, which the test is, and a client, which the test is too."""

    def __init__(self) -> None:
        self.network = MemoryNetwork()
        wheel = DeadlineWheel(self.network)
        wheel.startService()
        upstream = Upstream(
            RoundRobin, lambda spec: ConnectionPool(self.network, spec.address, wheel), rules=UpstreamRules(fall=1000, panic_percent=0)
        )
        upstream.name_servers("test", [ServerSpec(Address("10.0.0.1", 80))], trusted=True)
        (self.server,) = upstream
        application = ProxyApplication(upstream, via=b"lb", retries=usual_retries(self.network))
        self.client = self.network.connect_to(HTTPServerFactory(application, clock=self.network, wheel=wheel))


def deliver(transport: MemoryTransport, data: bytes, cuts: list[int]) -> None:
    for cut in cuts:
        if len(data) > cut:
            transport.deliver(data[:cut])
            data = data[cut:]
    transport.deliver(data)


def answer_meant(message: bytes, method: bytes) -> tuple[ResponseHead, bytes, bool, bytes] | None:
    """The final answer that ``message`` holds before its end: head, payload, whether it is complete, rest. None: none that may pass."""
    try:
        while True:
            end = find_head_end(message, 0, DEFAULT_LIMITS)
            if end < 0:
                return None
            head = parse_response_head(message[:end], DEFAULT_LIMITS)
            message = message[end:]
            if head.status == 101:
                return None
            if head.status >= 200:
                break
        reader = response_body(head, method, DEFAULT_LIMITS)
        payload, rest = reader.feed(message) if message else (b"", b"")
        if not reader.complete:
            try:
                reader.eof()
            except BadMessage:
                return head, payload, False, rest
    except BadMessage:
        return None
    return head, payload, True, rest


def read_by_client(received: bytes, method: bytes, closed: bool) -> tuple[int, bytes, bool]:
    """What h11 makes of an answer, strictly: status, payload, whether it is complete."""
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(received)
    if closed:
        connection.receive_data(b"")
    status, payload = 0, b""
    while True:
        try:
            part = connection.next_event()
        except h11.RemoteProtocolError as error:
            if "peer" in str(error):
                return status, payload, False  # closed too early
            raise  # bytes that are not strict
        if part is h11.NEED_DATA or isinstance(part, h11.ConnectionClosed):
            return status, payload, False
        if isinstance(part, h11.Response):
            status = part.status_code
            assert not any(re.search(rb"[\r\n\0]", value) for _, value in part.headers)
        elif isinstance(part, h11.Data):
            payload += bytes(part.data)
        elif isinstance(part, h11.EndOfMessage):
            assert connection.trailing_data[0] == b"", "nothing may follow the answer"
            return status, payload, True


@settings(max_examples=300)
@given(ANSWERS, st.sampled_from([b"GET", b"HEAD"]), st.sampled_from([b"1.1", b"1.0"]), CUTS, st.booleans())
def test_rule_17_an_answer_reaches_the_client_as_it_was_meant_or_visibly_broken(
    message: bytes, method: bytes, version: bytes, cuts: list[int], reset: bool
) -> None:
    proxy = Proxy()
    proxy.client.deliver(method + b" / HTTP/" + version + b"\r\nHost: a\r\n\r\n")
    server = proxy.network.accept()
    deliver(server, message, cuts)
    kept = proxy.server.pool.idle_connections
    if reset:
        server.reset()
    else:
        server.finish()
    proxy.network.advance(0)
    for _ in range(3):  # one more attempt may follow where no byte of an answer came
        if proxy.network.attempts:
            proxy.network.refuse()
            proxy.network.advance(0)
    received = proxy.client.taken()
    broken = proxy.client.ended == "reset"
    status, payload, complete = read_by_client(received, method, closed=proxy.client.ended == "closed")
    assert complete or broken, "a client is never left with half an answer that looks whole, nor without any"
    event(f"answered {status if complete else 'broken'}")
    meant = answer_meant(message, method)
    if meant is None:
        assert status in (0, 502) or broken
        assert not kept
        return
    head, wanted, whole, rest = meant
    if complete and status != 502:
        assert (status, payload) == (head.status, wanted)
        assert whole
    elif not complete:
        assert wanted.startswith(payload)
    if kept:
        assert whole
        assert head.keep_alive
        assert rest == b"", "a connection with unread bytes is not used again (rule 39)"
        assert head.chunked or head.content_length is not None or head.status in (204, 304) or method == b"HEAD"


def requests_meant(data: bytes) -> list[tuple[bytes, bytes, bytes, bytes]]:
    """The complete requests in ``data``, up to what is refused: method, target, host, payload."""
    found = []
    while data:
        try:
            end = find_head_end(data, 0, DEFAULT_LIMITS)
            if end < 0:
                break
            head = parse_request_head(data[:end], DEFAULT_LIMITS)
            reader = request_body(head, DEFAULT_LIMITS)
            payload, data = reader.feed(data[end:])
        except BadMessage:
            break
        if not reader.complete:
            break
        host = head.host or (b"" if b"host" in head.index else b"localhost")  # HTTP/1.0 may come without one
        found.append((head.method, head.target, host, payload))
        if not head.keep_alive:
            break
    return found


class Backend:
    """The server's side: h11 reads every connection, and each complete request is answered."""

    def __init__(self, proxy: Proxy) -> None:
        self.proxy = proxy
        self.seen: list[tuple[bytes, bytes, bytes, bytes]] = []
        self._open: list[tuple[MemoryTransport, Any]] = []

    def work(self) -> None:
        """Until nothing moves any more."""
        while self.proxy.network.attempts or self._read():
            while self.proxy.network.attempts:
                self._open.append((self.proxy.network.accept(), Reading()))
            self.proxy.network.advance(0)

    def _read(self) -> bool:
        moved = False
        for transport, reading in self._open:
            data = transport.taken()
            if data:
                moved = True
                for request in reading.take(data):
                    self.seen.append(request)
                    transport.deliver(OK if request[0] != b"HEAD" else OK[:-2])
        return moved


class Reading:
    """One connection of a server."""

    def __init__(self) -> None:
        self._reader = h11.Connection(h11.SERVER)
        self._request: h11.Request | None = None
        self._body = b""

    def take(self, data: bytes) -> list[tuple[bytes, bytes, bytes, bytes]]:
        """The requests that ``data`` completes; h11 raises for whatever is not strict."""
        found = []
        self._reader.receive_data(data)
        while (event := self._reader.next_event()) is not h11.NEED_DATA:
            if isinstance(event, h11.Request):
                self._request, self._body = event, b""
            elif isinstance(event, h11.Data):
                self._body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                assert self._request is not None
                host = dict(self._request.headers)[b"host"]
                found.append((self._request.method, self._request.target, host, self._body))
                self._reader.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
                self._reader.send(h11.EndOfMessage())
                self._reader.start_next_cycle()
            else:
                raise AssertionError(event)
        return found


@settings(max_examples=300)
@given(REQUESTS, CUTS)
def test_rule_41_a_pipeline_reaches_servers_as_it_was_meant_up_to_what_is_refused(pipeline: list[bytes], cuts: list[int]) -> None:
    proxy = Proxy()
    backend = Backend(proxy)
    data = b"".join(pipeline)
    left = data
    for cut in [*cuts, len(data)]:
        proxy.client.deliver(left[:cut])
        left = left[cut:]
        backend.work()
    proxy.client.finish()
    backend.work()
    meant = requests_meant(data)
    event(f"{len(meant)} requests")
    assert backend.seen == meant
    received = proxy.client.taken()
    answers = len(re.findall(rb"HTTP/1\.1 (?!100)\d\d\d ", received))
    assert len(meant) <= answers <= len(meant) + 1, "one for each, and at most one refusal after them"
