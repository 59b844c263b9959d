"""Conversations of several clients with our server and with a real redis-server and valkey-server, compared byte by byte.

What differs on purpose is left out of what is asked here, and listed in docs/resp.md.
"""

import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from random import Random

import hiredis
import pytest

from scalability.testing.redis_process import SERVERS, RedisProcess, installed
from scalability.testing.redis_process import request as encoded
from scalability.testing.resp_network import RespNetwork

BUDGET_S = 6.0
"""Random conversations are compared for so long."""

IDENTITY = re.compile(rb"(?<=\$6\r\nserver\r\n)\$\d+\r\n\w+\r\n|(?<=\r\nversion\r\n)\$\d+\r\n[\d.]+\r\n|(?<=\r\nid\r\n):\d+\r\n")
"""What each server tells of itself in HELLO."""

WORDED = [("CLIENT", "KILL", "ID", "x"), ("CLIENT", "LIST", "ID", "x")]
"""What Valkey 8.1 refuses in words of its own."""

NESTED = (("MULTI",), ("WATCH",))
"""What Redis refuses within a transaction without spoiling it, as ours does; Valkey 8 spoils it, in other words: it is not asked."""

Words = tuple[str | bytes | int, ...]


@pytest.fixture(params=SERVERS)
def redis(request: pytest.FixtureRequest) -> Iterator[RedisProcess]:
    server = installed(request.param)
    if server is None:
        pytest.skip(f"{request.param} is not installed")
    with RedisProcess(server) as process:
        yield process


class Connection:
    """One client of the real server."""

    def __init__(self, redis: RedisProcess) -> None:
        self._redis = redis
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(redis.path))

    def run(self, *words: str | bytes | int) -> bytes:
        """The reply, and whatever else has come by the turn of the server's loop that follows."""
        self._socket.sendall(encoded(*words))
        reader = hiredis.Reader()
        answer = b""
        self._socket.settimeout(20)
        while True:
            item = reader.gets()
            if item is False:
                received = self._receive()
                answer += received
                reader.feed(received)
            elif not isinstance(item, hiredis.PushNotification):
                break
        self._redis.run("PING")  # answered in a later turn than this one's messages are written
        self._socket.settimeout(0)
        with suppress(BlockingIOError):
            while True:
                answer += self._receive()
        return answer

    def _receive(self) -> bytes:
        received = self._socket.recv(65536)
        assert received, "the server closed the connection"
        return received

    def close(self) -> None:
        """Leave."""
        self._socket.close()


class Conversation:
    """Clients of both servers, in pairs. All keys are gone at the beginning."""

    def __init__(self, redis: RedisProcess, clients: int = 3) -> None:
        network = RespNetwork(settings={"save": "", "appendonly": "no"})
        self.ours = [network.client() for _ in range(clients)]
        self._stack = ExitStack()
        self.theirs = [Connection(redis) for _ in range(clients)]
        self._valkey = redis.program == "valkey-server"
        self._inside: set[int] = set()
        for one in self.theirs:
            self._stack.callback(one.close)
        self.said: list[tuple[int, Words]] = []
        redis.run("FLUSHALL")

    def compare(self, client: int, *words: str | bytes | int) -> None:
        if self._valkey and (words in WORDED or (client in self._inside and words[:1] in NESTED)):
            return
        self.said.append((client, words))
        ours, theirs = (IDENTITY.sub(b"", one.run(*words)) for one in (self.ours[client], self.theirs[client]))
        assert ours == theirs, f"{self.said[-150:]}: ours {ours[:500]!r}, theirs {theirs[:500]!r}"
        if words == ("MULTI",):
            self._inside.add(client)
        elif words[0] in ("EXEC", "DISCARD", "RESET") and not ours.startswith(b"-ERR wrong number"):
            self._inside.discard(client)

    def __enter__(self) -> "Conversation":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


