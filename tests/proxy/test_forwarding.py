"""One proxied request, with the test as its client and as its servers."""

import gc

import pytest

from scalability.http1.trace import Identifiers
from scalability.testing.proxying import GET, OK, Proxy, body_of, error_of
from scalability.upstream.rules import UpstreamRules

POST = b"POST /a HTTP/1.1\r\nHost: shop\r\nContent-Length: 4\r\n\r\n"


EPOCH = b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"


def test_a_small_request_is_one_write_there_and_one_write_back() -> None:
    proxy = Proxy()
    server = proxy.ask()
    assert server.taken() == (
        b"GET /a HTTP/1.1\r\nHost: shop\r\nX-A: 1\r\nX-Forwarded-For: 192.0.2.1\r\nX-Real-IP: 192.0.2.1\r\n"
        b"X-Forwarded-Proto: http\r\nX-Forwarded-Host: shop\r\nVia: 1.1 lb\r\n\r\n"
    )
    server.deliver(OK)
    assert proxy.client.taken() == b"HTTP/1.1 200 OK\r\nServer: s\r\nVia: 1.1 lb\r\n" + EPOCH + b"Content-Length: 2\r\n\r\nhi"
    assert (server.writes, proxy.client.writes) == (1, 1)
    assert proxy.ended == [(200, "10.0.0.1:80", "")]
    assert proxy.settled()


def test_an_answer_without_a_date_gets_one_and_one_with_a_date_keeps_it() -> None:
    proxy = Proxy()
    server = proxy.ask()
    for sent, wanted in ((OK, EPOCH), (OK.replace(b"Server: s", b"Date: then"), b"Date: then\r\n"), (OK, EPOCH)):
        server.deliver(sent)
        answer = proxy.client.taken()
        assert answer.count(b"Date: ") == 1
        assert wanted in answer
        proxy.client.deliver(GET)


def test_connections_to_servers_are_kept_and_reused() -> None:
    proxy = Proxy()
    server = proxy.ask()
    for _ in range(3):
        server.deliver(OK)
        proxy.client.deliver(GET)
    assert proxy.network.attempts == []
    assert proxy.servers[0].requests == 4


def test_requests_take_turns_on_the_servers() -> None:
    proxy = Proxy(servers=3)
    for _ in range(6):
        proxy.connect().deliver(GET)
    assert [attempt.host for attempt in proxy.network.attempts] == ["10.0.0.1", "10.0.0.2", "10.0.0.3"] * 2


def test_a_refused_connection_is_tried_on_another_server_at_once_whatever_the_method() -> None:
    proxy = Proxy(servers=3)
    proxy.client.deliver(POST + b"body")
    proxy.network.refuse()
    proxy.network.refuse()
    server = proxy.network.accept()
    assert server.getPeer().host == "10.0.0.3"
    assert server.taken().endswith(b"\r\n\r\nbody")
    server.deliver(OK)
    assert proxy.ended == [(200, "10.0.0.3:80", "")]
    assert [s.failures for s in proxy.servers] == [{"connect_failed": 1}, {"connect_failed": 1}, {}]
    assert proxy.application.retries.count == 2
    assert proxy.settled()


def test_a_body_that_is_still_arriving_waits_for_a_connection_and_is_not_lost() -> None:
    proxy = Proxy(servers=2)
    proxy.client.deliver(POST + b"bo")
    proxy.client.deliver(b"dy")
    assert not proxy.client.reading
    proxy.network.refuse()
    server = proxy.network.accept()
    proxy.network.advance(0)
    assert server.taken().endswith(b"\r\n\r\nbody")
    server.deliver(OK)
    assert b"200 OK" in proxy.client.taken()


def test_rule_51_no_server_that_accepts_is_502_without_an_address() -> None:
    proxy = Proxy(servers=2)
    proxy.client.deliver(GET)
    proxy.network.refuse()
    proxy.network.refuse()
    sent = proxy.client.taken()
    assert error_of(sent) == (502, "connect_failed")
    assert b"10.0.0" not in sent
    assert proxy.ended == [(502, "", "connect_failed")]
    assert proxy.settled()


def test_rule_51_no_server_at_all_is_503_with_retry_after() -> None:
    proxy = Proxy(servers=0)
    proxy.client.deliver(GET)
    sent = proxy.client.taken()
    assert error_of(sent) == (503, "no_server")
    assert b"Retry-After: 1\r\n" in sent
    proxy.client.deliver(GET)
    assert error_of(proxy.client.taken()) == (503, "no_server")


