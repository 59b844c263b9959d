"""WebSockets and their like through a route that changes answers."""

import pytest

from scalability.errors import NoAnswer
from scalability.gateway.transform.accept_encoding import IDENTITY
from scalability.gateway.transform.compression import Coded
from scalability.gateway.transform.relay import Relay
from scalability.gateway.transform.turns import Turns
from scalability.http1.response_head import ResponseHead
from scalability.net.exchange import Exchange
from scalability.testing.memory import MemoryNetwork
from scalability.testing.played_application import Client, PlayedApplication

SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"


class Unchanged:
    def of(self, head: ResponseHead) -> Coded:
        return Coded(IDENTITY, head.fields)

    def over(self) -> None:
        """Nothing was taken."""


class Relaying:
    def __init__(self, clock: MemoryNetwork, played: PlayedApplication) -> None:
        self.clock, self.played = clock, played

    def request_received(self, exchange: Exchange) -> None:
        Relay(exchange, Unchanged(), self.clock, Turns(self.clock)).ask(self.played)


class Tunnel(PlayedApplication):
    """What the proxy has after a switch."""

    def client_finished(self) -> None:
        self.heard.append("finished")


@pytest.fixture
def played() -> Tunnel:
    return Tunnel()


@pytest.fixture
def client(played: Tunnel) -> Client:
    client = Client(lambda network: Relaying(network, played))
    client.send("GET", "/", "Connection: Upgrade", "Upgrade: echo")
    return client


def test_after_the_switch_bytes_pass_both_ways(client: Client, played: Tunnel) -> None:
    played.last.switch(SWITCH, played)
    assert client.transport.taken() == SWITCH
    client.transport.deliver(b"hello")
    assert played.heard == ["body hello"]
    played.last.write(b"world")
    assert client.transport.taken() == b"world"
    client.transport.finish()
    assert played.heard[-1] == "finished"
    played.last.finish(b"bye")
    assert client.transport.taken() == b"bye"


def test_each_side_may_finish_for_itself(client: Client, played: Tunnel) -> None:
    assert played.last.half_close() is False
    played.last.switch(SWITCH, played)
    assert played.last.half_close() is True
    assert client.transport.half_closed


def test_each_sides_slowness_pauses_the_other(client: Client, played: Tunnel) -> None:
    played.last.switch(SWITCH, played)
    played.last.pause_body()
    assert not client.transport.reading
    played.last.resume_body()
    assert client.transport.reading
    client.transport.stop_taking()
    played.last.write(b"x" * 100_000)
    assert played.heard == ["full"]


@pytest.mark.parametrize("how", ["fail", "abort"])
def test_a_tunnel_that_breaks_is_reset(client: Client, played: Tunnel, how: str) -> None:
    played.last.switch(SWITCH, played)
    if how == "abort":
        played.last.abort()
    else:
        played.last.fail(NoAnswer())
    assert client.transport.ended == "reset"


def test_a_client_that_leaves_is_heard_of(client: Client, played: Tunnel) -> None:
    played.last.switch(SWITCH, played)
    client.transport.reset()
    assert played.heard == ["lost"]


@pytest.mark.parametrize("how", ["fail", "abort", "answer"])
def test_without_a_switch_it_is_a_request_like_any_other(client: Client, played: Tunnel, how: str) -> None:
    if how == "answer":
        played.last.begin(200, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", keep_alive=True)
        played.last.pause_body()
        played.last.resume_body()
        played.last.write(b"o")
        played.last.finish(b"k")
        assert client.answered().body == b"ok"
        return
    if how == "abort":
        played.last.abort()
    else:
        played.last.fail(NoAnswer())
    assert client.answered().status == 502