SCRIPTS: dict[str, str] = {
    "transactions": """
        MULTI | MULTI | WATCH a | FOO | GET | EXEC | MULTI | GET a | MULTI | SET b 1 FOO | EXEC | EXEC | DISCARD
        MULTI | SELECT x | PING | INCR a | SET x y | INCR x | EXEC | MULTI | RESET | EXEC
        WATCH k | SET k 1 | MULTI | PING | EXEC | WATCH k | SET k 1 | WATCH k | MULTI | PING | EXEC | MULTI | PING | EXEC
        MULTI | AUTH a | EXEC | MULTI | CLIENT FOO | CLIENT TRACKING | EXEC | MULTI | WATCH | EXEC | MULTI | DISCARD x | EXEC
        WATCH k | MULTI | SET k 2 | DISCARD | SET k 4 | MULTI | EXEC | WATCH none | DEL none | MULTI | EXEC
        WATCH k | FLUSHALL | MULTI | EXEC | WATCH none | FLUSHALL | MULTI | EXEC | UNWATCH | UNWATCH x | EXEC x | MULTI x
        HELLO 3 | WATCH k | SET k 1 | MULTI | EXEC | MULTI | GET nothing | MGET a none | EXEC | MULTI | UNWATCH | EXEC
    """,
    "watching others": """
        SET a 1 | 1: WATCH a b | 1: MULTI | 1: GET a | 1: EXEC | 1: WATCH a b | SET b 1 | 1: MULTI | 1: GET a | 1: EXEC
        1: WATCH a | 2: WATCH a | 1: MULTI | 2: MULTI | 1: INCR a | 2: INCR a | 1: EXEC | 2: EXEC | GET a
        1: WATCH a | EXPIRE a 100 | 1: MULTI | 1: EXEC | 1: WATCH a | EXPIRE none 100 | GETDEL none | PERSIST a | 1: MULTI | 1: EXEC
        1: WATCH c | RENAME a c | 1: MULTI | 1: EXEC | 1: WATCH c | COPY c d | 1: MULTI | 1: EXEC | 1: WATCH c | COPY d c REPLACE
        1: MULTI | 1: EXEC | 1: WATCH c | SETNX c 1 | SET c 1 NX | TOUCH c | 1: MULTI | 1: EXEC | 1: WATCH c | MSETNX c 1 | 1: MULTI
        1: EXEC | 1: WATCH c | MULTI | SET c 1 | DISCARD | 1: MULTI | 1: EXEC | 1: WATCH c | MULTI | SET c 1 | EXEC | 1: MULTI | 1: EXEC
    """,
    "tracking": """
        CLIENT TRACKINGINFO | CLIENT GETREDIR | CLIENT CACHING YES | HELLO 3 | CLIENT TRACKINGINFO | CLIENT TRACKING ON
        CLIENT TRACKINGINFO | CLIENT GETREDIR | GET a | SET a 1 | GET a | SET b 2 | MGET a b | 1: MSET a 1 b 2 | PING
        GET a | FLUSHALL | PING | 1: FLUSHALL | PING | MULTI | GET a | EXEC | 1: SET a 2 | PING | MULTI | GET a | SET a 4 | PING | EXEC
        GET a | GET a | 1: DEL a | 1: SET a 1 | PING | EXISTS b | TTL b | TYPE b | STRLEN b | 1: SET b 1 | PING | TTL b | 1: EXPIRE b 100
        PING | STRLEN b | 1: PERSIST b | PING | 1: PERSIST b | PING | GETRANGE b 0 1 | 1: RENAME b c | PING | GET c | GET b | 1: RENAME c b
        PING | CLIENT TRACKING ON NOLOOP | GET a | SET a 2 | GET a | 1: SET a 2 | PING | CLIENT TRACKINGINFO | CLIENT TRACKING OFF
        1: SET a 2 | PING | CLIENT TRACKING OFF
    """,
    "opting": """
        HELLO 3 | CLIENT TRACKING ON OPTIN | GET a | 1: SET a 3 | PING | CLIENT CACHING YES | CLIENT TRACKINGINFO | GET a | GET b
        1: SET b 3 | 1: SET a 3 | PING | CLIENT CACHING YES | PING | GET a | GET b | 1: SET b 3 | 1: SET a 3 | PING
        CLIENT CACHING YES | MULTI | GET a | GET b | EXEC | GET c | 1: MSET a 1 b 1 c 1 | PING
        MULTI | CLIENT CACHING YES | GET a | GET b | EXEC | GET c | 1: MSET a 1 b 1 c 1 | PING
        CLIENT CACHING NO | CLIENT CACHING FOO | CLIENT TRACKING ON BCAST | CLIENT TRACKING ON OPTOUT | CLIENT TRACKING OFF
        CLIENT TRACKING ON OPTOUT | CLIENT CACHING YES | CLIENT CACHING NO | CLIENT TRACKINGINFO | GET a | GET b | 1: MSET a 1 b 1 | PING
        CLIENT CACHING NO | FOO | CLIENT TRACKINGINFO | CLIENT CACHING NO | GET | CLIENT TRACKINGINFO
        CLIENT TRACKING ON OPTIN | CLIENT TRACKING ON | CLIENT TRACKINGINFO | GET c | 1: SET c 1 | PING
    """,
    "options of tracking": """
        CLIENT TRACKING ON PREFIX a | CLIENT TRACKING ON OPTIN OPTOUT | CLIENT TRACKING FOO | CLIENT TRACKING ON FOO
        CLIENT TRACKING ON BCAST OPTIN | CLIENT TRACKING ON PREFIX | CLIENT TRACKING ON BCAST PREFIX a PREFIX ab
        CLIENT TRACKING ON BCAST PREFIX a PREFIX b | CLIENT TRACKING ON BCAST PREFIX ac | CLIENT TRACKING ON BCAST PREFIX c
        CLIENT TRACKINGINFO | CLIENT TRACKING ON | CLIENT TRACKING OFF | CLIENT TRACKING ON BCAST PREFIX b PREFIX b | CLIENT TRACKINGINFO
        CLIENT TRACKING ON BCAST | CLIENT TRACKINGINFO | CLIENT TRACKING OFF BCAST PREFIX x | CLIENT TRACKINGINFO
        CLIENT TRACKING ON BCAST NOLOOP | CLIENT TRACKINGINFO | RESET | CLIENT TRACKINGINFO | CLIENT TRACKING
    """,
    "broadcast": """
        HELLO 3 | CLIENT TRACKING ON BCAST PREFIX a PREFIX b | SET a1 x | SET c x | SET b1 1 | GET a1 | 2: HELLO 3
        2: CLIENT TRACKING ON BCAST | 1: SET a1 1 | PING | 2: PING
        1: MULTI | 1: SET a1 1 | 1: DEL b1 | 1: SET a2 1 | 1: EXEC | PING | 2: PING
        1: MSET a1 1 a3 4 c 1 | PING | 2: PING | 1: DEL none anone | PING | 2: PING | 1: EXPIRE a1 100 | PING | 2: PING
        1: FLUSHALL | PING | 2: PING | FLUSHDB | 2: PING | CLIENT TRACKING OFF | 1: SET a1 1 | PING | 2: PING
        CLIENT TRACKING ON BCAST NOLOOP | SET a 1 | 2: PING | 1: SET a 1 | PING | 2: PING | 2: SET b 1 | 2: PING | PING
    """,
    "the connection": """
        PING | PING a | PING a b | ECHO a | ECHO | SELECT 0 | SELECT x | AUTH a | AUTH default a | AUTH a b c | AUTH b c | RESET | CLIENT
        CLIENT FOO | CLIENT GETNAME | CLIENT SETNAME | CLIENT SETNAME me | CLIENT GETNAME | CLIENT NO-EVICT ON | CLIENT NO-EVICT FOO
        CLIENT UNPAUSE | CLIENT UNBLOCK 1 | CLIENT UNBLOCK x | CLIENT REPLY ON | CLIENT REPLY FOO | CLIENT KILL 1 | CLIENT KILL ID 999
        CLIENT KILL ID 0 | CLIENT KILL ID x | CLIENT KILL TYPE foo | CLIENT KILL USER foo | CLIENT KILL SKIPME x | CLIENT KILL FOO x
        CLIENT KILL a b c | CLIENT LIST TYPE foo | CLIENT LIST FOO | CLIENT LIST ID | CLIENT LIST ID x | CLIENT LIST ID 999
        CLIENT MAINT_NOTIFICATIONS ON | CLIENT GETNAME x | CLIENT KILL 127.0.0.1:1 | CLIENT KILL ADDR 127.0.0.1:1
        HELLO 3 | PING | CLIENT GETNAME | CLIENT LIST ID 999 | HELLO 2 | PING
    """,
    "the server": """
        FOO | FOO a b c | ROLE | SLOWLOG GET | SLOWLOG LEN | SLOWLOG RESET | SLOWLOG GET x | LATENCY LATEST | LATENCY HISTORY x
        LATENCY RESET | ACL WHOAMI | ACL FOO | CONFIG FOO | CONFIG GET | CONFIG GET save | CONFIG GET appendonly | CONFIG GET none
        CONFIG SET foo bar | CONFIG SET a b a | CONFIG SET save | CONFIG RESETSTAT | CONFIG REWRITE | COMMAND FOO
        COMMAND GETKEYS set a b | COMMAND GETKEYS mset a 1 b 2 | COMMAND GETKEYS foo a | COMMAND GETKEYS ping a | COMMAND GETKEYS get a b
        COMMAND LIST FILTERBY FOO a | COMMAND LIST FILTERBY MODULE a | COMMAND DOCS foo | COMMAND INFO foo | MODULE LIST
        CLUSTER INFO | ASKING | CLUSTER SLOTS
        INFO foo | INFO cluster | HELLO 3 | ROLE | CONFIG GET save | COMMAND DOCS foo | COMMAND INFO foo | INFO cluster | SLOWLOG GET
    """,
}


