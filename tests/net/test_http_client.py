"""Connections to servers and their pool, on a network in memory."""

import select
import socket
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.task import deferLater

from scalability.config import Address
from scalability.errors import ConnectError, ConnectTimeout, UpstreamError
from scalability.http1.head import ResponseHead
from scalability.http1.limits import DEFAULT_LIMITS, Limits
from scalability.lifecycle import DeadlineWheel
from scalability.net.http_client import ClientConnection, ConnectionPool, PrefacedPool
from scalability.testing.memory import MemoryNetwork, MemoryTransport

HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


class Asker:
    """Sends requests and remembers what becomes of them."""

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []
        self.connection: ClientConnection | None = None

    def connected(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.events.append(("connected",))

    def connect_failed(self, error: ConnectError | ConnectTimeout) -> None:
        self.events.append(("failed", error.code, type(error.__cause__).__name__))

    def answer_interim(self, head: ResponseHead) -> None:
        self.events.append(("interim", head.status))

    def answer_received(self, head: ResponseHead, data: bytes, ended: bool) -> None:
        self.events.append(("head", head.status, data, ended))

    def answer_data(self, data: bytes, ended: bool) -> None:
        self.events.append(("data", data, ended))

    def answer_failed(self, error: UpstreamError) -> None:
        self.events.append(("failed", error.code))

    def upload_paused(self) -> None:
        self.events.append(("paused",))

    def upload_resumed(self) -> None:
        self.events.append(("resumed",))


class Client:
    """A pool, an asker, and the test as the server."""

    def __init__(self, host: str = "10.0.0.1", **more: Any) -> None:
        self.network = MemoryNetwork()
        self.wheel = DeadlineWheel(self.network)
        self.wheel.startService()
        self.pool = ConnectionPool(self.network, Address(host, 80), self.wheel, **more)

    def open(self) -> tuple[ClientConnection, MemoryTransport]:
        asker = Asker()
        self.pool.open(asker)
        transport = self.network.accept()
        assert asker.connection is not None
        return asker.connection, transport

    def ask(self, method: bytes = b"GET", **more: Any) -> tuple[Asker, MemoryTransport]:
        """A request on a new connection."""
        connection, transport = self.open()
        asker = Asker()
        asker.connection = connection
        connection.send(HEAD, method, asker, **more)
        assert transport.taken() == HEAD
        return asker, transport

    def pass_time(self, seconds: float) -> None:
        for _ in range(int(seconds / 0.25)):
            self.network.advance(0.25)


def test_a_small_answer_is_one_call_and_the_connection_is_reused() -> None:
    client = Client()
    asker, transport = client.ask()
    transport.deliver(OK)
    assert asker.events == [("head", 200, b"hi", True)]
    assert client.pool.idle_connections == 1
    assert client.pool.take() is asker.connection
    assert client.pool.idle_connections == 0
    assert client.pool.connects == 1


def test_each_request_has_its_own_time_however_often_the_connection_was_used() -> None:
    client = Client(answer_s=3.0, idle_s=10.0)
    asker, transport = client.ask()
    for _ in range(4):
        client.pass_time(2)
        transport.deliver(OK)
        client.pass_time(2)
        assert client.pool.take() is asker.connection
        assert asker.connection is not None
        asker.connection.send(HEAD, b"GET", asker)
    client.pass_time(2.5)
    assert asker.events[-1][0] == "head"
    client.pass_time(1.5)
    assert asker.events[-1] == ("failed", "answer_timeout")


@pytest.mark.parametrize("size", [1, 2, 3, 7, 40])
def test_an_answer_may_come_in_any_pieces(size: int) -> None:
    answer = (
        b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    )
    client = Client()
    asker, transport = client.ask()
    for start in range(0, len(answer), size):
        transport.deliver(answer[start : start + size])
    assert asker.events[0] == ("interim", 103)
    assert asker.events[1][:2] == ("head", 200)
    assert asker.events[1][2] + b"".join(event[1] for event in asker.events[2:]) == b"abcde"
    assert asker.events[-1][-1] is True
    assert client.pool.idle_connections == 1


def test_an_answer_to_head_has_no_body_whatever_its_length_says() -> None:
    client = Client()
    asker, transport = client.ask(b"HEAD")
    transport.deliver(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n")
    assert asker.events == [("head", 200, b"", True)]
    assert client.pool.idle_connections == 1


def test_a_body_that_ends_with_the_connection_is_complete_with_a_fin_only() -> None:
    client = Client()
    asker, transport = client.ask()
    transport.deliver(b"HTTP/1.1 200 OK\r\n\r\nabc")
    transport.finish()
    assert asker.events == [("head", 200, b"abc", False), ("data", b"", True)]
    asker, transport = client.ask()
    transport.deliver(b"HTTP/1.1 200 OK\r\n\r\nabc")
    transport.reset()
    assert asker.events[-1] == ("failed", "broken_answer")
    assert client.pool.open_connections == 0


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"", "no_answer"),
        (b"HTTP/1.1 20", "bad_answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", "broken_answer"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc", "broken_answer"),
    ],
)
def test_a_connection_that_is_lost_says_how_far_the_answer_had_come(sent: bytes, code: str) -> None:
    client = Client()
    asker, transport = client.ask()
    if sent:
        transport.deliver(sent)
    transport.finish()
    assert asker.events[-1] == ("failed", code)
    assert client.pool.open_connections == 0


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"hello\r\n\r\n", "bad_answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "bad_answer"),
        (b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "bad_answer"),
        (b"HTTP/1.1 200 OK\r\nA: " + bytes(40000), "bad_answer"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\nzz\r\n", "bad_answer"),
    ],
)
def test_rule_17_bytes_that_are_not_http_end_the_connection(sent: bytes, code: str) -> None:
    client = Client()
    asker, transport = client.ask()
    transport.deliver(sent)
    assert asker.events[-1] == ("failed", code)
    assert transport.ended == "reset"


