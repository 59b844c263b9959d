"""DEL, RENAME, FLUSHALL and their kin."""

import pytest

from scalability.cache.resp import keys, strings
from scalability.testing.resp_session import RespSession

ONE, ZERO, OK = b":1\r\n", b":0\r\n", b"+OK\r\n"
SYNTAX = b"-ERR syntax error\r\n"
inf = float("inf")


@pytest.fixture
def client() -> RespSession:
    client = RespSession(strings.FAMILY, keys.FAMILY, keys.SERVER_FAMILY, max_object_bytes=100)
    client.run("SET", "a", "1", "EX", 10)
    client.run("SET", "b", "2")
    client.changes.keys.clear()
    return client


@pytest.mark.parametrize("name", ["DEL", "UNLINK"])
def test_deleting_tells_how_many_there_were(client: RespSession, name: str) -> None:
    assert client.run(name, "a", "none", "b", "a") == b":2\r\n"
    assert len(client.cache) == 0
    assert (client.changes.keys, client.changes.by[-1]) == ([b"a", b"b"], client.session)


def test_what_has_expired_is_not_there(client: RespSession) -> None:
    client.clock.advance(10)
    assert client.run("EXISTS", "a") == ZERO
    assert client.run("TYPE", "a") == b"+none\r\n"
    assert client.run("DEL", "a") == ZERO
    assert client.run("RENAME", "a", "c") == b"-ERR no such key\r\n"
    assert client.run("COPY", "a", "c") == ZERO


def test_exists_and_touch_count_a_key_as_often_as_it_is_named(client: RespSession) -> None:
    hits = client.cache.stats.hits
    assert client.run("EXISTS", "a", "none", "a", "b") == b":3\r\n"
    assert client.cache.stats.hits == hits
    assert client.run("TOUCH", "a", "none", "a", "b") == b":3\r\n"
    assert client.cache.stats.hits == hits + 3


def test_type(client: RespSession) -> None:
    assert client.run("TYPE", "a") == b"+string\r\n"
    assert client.run("TYPE", "none") == b"+none\r\n"


def test_rename_moves_value_and_end(client: RespSession) -> None:
    assert client.run("RENAME", "a", "b") == OK
    assert (client.value("a"), client.value("b"), client.ends_in("b")) == (None, b"1", 10)
    assert client.changes.keys == [b"a", b"b"]
    assert client.run("RENAME", "b", "b") == OK
    assert client.run("RENAME", "a", "a") == b"-ERR no such key\r\n"


def test_renamenx_takes_no_name_that_is_in_use(client: RespSession) -> None:
    assert client.run("RENAMENX", "a", "b") == ZERO
    assert client.run("RENAMENX", "a", "a") == ZERO
    assert client.run("RENAMENX", "a", "c") == ONE
    assert (client.value("a"), client.value("c"), client.ends_in("c")) == (None, b"1", 10)
    assert client.run("RENAMENX", "a", "d") == b"-ERR no such key\r\n"


def test_a_name_that_makes_the_entry_too_large_is_refused(client: RespSession) -> None:
    for name in ("RENAME", "RENAMENX"):
        assert client.run(name, "a", "x" * 100) == b"-ERR string exceeds maximum allowed size\r\n"
    assert client.value("a") == b"1"
    assert client.run("COPY", "a", "x" * 100) == b"-ERR string exceeds maximum allowed size\r\n"


def test_copy(client: RespSession) -> None:
    assert client.run("COPY", "none", "c") == ZERO
    assert client.run("COPY", "a", "b") == ZERO
    assert client.run("COPY", "a", "b", "REPLACE", "DB", "0") == ONE
    assert (client.value("a"), client.value("b"), client.ends_in("b")) == (b"1", b"1", 10)
    assert client.run("COPY", "a", "c", "db", "0") == ONE
    assert client.run("COPY", "a", "a") == b"-ERR source and destination objects are the same\r\n"
    assert client.run("COPY", "a", "d", "DB") == SYNTAX
    assert client.run("COPY", "a", "d", "OVER") == SYNTAX
    for database in (1, -1, 15):
        assert client.run("COPY", "a", "d", "DB", database) == b"-ERR DB index is out of range\r\n"
    assert client.run("COPY", "a", "d", "DB", "x") == b"-ERR value is not an integer or out of range\r\n"
    too_far = b"-ERR value is out of range, value must between -2147483648 and 2147483647\r\n"
    assert client.run("COPY", "a", "d", "DB", 1 << 31) == too_far


@pytest.mark.parametrize("name", ["FLUSHDB", "FLUSHALL"])
def test_flushing(client: RespSession, name: str) -> None:
    assert client.run("DBSIZE") == b":2\r\n"
    assert client.run(name, "NOW") == SYNTAX
    assert client.run(name, "SYNC", "ASYNC") == SYNTAX
    for words in ((), ("async",), ("SYNC",)):
        client.run("SET", "a", "1")
        assert client.run(name, *words) == OK
        assert client.run("DBSIZE") == ZERO
        assert client.changes.keys[-1] == b"*"
        assert client.changes.by[-1] is client.session
