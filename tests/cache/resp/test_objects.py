"""OBJECT and MEMORY."""

import pytest

from scalability.cache.resp import objects, strings
from scalability.testing.resp_session import RespSession
from scalability.ttlcache import OVERHEAD_BYTES

NULL = b"$-1\r\n"


@pytest.fixture
def client() -> RespSession:
    client = RespSession(strings.FAMILY, objects.OBJECT_FAMILY, objects.MEMORY_FAMILY)
    client.run("SET", "a", "1")
    return client


@pytest.mark.parametrize(
    ("value", "encoding"),
    [
        ("1", "int"),
        ("-9223372036854775808", "int"),
        ("9223372036854775808", "embstr"),
        ("01", "embstr"),
        ("", "embstr"),
        ("x" * 44, "embstr"),
        ("x" * 45, "raw"),
    ],
)
def test_the_encoding_is_the_one_of_redis(client: RespSession, value: str, encoding: str) -> None:
    client.run("SET", "a", value)
    assert client.run("OBJECT", "ENCODING", "a") == f"${len(encoding)}\r\n{encoding}\r\n".encode()


def test_what_object_does_not_know(client: RespSession) -> None:
    assert client.run("OBJECT", "encoding", "none") == NULL
    assert client.run("OBJECT", "FREQ", "none") == NULL
    assert client.run("OBJECT", "REFCOUNT", "a") == b":1\r\n"
    assert client.run("OBJECT", "FREQ", "a").startswith(b"-ERR An LFU maxmemory policy is not selected, access frequency not tracked.")
    assert client.run("OBJECT", "IDLETIME", "a") == b"-ERR IDLETIME is not supported: times of access are not kept\r\n"
    assert client.run("OBJECT", "ENCODING") == b"-ERR wrong number of arguments for 'object|encoding' command\r\n"
    assert client.run("OBJECT", "weight", "a") == b"-ERR unknown subcommand 'weight'. Try OBJECT HELP.\r\n"
    assert client.run("OBJECT", "HELP").startswith(b"*7\r\n+OBJECT <subcommand>")


def test_memory_usage_is_what_the_bound_counts(client: RespSession) -> None:
    before = client.cache.bytes
    client.run("SET", "key", "value")
    assert client.run("MEMORY", "USAGE", "key") == b":%d\r\n" % (8 + OVERHEAD_BYTES) == b":%d\r\n" % (client.cache.bytes - before)
    assert client.run("MEMORY", "usage", "key", "samples", "0") == b":%d\r\n" % (8 + OVERHEAD_BYTES)
    assert client.run("MEMORY", "USAGE", "none") == NULL


def test_what_memory_does_not_know(client: RespSession) -> None:
    assert client.run("MEMORY", "USAGE") == b"-ERR wrong number of arguments for 'memory|usage' command\r\n"
    assert client.run("MEMORY", "USAGE", "a", "SAMPLES") == b"-ERR syntax error\r\n"
    assert client.run("MEMORY", "USAGE", "a", "SAMPLES", "-1") == b"-ERR syntax error\r\n"
    assert client.run("MEMORY", "USAGE", "a", "SAMPLES", "x") == b"-ERR value is not an integer or out of range\r\n"
    assert client.run("MEMORY", "DOCTOR") == b"-ERR unknown subcommand 'DOCTOR'. Try MEMORY HELP.\r\n"
    assert client.run("MEMORY", "HELP").startswith(b"*5\r\n+MEMORY <subcommand>")
