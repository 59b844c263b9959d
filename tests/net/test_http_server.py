"""The HTTP server: how many connections, other settings, counts, dates and draining."""

import pytest
from twisted.internet.address import IPv4Address

from scalability.http1.limits import DEFAULT_LIMITS, Limits
from scalability.net.http_server import Timeouts, client_of
from scalability.testing.recorded_server import GET, RecordedServer, error_of, hello, statuses


def test_other_timeouts_hold_for_the_next_request_of_a_connection_that_is_open() -> None:
    server = RecordedServer(hello)
    for _ in range(3):
        server.client.deliver(GET)
    server.factory.configure(limits=DEFAULT_LIMITS, timeouts=Timeouts(idle_s=5.0), max_connections_per_client=0)
    server.pass_time(10)
    assert server.client.open, "the idle time that runs already stays"
    server.client.deliver(GET)
    server.pass_time(4)
    assert server.client.open
    server.pass_time(2)
    assert server.client.ended == "closed"


def test_every_answer_of_our_own_says_when_it_was_made() -> None:
    server = RecordedServer(hello)
    dates = []
    for seconds in (0.0, 0.5, 1.0):
        server.network.advance(seconds)
        server.client.deliver(GET)
        dates.append(server.client.taken().partition(b"Date: ")[2].partition(b"\r\n")[0])
    assert dates == [b"Thu, 01 Jan 1970 00:00:00 GMT", b"Thu, 01 Jan 1970 00:00:00 GMT", b"Thu, 01 Jan 1970 00:00:01 GMT"]
    server.client.deliver(b"nonsense\r\n\r\n")
    assert b"\r\nDate: " in server.client.taken()


def test_the_date_is_that_of_the_wall_clock_and_durations_are_those_of_the_reactors() -> None:
    wall = 1.7e9
    ended: list[float] = []
    server = RecordedServer(hello, wall=lambda: wall, ended=lambda exchange, seconds: ended.append(seconds))
    server.pass_time(5)
    server.client.deliver(GET)
    assert b"\r\nDate: Tue, 14 Nov 2023 22:13:20 GMT\r\n" in server.client.taken()
    wall -= 3600  # somebody sets it back
    server.pass_time(1)
    server.client.deliver(GET)
    assert b"\r\nDate: Tue, 14 Nov 2023 21:13:20 GMT\r\n" in server.client.taken()
    assert ended == [0.0, 0.0]


def test_who_keeps_the_log_hears_of_each_exchange_once() -> None:
    ended: list[tuple[int, str, float]] = []
    server = RecordedServer(ended=lambda exchange, seconds: ended.append((exchange.status, exchange.trouble, seconds)))
    server.client.deliver(GET)
    server.pass_time(1.5)
    hello(server.application.exchanges[0])
    server.client.deliver(GET)
    server.client.reset()
    assert ended == [(200, "", 1.5), (0, "client_gone", 0.0)]


def test_draining_lets_requests_in_flight_finish_and_says_close() -> None:
    server = RecordedServer()
    server.client.deliver(GET)
    drained = server.factory.drain(30.0)
    done: list[None] = []
    drained.addCallback(done.append)
    server.pass_time(10)
    assert not done
    hello(server.application.exchanges[0])
    assert b"Connection: close\r\n" in server.client.taken()
    server.network.advance(0)
    assert done == [None]


def test_draining_lets_an_idle_connection_send_the_request_that_is_on_its_way() -> None:
    server = RecordedServer(hello)
    server.client.deliver(GET)
    server.client.taken()
    done: list[None] = []
    server.factory.drain(30.0).addCallback(done.append)
    server.client.deliver(GET)
    assert b"Connection: close\r\n" in server.client.taken()
    quiet = server.connect()
    quiet.deliver(GET[:-2])
    server.pass_time(1)
    quiet.deliver(GET[-2:])
    assert b"Connection: close\r\n" in quiet.taken()
    server.network.advance(0)
    assert done == [None]


def test_a_connection_that_is_accepted_while_draining_is_given_one_request_soon() -> None:
    server = RecordedServer(hello)
    server.factory.drain(30.0)
    late, silent = server.connect(), server.connect()
    late.deliver(GET)
    assert b"Connection: close\r\n" in late.taken()
    server.pass_time(1.5)
    assert silent.ended == "closed"


