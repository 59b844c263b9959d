"""Our data commands and those of a real redis-server and valkey-server, told the same and compared byte by byte.

What differs on purpose is left out of what is asked here, and listed in docs/resp-commands.md.
"""

import socket
import time
from collections.abc import Callable, Iterator, Sequence
from random import Random

import pytest

from scalability.testing.processes import Process
from scalability.testing.redis_process import SERVERS, RedisProcess, installed
from scalability.testing.resp_wire import WireClient, Word, Words

BUDGET_S = 8.0
"""Random commands are compared for so long, once in each version of the protocol."""

CLOSE_MS = 30_000
"""Two clocks, read one after the other: ends that lie nearer to each other are the same. None that is compared comes that soon."""

MEASURED = {b"TTL": 1000, b"PTTL": 1, b"EXPIRETIME": 1000, b"PEXPIRETIME": 1}
"""Commands that tell how long or when, and the milliseconds of their unit."""

UNORDERED = {b"KEYS"}

TIMEOUT_S = 20.0
"""For any reply."""

AT_ONCE = 20
"""At most so many requests are sent in one piece."""


@pytest.fixture(scope="module", params=SERVERS)
def theirs(request: pytest.FixtureRequest) -> Iterator[WireClient]:
    server = installed(request.param)
    if server is None:
        pytest.skip(f"{request.param} is not installed")
    with RedisProcess(server) as process, socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(TIMEOUT_S)
        connection.connect(str(process.path))
        yield WireClient(connection)


@pytest.fixture(scope="module")
def ours() -> Iterator[WireClient]:
    with (
        Process.start("scalelab-cache", "--resp", "127.0.0.1:0") as process,
        socket.create_connection(("127.0.0.1", process.wait_resp()), timeout=TIMEOUT_S) as connection,
    ):
        yield WireClient(connection)


@pytest.fixture
def pair(ours: WireClient, theirs: WireClient) -> "Pair":
    return Pair(ours, theirs)


class Pair:
    """Both servers, empty at first."""

    def __init__(self, ours: WireClient, theirs: WireClient) -> None:
        self.ours = ours
        self.theirs = theirs
        self.speak(2)
        self.compare("FLUSHALL")

    def speak(self, version: int) -> None:
        """Go on in RESP2 or RESP3."""
        for client in (self.ours, self.theirs):
            client.run("HELLO", version)

    def compare(self, *words: Word) -> bytes:
        """The reply, which is the same from both."""
        return self.compare_all([words])[0]

    def compare_all(self, requests: Sequence[Words]) -> list[bytes]:
        """The replies to requests that come in one piece."""
        replies = self.ours.run_all(requests)
        for words, mine, other in zip(requests, replies, self.theirs.run_all(requests), strict=True):
            assert same(words, mine, other), f"{words}: ours {mine[:300]!r}, theirs {other[:300]!r}"
        return replies


def same(words: Words, ours: bytes, theirs: bytes) -> bool:
    if ours == theirs:
        return True
    name = str(words[0]).upper().encode()
    if name in MEASURED and ours[:1] == theirs[:1] == b":":
        mine, other = int(ours[1:]), int(theirs[1:])
        # floats hold so far an end to a part in 2^53
        return min(mine, other) > 0 and abs(mine - other) * MEASURED[name] <= max(CLOSE_MS, mine * MEASURED[name] >> 50)
    if name in UNORDERED:
        return sorted(ours.split(b"$")) == sorted(theirs.split(b"$"))
    return False


FAR = int(time.time()) + 100_000

