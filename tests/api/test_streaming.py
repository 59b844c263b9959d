"""Routes that get their body as it comes, on a network in memory."""

from typing import Any

import pytest
from klein import Klein
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.web.iweb import UNKNOWN_LENGTH, IBodyProducer, IRequest
from zope.interface.verify import verifyObject

from scalability.api.adapter import APIFactory
from scalability.api.json import json_answer
from scalability.api.mount import mount
from scalability.api.streaming import Body, streamed
from scalability.errors import BodyTooLarge, ClientGone, ScalelabError
from scalability.testing.asking import Asking
from scalability.testing.memory import MemoryNetwork, MemoryTransport

LIMIT = 1000
STREAM_LIMIT = 1_000_000


class Lab:
    """An app with routes that stream, whose handlers a test holds up as it likes."""

    def __init__(self) -> None:
        self.network = MemoryNetwork()
        self.pieces: list[bytes] = []
        self.errors: list[BaseException] = []
        self.gates: list[Deferred[None]] = []
        self.contents: list[Any] = []
        self.lengths: list[Any] = []
        app = Klein()

        @app.route("/up/<name>", methods=["POST", "PUT"])
        @streamed(max_body_bytes=STREAM_LIMIT)
        async def up(request: Any, name: str, body: Body) -> bytes:
            self.contents.append(request.content)
            self.lengths.append(body.length)
            try:
                async for piece in body:
                    self.pieces.append(piece)
            except BaseException as error:
                self.errors.append(error)
                raise
            return json_answer(request, [name, body.received_bytes])

        @app.route("/slow", methods=["POST"])
        @streamed(max_body_bytes=STREAM_LIMIT)
        async def slow(request: Any, body: Body) -> bytes:
            async for piece in body:
                self.pieces.append(piece)
                self.gates.append(Deferred())
                await self.gates[-1]
            return json_answer(request, "done")

        @app.route("/never", methods=["POST"])
        @streamed(max_body_bytes=STREAM_LIMIT)
        def never(request: Any, body: Body) -> bytes:
            self.kept = body
            return json_answer(request, "no thanks", status=403)

        @app.route("/echo", methods=["POST"])
        @streamed(max_body_bytes=STREAM_LIMIT)
        async def echo(request: Any, body: Body) -> None:
            async for piece in body:
                request.write(piece)
            request.finish()

        @app.route("/small", methods=["POST"])
        @streamed(max_body_bytes=10)
        async def small(request: Any, body: Body) -> bytes:
            return b"".join([piece async for piece in body])

        @app.route("/whole", methods=["POST"])
        def whole(request: Any) -> bytes:
            return json_answer(request, len(request.content.read()))

        self.factory: APIFactory = mount(app, reactor=self.network, max_body_bytes=LIMIT)
        self.factory.doStart()

    def begin(self, head: bytes) -> MemoryTransport:
        client = self.network.connect_to(self.factory)
        client.deliver(head)
        return client


@pytest.fixture
def lab() -> Lab:
    return Lab()


def post(path: bytes, length: int, more: bytes = b"") -> bytes:
    return b"POST " + path + b" HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n" % length + more + b"\r\n"


CHUNKED = b" HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_a_route_gets_each_piece_as_it_comes(lab: Lab) -> None:
    client = lab.begin(post(b"/up/a", 10) + b"01")
    assert lab.pieces == [b"01"]
    assert lab.contents == [None]
    client.deliver(b"2345")
    assert lab.pieces == [b"01", b"2345"]
    assert client.taken() == b""
    client.deliver(b"6789")
    assert client.taken().endswith(b'\r\n\r\n["a",10]')
    assert client.open, "the framing was clean, so the connection goes on"
    assert lab.lengths == [10]
    assert lab.factory.arriving_bytes == 0


@pytest.mark.parametrize("step", [1, 2, 7, 1000])
def test_a_chunked_body_streams_at_any_cut(lab: Lab, step: int) -> None:
    client = lab.begin(b"POST /up/b" + CHUNKED)
    data = b"5\r\nhello\r\n7;x=y\r\n, world\r\n0\r\nSum: 1\r\n\r\nPOST /whole HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx"
    for start in range(0, len(data), step):
        client.deliver(data[start : start + step])
    assert b"".join(lab.pieces) == b"hello, world"
    taken = client.taken()
    assert b'["b",12]' in taken
    assert taken.endswith(b"\r\n\r\n1"), "the next request is read where the body ends"
    assert lab.lengths == [UNKNOWN_LENGTH]


def test_a_body_that_came_with_its_head_is_one_piece(lab: Lab) -> None:
    client = lab.begin(post(b"/up/a", 5) + b"hello")
    assert lab.pieces == [b"hello"]
    assert client.taken().endswith(b'["a",5]')
    lab.begin(post(b"/up/none", 0))
    assert lab.pieces == [b"hello"], "an empty body has no pieces"