def test_draining_closes_idle_connections_soon() -> None:
    server = RecordedServer(hello)
    server.client.deliver(GET)
    done: list[None] = []
    server.factory.drain(30.0).addCallback(done.append)
    server.pass_time(1.5)
    assert server.client.ended == "closed"
    assert done == [None]


def test_draining_closes_a_connection_soon_that_many_usual_requests_came_on() -> None:
    server = RecordedServer(hello)
    for _ in range(4):
        server.client.deliver(GET)
        server.pass_time(1)
    server.factory.drain(30.0)
    server.pass_time(1.5)
    assert server.client.ended == "closed"


def test_draining_resets_what_is_left_after_the_grace() -> None:
    server = RecordedServer()
    server.client.deliver(GET)
    done: list[None] = []
    server.factory.drain(2.0).addCallback(done.append)
    server.pass_time(3)
    assert server.client.ended == "reset"
    assert server.application.events == [("lost", "client_gone")]
    assert done == [None]


def test_rule_49_a_client_with_as_many_connections_as_it_may_have_gets_no_other() -> None:
    server = RecordedServer(max_connections_per_client=2)
    second = server.connect()
    assert server.factory.buildProtocol(IPv4Address("TCP", "192.0.2.1", 9)) is None
    assert server.factory.counts.rejected == 1
    other = server.network.connect_to(server.factory, host="192.0.2.2")
    assert other.open
    second.reset()
    third = server.connect()
    third.deliver(GET)
    assert server.application.exchanges[-1].peer_host == b"192.0.2.1"
    for client in (server.client, third, other):
        client.reset()
    assert server.factory._clients == {}, "nothing is remembered of clients that are gone"


@pytest.mark.parametrize(
    ("host", "client"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("fe80::1%eth0", "fe80::"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
    ],
)
def test_connections_are_counted_for_an_address_or_an_ipv6_network(host: str, client: str) -> None:
    assert client_of(host) == client


def test_pauses_in_accepting_are_counted() -> None:
    server = RecordedServer(max_connections=1)
    server.factory.when_room(lambda: None)
    server.factory.out_of_means()
    assert (server.factory.counts.paused_at_cap, server.factory.counts.out_of_means) == (1, 1)


def test_draining_without_connections_is_done_at_once() -> None:
    server = RecordedServer()
    server.client.reset()
    assert server.factory.drain(2.0).called


def test_rule_49_at_the_cap_there_is_no_room_until_a_connection_ends() -> None:
    server = RecordedServer(max_connections=2)
    assert server.factory.room() == 1
    server.connect()
    accepted: list[bool] = []
    assert server.factory.room() == 0
    assert server.factory.buildProtocol(None) is None
    server.factory.when_room(lambda: accepted.append(True))
    assert accepted == []
    server.client.reset()
    assert accepted == [True]
    assert server.factory.room() == 1
    server.connect().reset()
    assert accepted == [True]


def test_other_timeouts_limits_and_caps_hold_from_the_next_request_on() -> None:
    server = RecordedServer(hello)
    server.client.deliver(GET)
    server.client.taken()
    server.factory.configure(limits=Limits(max_body_bytes=5), timeouts=Timeouts(head_s=1.0, idle_s=2.0), max_connections_per_client=1)
    server.client.deliver(b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nhello!")
    assert error_of(server.client.taken())[0] == 413
    first = server.connect()
    first.deliver(GET)
    assert statuses(first.taken()) == [200]
    assert server.factory.buildProtocol(first.getPeer()) is None, "it has one already"
    first.deliver(b"GET")
    server.pass_time(2)
    assert error_of(first.taken())[0] == 408


def test_a_longer_idle_time_does_not_put_off_the_end_of_a_server_that_drains() -> None:
    server = RecordedServer(hello)
    server.client.deliver(GET)
    server.factory.drain(30.0)
    server.factory.configure(limits=server.factory.limits, timeouts=Timeouts(idle_s=1000.0), max_connections_per_client=0)
    server.pass_time(2)
    assert not server.client.open