def test_rule_51_connect_timeouts_are_504_after_three_servers() -> None:
    proxy = Proxy(servers=5)
    proxy.client.deliver(GET)
    proxy.pass_time(20)
    assert error_of(proxy.client.taken()) == (504, "connect_timeout")
    assert sum(server.requests for server in proxy.servers) == 3
    assert proxy.settled()


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"PUT", b"DELETE", b"OPTIONS"])
def test_rule_44_an_idempotent_request_whose_connection_dies_before_an_answer_is_tried_twice_elsewhere(method: bytes) -> None:
    proxy = Proxy(servers=4)
    proxy.ask(GET.replace(b"GET", method)).finish()
    second = proxy.network.accept()
    assert second.getPeer().host == "10.0.0.2"
    second.finish()
    assert proxy.network.attempts == [], "the second retry has a pause before it"
    proxy.network.advance(0.025)
    proxy.network.accept().finish()
    assert proxy.network.attempts == []
    assert b"HTTP/1.1 502 " in proxy.client.taken()
    assert proxy.settled()


def test_rule_44_a_post_is_not_sent_twice() -> None:
    proxy = Proxy(servers=2)
    proxy.ask(POST + b"body").finish()
    assert proxy.network.attempts == []
    assert error_of(proxy.client.taken()) == (502, "no_answer")


def test_rule_44_a_body_is_sent_again_as_far_as_it_has_come_and_then_goes_on() -> None:
    proxy = Proxy(servers=2)
    server = proxy.ask(POST.replace(b"POST", b"PUT"))
    proxy.client.deliver(b"bo")
    assert server.taken().endswith(b"\r\n\r\nbo")
    server.finish()
    second = proxy.network.accept()
    assert second.taken().endswith(b"\r\n\r\nbo")
    proxy.client.deliver(b"dy")
    assert second.taken() == b"dy"
    second.deliver(OK)
    assert body_of(proxy.client.taken()) == b"hi"
    assert proxy.settled()


def test_rule_44_a_request_whose_body_is_too_large_to_be_kept_is_not_sent_twice() -> None:
    proxy = Proxy(servers=2)
    server = proxy.ask(b"PUT / HTTP/1.1\r\nHost: shop\r\nContent-Length: 70000\r\n\r\n")
    proxy.client.deliver(b"x" * 65537)
    server.finish()
    assert proxy.network.attempts == []
    assert error_of(proxy.client.taken()) == (502, "no_answer")


def test_rule_44_the_second_attempt_is_made_on_a_fresh_connection() -> None:
    proxy = Proxy(servers=2)
    other = proxy.connect()
    first = proxy.ask()
    other.deliver(GET)
    second = proxy.network.accept()
    for server in (first, second):
        server.deliver(OK)
    proxy.client.taken()
    proxy.client.deliver(GET)  # on the first server's kept connection
    first.reset()  # both servers end their kept connections just now, and the second one's end has not been read yet
    assert second.taken().count(b"GET ") == 1, "that one may be as dead"
    fresh = proxy.network.accept()
    assert fresh.getPeer().host == "10.0.0.2"
    fresh.deliver(OK)
    assert body_of(proxy.client.taken()) == b"hi"


@pytest.mark.parametrize(("more", "status"), [(b"", 408), (b"x\r\n", 400)])
def test_a_refusal_within_a_body_says_the_request_s_name_too(more: bytes, status: int) -> None:
    proxy = Proxy(identifiers=Identifiers(bytes))
    proxy.ask(POST.replace(b"Content-Length: 4", b"Transfer-Encoding: chunked"))
    proxy.client.deliver(more)
    proxy.pass_time(0 if more else 35)
    sent = proxy.client.taken()
    assert sent.startswith(b"HTTP/1.1 %d " % status)
    assert b"\r\nX-Request-Id: " in sent


def test_a_loop_is_refused_under_a_name() -> None:
    proxy = Proxy(identifiers=Identifiers(bytes))
    proxy.client.deliver(GET.replace(b"X-A: 1", b"Via: 1.1 lb"))
    sent = proxy.client.taken()
    assert error_of(sent) == (508, "loop_detected")
    assert b"\r\nX-Request-Id: " in sent