def test_other_routes_still_find_their_whole_body_up_to_the_limit_of_mount(lab: Lab) -> None:
    client = lab.begin(post(b"/whole", LIMIT) + b"x" * 10)
    client.deliver(b"x" * (LIMIT - 10))
    assert client.taken().endswith(b"1000")
    assert lab.begin(post(b"/whole", LIMIT + 1)).taken().startswith(b"HTTP/1.1 413 ")


def test_a_client_is_held_back_while_the_route_is_busy_and_memory_stays_bounded(lab: Lab) -> None:
    client = lab.begin(post(b"/slow", 600_000))
    for _ in range(10):
        client.deliver(b"x" * 60_000)
    assert len(lab.pieces) == 1
    assert not client.reading
    assert lab.factory.arriving_bytes <= 130_000
    while lab.gates:
        lab.gates.pop().callback(None)
        lab.network.advance(0)
    assert sum(map(len, lab.pieces)) == 600_000
    assert max(map(len, lab.pieces)) <= 130_000
    assert client.taken().endswith(b'"done"')
    assert lab.factory.arriving_bytes == 0


def test_no_deadline_runs_for_a_client_that_is_held_back(lab: Lab) -> None:
    client = lab.begin(post(b"/slow", 400_000) + b"x" * 10)
    client.deliver(b"x" * 100_000)
    lab.network.pump([1.0] * 100)
    assert client.open
    assert client.taken() == b""