SCRIPT: list[Words] = [
    ("SET", "a", "1"),
    ("SET", "a", "1", "NX", "GET"),
    ("SET", "a", "2", "XX", "GET", "KEEPTTL", "xx"),
    ("SET", "a", "1", "EX", "10", "EX", "1000"),
    ("SET", "a", "1", "EX", "10", "PX", "1000"),
    ("SET", "a", "1", "EX"),
    ("SET", "a", "1", "EX", "0"),
    ("SET", "a", "1", "PX", "-1"),
    ("SET", "a", "1", "EX", "9223372036854775807"),
    ("SET", "a", "1", "EX", "9223372036854775"),
    ("SET", "a", "1", "PX", "9223372036854775807"),
    ("SET", "a", "1", "EXAT", "9223372036854775"),
    ("SET", "a", "1", "PXAT", "9223372036854775807"),
    ("TTL", "a"),
    ("EXPIRETIME", "a"),
    ("SET", "a", "1", "EXAT", "1"),
    ("GET", "a"),
    ("SET", "a", "1", "NX", "XX"),
    ("SET", "a", "1", "PERSIST"),
    ("SET", "a", "1", "EX", "soon"),
    ("set", "a"),
    ("SET",),
    ("SETEX", "a", "0", "1"),
    ("sEtEx", "a", "-5", "1"),
    ("PSETEX", "a", "x", "1"),
    ("PSETEX", "a", "9223372036854775807", "1"),
    ("SETEX", "a", "100", "1"),
    ("TTL", "a"),
    ("GETEX", "none", "EX", "0"),
    ("GETEX", "none", "EX"),
    ("GETEX", "a", "EX", "0"),
    ("GETEX", "a", "PERSIST", "EX", "1"),
    ("GETEX", "a", "KEEPTTL"),
    ("GETEX", "a", "EX", "100", "PERSIST"),
    ("GETEX", "a", "PERSIST", "PERSIST"),
    ("TTL", "a"),
    ("GETEX", "a", "PXAT", "1"),
    ("EXISTS", "a"),
    ("MSET", "a", "1", "b"),
    ("MSETNX", "a", "1", "b"),
    ("MGET",),
    ("SETRANGE", "a", "-1", "x"),
    ("SETRANGE", "a", "x", "x"),
    ("SETRANGE", "empty", "10", ""),
    ("SETRANGE", "a", "5", "x"),
    ("GET", "a"),
    ("GETRANGE", "a", "x", "1"),
    ("GETRANGE", "a", "1", "9223372036854775807"),
    ("GETRANGE", "a", "-9223372036854775808", "-9223372036854775808"),
    ("SUBSTR", "a", "4", "6"),
    ("SET", "n", "9223372036854775807"),
    ("INCR", "n"),
    ("DECRBY", "n", "-9223372036854775808"),
    ("DECRBY", "n", "-1"),
    ("INCRBY", "n", "1.0"),
    ("INCRBYFLOAT", "n", "1"),
    ("GET", "n"),
    ("INCR", "n"),
    ("INCRBYFLOAT", "f", "inf"),
    ("INCRBYFLOAT", "f", "-Infinity"),
    ("INCRBYFLOAT", "f", "nan"),
    ("INCRBYFLOAT", "f", ""),
    ("INCRBYFLOAT", "f", " 1"),
    ("INCRBYFLOAT", "f", "1e-20"),
    ("INCRBYFLOAT", "f", "1E2"),
    ("INCRBYFLOAT", "f", "+.5"),
    ("INCRBYFLOAT", "f", "1e300"),
    ("INCRBYFLOAT", "f", "-1e300"),
    ("INCRBYFLOAT", "f", "1e99999"),
    ("INCRBYFLOAT", "f", "1e-99999"),
    ("RENAME", "none", "b"),
    ("RENAME", "none", "none"),
    ("RENAMENX", "none", "b"),
    ("RENAMENX", "f", "f"),
    ("RENAME", "f", "f"),
    ("COPY", "f", "f"),
    ("COPY", "none", "none"),
    ("COPY", "none", "b"),
    ("COPY", "f", "n"),
    ("COPY", "f", "n", "REPLACE", "DB", "0"),
    ("COPY", "f", "n", "DB"),
    ("COPY", "f", "n", "DB", "x"),
    ("COPY", "f", "n", "DB", "-1"),
    ("COPY", "f", "n", "DB", "99"),
    ("COPY", "f", "n", "DB", "4294967296"),
    ("COPY", "f", "n", "OVER"),
    ("EXPIRE", "f", "10", "NX", "XX"),
    ("EXPIRE", "f", "10", "GT", "LT"),
    ("EXPIRE", "f", "10", "soon"),
    ("EXPIRE", "f", "soon", "NX"),
    ("EXPIRE", "f", "soon", "NX", "GT"),
    ("EXPIRE", "f", "9223372036854775807"),
    ("EXPIRE", "f", "-9223372036854775808"),
    ("PEXPIRE", "f", "9223372036854775807"),
    ("PEXPIREAT", "none", "9223372036854775807"),
    ("EXPIREAT", "none", "9223372036854775807"),
    ("EXPIREAT", "f", FAR),
    ("EXPIRETIME", "f"),
    ("PEXPIREAT", "f", FAR * 1000 + 499),
    ("PEXPIRETIME", "f"),
    ("EXPIRETIME", "f"),
    ("PEXPIREAT", "f", FAR * 1000 + 500),
    ("EXPIRETIME", "f"),
    ("EXPIREAT", "f", FAR, "GT"),
    ("PEXPIREAT", "f", FAR * 1000 + 500, "LT"),
    ("EXPIRE", "f", "-5"),
    ("TTL", "f"),
    ("TYPE", "f"),
    ("TYPE", "n"),
    ("SCAN", "x"),
    ("SCAN", "0", "COUNT"),
    ("SCAN", "0", "COUNT", "0"),
    ("SCAN", "0", "COUNT", "x"),
    ("SCAN", "0", "SORT", "x"),
    ("SCAN", "0", "MATCH", "none*", "COUNT", "1000"),
    ("SCAN", "0", "TYPE", "hash", "COUNT", "1000"),
    ("KEYS", "*"),
    ("KEYS", "n"),
    ("KEYS",),
    ("DBSIZE",),
    ("DBSIZE", "x"),
    ("OBJECT", "ENCODING", "none"),
    ("SET", "n", "-12"),
    ("OBJECT", "ENCODING", "n"),
    ("OBJECT", "ENCODING"),
    ("OBJECT", "FREQ", "n"),
    ("OBJECT", "REFCOUNT", "n"),
    ("OBJECT",),
    ("MEMORY", "USAGE", "none"),
    ("MEMORY", "USAGE"),
    ("MEMORY", "USAGE", "n", "SAMPLES"),
    ("MEMORY", "USAGE", "n", "SAMPLES", "-1"),
    ("FLUSHDB", "NOW"),
    ("FLUSHALL", "SYNC", "ASYNC"),
    ("FLUSHALL", "async"),
    ("RANDOMKEY",),
    ("KEYS", "*"),
]