def test_a_kept_connection_that_the_only_server_has_closed_is_replaced() -> None:
    proxy = Proxy()
    server = proxy.ask()
    server.deliver(OK)
    proxy.client.taken()
    proxy.client.deliver(GET)
    server.reset()
    again = proxy.network.accept()
    again.deliver(OK)
    assert body_of(proxy.client.taken()) == b"hi"
    assert proxy.settled()


def test_what_waits_for_a_server_that_goes_down_is_asked_of_another() -> None:
    proxy = Proxy(servers=2)
    first = proxy.ask()
    asked = first.taken()
    proxy.upstream.judge(proxy.servers[0], False, "no answer within 1 s")
    assert first.ended == "reset"
    second = proxy.network.accept()
    assert second.getPeer().host == "10.0.0.2"
    assert second.taken() == asked
    second.deliver(OK)
    assert proxy.ended == [(200, "10.0.0.2:80", "")]
    assert proxy.settled()


def test_what_a_panic_sends_to_a_server_that_hangs_is_asked_of_a_healthy_one_at_the_next_failed_check() -> None:
    proxy = Proxy(servers=3)
    for server in proxy.servers:
        proxy.upstream.judge(server, True, "200")
    proxy.upstream.configure(UpstreamRules(fall=1))
    for server in proxy.servers[:2]:
        proxy.upstream.judge(server, False, "no answer within 1 s")
    assert proxy.upstream.panicking
    clients = [proxy.connect() for _ in range(3)]
    for client in clients:
        client.deliver(GET)
    taken = [proxy.network.accept() for _ in clients]
    for hung in range(2):
        proxy.upstream.judge(proxy.servers[hung], False, "no answer within 1 s")
    assert [transport.ended for transport in taken if transport.getPeer().host != "10.0.0.3"] == ["reset"] * 2
    taken += [proxy.network.accept() for _ in list(proxy.network.attempts)]
    for hung in range(2):  # who went from one that hangs to the other goes on from there
        proxy.upstream.judge(proxy.servers[hung], False, "no answer within 1 s")
    proxy.pass_time(0.5)  # its second retry
    taken += [proxy.network.accept() for _ in list(proxy.network.attempts)]
    for transport in taken:
        if transport.getPeer().host == "10.0.0.3":
            transport.deliver(OK)
    assert [served for _, served, _ in proxy.ended] == ["10.0.0.3:80"] * 3
    assert proxy.settled()


def test_what_waits_for_a_connection_to_a_server_that_goes_down_connects_to_another_whatever_the_method() -> None:
    proxy = Proxy(servers=2)
    proxy.client.deliver(POST + b"body")
    (attempt,) = proxy.network.attempts
    proxy.upstream.judge(proxy.servers[0], False, "no connection within 1 s")
    assert attempt.state == "disconnected"
    server = proxy.network.accept()
    assert (server.getPeer().host, server.taken()[-4:]) == ("10.0.0.2", b"body")
    server.deliver(OK)
    assert proxy.ended == [(200, "10.0.0.2:80", "")]
    assert proxy.settled()


@pytest.mark.parametrize(("servers", "request_", "begun"), [(1, GET, b""), (2, POST + b"body", b""), (2, GET, OK[:-1])])
def test_what_can_be_asked_of_nobody_else_waits_on_for_a_server_that_goes_down(servers: int, request_: bytes, begun: bytes) -> None:
    proxy = Proxy(servers=servers)
    server = proxy.ask(request_)
    server.deliver(begun)
    proxy.upstream.judge(proxy.servers[0], False, "no answer within 1 s")
    assert proxy.network.attempts == []
    server.deliver(OK[len(begun) :])
    assert proxy.ended == [(200, "10.0.0.1:80", "")]
    assert proxy.settled()


def test_a_connection_that_is_made_to_the_only_server_is_waited_for_though_it_goes_down() -> None:
    proxy = Proxy()
    proxy.client.deliver(GET)
    proxy.upstream.judge(proxy.servers[0], False, "no answer within 1 s")
    proxy.network.accept().deliver(OK)
    assert proxy.ended == [(200, "10.0.0.1:80", "")]
    assert proxy.settled()


def test_rule_17_an_answer_that_is_not_http_is_502() -> None:
    proxy = Proxy()
    server = proxy.ask()
    server.deliver(b"SSH-2.0-OpenSSH\r\n\r\n")
    assert error_of(proxy.client.taken()) == (502, "bad_answer")
    assert server.ended == "reset"
    assert proxy.settled()


