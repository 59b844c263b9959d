"""Klein on net's server, on a network in memory."""

import re
from typing import Any

import pytest
from klein import Klein
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPullProducer, IPushProducer
from twisted.web.iweb import IRequest
from zope.interface import implementer

from scalability.api.adapter import APIFactory
from scalability.api.json import encoded_answer, json_answer
from scalability.api.mount import mount
from scalability.testing.memory import MemoryNetwork, MemoryTransport

LIMIT = 1000
DATE = b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"


class Lab:
    """An app whose routes do what the HTTP server must cope with."""

    def __init__(self) -> None:
        self.network = MemoryNetwork()
        self.epoch_s = 0.0
        self.waiting: list[Deferred[bytes]] = []
        self.cancelled: list[object] = []
        self.requests: list[Any] = []
        self.producers: list[Any] = []
        self.app = Klein()
        route = self.app.route

        @route("/echo", methods=["GET", "POST", "PUT"])
        def echo(request: Any) -> bytes:
            self.requests.append(request)
            return encoded_answer(request, request.content.read(), b"text/plain")

        @route("/unsized")
        def unsized(request: IRequest) -> bytes:
            request.write(b"no ")
            return b"length"

        @route("/plain")
        def plain(request: IRequest) -> bytes:
            return b"plain"

        @route("/later")
        def later(request: IRequest) -> "Deferred[bytes]":
            self.waiting.append(Deferred(self.cancelled.append))
            return self.waiting[-1]

        @route("/status/<int:code>")
        def status(request: IRequest, code: int) -> bytes:
            return json_answer(request, "body", status=code)

        @route("/liar/<int:length>")
        def liar(request: IRequest, length: int) -> bytes:
            request.setHeader(b"content-length", b"%d" % length)
            return b"four"

        @route("/bye")
        def bye(request: IRequest) -> bytes:
            request.setHeader(b"connection", b"close")
            return json_answer(request, "bye")

        @route("/injected")
        def injected(request: IRequest) -> bytes:
            request.setHeader(b"x-name", b"a\r\nSet-Cookie: b=c")
            request.setResponseCode(200, b"OK\r\nX-More: yes")
            return b""

        @route("/push")
        def push(request: Any) -> "Deferred[bytes]":
            self.producers.append(Producer(request))
            request.registerProducer(self.producers[-1], True)
            return self.later()

        @route("/pull")
        def pull(request: Any) -> "Deferred[bytes]":
            self.producers.append(PullProducer(request, 5))
            request.registerProducer(self.producers[-1], False)
            return self.later()

        self.factory: APIFactory = mount(
            self.app, reactor=self.network, max_body_bytes=LIMIT, wall=lambda: self.epoch_s + self.network.seconds()
        )
        self.factory.doStart()

    def later(self) -> "Deferred[bytes]":
        self.waiting.append(Deferred(self.cancelled.append))
        return self.waiting[-1]

    def connect(self) -> MemoryTransport:
        return self.network.connect_to(self.factory)

    def ask(self, data: bytes) -> bytes:
        client = self.connect()
        client.deliver(data)
        return client.taken()


@implementer(IPushProducer)
class Producer:
    """Notes what it is told."""

    def __init__(self, request: Any) -> None:
        self.request = request
        self.told: list[str] = []

    def pauseProducing(self) -> None:
        self.told.append("pause")

    def resumeProducing(self) -> None:
        self.told.append("resume")

    def stopProducing(self) -> None:
        self.told.append("stop")


@implementer(IPullProducer)
class PullProducer:
    """Writes one piece each time it is asked, and ends after ``pieces`` of them."""

    def __init__(self, request: Any, pieces: int) -> None:
        self.request = request
        self.pieces = pieces
        self.stopped = False

    def resumeProducing(self) -> None:
        self.request.write(b"x" * 40_000)
        self.pieces -= 1
        if not self.pieces:
            self.request.unregisterProducer()

    def stopProducing(self) -> None:
        self.stopped = True


@pytest.fixture
def lab() -> Lab:
    return Lab()


def head_of(answer: bytes) -> bytes:
    return answer.partition(b"\r\n\r\n")[0] + b"\r\n"


def get(path: bytes, more: bytes = b"", version: bytes = b"1.1") -> bytes:
    return b"GET " + path + b" HTTP/" + version + b"\r\nHost: h\r\n" + more + b"\r\n"


def post(body: bytes, more: bytes = b"") -> bytes:
    return b"POST /echo HTTP/1.1\r\nHost: h\r\n" + more + b"Content-Length: %d\r\n\r\n" % len(body) + body