def spoken(script: str) -> Iterator[tuple[int, list[str]]]:
    for sentence in " | ".join(filter(None, map(str.strip, script.splitlines()))).split(" | "):
        words = sentence.split()
        client = int(words.pop(0)[0]) if words[0].endswith(":") else 0
        yield client, words


@pytest.mark.parametrize("name", list(SCRIPTS))
def test_the_same_is_answered(redis: RedisProcess, name: str) -> None:
    with Conversation(redis) as both:
        for client, words in spoken(SCRIPTS[name]):
            both.compare(client, *words)


KEYS = ["a", "ab", "b", "bc"]


def sentences(random: Random) -> Words:
    """Anything that clients may say at any time."""
    key, other = random.choice(KEYS), random.choice(KEYS)
    choices: list[Callable[[], Words]] = [
        lambda: ("GET", key),
        lambda: ("MGET", key, other),
        lambda: ("SET", key, random.randrange(10)),
        lambda: ("MSET", key, 1, other, 2),
        lambda: ("DEL", key, other),
        lambda: ("INCR", key),
        lambda: ("APPEND", key, "0"),
        lambda: ("EXPIRE", key, 1000),
        lambda: ("PERSIST", key),
        lambda: ("SETNX", key, 1),
        lambda: ("EXISTS", key, other),
        lambda: ("GETEX", key, "EX", 1000),
        lambda: ("GETDEL", key),
        lambda: ("RENAME", key, other),
        lambda: ("FLUSHALL",) if random.random() < 0.3 else ("PING",),
        lambda: ("WATCH", key, other),
        lambda: ("UNWATCH",),
        lambda: ("MULTI",),
        lambda: ("EXEC",),
        lambda: ("EXEC",),
        lambda: ("DISCARD",),
        lambda: ("FOO",) if random.random() < 0.2 else ("PING",),
        lambda: ("CLIENT", "TRACKING", random.choice(["ON", "ON", "OFF"])),
        lambda: ("CLIENT", "TRACKING", "ON", *random.sample(["BCAST", "NOLOOP", "OPTIN", "OPTOUT"], random.randrange(3))),
        lambda: ("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", random.choice(["a", "ab", "b", "bc", ""])),
        lambda: ("CLIENT", "CACHING", random.choice(["YES", "NO"])),
        lambda: ("CLIENT", "TRACKINGINFO"),
        lambda: ("HELLO", 3),
        lambda: ("HELLO", 2),
        lambda: ("RESET",) if random.random() < 0.2 else ("PING",),
    ]
    return random.choice(choices)()


def test_random_conversations_are_the_same(redis: RedisProcess) -> None:
    seed = time.time_ns()
    random = Random(seed)
    ends, conversations = time.monotonic() + BUDGET_S, 0
    while time.monotonic() < ends:
        with Conversation(redis, clients=4) as both:
            for client in range(3):
                both.compare(client, "HELLO", 3)
            # while nobody tracks, our server forgets what has been read
            both.compare(3, "CLIENT", "TRACKING", "ON")
            for _ in range(150):
                both.compare(random.randrange(3), *sentences(random))
        conversations += 1
    assert conversations > 3
