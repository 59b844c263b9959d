"""Answers on their way: see ``test_application`` for the rest."""

from hypothesis import given
from hypothesis import strategies as st

from scalability.gateway.transform.accept_encoding import IDENTITY
from scalability.gateway.transform.compression import Coded
from scalability.gateway.transform.relay import Relay
from scalability.gateway.transform.turns import Turns
from scalability.http1.response_head import ResponseHead
from scalability.net.exchange import Exchange
from scalability.testing.memory import MemoryNetwork
from scalability.testing.played_application import Client, PlayedApplication


class Unchanged:
    def __init__(self) -> None:
        self.ended = 0

    def of(self, head: ResponseHead) -> Coded:
        return Coded(IDENTITY, head.fields)

    def over(self) -> None:
        self.ended += 1


class Relaying:
    def __init__(self, clock: MemoryNetwork, played: PlayedApplication, change: Unchanged) -> None:
        self.clock, self.played, self.change = clock, played, change

    def request_received(self, exchange: Exchange) -> None:
        Relay(exchange, self.change, self.clock, Turns(self.clock)).ask(self.played)


@given(st.lists(st.binary(min_size=1, max_size=30), max_size=5), st.booleans(), st.booleans(), st.sampled_from([0, 1]))
def test_the_body_arrives_whatever_its_pieces_and_framing(pieces: list[bytes], stated: bool, turns: bool, minor: int) -> None:
    played, change = PlayedApplication(), Unchanged()
    client = Client(lambda network: Relaying(network, played, change))
    client.send("GET", "/", minor=minor)
    body = b"".join(pieces)
    framing = b"Content-Length: %d" % len(body) if stated else b"Transfer-Encoding: chunked"
    played.last.begin(200, b"HTTP/1.1 200 OK\r\n%b\r\n\r\n" % framing, keep_alive=True)
    for piece in pieces:
        if turns:
            client.network.advance(0)
        played.last.write(piece if stated else b"%x\r\n%b\r\n" % (len(piece), piece))
    played.last.finish(b"" if stated else b"0\r\n\r\n")
    answered = client.answered()
    assert (answered.status, answered.body, answered.rest) == (200, body, b"")
    assert change.ended == 1
