"""The played server reads commands and says what it is told."""

from typing import Any

import hiredis
from twisted.internet.protocol import ClientFactory, Protocol

from scalability.testing.memory import MemoryNetwork
from scalability.testing.played_redis import PlayedRedis, bulk, invalidation


class Client(Protocol):
    got = b""

    transport: Any

    def connectionMade(self) -> None:
        self.transport.write(b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*1\r\n$4\r\nPI")

    def dataReceived(self, data: bytes) -> None:
        self.got += data


def test_whole_commands_are_read_and_answers_are_sent() -> None:
    network = MemoryNetwork()
    network.connectTCP("192.0.2.1", 6379, ClientFactory.forProtocol(Client))
    server = PlayedRedis(network.accept())
    assert server.asked() == [[b"GET", b"k"]]
    server.say(bulk(b"v"))
    assert server.transport.protocol.got == b"$1\r\nv\r\n"


def test_an_invalidation_names_keys_or_means_all() -> None:
    for sent, keys in ((invalidation(b"a", b"b"), [b"a", b"b"]), (invalidation(), None)):
        reader = hiredis.Reader()
        reader.feed(sent)
        assert list(reader.gets()) == [b"invalidate", keys]