@pytest.mark.parametrize("version", [2, 3])
def test_corners(pair: Pair, version: int) -> None:
    pair.speak(version)
    for words in SCRIPT:
        pair.compare(*words)


@pytest.mark.parametrize("version", [2, 3])
def test_random_commands(pair: Pair, version: int) -> None:
    pair.speak(version)
    random = Random(version)
    ends = time.monotonic() + BUDGET_S
    compared = 0
    while time.monotonic() < ends and compared < 20_000:
        requests = [command(random) for _ in range(random.randint(1, AT_ONCE))]
        pair.compare_all(requests)
        compared += len(requests)
        if random.random() < 0.01:
            whole(pair)
    assert compared >= 1000


def test_patterns(pair: Pair) -> None:
    random = Random(3)
    for _ in range(60):
        pair.compare("SET", "".join(random.choices("ab-]^\\*", k=random.randint(1, 6))), "1")
    for _ in range(100):
        pair.compare_all([("KEYS", "".join(random.choices("aabb*?[]^-\\", k=random.randint(0, 9)))) for _ in range(AT_ONCE)])


def whole(pair: Pair) -> None:
    """Everything that both hold, and all of it by SCAN."""
    pair.compare("EXISTS", *KEYS)  # Redis keeps a key that was set with an end in the past until it is asked for
    pair.compare("DBSIZE")
    names = sorted(bulks(pair.compare("KEYS", "*")))
    assert sorted(scanned(pair.ours.run)) == names == sorted(set(scanned(pair.theirs.run)))
    for name in names:
        pair.compare("GET", name)
        pair.compare("PEXPIRETIME", name)
    for client in (pair.ours, pair.theirs):
        key = client.run("RANDOMKEY")
        assert bulks(b"*1\r\n" + key)[0] in names if names else key in (b"$-1\r\n", b"_\r\n")


def scanned(run: Callable[..., bytes]) -> list[bytes]:
    found: list[bytes] = []
    cursor = b"0"
    while True:
        answer = run("SCAN", cursor, "COUNT", 7)
        head, _, rest = answer.removeprefix(b"*2\r\n").partition(b"*")
        found += bulks(b"*" + rest)
        cursor = bulks(b"*1\r\n" + head)[0]
        if cursor == b"0":
            return found


def bulks(answer: bytes) -> list[bytes]:
    """The bulk strings of an array."""
    head, _, rest = answer.partition(b"\r\n")
    found = []
    for _ in range(int(head[1:])):
        length, _, rest = rest.partition(b"\r\n")
        size = int(length[1:])
        found.append(rest[:size])
        rest = rest[size + 2 :]
    return found