def test_an_answer_goes_out_in_one_write_with_a_date_and_no_banner(lab: Lab) -> None:
    client = lab.connect()
    client.deliver(post(b"hello"))
    assert client.taken() == b"HTTP/1.1 200 OK\r\n" + DATE + b"Content-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"
    assert client.writes == 1
    assert client.open


def test_the_date_moves_on(lab: Lab) -> None:
    lab.ask(get(b"/echo"))
    lab.network.advance(61)
    assert b"Date: Thu, 01 Jan 1970 00:01:01 GMT\r\n" in lab.ask(get(b"/echo"))


def test_the_date_is_that_of_the_wall_clock_and_follows_it_back(lab: Lab) -> None:
    lab.epoch_s = 1.7e9
    assert b"Date: Tue, 14 Nov 2023 22:13:20 GMT\r\n" in lab.ask(get(b"/echo"))
    lab.epoch_s -= 3600
    lab.network.advance(1)
    assert b"Date: Tue, 14 Nov 2023 21:13:21 GMT\r\n" in lab.ask(get(b"/echo"))


def test_requests_on_one_connection_are_answered_in_order(lab: Lab) -> None:
    client = lab.connect()
    client.deliver(get(b"/later") + post(b"two") + get(b"/nowhere"))
    assert client.taken() == b""
    lab.waiting.pop().callback(b"one")
    assert re.findall(rb"HTTP/1.1 (\d+)", client.taken()) == [b"200", b"200", b"404"]
    assert client.open


@pytest.mark.parametrize("step", [1, 2, 3, 7, 50])
def test_a_request_may_arrive_in_any_pieces(lab: Lab, step: int) -> None:
    client = lab.connect()
    data = post(b"hello") + b"POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nworld\r\n1\r\n!\r\n0\r\n\r\n"
    for start in range(0, len(data), step):
        client.deliver(data[start : start + step])
    taken = client.taken()
    assert taken.count(b"HTTP/1.1 200 OK") == 2
    assert b"hello" in taken
    assert taken.endswith(b"world!")


def test_an_answer_without_a_length_is_chunked(lab: Lab) -> None:
    answer = lab.ask(get(b"/unsized"))
    assert b"Transfer-Encoding: chunked\r\n" in head_of(answer)
    assert answer.endswith(b"\r\n\r\n3\r\nno \r\n6\r\nlength\r\n0\r\n\r\n")


def test_what_a_route_returns_at_once_has_its_length_said(lab: Lab) -> None:
    answer = lab.ask(get(b"/plain"))
    assert b"Content-Length: 5\r\n" in head_of(answer)
    assert answer.endswith(b"\r\n\r\nplain")


def test_to_an_http_1_0_client_the_end_of_the_connection_ends_the_body(lab: Lab) -> None:
    client = lab.connect()
    client.deliver(get(b"/unsized", b"Connection: keep-alive\r\n", version=b"1.0"))
    taken = client.taken()
    assert b"chunked" not in taken
    assert b"Connection: close\r\n" in taken
    assert taken.endswith(b"\r\n\r\nno length")
    assert client.ended == "closed"


