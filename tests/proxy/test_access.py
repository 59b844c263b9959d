"""What the access log says of a request."""

from typing import Any

import msgspec
import pytest

from scalability.errors import NoServer
from scalability.lifecycle import DeadlineWheel
from scalability.net.exchange import Exchange
from scalability.net.timed_server import TimedExchange, TimedServerFactory
from scalability.proxy.access import Access, entry_of
from scalability.telemetry.access_log import AccessEntry
from scalability.testing.memory import MemoryNetwork


class FakeLog:
    def __init__(self) -> None:
        self.entries: list[AccessEntry] = []

    def record(self, entry: AccessEntry) -> None:
        self.entries.append(entry)


class Answering:
    def request_received(self, exchange: Exchange) -> None:
        if exchange.head.target.startswith(b"/fail"):
            exchange.fail(NoServer())
        else:
            exchange.served_by = "127.0.0.1:1001"
            exchange.answer(200, b"{}")


def entries(*requests: bytes) -> list[AccessEntry]:
    network = MemoryNetwork()
    log: Any = FakeLog()
    access = Access(log, lambda: 1_800_000_000 + network.seconds())
    factory = TimedServerFactory(Answering(), clock=network, wheel=DeadlineWheel(network), ended=access.ended)
    factory.refused = access.refused
    client = network.connect_to(factory)
    for request in requests:
        client.deliver(request)
    return list(log.entries)


def test_a_line_says_who_asked_for_what_and_who_answered() -> None:
    (entry,) = entries(b"GET /data?token=secret HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer secret\r\nCookie: a=secret\r\n\r\n")
    assert (entry.client, entry.method, entry.path, entry.status) == ("192.0.2.1", "GET", "/data", 200)
    assert (entry.time, entry.server, entry.reason) == (1_800_000_000, "127.0.0.1:1001", "complete")
    assert entry.bytes > 2
    assert "secret" not in repr(entry)


def test_a_failure_stands_there_with_its_code() -> None:
    (entry,) = entries(b"POST /fail HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
    assert (entry.status, entry.reason, entry.server) == (503, "no_server", "")


def test_each_request_of_a_connection_has_a_line() -> None:
    get = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
    assert len(entries(get, get + get)) == 3


def test_the_duration_is_what_the_server_measured() -> None:
    seen: list[AccessEntry] = []

    def ended(exchange: Exchange, seconds: float) -> None:
        assert isinstance(exchange, TimedExchange)
        seen.append(entry_of(exchange, 1.5, 1.7e9))

    network = MemoryNetwork()
    factory = TimedServerFactory(Answering(), clock=network, wheel=DeadlineWheel(network), ended=ended)
    network.connect_to(factory).deliver(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert seen[0].duration_s == 1.5
    assert seen[0].time == 1.7e9 - 1.5, "when its head was complete"


def test_the_client_is_the_one_that_a_trusted_proxy_told_and_the_request_has_its_name() -> None:
    class Named:
        def request_received(self, exchange: Exchange) -> None:
            exchange.client_host = b"7.7.7.7"
            exchange.request_id = b"abc"
            exchange.answer(200, b"{}")

    network = MemoryNetwork()
    log: Any = FakeLog()
    factory = TimedServerFactory(Named(), clock=network, wheel=DeadlineWheel(network), ended=Access(log).ended)
    client = network.connect_to(factory)
    client.deliver(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
    (entry,) = log.entries
    assert (entry.client, entry.request_id) == ("7.7.7.7", "abc")
    assert b"\r\nX-Request-Id: abc\r\n" in client.taken()


def test_bytes_both_ways_are_those_of_each_request_alone() -> None:
    small = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
    upload = b"POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n12345"
    found = entries(small + upload + small[:10], small[10:])
    assert [entry.received_bytes for entry in found] == [len(small), len(upload), len(small)]
    assert len({entry.bytes for entry in found}) == 1


def test_what_is_no_request_has_a_line_with_the_status_that_it_was_refused_with() -> None:
    (entry,) = entries(b"GET /a b HTTP/1.1\r\n\r\n")
    assert (entry.status, entry.reason, entry.method, entry.path) == (400, "bad_request", "", "")
    assert entry.time == 1_800_000_000
    assert entry.client == "192.0.2.1"
    assert entry.received_bytes == 21


@pytest.mark.parametrize("pieces", [(b"GET / HTTP/1.1\r\nHo",), (b"GET / HTT", b"P/1.1\r\nHo")])
def test_a_head_that_does_not_end_has_a_line_with_the_bytes_that_came(pieces: tuple[bytes, ...]) -> None:
    network = MemoryNetwork()
    wheel = DeadlineWheel(network)
    wheel.startService()
    log: Any = FakeLog()
    factory = TimedServerFactory(Answering(), clock=network, wheel=wheel)
    factory.refused = Access(log).refused
    client = network.connect_to(factory)
    for piece in pieces:
        client.deliver(piece)
    for _ in range(60):
        network.advance(0.25)
    assert [(entry.status, entry.reason, entry.received_bytes) for entry in log.entries] == [(408, "request_timeout", 18)]


def test_phases_that_did_not_occur_are_left_out_of_a_line() -> None:
    get = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
    for entry in entries(get, get + get, b"GET /a b HTTP/1.1\r\n\r\n"):
        line = msgspec.json.decode(msgspec.json.encode(entry))
        assert {"accept_s", "head_s", "queue_s", "connect_s", "first_byte_s", "retries", "minor"}.isdisjoint(line)
    (old,) = entries(b"GET /a HTTP/1.0\r\n\r\n")
    assert msgspec.json.decode(msgspec.json.encode(old))["minor"] == 0


def test_a_line_keeps_microseconds_and_no_more() -> None:
    (entry,) = entries(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
    assert entry.duration_s == round(entry.duration_s, 6)
    assert entry.retries == 0
