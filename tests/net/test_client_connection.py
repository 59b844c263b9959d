"""One connection to a server: what is sent, what comes back, how it ends; on a network in memory."""

import select
import socket

import pytest
import pytest_twisted
from twisted.internet.task import deferLater

from scalability.config import Address
from scalability.lifecycle import DeadlineWheel
from scalability.net.connection_pool import ConnectionPool
from scalability.testing.recorded_client import HEAD, OK, Asker, RecordedClient


def test_a_small_answer_is_one_call_and_the_connection_is_reused() -> None:
    client = RecordedClient()
    asker, transport = client.ask()
    transport.deliver(OK)
    assert asker.events == [("head", 200, b"hi", True)]
    assert client.pool.idle_connections == 1
    assert client.pool.take() is asker.connection
    assert client.pool.idle_connections == 0
    assert client.pool.connects == 1


def test_each_request_has_its_own_time_however_often_the_connection_was_used() -> None:
    client = RecordedClient(answer_s=3.0, idle_s=10.0)
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


def test_an_answer_to_head_has_no_body_whatever_its_length_says() -> None:
    client = RecordedClient()
    asker, transport = client.ask(b"HEAD")
    transport.deliver(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n")
    assert asker.events == [("head", 200, b"", True)]
    assert client.pool.idle_connections == 1


def test_a_body_that_ends_with_the_connection_is_complete_with_a_fin_only() -> None:
    client = RecordedClient()
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
    client = RecordedClient()
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
    client = RecordedClient()
    asker, transport = client.ask()
    transport.deliver(sent)
    assert asker.events[-1] == ("failed", code)
    assert transport.ended == "reset"


def test_rule_17_bad_framing_within_the_body_is_a_broken_answer() -> None:
    client = RecordedClient()
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
    client = RecordedClient()
    asker, transport = client.ask()
    transport.deliver(answer)
    assert asker.events == [("head", 200, b"hi", True)]
    assert client.pool.idle_connections == 0
    assert transport.ended == "closed"


def test_rule_39_a_connection_is_not_reused_when_the_request_was_not_sent_completely() -> None:
    client = RecordedClient()
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
    client = RecordedClient()
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
    client = RecordedClient()
    _, transport = client.ask()
    transport.deliver(OK)
    transport.deliver(b"H")
    assert transport.ended == "closed"
    assert client.pool.take() is None


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


def test_an_answer_that_does_not_begin_in_time_is_a_timeout() -> None:
    client = RecordedClient(answer_s=60.0)
    asker, transport = client.ask()
    client.pass_time(59)
    assert asker.events == []
    client.pass_time(2)
    assert asker.events == [("failed", "answer_timeout")]
    assert transport.ended == "reset"


def test_an_answer_that_stops_in_the_middle_is_broken() -> None:
    client = RecordedClient(answer_s=5.0)
    asker, transport = client.ask()
    client.pass_time(4)
    transport.deliver(OK[:-1])
    client.pass_time(4)
    assert asker.events == [("head", 200, b"h", False)]
    client.pass_time(2)
    assert asker.events[-1] == ("failed", "broken_answer")


def test_an_upload_in_progress_puts_the_deadline_off() -> None:
    client = RecordedClient(answer_s=5.0)
    asker, _ = client.ask(b"POST", ended=False)
    assert asker.connection is not None
    for _ in range(5):
        client.pass_time(4)
        asker.connection.write_body(b"x", False)
    assert asker.events == []


def test_a_paused_answer_waits_at_the_server_and_has_no_deadline() -> None:
    client = RecordedClient(answer_s=5.0)
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
    client = RecordedClient()
    asker, transport = client.ask()
    assert asker.connection is not None
    asker.connection.abort()
    client.network.advance(0)
    assert transport.ended == "reset"
    assert asker.events == []
    assert client.pool.open_connections == 0