def test_rule_17_bad_framing_within_the_body_is_a_broken_answer() -> None:
    client = Client()
    asker, transport = client.ask()
    transport.deliver(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
    transport.deliver(b"zz\r\n")
    assert asker.events == [("head", 200, b"a", False), ("failed", "broken_answer")]


@pytest.mark.parametrize(
    "answer",
    [
        OK.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n"),
        OK.replace(b"1.1", b"1.0"),
        OK + b"HTTP/1.1 200 OK\r\n\r\n",
    ],
)
def test_rule_39_a_connection_is_not_reused_after_close_http_1_0_or_with_bytes_left(answer: bytes) -> None:
    client = Client()
    asker, transport = client.ask()
    transport.deliver(answer)
    assert asker.events == [("head", 200, b"hi", True)]
    assert client.pool.idle_connections == 0
    assert transport.ended == "closed"


def test_rule_39_a_connection_is_not_reused_when_the_request_was_not_sent_completely() -> None:
    client = Client()
    asker, transport = client.ask(b"POST", ended=False)
    connection = asker.connection
    assert connection is not None
    connection.write_body(b"part", False)
    assert transport.taken() == b"part"
    transport.deliver(OK)
    assert asker.events == [("head", 200, b"hi", True)]
    assert transport.ended == "reset"
    connection.write_body(b"more", True)
    assert transport.taken() == b""


def test_an_upload_is_streamed_and_paused_at_64_kib() -> None:
    client = Client()
    asker, transport = client.ask(b"POST", ended=False)
    connection = asker.connection
    assert connection is not None
    transport.stop_taking()
    connection.write_body(bytes(70_000), False)
    assert asker.events == [("paused",)]
    transport.take_all()
    assert asker.events == [("paused",), ("resumed",)]
    connection.write_body(b"end", True)
    transport.deliver(OK)
    assert client.pool.idle_connections == 1


def test_rule_40_a_byte_on_an_idle_connection_closes_it() -> None:
    client = Client()
    _, transport = client.ask()
    transport.deliver(OK)
    transport.deliver(b"H")
    assert transport.ended == "closed"
    assert client.pool.take() is None


def test_the_end_of_an_idle_connection_takes_it_out_of_the_pool() -> None:
    client = Client()
    _, transport = client.ask()
    transport.deliver(OK)
    transport.finish()
    assert client.pool.take() is None
    assert client.pool.open_connections == 0


def test_an_idle_connection_is_closed_after_four_seconds() -> None:
    client = Client()
    _, transport = client.ask()
    transport.deliver(OK)
    client.pass_time(3.75)
    assert client.pool.idle_connections == 1
    client.pass_time(0.75)
    assert client.pool.idle_connections == 0
    assert transport.ended == "closed"


def test_a_connection_that_lay_idle_for_a_second_is_looked_at_before_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client()
    asker, transport = client.ask()
    transport.deliver(OK)
    monkeypatch.setattr(ClientConnection, "stale", lambda self: True)
    taken = client.pool.take()
    assert taken is not None
    taken.send(HEAD, b"GET", asker)
    transport.deliver(OK)
    client.pass_time(1)
    assert client.pool.take() is None
    assert transport.ended == "closed"


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("sent", [b"", b"H"])
async def test_a_stale_connection_is_recognised_before_the_loop_has_read_its_end(sent: bytes) -> None:
    from twisted.internet import reactor

    wheel = DeadlineWheel(reactor)
    with socket.create_server(("127.0.0.1", 0)) as server:
        pool = ConnectionPool(reactor, Address("127.0.0.1", server.getsockname()[1]), wheel)
        asker = Asker()
        pool.open(asker)
        while asker.connection is None:
            await deferLater(reactor, 0.005)
        accepted, _ = server.accept()
        assert not asker.connection.stale()
        if sent:
            accepted.send(sent)
        else:
            accepted.shutdown(socket.SHUT_WR)
        handle = asker.connection.transport.getHandle()
        assert select.select([handle], [], [], 5)[0]  # the kernel has it, and the loop had no turn since
        assert asker.connection.stale()
        asker.connection.abort()
        await deferLater(reactor, 0.01)
        accepted.close()


def test_the_connection_used_last_is_reused_first() -> None:
    client = Client()
    asked = [client.ask() for _ in range(3)]
    for _, transport in asked:
        transport.deliver(OK)
    assert client.pool.take() is asked[2][0].connection
    assert client.pool.take() is asked[1][0].connection


def test_more_than_max_idle_connections_are_kept_for_a_second_only() -> None:
    client = Client(max_idle=2)
    for _, transport in [client.ask() for _ in range(5)]:
        transport.deliver(OK)
    assert client.pool.idle_connections == 5
    client.pass_time(1.5)
    assert client.pool.idle_connections == 2
    client.pass_time(4)
    assert client.pool.idle_connections == 0


def test_a_connection_is_closed_after_max_requests() -> None:
    client = Client(max_requests=2)
    asker, transport = client.ask()
    transport.deliver(OK)
    connection = client.pool.take()
    assert connection is not None
    connection.send(HEAD, b"GET", asker)
    transport.deliver(OK)
    assert client.pool.idle_connections == 0
    assert transport.ended == "closed"


def test_an_answer_that_does_not_begin_in_time_is_a_timeout() -> None:
    client = Client(answer_s=60.0)
    asker, transport = client.ask()
    client.pass_time(59)
    assert asker.events == []
    client.pass_time(2)
    assert asker.events == [("failed", "answer_timeout")]
    assert transport.ended == "reset"


def test_an_answer_that_stops_in_the_middle_is_broken() -> None:
    client = Client(answer_s=5.0)
    asker, transport = client.ask()
    client.pass_time(4)
    transport.deliver(OK[:-1])
    client.pass_time(4)
    assert asker.events == [("head", 200, b"h", False)]
    client.pass_time(2)
    assert asker.events[-1] == ("failed", "broken_answer")


def test_an_upload_in_progress_puts_the_deadline_off() -> None:
    client = Client(answer_s=5.0)
    asker, _ = client.ask(b"POST", ended=False)
    assert asker.connection is not None
    for _ in range(5):
        client.pass_time(4)
        asker.connection.write_body(b"x", False)
    assert asker.events == []


def test_a_paused_answer_waits_at_the_server_and_has_no_deadline() -> None:
    client = Client(answer_s=5.0)
    asker, transport = client.ask()
    transport.deliver(OK[:-1])
    connection = asker.connection
    assert connection is not None
    connection.pause()
    client.pass_time(20)
    transport.deliver(OK[-1:])
    assert asker.events == [("head", 200, b"h", False)]
    connection.resume()
    client.network.advance(0)
    assert asker.events[-1] == ("data", b"i", True)
    assert client.pool.idle_connections == 1


def test_an_aborted_request_resets_and_calls_nobody() -> None:
    client = Client()
    asker, transport = client.ask()
    assert asker.connection is not None
    asker.connection.abort()
    client.network.advance(0)
    assert transport.ended == "reset"
    assert asker.events == []
    assert client.pool.open_connections == 0


def test_a_refused_connection_fails_with_its_cause() -> None:
    client = Client()
    asker = Asker()
    client.pool.open(asker)
    client.network.refuse()
    assert asker.events == [("failed", "connect_failed", Refused.__name__)]


def test_a_connection_that_takes_too_long_times_out() -> None:
    client = Client(connect_timeout_s=3.0)
    asker = Asker()
    client.pool.open(asker)
    client.pass_time(2.75)
    assert asker.events == []
    client.pass_time(1)
    assert asker.events == [("failed", "connect_timeout", "NoneType")]
    assert client.network.attempts == []


def test_a_cancelled_attempt_calls_nobody() -> None:
    client = Client()
    asker = Asker()
    client.pool.open(asker).cancel()
    client.pass_time(5)
    assert asker.events == []
    assert client.network.attempts == []


def test_a_name_is_resolved_for_each_connection_and_its_addresses_tried_in_turn() -> None:
    client = Client("gateway")
    client.network.names["gateway"] = ["10.0.0.1", "10.0.0.2"]
    asker = Asker()
    client.pool.open(asker)
    client.network.advance(0)
    client.network.refuse()
    assert client.network.attempts[0].host == "10.0.0.2"
    client.network.accept()
    assert asker.events == [("connected",)]
    client.network.names["gateway"] = ["10.0.0.3"]
    client.pool.open(Asker())
    client.network.advance(0)
    assert client.network.attempts[0].host == "10.0.0.3"


def test_a_name_without_addresses_is_a_failed_connection() -> None:
    client = Client("nowhere")
    asker = Asker()
    client.pool.open(asker)
    client.network.advance(0)
    assert asker.events == [("failed", "connect_failed", "NoneType")]


def test_a_cancelled_look_up_connects_nowhere() -> None:
    client = Client("gateway")
    client.network.names["gateway"] = ["10.0.0.1"]
    client.pool.open(Asker()).cancel()
    client.network.advance(0)
    assert client.network.attempts == []


def test_a_closed_pool_closes_what_is_idle_and_fails_what_is_being_opened() -> None:
    client = Client()
    used, busy = client.ask()
    _, idle = client.ask()
    idle.deliver(OK)
    opening = Asker()
    client.pool.open(opening)
    client.pool.close()
    assert idle.ended == "closed"
    assert opening.events == [("failed", "connect_failed", "NoneType")]
    assert busy.open
    busy.deliver(OK)
    assert used.events == [("head", 200, b"hi", True)]
    assert busy.ended == "closed"


def test_a_connection_with_a_preface_begins_with_it_and_serves_the_same_again_only() -> None:
    network = MemoryNetwork()
    wheel = DeadlineWheel(network)
    wheel.startService()
    pool = PrefacedPool(network, Address("10.0.0.1", 80), wheel)
    asker = Asker()
    pool.open(asker, b"for a ")
    server = network.accept()
    assert asker.connection is not None
    asker.connection.send(HEAD, b"GET", asker)
    assert server.taken() == b"for a " + HEAD
    server.deliver(OK)
    assert pool.take(b"for b ") is None
    assert pool.take() is None
    again = pool.take(b"for a ")
    assert again is asker.connection
    assert again is not None
    again.send(HEAD, b"GET", asker)
    assert server.taken() == HEAD
    again.abort()
    network.advance(0)
    assert pool.open_connections == 0


def test_a_pool_s_own_preface_begins_every_connection() -> None:
    network = MemoryNetwork()
    wheel = DeadlineWheel(network)
    wheel.startService()
    pool = ConnectionPool(network, Address("10.0.0.1", 80), wheel, preface=b"LOCAL ")
    pool.open(Asker())
    assert network.accept().taken() == b"LOCAL "


def test_those_who_wait_for_the_first_byte_of_an_answer_are_known() -> None:
    client = Client()
    waiting, _ = client.ask()
    begun, server = client.ask()
    server.deliver(OK[:-1])
    beginning, server = client.ask()
    server.deliver(OK[:5])
    hinted, server = client.ask()
    server.deliver(b"HTTP/1.1 103 Early Hints\r\n\r\n")
    uploading, _ = client.ask(b"POST", ended=False)
    done, server = client.ask()
    server.deliver(OK)
    gone, server = client.ask()
    assert gone.connection is not None
    gone.connection.abort()
    client.open()
    assert set(client.pool.receivers_without_answer()) == {waiting, hinted, uploading}
    assert begun.events == [("head", 200, b"h", False)]
    assert beginning.events == []
    assert done.events == [("head", 200, b"hi", True)]


def test_other_timeouts_hold_for_connections_that_are_open_too() -> None:
    client = Client()
    asker, transport = client.ask()
    transport.deliver(OK)
    limits = Limits(max_head_bytes=2048)
    client.pool.configure(connect_timeout_s=1.0, answer_s=2.0, limits=limits)
    assert client.pool.limits is limits
    connection = client.pool.take()
    assert connection is asker.connection
    assert connection is not None
    connection.send(HEAD, b"GET", asker)
    client.pass_time(3)
    assert asker.events[-1] == ("failed", "answer_timeout")
    client.pool.open(asker)
    client.pass_time(1.5)
    assert asker.events[-1][:2] == ("failed", "connect_timeout")


def test_a_shorter_timeout_leaves_a_request_its_time_and_its_connection_takes_no_other() -> None:
    client = Client()
    asker, transport = client.ask()
    client.pool.configure(connect_timeout_s=1.0, answer_s=2.0, limits=DEFAULT_LIMITS)
    client.pass_time(55)
    assert asker.events == []
    transport.deliver(OK)
    assert asker.events == [("head", 200, b"hi", True)]
    assert client.pool.take() is None
    assert transport.ended == "closed"


def test_a_shorter_timeout_holds_from_the_next_piece_on() -> None:
    client = Client()
    asker, transport = client.ask()
    client.pool.configure(connect_timeout_s=1.0, answer_s=2.0, limits=DEFAULT_LIMITS)
    transport.deliver(OK[:-1])
    client.pass_time(3)
    assert asker.events[-1] == ("failed", "broken_answer")


def test_a_tunnel_keeps_its_own_timeout() -> None:
    client = Client()
    connection, transport = client.open()
    tunnel = Asker()
    connection.may_switch((b"websocket",))
    connection.send(HEAD, b"GET", Switching(connection, tunnel))
    transport.deliver(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
    client.pool.configure(connect_timeout_s=1.0, answer_s=0.5, limits=DEFAULT_LIMITS)
    transport.deliver(b"bytes")
    client.pass_time(8)
    assert tunnel.events == [("data", b"bytes", False)]
    client.pass_time(4)
    assert tunnel.events[-1] == ("failed", "tunnel_timeout")


class Switching(Asker):
    """Becomes a tunnel for ``tunnel``, with ten seconds."""

    def __init__(self, connection: ClientConnection, tunnel: Any) -> None:
        super().__init__()
        self.connection = connection
        self._tunnel = tunnel

    def answer_switched(self, head: ResponseHead, data: bytes) -> None:
        assert self.connection is not None
        self.connection.enter_tunnel(self._tunnel, 40)

    def server_finished(self) -> None:
        """Not here."""
