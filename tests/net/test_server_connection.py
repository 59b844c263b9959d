"""Connections of the HTTP server, on transports in memory and a clock of the test's own."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalability.http1.limits import Limits
from scalability.net.exchange import Exchange
from scalability.net.http_server import Timeouts
from scalability.testing.recorded_server import EPOCH, GET, RecordedServer, error_of, hello, statuses


def test_a_request_is_answered_in_one_write_and_the_connection_goes_on() -> None:
    server = RecordedServer(hello)
    server.client.deliver(GET)
    assert server.client.taken() == b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n" + EPOCH + b"\r\n/a"
    assert server.client.writes == 1
    server.client.deliver(GET.replace(b"/a", b"/bc"))
    assert server.client.taken().endswith(b"\r\n\r\n/bc")
    assert server.client.open


@given(st.lists(st.integers(1, 180), max_size=8))
def test_a_request_may_come_in_any_pieces(cuts: list[int]) -> None:
    server = RecordedServer()
    request = b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n" + GET
    start = 0
    for cut in [*sorted(set(cuts)), len(request)]:
        server.client.deliver(request[start:cut])
        start = cut
    first = server.application.exchanges[0]
    assert first.body + server.application.body == b"hello!"
    assert first.body_complete
    first.answer(200, b"")
    assert len(server.application.exchanges) == 2


def test_rule_41_pipelined_requests_are_served_one_by_one_and_answered_in_order() -> None:
    server = RecordedServer()
    server.client.deliver(GET + GET.replace(b"/a", b"/b") + GET.replace(b"/a", b"/c"))
    assert [e.head.target for e in server.application.exchanges] == [b"/a"]
    hello(server.application.exchanges[0])
    assert [e.head.target for e in server.application.exchanges] == [b"/a", b"/b"]
    hello(server.application.exchanges[1])
    hello(server.application.exchanges[2])
    assert [part[-2:] for part in server.client.taken().split(b"HTTP/1.1 ")[1:]] == [b"/a", b"/b", b"/c"]


def test_thousands_of_pipelined_requests_do_not_nest() -> None:
    server = RecordedServer(hello)
    server.client.deliver(GET * 2000)
    assert server.client.taken().count(b"HTTP/1.1 200") == 2000


def test_rule_48_pipelined_bytes_are_bounded_while_an_answer_is_awaited() -> None:
    server = RecordedServer()
    server.client.deliver(GET)
    server.client.deliver(GET * 3000)
    assert not server.client.reading
    hello(server.application.exchanges[0])
    while len(server.application.exchanges) < 3001:
        hello(server.application.exchanges[-1])
    hello(server.application.exchanges[-1])
    assert server.client.reading


def test_rule_48_no_further_request_is_taken_up_while_a_client_does_not_read_its_answers() -> None:
    server = RecordedServer(lambda exchange: exchange.answer(200, bytes(70_000)))
    server.client.stop_taking()
    server.client.deliver(GET * 5)
    assert len(server.application.exchanges) == 1
    server.client.take_all()
    assert len(server.application.exchanges) == 5
    assert len(server.client.taken()) > 350_000


def test_rule_41_a_refused_message_ends_the_pipeline() -> None:
    server = RecordedServer(hello)
    server.client.deliver(GET + b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n" + GET)
    sent = server.client.taken()
    assert statuses(sent) == [200, 400]
    assert b"Connection: close" in sent
    assert len(server.application.exchanges) == 1


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400, "bad_request"),
        (b"G(T / HTTP/1.1\r\nHost: x\r\n\r\n", 400, "bad_request"),
        (b"GET / HTTP/3.0\r\nHost: x\r\n\r\n", 505, "version_not_supported"),
        (b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", 405, "method_not_allowed"),
        (b"GET /" + b"a" * 9000, 414, "target_too_long"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 40000, 431, "head_too_large"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "bad_request"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nExpect: wonders\r\n\r\n", 417, "expectation_failed"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2000\r\n\r\n", 413, "body_too_large"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400, "bad_request"),
    ],
)
def test_what_is_no_proper_request_is_refused_as_json(request_: bytes, status: int, code: str) -> None:
    server = RecordedServer(hello, limits=Limits(max_body_bytes=1000))
    server.client.deliver(request_)
    assert error_of(server.client.taken()) == (status, code)
    assert server.client.half_closed
    assert server.factory.counts.refused == 1
    assert server.factory.counts.active == 0


def test_after_a_refusal_the_client_may_finish_sending_and_then_reads_the_answer() -> None:
    server = RecordedServer(hello, limits=Limits(max_body_bytes=1000))
    server.client.deliver(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n")
    for _ in range(20):
        server.client.deliver(bytes(10_000))
    assert server.client.open
    server.client.finish()
    assert server.client.ended == "closed"


def test_a_client_that_goes_on_sending_after_a_refusal_is_cut_off_in_the_end() -> None:
    server = RecordedServer(hello, limits=Limits(max_body_bytes=1000), linger_bytes=100_000)
    server.client.deliver(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n")
    server.client.deliver(bytes(100_001))
    assert server.client.ended == "reset"
    other = server.connect()
    other.deliver(b"bad\r\n\r\n")
    server.pass_time(6)
    assert other.ended == "reset"


def test_rule_47_a_head_that_does_not_arrive_in_time_is_answered_408_however_it_trickles() -> None:
    server = RecordedServer(hello)
    for octet in GET[:20]:
        server.client.deliver(bytes([octet]))
        server.pass_time(0.5)
    server.pass_time(1)
    assert error_of(server.client.taken()) == (408, "request_timeout")


def test_a_new_connection_that_says_nothing_is_closed_without_a_word_after_the_head_deadline() -> None:
    server = RecordedServer(hello)
    server.pass_time(11)
    assert server.client.ended == "closed"
    assert server.client.taken() == b""


def test_an_idle_connection_is_closed_after_75_seconds() -> None:
    server = RecordedServer(hello)
    server.client.deliver(GET)
    server.pass_time(74)
    assert server.client.open
    server.pass_time(2)
    assert server.client.ended == "closed"


def test_each_usual_request_puts_the_end_of_the_idle_time_off() -> None:
    server = RecordedServer(hello)
    for _ in range(6):
        server.client.deliver(GET)
        assert statuses(server.client.taken()) == [200]
        server.pass_time(60)
        assert server.client.open
    server.pass_time(14)
    assert server.client.open
    server.pass_time(2)
    assert server.client.ended == "closed"


def test_an_answer_that_took_longer_than_an_idle_time_is_followed_by_a_whole_one() -> None:
    server = RecordedServer()
    for turn in range(3):
        server.client.deliver(GET)
        server.pass_time(200)
        hello(server.application.exchanges[turn])
        assert statuses(server.client.taken()) == [200]
    server.pass_time(74)
    assert server.client.open
    server.pass_time(2)
    assert server.client.ended == "closed"


def test_rule_47_a_body_that_stops_coming_is_answered_408_and_the_application_is_told() -> None:
    server = RecordedServer(timeouts=Timeouts(min_body_bytes_per_s=0))
    server.client.deliver(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n1")
    server.pass_time(20)
    server.client.deliver(b"2")
    server.pass_time(29)
    assert server.application.events == [("body", b"2", False)]
    server.pass_time(2)
    assert server.application.events[-1] == ("lost", "request_timeout")
    assert error_of(server.client.taken()) == (408, "request_timeout")
    assert server.factory.counts.active == 0


def test_the_time_in_which_the_application_works_has_no_deadline_here() -> None:
    server = RecordedServer()
    server.client.deliver(GET)
    server.pass_time(200)
    hello(server.application.exchanges[0])
    assert statuses(server.client.taken()) == [200]


def test_a_paused_body_waits_at_the_client_and_no_deadline_runs() -> None:
    server = RecordedServer()
    server.client.deliver(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n1")
    exchange = server.application.exchanges[0]
    exchange.pause_body()
    assert not server.client.reading
    server.client.deliver(b"234")
    server.pass_time(100)
    assert server.application.events == []
    exchange.resume_body()
    server.network.advance(0)
    assert server.application.events == [("body", b"234", True)]


def test_bytes_that_a_transport_delivers_in_spite_of_a_pause_are_kept() -> None:
    server = RecordedServer()
    server.client.deliver(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n1")
    exchange = server.application.exchanges[0]
    exchange.pause_body()
    server.client.protocol.dataReceived(b"23")
    server.client.protocol.dataReceived(b"4" + GET)
    assert server.application.events == []
    exchange.resume_body()
    assert server.application.events == [("body", b"234", True)]
    hello(exchange)
    assert len(server.application.exchanges) == 2


def test_rule_38_an_answer_before_the_end_of_the_body_ends_the_connection_and_reads_on_for_a_while() -> None:
    server = RecordedServer()
    server.client.deliver(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n")
    server.application.exchanges[0].answer(403, b"{}")
    sent = server.client.taken()
    assert statuses(sent) == [403]
    assert b"Connection: close" in sent
    assert server.client.half_closed
    server.client.deliver(b"1234")
    assert server.application.events == []
    server.client.finish()
    assert server.client.ended == "closed"


def test_rule_48_a_slow_reader_stops_the_writer_at_64_kib_and_starts_it_again() -> None:
    server = RecordedServer()
    server.client.deliver(GET)
    server.client.stop_taking()
    exchange = server.application.exchanges[0]
    exchange.begin(200, b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", keep_alive=True)
    exchange.write(bytes(60_000))
    assert server.application.events == []
    exchange.write(bytes(10_000))
    assert server.application.events == [("full",)]
    server.client.take_all()
    assert server.application.events == [("full",), ("ready",)]


def test_a_reader_that_takes_nothing_for_30_seconds_is_cut_off() -> None:
    server = RecordedServer()
    server.client.deliver(GET)
    server.client.stop_taking()
    exchange = server.application.exchanges[0]
    exchange.begin(200, b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", keep_alive=True)
    exchange.write(bytes(70_000))
    server.pass_time(31)
    assert server.application.events == [("full",), ("lost", "client_gone")]
    assert server.client.ended == "reset"


def test_rule_48_pipelined_requests_of_a_client_that_reads_no_answers_wait_with_it() -> None:
    server = RecordedServer(lambda exchange: exchange.answer(200, bytes(30_000), b"text/plain"))
    server.client.stop_taking()
    for _ in range(100):
        server.client.deliver(GET * 100)
    assert len(server.application.exchanges) == 3  # the third fills the 64 KiB
    assert not server.client.reading
    server.client.take_all()
    server.network.advance(0)
    assert len(server.application.exchanges) == 10_000
    assert server.client.reading


def test_rule_42_a_half_close_after_a_complete_request_still_gets_its_answer() -> None:
    server = RecordedServer()
    server.client.deliver(GET)
    server.client.finish()
    assert server.application.events == []
    hello(server.application.exchanges[0])
    assert statuses(server.client.taken()) == [200]
    assert server.client.ended == "closed"


def test_rule_42_a_half_close_after_pipelined_requests_gets_all_answers() -> None:
    server = RecordedServer()
    server.client.deliver(GET + GET)
    server.client.finish()
    hello(server.application.exchanges[0])
    assert server.client.open
    hello(server.application.exchanges[1])
    assert statuses(server.client.taken()) == [200, 200]
    assert server.client.ended == "closed"


@pytest.mark.parametrize("rest", [b"Content-Length: 5\r\n\r\nhel", b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"])
def test_rule_42_a_fin_within_the_body_of_a_pipelined_request_cancels_that_one(rest: bytes) -> None:
    server = RecordedServer()
    server.client.deliver(GET + b"POST / HTTP/1.1\r\nHost: x\r\n" + rest)
    server.client.finish()
    hello(server.application.exchanges[0])
    assert statuses(server.client.taken()) == [200]
    assert len(server.application.exchanges) == 1, "what can never be whole is not begun"
    assert not server.client.open
    assert server.factory.counts.active == 0


def test_rule_42_with_abort_on_close_a_fin_cancels() -> None:
    server = RecordedServer(abort_on_close=True)
    server.client.deliver(GET)
    server.client.finish()
    assert server.application.events == [("lost", "client_gone")]


def test_rule_42_a_fin_within_a_body_cancels() -> None:
    server = RecordedServer()
    server.client.deliver(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n1")
    server.client.finish()
    assert server.application.events == [("lost", "client_gone")]
    assert server.client.ended == "reset"
    assert server.factory.counts.aborted == 1


def test_rule_42_a_reset_cancels_and_what_is_written_afterwards_is_dropped() -> None:
    server = RecordedServer()
    server.client.deliver(GET)
    server.client.reset()
    assert server.application.events == [("lost", "client_gone")]
    hello(server.application.exchanges[0])
    assert server.factory.counts.answered == 0
    assert server.factory.counts.open == 0


def test_a_fin_on_an_idle_connection_or_within_a_head_closes_it() -> None:
    server = RecordedServer(hello)
    server.client.finish()
    assert server.client.ended == "closed"
    other = server.connect()
    other.deliver(GET[:9])
    other.finish()
    assert other.ended == "closed"
    assert server.application.exchanges == []


def test_http_1_0_is_answered_and_closed_unless_it_asks_to_be_kept_alive() -> None:
    server = RecordedServer(hello)
    server.client.deliver(b"GET /a HTTP/1.0\r\n\r\n")
    assert b"Connection: close\r\n" in server.client.taken()
    assert server.client.ended == "closed"
    other = server.connect()
    other.deliver(b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert b"Connection: keep-alive\r\n" in other.taken()
    assert other.open


def test_a_client_that_says_close_is_closed_after_its_answer() -> None:
    server = RecordedServer(hello)
    server.client.deliver(b"GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert b"Connection: close\r\n" in server.client.taken()
    assert server.client.ended == "closed"


def test_a_mistake_in_the_application_is_logged_and_answered_without_its_traceback(logged_failures: Any) -> None:
    def fail(exchange: Exchange) -> None:
        raise ZeroDivisionError("secret")

    server = RecordedServer(fail)
    server.client.deliver(GET)
    sent = server.client.taken()
    assert error_of(sent) == (500, "internal_error")
    assert b"secret" not in sent
    assert logged_failures.flush(ZeroDivisionError)


SLOW = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"


def dribble(server: RecordedServer, seconds: int, data: bytes) -> int:
    """The client sends ``data`` each second; the second in which it was refused, or 0."""
    for second in range(1, seconds + 1):
        server.pass_time(1)
        if not server.application.exchanges or ("lost", "request_timeout") in server.application.events:
            return second
        server.client.deliver(data)
    return 0


def test_rule_47_a_body_that_dribbles_is_answered_408_soon_after_its_first_10_seconds() -> None:
    server = RecordedServer()
    server.client.deliver(SLOW)
    assert 10 <= dribble(server, 60, b"x") <= 12
    assert error_of(server.client.taken()) == (408, "request_timeout")


def test_rule_47_a_body_above_the_least_rate_may_take_as_long_as_it_likes() -> None:
    server = RecordedServer()
    server.client.deliver(SLOW)
    assert dribble(server, 300, bytes(1100)) == 0
    slower = RecordedServer()
    slower.client.deliver(SLOW)
    assert 11 < dribble(slower, 300, bytes(900)) < 100, "below the rate it may live off its first ten seconds for a while"


def test_rule_47_a_fast_beginning_buys_no_more_than_one_long_pause() -> None:
    server = RecordedServer()
    server.client.deliver(SLOW + bytes(900_000))
    assert 30 <= dribble(server, 600, b"x") <= 33


def test_rule_47_time_in_which_nobody_reads_the_body_is_not_held_against_the_client() -> None:
    server = RecordedServer()
    server.client.deliver(SLOW)
    exchange = server.application.exchanges[0]
    server.pass_time(5)
    exchange.pause_body()
    server.pass_time(600)
    exchange.resume_body()
    server.pass_time(4)
    assert server.application.events == []
    server.pass_time(3)
    assert server.application.events == [("lost", "request_timeout")]


def test_rule_47_a_client_that_waits_for_100_continue_is_not_hurried() -> None:
    server = RecordedServer()
    server.client.deliver(SLOW.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"))
    server.pass_time(25)
    assert server.application.events == []
    server.pass_time(6)
    assert server.application.events == [("lost", "request_timeout")]


@pytest.mark.parametrize(("before", "after"), [(1024, 65536), (0, 65536), (65536, 1024)])
def test_rule_47_another_least_rate_leaves_the_time_that_a_body_has_bought(before: int, after: int) -> None:
    def timeouts(rate: int) -> Timeouts:
        return Timeouts(min_body_bytes_per_s=rate)

    server = RecordedServer(timeouts=timeouts(before))
    server.client.deliver(SLOW)
    assert dribble(server, 4, bytes(100)) == 0
    server.factory.configure(limits=server.factory.limits, timeouts=timeouts(after), max_connections_per_client=0)
    assert dribble(server, 4, bytes(100)) == 0, "it has ten seconds in any case"
    assert 0 < dribble(server, 60, bytes(100)) < 40, "and then not at any rate"
    assert error_of(server.client.taken())[0] == 408
