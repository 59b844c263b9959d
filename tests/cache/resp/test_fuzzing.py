"""Whatever bytes come, in whatever pieces: each connection gets replies that a client can read or an end, and the server serves on."""

from random import Random
from typing import Any

import hiredis
import pytest

from scalability.cache.entries import Entries
from scalability.cache.resp.command_table import COMMANDS
from scalability.cache.resp.connection import RESPFactory
from scalability.cache.resp.server import ServerState
from scalability.cache.resp.subcommands import Subcommands
from scalability.lifecycle import DeadlineWheel
from scalability.testing.memory import MemoryNetwork
from scalability.ttlcache import TTLCache

NAMES = [*sorted({command.name.encode() for command in COMMANDS.values()}), b"nonsense", b"", b"\xff"]
WORDS = [
    *(b"a", b"b", b"key", b"", b"\x00", b"*", b"a" * 2000, b"\r\n", b"$5\r\n", b"{}", b"nan", b"inf", b"-inf", b"1e400", b"3.0e+", b"0x1"),
    *(b"0", b"1", b"-1", b"9223372036854775807", b"-9223372036854775808", b"9223372036854775808", b"99999999999999999999999", b"1.5"),
    *(b"EX", b"px", b"NX", b"XX", b"GET", b"KEEPTTL", b"COUNT", b"MATCH", b"[a-", b"\\", b"TYPE", b"string", b"ASYNC", b"ON", b"BCAST"),
    *(b"PREFIX", b"HELP", b"LIST", b"INFO", b"2", b"3", b"AUTH", b"default", b"SETNAME", b"ID", b"KILL", b"DOCS", b"maxmemory"),
]
WORDS += [name.encode() for command in COMMANDS.values() if isinstance(command.run, Subcommands) for name in command.run.commands]
WORDS += [
    b"OFF",
    b"OPTIN",
    b"OPTOUT",
    b"NOLOOP",
    b"YES",
    b"FILTERBY",
    b"PATTERN",
    b"get",
    b"client|id",
    b"SKIPME",
    b"ADDR",
    b"192.0.2.1:40001",
]
HEADS = [b"*1000000000\r\n", b"*-1\r\n", b"*0\r\n", b"*3\r\n", b"$-1\r\n", b"$5\r\n", b"$536870913\r\n", b"*1\r\n" * 50, b":1\r\n", b"\r\n"]


def encode(words: list[bytes]) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)


def request(random: Random) -> bytes:
    words = [random.choice(NAMES), *(random.choice(WORDS) for _ in range(random.randrange(6)))]
    if random.random() < 0.1:
        return b" ".join(words) + b"\r\n"
    return encode(words)


def mutated(random: Random, data: bytes) -> bytes:
    damaged = bytearray(data)
    for _ in range(random.randrange(1, 4)):
        at = random.randrange(len(damaged) + 1)
        kind = random.randrange(5)
        if kind == 0:
            damaged[at : at + random.randrange(8)] = b""
        elif kind == 1:
            damaged[at:at] = random.randbytes(random.randrange(1, 4))
        elif kind == 2:
            damaged[at:at] = random.choice(HEADS)
        elif kind == 3:
            damaged[at : at + 1] = random.choice([b"\r", b"\n", b"\0", b"-", b"9", b"*", b"$", b"'", b'"'])
        else:
            damaged += damaged[:at]
    return bytes(damaged)


def stream(random: Random) -> bytes:
    data = b"".join(request(random) for _ in range(random.randrange(1, 12)))
    return mutated(random, data) if random.random() < 0.7 else data


class Server:
    def __init__(self) -> None:
        self.network = MemoryNetwork()
        entries = Entries(TTLCache(max_bytes=200_000, max_object_bytes=20_000), self.network.seconds)
        self.state = ServerState(entries, COMMANDS, max_clients=1000, draw=Random(1).random)
        wheel = DeadlineWheel(self.network)
        wheel.startService()
        self.factory = RESPFactory(self.state, wheel, max_bulk_bytes=20_000, max_request_bytes=100_000, max_held_bytes=1_000_000)

    def talk(self, random: Random, data: bytes) -> tuple[list[Any], str]:
        """The replies to ``data``, which comes in pieces, and how the connection ended."""
        client = self.network.connect_to(self.factory)
        reader: Any = hiredis.Reader()
        replies = []
        at = 0
        while at < len(data):
            size = random.choice([1, 3, 10, 100, 10_000])
            client.deliver(data[at : at + size])
            at += size
        reader.feed(client.taken())
        while (reply := reader.gets()) is not False:
            replies.append(reply)
        assert not reader.has_data()
        ended = client.ended
        if not ended:
            client.reset()
        self.network.advance(0.01)
        return replies, ended


@pytest.mark.parametrize("seed", range(12))
def test_random_and_mutated_requests(seed: int) -> None:
    random, server = Random(seed), Server()
    for _ in range(1500):
        replies, ended = server.talk(random, stream(random))
        assert ended != "reset"
        for reply in replies:
            assert "internal error" not in str(reply)
    replies, _ = server.talk(random, encode([b"SET", b"a", b"1"]) + encode([b"GET", b"a"]))
    assert replies == [b"OK", b"1"]
    assert server.state.sessions == {}
    assert server.factory.held_bytes == 0
    assert server.state.entries.observers == []


@pytest.mark.parametrize("seed", range(4))
def test_random_bytes(seed: int) -> None:
    random, server = Random(seed), Server()
    for _ in range(1500):
        server.talk(random, random.randbytes(random.randrange(1, 200)))
    assert server.talk(random, encode([b"GET", b"a"])) == ([None], "")