def test_an_http_1_0_client_that_asks_for_it_keeps_its_connection(lab: Lab) -> None:
    client = lab.connect()
    client.deliver(b"GET /echo HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert b"Connection: keep-alive\r\n" in client.taken()
    assert client.open


@pytest.mark.parametrize("more", [b"Connection: close\r\n"])
def test_a_client_that_closes_is_answered_and_closed(lab: Lab, more: bytes) -> None:
    client = lab.connect()
    client.deliver(get(b"/echo", more))
    assert b"Connection: close\r\n" in client.taken()
    assert client.ended == "closed"


def test_a_route_may_close_the_connection(lab: Lab) -> None:
    client = lab.connect()
    client.deliver(get(b"/bye"))
    assert client.taken().count(b"Connection: close\r\n") == 1
    assert client.ended == "closed"


@pytest.mark.parametrize(("code", "length"), [(204, None), (304, b"6")])
def test_statuses_without_a_body_have_none(lab: Lab, code: int, length: bytes | None) -> None:
    client = lab.connect()
    client.deliver(get(b"/status/%d" % code))
    taken = client.taken()
    assert taken.startswith(b"HTTP/1.1 %d " % code)
    assert taken.endswith(b"\r\n\r\n")
    assert b"Transfer-Encoding" not in taken
    found = re.search(rb"Content-Length: (\d+)", taken)
    assert (found and found[1]) == length
    assert client.open


def test_head_gets_the_fields_of_get(lab: Lab) -> None:
    client = lab.connect()
    client.deliver(b"HEAD /unsized HTTP/1.1\r\nHost: h\r\n\r\n" + b"HEAD /status/200 HTTP/1.1\r\nHost: h\r\n\r\n")
    first, second, rest = client.taken().split(b"\r\n\r\n")
    assert b"chunked" not in first
    assert b"Content-Length: 6" in second
    assert rest == b""
    assert client.open


@pytest.mark.parametrize("length", [3, 5, 0])
def test_an_answer_that_is_not_as_long_as_it_says_is_broken_off(lab: Lab, length: int) -> None:
    client = lab.connect()
    client.deliver(get(b"/liar/%d" % length) + get(b"/echo"))
    assert client.ended == "reset"
    assert client.taken().count(b"HTTP/1.1") == 1, "nothing follows on this connection"


def test_a_route_cannot_be_made_to_add_fields(lab: Lab) -> None:
    answer = lab.ask(get(b"/injected"))
    assert b"\r\nSet-Cookie" not in answer
    assert b"X-More" not in answer


def test_a_body_that_says_it_is_too_large_is_413_before_any_of_it_is_read(lab: Lab) -> None:
    client = lab.connect()
    client.deliver(b"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % (LIMIT + 1))
    taken = client.taken()
    assert taken.startswith(b"HTTP/1.1 413 ")
    assert b'"error":"body_too_large"' in taken
    assert b"Connection: close\r\n" in taken
    assert not lab.requests
    client.deliver(b"x" * 100)
    assert client.ended != "reset", "a client that is still sending gets to read the answer"


def test_a_chunked_body_is_413_as_soon_as_it_is_too_large(lab: Lab) -> None:
    client = lab.connect()
    client.deliver(b"POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(LIMIT // 100):
        client.deliver(b"64\r\n" + b"x" * 100 + b"\r\n")
    assert client.taken() == b""
    client.deliver(b"1\r\nx\r\n")
    assert client.taken().startswith(b"HTTP/1.1 413 ")
    assert not lab.requests


def test_a_too_large_body_that_came_with_its_head_is_413(lab: Lab) -> None:
    body = b"%x\r\n" % (LIMIT + 1) + b"x" * (LIMIT + 1) + b"\r\n0\r\n\r\n"
    answer = lab.ask(b"POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert lab.ask(post(b"x" * LIMIT)).startswith(b"HTTP/1.1 200 ")


def test_bodies_that_arrive_slowly_are_bounded_together(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scalability.api.adapter.MAX_ARRIVING_BYTES", 2000)
    half = b"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n" + b"x" * 900
    clients = [lab.connect() for _ in range(3)]
    for client in clients:
        client.deliver(half)
    assert [client.taken()[:12] for client in clients] == [b"", b"", b"HTTP/1.1 503"]
    assert lab.factory.arriving_bytes == 1800
    clients[0].deliver(b"x" * 100)
    assert clients[0].taken().startswith(b"HTTP/1.1 200 ")
    clients[1].reset()
    assert lab.factory.arriving_bytes == 0
    other = lab.connect()
    other.deliver(half + b"x" * 100)
    assert other.taken().startswith(b"HTTP/1.1 200 ")


def test_a_client_that_asks_before_it_sends_is_told_to_go_on_or_refused_at_once(lab: Lab) -> None:
    client = lab.connect()
    client.deliver(b"POST /echo HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
    assert client.taken() == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.deliver(b"hello")
    assert client.taken().startswith(b"HTTP/1.1 200 OK")
    answer = lab.ask(b"POST /echo HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5000\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\n\r\n", b"400"),
        (b"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"400"),
        (b"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: +5\r\n\r\nhello", b"400"),
        (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: h\r\n\r\n", b"414"),
        (b"GET / HTTP/2.0\r\nHost: h\r\n\r\n", b"505"),
    ],
)
def test_what_is_no_proper_request_is_refused_as_json(lab: Lab, data: bytes, status: bytes) -> None:
    answer = lab.ask(data)
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert b'{"error":' in answer


def test_a_client_that_leaves_cancels_its_handler(lab: Lab) -> None:
    for leave in ("finish", "reset"):
        client = lab.connect()
        client.deliver(get(b"/later"))
        getattr(client, leave)()
        lab.network.advance(0)
    assert len(lab.cancelled) == 2
    assert lab.factory.http.active.value == 0


def test_a_client_that_leaves_in_the_middle_of_its_body_reaches_no_route(lab: Lab) -> None:
    client = lab.connect()
    client.deliver(b"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhello")
    client.reset()
    assert not lab.requests


def test_a_body_that_stops_arriving_is_408(lab: Lab) -> None:
    client = lab.connect()
    client.deliver(b"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhello")
    lab.network.pump([1.0] * 35)
    assert client.taken().startswith(b"HTTP/1.1 408 ")
    assert not lab.requests


def test_a_push_producer_is_paused_by_a_slow_client_and_stopped_by_one_that_leaves(lab: Lab) -> None:
    client = lab.connect()
    client.deliver(get(b"/push"))
    producer = lab.producers[0]
    client.stop_taking()
    producer.request.write(b"x" * 100_000)
    assert producer.told == ["pause"]
    client.take_all()
    assert producer.told == ["pause", "resume"]
    client.reset()
    assert producer.told == ["pause", "resume", "stop"]
    assert len(lab.cancelled) == 1


def test_a_pull_producer_is_asked_until_it_ends_and_not_while_the_client_is_slow(lab: Lab) -> None:
    client = lab.connect()
    client.deliver(get(b"/pull"))
    producer = lab.producers[0]
    assert producer.pieces == 5, "not before the route has returned"
    client.stop_taking()
    lab.network.advance(0)
    assert producer.pieces == 3, "two pieces are more than 64 KiB"
    client.take_all()
    lab.network.advance(0)
    assert producer.pieces == 0
    lab.waiting.pop().callback(b"end")
    assert client.taken().endswith(b"3\r\nend\r\n0\r\n\r\n")


def test_a_pull_producer_is_stopped_with_its_client(lab: Lab) -> None:
    client = lab.connect()
    client.deliver(get(b"/pull"))
    client.reset()
    lab.network.pump([0.0] * 3)
    assert lab.producers[0].stopped
    assert lab.producers[0].pieces == 5


def test_what_a_route_may_ask_a_request(lab: Lab) -> None:
    lab.ask(post(b"", b"X-A: 1\r\nx-a: 2\r\nCookie: a=b; c=d\r\nX-Text: \xc3\xbc\r\n"))
    request = lab.requests[0]
    assert (request.getHeader("x-a"), request.getHeader(b"X-A"), request.getHeader("none")) == ("2", b"2", None)
    assert request.getHeader("X-Text") == "ü"
    assert request.requestHeaders.getRawHeaders("x-a") == ["1", "2"]
    assert request.getAllHeaders()[b"x-a"] == b"2"
    assert request.getCookie(b"c") == b"d"
    assert request.getClientAddress().host == "192.0.2.1"
    assert request.getHost().port == 80
    assert not request.isSecure()
    assert (request.method, request.uri, request.clientproto) == (b"POST", b"/echo", b"HTTP/1.1")


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        (b"a=1&a=2&b=", {b"a": [b"1", b"2"], b"b": [b""]}),
        (b"a=%C3%A9+%2B", {b"a": ["é +".encode()]}),
        (b"%ff=%FF%zz", {b"\xff": [b"\xff%zz"]}),
        (b"a&=;", {b"a": [b""], b"": [b";"]}),
        (b"", {}),
    ],
)
def test_a_query_is_bytes_whatever_they_are(lab: Lab, query: bytes, wanted: dict[bytes, list[bytes]]) -> None:
    assert lab.ask(get(b"/echo?" + query)).startswith(b"HTTP/1.1 200 ")
    assert lab.requests[0].args == wanted


def test_draining_finishes_what_is_in_flight_and_says_close(lab: Lab) -> None:
    client, idle = lab.connect(), lab.connect()
    client.deliver(get(b"/later"))
    lab.factory.doStop()
    drained: list[object] = []
    lab.factory.drain(30.0).addBoth(drained.append)
    lab.network.pump([0.5] * 4)
    assert not idle.open
    assert client.open
    lab.waiting.pop().callback(b"done")
    assert b"Connection: close\r\n" in client.taken()
    lab.network.advance(0)
    assert drained == [None]
    assert not lab.network.getDelayedCalls(), "the wheel rests with the last connection"


def test_the_grace_ends_for_a_handler_that_does_not(lab: Lab) -> None:
    client = lab.connect()
    client.deliver(get(b"/later"))
    lab.factory.doStop()
    drained: list[object] = []
    lab.factory.drain(2.0).addBoth(drained.append)
    lab.network.pump([0.5] * 8)
    assert drained == [None]
    assert len(lab.cancelled) == 1
    assert not lab.network.getDelayedCalls()


def test_connections_are_counted(lab: Lab) -> None:
    lab.ask(get(b"/echo"))
    lab.ask(b"nonsense\r\n\r\n")
    shown = {s.name: s.value for family in lab.factory.metrics.collect() for s in family.samples if s.name.startswith("scalelab_http")}
    assert shown == {
        "scalelab_http_connections_open": 2,
        "scalelab_http_connections_total": 2,
        "scalelab_http_refused_total": 1,
        "scalelab_http_arriving_bytes": 0,
    }
