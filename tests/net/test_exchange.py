"""Exchanges: bodies as they come, answers whole or in pieces, and errors."""

import pytest

from scalability.errors import NoServer, ScalelabError
from scalability.net.exchange import CONTINUE, Exchange
from scalability.testing.recorded_server import EPOCH, GET, RecordedServer, error_of, hello, statuses


def test_the_body_is_given_out_as_it_comes() -> None:
    server = RecordedServer()
    server.client.deliver(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n123")
    exchange = server.application.exchanges[0]
    assert (exchange.body, exchange.body_complete) == (b"123", False)
    server.client.deliver(b"4567")
    server.client.deliver(b"890" + GET)
    assert server.application.events == [("body", b"4567", False), ("body", b"890", True)]
    assert exchange.body_complete
    hello(exchange)
    assert len(server.application.exchanges) == 2


def test_trailers_are_there_when_the_body_has_ended() -> None:
    server = RecordedServer()
    server.client.deliver(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
    server.client.deliver(b"0\r\nSum: 7\r\n\r\n")
    assert server.application.exchanges[0].trailers == ((b"Sum", b"7"),)


def test_a_client_that_waits_for_100_continue_gets_it_when_the_application_wants_the_body() -> None:
    server = RecordedServer()
    server.client.deliver(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
    assert server.client.taken() == b""
    exchange = server.application.exchanges[0]
    exchange.send_continue()
    assert server.client.taken() == CONTINUE
    server.client.deliver(b"1234")
    hello(exchange)
    assert b"Connection: close" not in server.client.taken()


def test_an_answer_may_be_written_in_pieces() -> None:
    server = RecordedServer()
    server.client.deliver(GET)
    exchange = server.application.exchanges[0]
    exchange.begin(200, b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nab", keep_alive=True)
    exchange.write(b"cd")
    exchange.finish(b"ef")
    assert server.client.taken() == b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabcdef"
    assert server.factory.counts.answered == 1
    assert server.factory.counts.sent_bytes == 44
    server.client.deliver(GET)
    assert len(server.application.exchanges) == 2


def test_an_exchange_cannot_be_answered_twice() -> None:
    server = RecordedServer(hello)
    server.client.deliver(GET)
    with pytest.raises(RuntimeError):
        hello(server.application.exchanges[0])


def test_head_gets_the_fields_and_no_body() -> None:
    server = RecordedServer(hello)
    server.client.deliver(b"HEAD /abc HTTP/1.1\r\nHost: x\r\n\r\n")
    assert server.client.taken().endswith(b"Content-Length: 4\r\n" + EPOCH + b"\r\n")


def test_an_error_becomes_json_with_its_status_and_retry_after() -> None:
    server = RecordedServer(lambda exchange: exchange.fail(NoServer()))
    server.client.deliver(GET)
    sent = server.client.taken()
    assert error_of(sent) == (503, "no_server")
    assert b"Retry-After: 1\r\n" in sent
    assert server.client.open
    assert server.application.exchanges[0].trouble == "no_server"


def test_an_error_in_the_middle_of_an_answer_resets_the_connection() -> None:
    server = RecordedServer()
    server.client.deliver(GET)
    exchange = server.application.exchanges[0]
    exchange.begin(200, b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nab", keep_alive=True)
    exchange.fail(NoServer())
    assert server.client.ended == "reset"
    assert server.factory.counts.aborted == 1
    assert server.factory.counts.answered == 0


def test_the_peer_and_its_scheme_are_known_to_the_application() -> None:
    server = RecordedServer()
    server.client.deliver(GET)
    exchange = server.application.exchanges[0]
    assert (exchange.peer_host, exchange.scheme) == (b"192.0.2.1", b"http")
    exchange.connection.memory = "kept"
    hello(exchange)
    server.client.deliver(GET)
    assert server.application.exchanges[1].connection.memory == "kept"


def limited(exchange: Exchange) -> None:
    try:
        exchange.limit_body(10)
    except ScalelabError as error:
        exchange.fail(error)


CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


SIZED = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: "


@pytest.mark.parametrize(
    "sent",
    [
        SIZED + b"11\r\n\r\n",
        SIZED + b"11\r\n\r\n12345678901",
        CHUNKED + b"b\r\n",
        CHUNKED + b"6\r\n123456\r\n5\r\n",
        CHUNKED + b"6\r\n123456\r\n5\r\n12345\r\n0\r\n\r\n",
    ],
)
def test_a_body_that_is_larger_than_its_route_takes_is_refused_before_anything_is_done_with_it(sent: bytes) -> None:
    server = RecordedServer(limited)
    server.client.deliver(sent)
    assert error_of(server.client.taken()) == (413, "body_too_large")
    assert server.application.events == []


def test_a_body_that_turns_out_to_be_larger_later_ends_its_exchange() -> None:
    server = RecordedServer(limited)
    server.client.deliver(CHUNKED + b"6\r\n123456\r\n")
    assert server.client.taken() == b""
    server.client.deliver(b"5\r\n")
    assert error_of(server.client.taken()) == (413, "body_too_large")
    assert server.application.events == [("lost", "body_too_large")]


@pytest.mark.parametrize("sent", [SIZED + b"10\r\n\r\n1234567890", CHUNKED + b"6\r\n123456\r\n4\r\n1234\r\n0\r\n\r\n", GET])
def test_a_body_of_just_the_size_that_is_taken_passes(sent: bytes) -> None:
    for pieces in ([sent], [sent[n : n + 1] for n in range(len(sent))]):
        server = RecordedServer(limited)
        for piece in pieces:
            server.client.deliver(piece)
        (exchange,) = server.application.exchanges
        assert exchange.body_complete
        exchange.answer(200, b"")
        assert statuses(server.client.taken()) == [200]
        assert server.client.open