KEYS = [b"a", b"b", b"c", b"key:1", b"key:2", b"key:12", b"\r\n\0", b"\xff\xfe", b"x" * 300, b"[a]*"]
VALUES: list[str | bytes] = ["", "0", "1", "-1", "10", "9223372036854775806", "1.5", "-0.25", "0.1", "text", "01", " 1", b"\0\r\n\xff"]
NUMBERS: list[str | int] = [0, 1, -1, 5, -5, 100, "1.5", "x", "", "9223372036854775807", "-9223372036854775808", "9223372036854775808"]
FLOATS = ["0.1", "-0.1", "1e3", "3.14159265358979323846", "-2", "1e-18", "123456789.987654321", "1e17", "x", "inf", "5.", "1e40", "-1e40"]
PATTERNS = ["*", "a*", "key:?", "key:[0-9]*", "[^a]", "*1*", "\\[a\\]\\*", "[a-c]", "x*x", "*:*2", "k*y:", "a", ""]
ENDS: list[Words] = [
    ("EX", 1000),
    ("px", 1_000_000),
    ("EXAT", FAR),
    ("PXAT", FAR * 1000 + 7),
    ("KEEPTTL",),
    ("PERSIST",),
    ("EX", 0),
    ("EX", -5),
    ("PX", "x"),
    ("EX",),
    ("PXAT", 1),
]


SECONDS: Words = (1000, 2000, 3000, 0, -1, "x")
MILLISECONDS: Words = (1_000_000, 2_000_000, 0, -1, "x")
AT_SECONDS: Words = (FAR, FAR + 1, 1, -1, "x")
AT_MILLISECONDS: Words = (FAR * 1000 + 1, FAR * 1000 + 501, 1, "x")
PLACES: Words = (0, 1, 3, 20, -1, "x")


def command(random: Random) -> Words:
    """One command, mostly a right one."""
    key, other = random.choice(KEYS), random.choice(KEYS)
    value = random.choice(VALUES)
    some = random.choices(KEYS, k=random.randint(1, 4))
    pairs = [word for name in some for word in (name, random.choice(VALUES))]
    ends = random.choice(ENDS)
    conditions = random.choices(["NX", "XX", "GET", "get"], k=random.choice([0, 1, 1, 2]))
    options = random.choices(["NX", "XX", "GT", "lt"], k=random.choice([0, 1, 1, 2]))
    # GT and LT with what counts from now depend on the millisecond in which each server was asked
    steady = [option for option in options if option in ("NX", "XX")]
    number = random.choice(NUMBERS)
    choices: list[Words] = [
        ("GET", key),
        ("SET", key, value),
        ("SET", key, value, *ends),
        ("SET", key, value, *conditions, *ends),
        ("SET", key, value, *ends, *conditions),
        ("SET", key, value, *conditions),
        ("SETEX", key, random.choice(SECONDS), value),
        ("PSETEX", key, random.choice(MILLISECONDS), value),
        ("SETNX", key, value),
        ("GETSET", key, value),
        ("GETDEL", key),
        ("GETEX", key, *ends),
        ("GETEX", key),
        ("MGET", *some),
        ("MSET", *pairs),
        ("MSETNX", *pairs),
        ("APPEND", key, value),
        ("STRLEN", key),
        ("INCR", key),
        ("DECR", key),
        ("INCRBY", key, number),
        ("DECRBY", key, number),
        ("INCRBYFLOAT", key, random.choice(FLOATS)),
        ("INCRBYFLOAT", key, repr(random.uniform(-100, 100))),
        ("GETRANGE", key, number, random.choice(NUMBERS)),
        ("SETRANGE", key, random.choice(PLACES), value),
        ("DEL", *some),
        ("UNLINK", *some),
        ("EXISTS", *some),
        ("TOUCH", *some),
        ("TYPE", key),
        ("RENAME", key, other),
        ("RENAMENX", key, other),
        ("COPY", key, other),
        ("COPY", key, other, "REPLACE"),
        ("KEYS", random.choice(PATTERNS)),
        ("EXPIRE", key, random.choice(SECONDS), *steady),
        ("PEXPIRE", key, random.choice(MILLISECONDS), *steady),
        ("EXPIREAT", key, random.choice(AT_SECONDS), *options),
        ("PEXPIREAT", key, random.choice(AT_MILLISECONDS), *options),
        ("TTL", key),
        ("PTTL", key),
        ("EXPIRETIME", key),
        ("PEXPIRETIME", key),
        ("PERSIST", key),
    ]
    chosen = random.choice(choices)
    if random.random() < 0.01:
        return chosen[: random.randint(1, len(chosen))]
    return chosen
