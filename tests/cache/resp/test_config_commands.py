"""CONFIG."""

import pytest

from scalability.testing.resp_network import RespClient, RespNetwork

SETTINGS = {"maxmemory": "1000", "maxclients": "10", "save": "", "appendonly": "no"}
UNKNOWN = b"-ERR Unknown option or number of arguments for CONFIG SET - 'foo'\r\n"


@pytest.fixture
def client() -> RespClient:
    return RespNetwork(settings=SETTINGS).client()


def test_get_takes_patterns(client: RespClient) -> None:
    assert client.run("CONFIG", "GET", "save") == b"*2\r\n$4\r\nsave\r\n$0\r\n\r\n"
    assert (
        client.run("CONFIG", "GET", "MAX*", "max*", "none") == b"*4\r\n$9\r\nmaxmemory\r\n$4\r\n1000\r\n$10\r\nmaxclients\r\n$2\r\n10\r\n"
    )
    assert client.run("CONFIG", "GET", "none") == b"*0\r\n"
    assert client.run("CONFIG", "GET", "*" * 2000).startswith(b"-ERR 32 patterns of 1024 bytes together")
    client.run("HELLO", 3)
    assert client.run("CONFIG", "GET", "save") == b"%1\r\n$4\r\nsave\r\n$0\r\n\r\n"


def test_set_accepts_what_is_set_already(client: RespClient) -> None:
    assert client.run("CONFIG", "SET", "save", "", "appendonly", "NO") == b"+OK\r\n"
    assert client.run("CONFIG", "SET", "foo", "bar") == UNKNOWN
    assert client.run("CONFIG", "SET", "save", "", "foo", "bar") == UNKNOWN
    assert client.run("CONFIG", "SET", "maxmemory", "2000").startswith(
        b"-ERR CONFIG SET failed (possibly related to argument 'maxmemory') - can't set immutable config"
    )
    assert client.run("CONFIG", "SET", "save", "", "maxmemory") == b"-ERR syntax error\r\n"


def test_resetstat(client: RespClient) -> None:
    client.run("GET", "a")
    assert b"keyspace_misses:1\r\n" in client.run("INFO", "stats")
    assert client.run("CONFIG", "RESETSTAT") == b"+OK\r\n"
    assert b"keyspace_misses:0\r\n" in client.run("INFO", "stats")


def test_there_is_no_file_to_rewrite(client: RespClient) -> None:
    assert client.run("CONFIG", "REWRITE") == b"-ERR The server is running without a config file\r\n"


def test_get_takes_few_patterns(client: RespClient) -> None:
    assert client.run("CONFIG", "GET", *["save"] * 33) == b"-ERR 32 patterns of 1024 bytes together are allowed\r\n"