def test_rule_51_an_answer_that_does_not_come_is_504() -> None:
    proxy = Proxy()
    server = proxy.ask()
    proxy.pass_time(59)
    assert proxy.client.taken() == b""
    proxy.pass_time(2)
    assert error_of(proxy.client.taken()) == (504, "answer_timeout")
    assert server.ended == "reset"
    assert proxy.settled()


@pytest.mark.parametrize(
    "part",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n",
    ],
)
def test_rule_17_an_answer_that_breaks_off_resets_the_client_and_never_looks_complete(part: bytes) -> None:
    proxy = Proxy(servers=2)
    server = proxy.ask()
    server.deliver(part)
    server.finish()
    sent = proxy.client.taken()
    assert b"200 OK" in sent
    assert not sent.endswith(b"0\r\n\r\n")
    assert proxy.client.ended == "reset"
    assert proxy.ended == [(200, "10.0.0.1:80", "broken_answer")]
    assert proxy.settled()


def test_a_reset_is_not_the_end_of_an_answer_that_ends_with_its_connection() -> None:
    proxy = Proxy()
    server = proxy.ask()
    server.deliver(b"HTTP/1.1 200 OK\r\n\r\nhalf")
    server.reset()
    assert proxy.client.ended == "reset"
    assert not proxy.client.taken().endswith(b"0\r\n\r\n")


def test_an_answer_that_ends_with_its_connection_becomes_chunked() -> None:
    proxy = Proxy()
    server = proxy.ask()
    server.deliver(b"HTTP/1.1 200 OK\r\n\r\nwhole")
    server.finish()
    sent = proxy.client.taken()
    assert b"Transfer-Encoding: chunked\r\n" in sent
    assert body_of(sent) == b"5\r\nwhole\r\n0\r\n\r\n"
    assert proxy.client.open


