"""Which connections to a server are kept, and for whom, on a network in memory."""

from typing import Any

import pytest

from scalability.config import Address
from scalability.http1.limits import DEFAULT_LIMITS, Limits
from scalability.http1.response_head import ResponseHead
from scalability.lifecycle import DeadlineWheel
from scalability.net.client_connection import ClientConnection
from scalability.net.connection_pool import ConnectionPool, PrefacedPool
from scalability.testing.memory import MemoryNetwork
from scalability.testing.recorded_client import HEAD, OK, Asker, RecordedClient


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


def test_an_idle_connection_is_closed_after_four_seconds() -> None:
    client = RecordedClient()
    _, transport = client.ask()
    transport.deliver(OK)
    client.pass_time(3.75)
    assert client.pool.idle_connections == 1
    client.pass_time(0.75)
    assert client.pool.idle_connections == 0
    assert transport.ended == "closed"


def test_a_connection_that_lay_idle_for_a_second_is_looked_at_before_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    client = RecordedClient()
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


def test_the_connection_used_last_is_reused_first() -> None:
    client = RecordedClient()
    asked = [client.ask() for _ in range(3)]
    for _, transport in asked:
        transport.deliver(OK)
    assert client.pool.take() is asked[2][0].connection
    assert client.pool.take() is asked[1][0].connection


def test_more_than_max_idle_connections_are_kept_for_a_second_only() -> None:
    client = RecordedClient(max_idle=2)
    for _, transport in [client.ask() for _ in range(5)]:
        transport.deliver(OK)
    assert client.pool.idle_connections == 5
    client.pass_time(1.5)
    assert client.pool.idle_connections == 2
    client.pass_time(4)
    assert client.pool.idle_connections == 0


def test_a_connection_is_closed_after_max_requests() -> None:
    client = RecordedClient(max_requests=2)
    asker, transport = client.ask()
    transport.deliver(OK)
    connection = client.pool.take()
    assert connection is not None
    connection.send(HEAD, b"GET", asker)
    transport.deliver(OK)
    assert client.pool.idle_connections == 0
    assert transport.ended == "closed"


def test_a_closed_pool_closes_what_is_idle_and_fails_what_is_being_opened() -> None:
    client = RecordedClient()
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
    client = RecordedClient()
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
    client = RecordedClient()
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
    client = RecordedClient()
    asker, transport = client.ask()
    client.pool.configure(connect_timeout_s=1.0, answer_s=2.0, limits=DEFAULT_LIMITS)
    client.pass_time(55)
    assert asker.events == []
    transport.deliver(OK)
    assert asker.events == [("head", 200, b"hi", True)]
    assert client.pool.take() is None
    assert transport.ended == "closed"


def test_a_shorter_timeout_holds_from_the_next_piece_on() -> None:
    client = RecordedClient()
    asker, transport = client.ask()
    client.pool.configure(connect_timeout_s=1.0, answer_s=2.0, limits=DEFAULT_LIMITS)
    transport.deliver(OK[:-1])
    client.pass_time(3)
    assert asker.events[-1] == ("failed", "broken_answer")


def test_the_end_of_an_idle_connection_takes_it_out_of_the_pool() -> None:
    client = RecordedClient()
    _, transport = client.ask()
    transport.deliver(OK)
    transport.finish()
    assert client.pool.take() is None
    assert client.pool.open_connections == 0


def test_a_tunnel_keeps_its_own_timeout() -> None:
    client = RecordedClient()
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