def test_when_all_bodies_together_are_many_each_is_held_back_sooner(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scalability.api.adapter.MAX_ARRIVING_BYTES", 2000)
    client = lab.begin(post(b"/slow", 10_000) + b"x")
    client.deliver(b"x" * 2500)
    assert not client.reading
    lab.gates.pop().callback(None)
    lab.network.advance(0)
    assert client.reading


def test_a_body_above_the_route_s_own_limit_is_413_at_once_or_when_it_is_reached(lab: Lab) -> None:
    client = lab.begin(post(b"/up/a", STREAM_LIMIT + 1))
    assert client.taken().startswith(b"HTTP/1.1 413 ")
    assert not lab.lengths, "the route is not called"
    chunks = lab.begin(b"POST /up/b" + CHUNKED)
    for _ in range(STREAM_LIMIT // 50_000):
        chunks.deliver(b"c350\r\n" + b"x" * 50_000 + b"\r\n")
    assert chunks.taken() == b""
    chunks.deliver(b"1\r\nx\r\n")
    answer = chunks.taken()
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"Connection: close\r\n" in answer
    assert isinstance(lab.errors[0], BodyTooLarge)
    assert lab.factory.arriving_bytes == 0


def test_a_limit_below_that_of_mount_holds_too(lab: Lab) -> None:
    assert lab.begin(post(b"/small", 10) + b"0123456789").taken().endswith(b"\r\n\r\n0123456789")
    assert lab.begin(post(b"/small", 11) + b"0123456789a").taken().startswith(b"HTTP/1.1 413 ")
    assert lab.begin(post(b"/small", 11)).taken().startswith(b"HTTP/1.1 413 ")


def test_a_client_that_waits_for_100_is_told_to_go_on_when_the_route_wants_its_body(lab: Lab) -> None:
    client = lab.begin(post(b"/up/a", 5, b"Expect: 100-continue\r\n"))
    assert client.taken() == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.deliver(b"he")
    assert client.taken() == b"", "once is enough"
    client.deliver(b"llo")
    assert client.taken().startswith(b"HTTP/1.1 200 ")
    began = lab.begin(post(b"/up/a", 5, b"Expect: 100-continue\r\n") + b"he")
    assert began.taken() == b"", "it did not wait"
    began.deliver(b"llo")
    assert began.taken().startswith(b"HTTP/1.1 200 ")
    other = lab.begin(post(b"/never", 5, b"Expect: 100-continue\r\n"))
    assert other.taken().startswith(b"HTTP/1.1 403 ")


async def test_a_route_may_answer_without_its_body_and_what_is_left_of_it_is_thrown_away(lab: Lab) -> None:
    client = lab.begin(post(b"/never", 500_000) + b"x" * 100)
    answer = client.taken()
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert b"Connection: close\r\n" in answer
    client.deliver(b"x" * 100_000)
    assert client.ended != "reset", "the client gets to read the answer"
    with pytest.raises(ClientGone):
        await anext(lab.kept)
    assert lab.factory.arriving_bytes == 0


def test_a_body_may_stream_back_while_it_arrives(lab: Lab) -> None:
    client = lab.begin(b"POST /echo" + CHUNKED)
    client.deliver(b"3\r\nabc\r\n")
    assert client.taken().endswith(b"\r\n\r\n3\r\nabc\r\n")
    client.deliver(b"2\r\nde\r\n")
    assert client.taken() == b"2\r\nde\r\n"
    client.deliver(b"0\r\n\r\n")
    assert client.taken() == b"0\r\n\r\n"
    assert client.ended == "closed", "the answer's head could not promise to go on"


@pytest.mark.parametrize("leave", ["finish", "reset"])
def test_a_client_that_leaves_in_the_middle_cancels_the_route(lab: Lab, leave: str) -> None:
    client = lab.begin(post(b"/up/a", 10) + b"01234")
    getattr(client, leave)()
    lab.network.advance(0)
    assert len(lab.errors) == 1
    assert lab.factory.arriving_bytes == 0
    assert lab.factory.http.active.value == 0


def test_bad_framing_in_the_middle_is_400_and_ends_the_route(lab: Lab) -> None:
    client = lab.begin(b"POST /up/b" + CHUNKED + b"5\r\nhello\r\n")
    client.deliver(b"zz\r\n")
    assert client.taken().startswith(b"HTTP/1.1 400 ")
    assert len(lab.errors) == 1


def test_a_body_that_stops_coming_is_408_and_ends_the_route(lab: Lab) -> None:
    client = lab.begin(post(b"/up/a", 10) + b"01234")
    lab.network.pump([1.0] * 40)
    assert client.taken().startswith(b"HTTP/1.1 408 ")
    assert len(lab.errors) == 1


def test_a_route_that_is_not_there_is_404_and_reads_no_large_body(lab: Lab) -> None:
    assert lab.begin(post(b"/nowhere", 10_000)).taken().startswith(b"HTTP/1.1 413 ")
    client = lab.begin(post(b"/%ff", 10))
    client.deliver(b"0123456789")
    assert client.taken().startswith(b"HTTP/1.1 400 ")


def test_a_route_of_an_app_bound_to_an_instance_streams_too() -> None:
    class Shop:
        app = Klein()
        sold = b""

        @app.route("/buy", methods=["POST"])
        @streamed(max_body_bytes=100)
        async def buy(self, request: IRequest, body: Body) -> bytes:
            self.sold = b"".join([piece async for piece in body])
            return json_answer(request, len(self.sold))

    shop = Shop()
    asking = Asking(shop.app.resource(), Clock())
    assert asking.post("/buy", body=b"bread").json() == 5
    exchange = asking.send("POST", "/buy", headers={"Content-Length": "4"})
    exchange._protocol.dataReceived(b"milk")
    assert exchange.answer.json() == 4
    assert shop.sold == b"milk"


class Upload:
    """A body whose source the test is."""

    def __init__(self, max_bytes: int = 1_000_000) -> None:
        self.calls: list[str] = []
        self.body = Body(self, max_bytes, None)

    def pause_body(self) -> None:
        self.calls.append("pause")

    def resume_body(self) -> None:
        self.calls.append("resume")

    def send_continue(self) -> None:
        self.calls.append("continue")


class Consumer(StringTransport):
    """Takes what a body writes."""


def test_a_body_is_a_producer_for_treq_and_follows_its_consumer() -> None:
    upload, consumer = Upload(), Consumer()
    verifyObject(IBodyProducer, upload.body)
    finished: list[object] = []
    upload.body.startProducing(consumer).addBoth(finished.append)
    upload.body.received(b"one", False)
    upload.body.pauseProducing()
    upload.body.pauseProducing()
    upload.body.received(b"two", False)
    upload.body.received(b"x" * 100_000, False)
    assert consumer.value() == b"onetwo", "what was on its way"
    assert upload.calls[-1] == "pause"
    upload.body.resumeProducing()
    upload.body.resumeProducing()
    assert "resume" in upload.calls
    upload.body.received(b"end", True)
    assert consumer.value() == b"onetwo" + b"x" * 100_000 + b"end"
    assert finished == [None]


def test_a_producer_that_is_stopped_says_nothing_more() -> None:
    upload, consumer = Upload(), Consumer()
    finished: list[object] = []
    upload.body.startProducing(consumer).addBoth(finished.append)
    upload.body.stopProducing()
    upload.body.stopProducing()
    upload.body.received(b"one", True)
    assert consumer.value() == b""
    assert finished == []


def test_a_producer_whose_source_fails_fails() -> None:
    upload, consumer = Upload(), Consumer()
    finished: list[Any] = []
    upload.body.startProducing(consumer).addErrback(finished.append)
    upload.body.fail(ClientGone())
    upload.body.fail(ScalelabError())
    upload.body.received(b"late", True)
    assert [failure.type for failure in finished] == [ClientGone]


async def test_two_cannot_read_one_body() -> None:
    upload = Upload()
    first = Deferred.fromCoroutine(anext(upload.body))
    with pytest.raises(RuntimeError):
        await anext(upload.body)
    upload.body.received(b"x", True)
    assert await first == b"x"


async def test_a_reader_that_is_cancelled_may_be_followed_by_another() -> None:
    upload = Upload()
    first = Deferred.fromCoroutine(anext(upload.body))
    first.addErrback(lambda failure: None)
    first.cancel()
    second = Deferred.fromCoroutine(anext(upload.body))
    upload.body.received(b"x", True)
    assert await second == b"x"