def test_an_http_1_0_client_gets_an_unframed_answer_and_the_end() -> None:
    proxy = Proxy()
    server = proxy.ask(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    server.deliver(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n")
    sent = proxy.client.taken()
    assert b"Transfer-Encoding" not in sent
    assert body_of(sent) == b"hi"
    assert proxy.client.ended == "closed"


def test_chunked_bodies_pass_in_both_directions_with_their_trailers() -> None:
    proxy = Proxy()
    server = proxy.ask(b"POST / HTTP/1.1\r\nHost: x\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n3;ext=1\r\nabc\r\n")
    proxy.client.deliver(b"2\r\nde\r\n0\r\nSum: 1\r\nHost: evil\r\n\r\n")
    assert body_of(server.taken()) == b"3\r\nabc\r\n2\r\nde\r\n0\r\nSum: 1\r\n\r\n"
    server.deliver(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n1\r\n")
    server.deliver(b"2\r\n23\r\n0\r\nSum: 2\r\n\r\n")
    assert body_of(proxy.client.taken()) == b"1\r\n1\r\n2\r\n23\r\n0\r\nSum: 2\r\n\r\n"
    assert proxy.client.open
    assert proxy.servers[0].pool.idle_connections == 1


def test_rule_01_trailers_that_connection_names_end_here_both_ways() -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: A\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = b"HTTP/1.1 200 OK\r\nConnection: A\r\nTransfer-Encoding: chunked\r\n\r\n"
    for cut in (0, 5):
        proxy = Proxy()
        body = b"1\r\nx\r\n0\r\nA: 1\r\nB: 2\r\n\r\n"
        server = proxy.ask(head + body[:cut])
        proxy.client.deliver(body[cut:])
        assert server.taken().endswith(b"1\r\nx\r\n0\r\nB: 2\r\n\r\n")
        server.deliver(answer + body[:cut])
        server.deliver(body[cut:])
        assert proxy.client.taken().endswith(b"1\r\nx\r\n0\r\nB: 2\r\n\r\n")


def test_a_whole_chunked_request_is_one_write() -> None:
    proxy = Proxy()
    server = proxy.ask(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
    assert body_of(server.taken()) == b"3\r\nabc\r\n0\r\n\r\n"
    assert server.writes == 1


def test_an_empty_chunked_request_ends() -> None:
    proxy = Proxy()
    server = proxy.ask(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
    assert body_of(server.taken()) == b"0\r\n\r\n"


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
def test_answers_without_a_body_stay_without(status: bytes) -> None:
    proxy = Proxy()
    server = proxy.ask()
    server.deliver(b"HTTP/1.1 " + status + b"\r\nETag: x\r\n\r\n")
    sent = proxy.client.taken()
    assert body_of(sent) == b""
    assert b"Transfer-Encoding" not in sent
    assert proxy.servers[0].pool.idle_connections == 1


def test_the_length_of_an_answer_to_head_is_kept() -> None:
    proxy = Proxy()
    server = proxy.ask(GET.replace(b"GET", b"HEAD"))
    server.deliver(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n")
    sent = proxy.client.taken()
    assert b"Content-Length: 500\r\n" in sent
    assert body_of(sent) == b""
    assert proxy.settled()


def test_interim_answers_are_relayed_to_1_1_clients_only() -> None:
    proxy = Proxy()
    server = proxy.ask()
    server.deliver(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK)
    sent = proxy.client.taken()
    assert sent.startswith(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n")
    assert b"\r\n\r\nHTTP/1.1 200 OK\r\n" in sent
    old = proxy.connect()
    old.deliver(b"GET / HTTP/1.0\r\n\r\n")
    server.deliver(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK)
    assert old.taken().startswith(b"HTTP/1.1 200 OK\r\n")


def test_expect_100_continue_is_relayed_and_so_is_the_answer_to_it() -> None:
    proxy = Proxy()
    server = proxy.ask(POST.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"))
    assert b"Expect: 100-continue\r\n" in server.taken()
    assert proxy.client.taken() == b""
    server.deliver(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert proxy.client.taken().startswith(b"HTTP/1.1 100 Continue\r\n")
    proxy.client.deliver(b"body")
    assert server.taken() == b"body"
    server.deliver(OK)
    assert b"200 OK" in proxy.client.taken()
    assert proxy.client.open


def test_rule_38_an_early_final_answer_stops_the_upload_and_is_delivered() -> None:
    proxy = Proxy()
    server = proxy.ask(POST + b"bo")
    server.deliver(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno")
    sent = proxy.client.taken()
    assert sent.startswith(b"HTTP/1.1 413 ")
    assert b"Connection: close\r\n" in sent
    assert server.ended == "reset"
    proxy.client.deliver(b"dy")
    proxy.client.finish()
    assert proxy.client.ended == "closed"
    assert proxy.settled()


def test_a_client_that_leaves_cancels_the_request_at_the_server() -> None:
    proxy = Proxy()
    server = proxy.ask()
    proxy.client.reset()
    assert server.ended == "reset"
    assert proxy.ended == [(0, "", "client_gone")]
    assert proxy.settled()


def test_a_client_that_leaves_in_the_middle_of_its_body_cancels_the_request() -> None:
    proxy = Proxy()
    server = proxy.ask(POST + b"bo")
    proxy.client.finish()
    assert server.ended == "reset"
    assert proxy.settled()


def test_a_client_that_leaves_in_the_middle_of_the_answer_cancels_the_request() -> None:
    proxy = Proxy()
    server = proxy.ask()
    server.deliver(OK[:-1])
    proxy.client.reset()
    assert server.ended == "reset"
    assert proxy.settled()


def test_a_client_that_leaves_while_a_connection_is_made_cancels_that() -> None:
    proxy = Proxy()
    proxy.client.deliver(GET)
    proxy.client.reset()
    assert proxy.network.attempts == []
    assert proxy.settled()


def test_bad_chunks_from_the_client_cancel_the_request_at_the_server() -> None:
    proxy = Proxy()
    server = proxy.ask(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
    proxy.client.deliver(b"zz\r\n")
    assert error_of(proxy.client.taken()) == (400, "bad_request")
    assert server.ended == "reset"
    assert not server.taken().endswith(b"0\r\n\r\n")
    assert proxy.settled()


def test_rule_48_a_slow_reader_pauses_the_server_and_memory_stays_bounded() -> None:
    proxy = Proxy()
    server = proxy.ask()
    proxy.client.stop_taking()
    server.deliver(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    sent = 0
    while server.reading:
        server.deliver(bytes(10_000))
        sent += 10_000
    assert sent == 70_000
    server.deliver(bytes(10_000))
    assert proxy.client.queued_bytes < 80_000
    proxy.client.take_all()
    proxy.network.advance(0)
    assert server.reading
    server.deliver(bytes(1_000_000 - sent - 10_000))
    assert len(body_of(proxy.client.taken())) == 1_000_000
    assert proxy.settled()


def test_rule_48_a_slow_server_pauses_the_client_and_memory_stays_bounded() -> None:
    proxy = Proxy()
    server = proxy.ask(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
    server.stop_taking()
    sent = 0
    while proxy.client.reading:
        proxy.client.deliver(bytes(10_000))
        sent += 10_000
    assert sent == 70_000
    assert server.queued_bytes < 80_000
    server.take_all()
    assert proxy.client.reading
    proxy.client.deliver(bytes(1_000_000 - sent))
    assert len(body_of(server.taken())) == 1_000_000
    server.deliver(OK)
    assert b"200 OK" in proxy.client.taken()


def test_rule_41_pipelined_requests_are_answered_in_order() -> None:
    proxy = Proxy()
    server = proxy.ask(GET + GET.replace(b"/a", b"/b"))
    assert server.taken().startswith(b"GET /a ")
    server.deliver(OK.replace(b"hi", b"1."))
    assert server.taken().startswith(b"GET /b ")
    server.deliver(OK.replace(b"hi", b"2."))
    sent = proxy.client.taken()
    assert sent.index(b"1.") < sent.index(b"2.")


def test_a_request_that_has_been_here_before_is_508() -> None:
    proxy = Proxy()
    proxy.client.deliver(GET.replace(b"X-A: 1", b"Via: 1.1 lb"))
    assert error_of(proxy.client.taken()) == (508, "loop_detected")


def test_rule_07_max_forwards_zero_is_answered_here() -> None:
    proxy = Proxy()
    proxy.client.deliver(b"OPTIONS * HTTP/1.1\r\nHost: x\r\nMax-Forwards: 0\r\n\r\n")
    assert proxy.client.taken().startswith(b"HTTP/1.1 200 ")
    proxy.client.deliver(b"TRACE / HTTP/1.1\r\nHost: x\r\nMax-Forwards: 0\r\n\r\n")
    assert error_of(proxy.client.taken()) == (405, "method_not_allowed")
    assert proxy.network.attempts == []


def test_heads_that_change_are_not_mixed_up_with_remembered_ones() -> None:
    proxy = Proxy()
    server = proxy.ask(GET)
    server.deliver(OK)
    proxy.client.taken()
    server.taken()
    proxy.client.deliver(GET.replace(b"X-A: 1", b"X-A: 2"))
    assert b"X-A: 2\r\n" in server.taken()
    server.deliver(OK.replace(b"Server: s", b"Server: t"))
    assert b"Server: t\r\n" in proxy.client.taken()
    proxy.client.deliver(GET.replace(b"X-A: 1\r\n", b"Connection: close\r\n"))
    server.deliver(OK.replace(b"Server: s", b"Server: t"))
    assert b"Connection: close\r\n" in proxy.client.taken()
    assert proxy.client.ended == "closed"


def test_a_server_that_answers_before_the_upload_has_ended_may_stream_both_ways() -> None:
    proxy = Proxy()
    server = proxy.ask(POST)
    server.deliver(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")
    proxy.client.deliver(b"bo")
    assert body_of(server.taken()) == b"bo"
    server.deliver(b"bo")
    proxy.client.deliver(b"dy")
    assert server.taken() == b"dy"
    server.deliver(b"dy")
    sent = proxy.client.taken()
    assert body_of(sent) == b"body"
    assert b"Connection: close\r\n" in sent
    assert proxy.client.ended == "closed"
    assert proxy.settled()


@pytest.mark.parametrize("answer", [OK, OK[:-1], b"bad\r\n\r\n"])
def test_a_request_that_is_over_leaves_no_work_for_the_garbage_collector(answer: bytes) -> None:
    proxy = Proxy()
    server = proxy.ask()
    gc.disable()
    try:
        server.deliver(answer)
        if answer == OK[:-1]:
            proxy.client.reset()
        assert proxy.last() is None
    finally:
        gc.enable()


def test_a_server_is_told_the_client_before_the_request_when_that_is_asked_for() -> None:
    proxy = Proxy(send_proxy=1)
    sent = proxy.ask().taken()
    assert sent.startswith(b"PROXY TCP4 192.0.2.1 192.0.2.254 ")
    assert sent.partition(b"\r\n")[2].startswith(b"GET /a HTTP/1.1\r\n")
