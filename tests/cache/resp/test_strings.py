"""GET, SET and their kin."""

import pytest

from scalability.cache.resp import strings
from scalability.cache.resp.values import MAX_REPLY_BYTES
from scalability.testing.resp_session import START, RespSession

NULL = b"$-1\r\n"
OK = b"+OK\r\n"
SYNTAX = b"-ERR syntax error\r\n"
TOO_LARGE = b"-ERR string exceeds maximum allowed size\r\n"
inf = float("inf")


@pytest.fixture
def client() -> RespSession:
    return RespSession(strings.FAMILY, max_object_bytes=1000)


def test_values_are_any_bytes(client: RespSession) -> None:
    assert client.run("GET", "a") == NULL
    assert client.run("SET", b"\r\n\0\xff", b"\0\r\n") == OK
    assert client.run("GET", b"\r\n\0\xff") == b"$3\r\n\0\r\n\r\n"
    assert client.run("SET", "", "") == OK
    assert client.run("GET", "") == b"$0\r\n\r\n"
    assert client.ends_in("") == inf


def test_null_is_told_in_the_version_of_the_client(client: RespSession) -> None:
    client.session.speak(3)
    assert client.run("GET", "a") == b"_\r\n"
    assert client.run("MGET", "a") == b"*1\r\n_\r\n"
    assert client.run("SET", "a", "1", "XX") == b"_\r\n"


def test_set_with_an_end(client: RespSession) -> None:
    for words, seconds in [
        (("EX", 10), 10),
        (("px", 1500), 1.5),
        (("EXAT", int(START) + 7), 7),
        (("PXAT", int(START) * 1000 + 20), 0.02),
    ]:
        assert client.run("SET", "a", "1", *words) == OK
        assert client.ends_in("a") == pytest.approx(seconds, abs=1e-6)
    client.clock.advance(0.03)
    assert client.run("GET", "a") == NULL
    client.run("SET", "a", "1", "EX", 10)
    client.run("SET", "a", "1")
    assert client.ends_in("a") == inf, "an end is forgotten unless KEEPTTL is told"
    assert client.run("SET", "a", "1", "EXAT", 1) == OK
    assert client.run("GET", "a") == NULL
    assert len(client.cache) == 0


def test_keepttl(client: RespSession) -> None:
    client.run("SET", "a", "1", "EX", 10)
    assert client.run("SET", "a", "2", "KEEPTTL") == OK
    assert (client.value("a"), client.ends_in("a")) == (b"2", 10)
    assert client.run("SET", "b", "2", "KEEPTTL") == OK
    assert client.ends_in("b") == inf


def test_nx_and_xx(client: RespSession) -> None:
    assert client.run("SET", "a", "1", "XX") == NULL
    assert client.run("SET", "a", "1", "NX") == OK
    assert client.run("SET", "a", "2", "NX") == NULL
    assert client.run("SET", "a", "3", "XX", "EX", "5") == OK
    assert (client.value("a"), client.ends_in("a")) == (b"3", 5)
    assert client.changes.keys == [b"a", b"a"]
    assert client.changes.by == [client.session] * 2


def test_set_get_tells_what_was_there_whether_or_not_it_sets(client: RespSession) -> None:
    assert client.run("SET", "a", "1", "GET") == NULL
    assert client.run("SET", "a", "2", "GET") == b"$1\r\n1\r\n"
    assert client.run("SET", "a", "3", "NX", "GET") == b"$1\r\n2\r\n"
    assert client.value("a") == b"2"
    assert client.run("SET", "b", "3", "GET", "NX") == NULL
    assert client.value("b") == b"3"
    assert client.run("SET", "c", "3", "XX", "GET") == NULL
    assert client.value("c") is None


def test_set_refuses_what_it_cannot_mean(client: RespSession) -> None:
    for words in (("NX", "XX"), ("EX",), ("EX", "1", "PX", "1"), ("KEEPTTL", "EX", "1"), ("LT",)):
        assert client.run("SET", "a", "1", *words) == SYNTAX
    assert client.run("SET", "a", "1", "EX", "0") == b"-ERR invalid expire time in 'set' command\r\n"
    assert client.run("SET", "a", "1", "EX", 1 << 62) == b"-ERR invalid expire time in 'set' command\r\n"
    assert client.run("SET", "a", "1", "EX", "soon") == b"-ERR value is not an integer or out of range\r\n"
    assert client.run("SET", "a") == b"-ERR wrong number of arguments for 'set' command\r\n"
    assert client.value("a") is None


def test_a_value_that_is_too_large_is_refused_and_what_was_there_is_gone(client: RespSession) -> None:
    client.run("SET", "a", "1")
    assert client.run("SET", "a", "x" * 1000) == TOO_LARGE
    assert client.run("GET", "a") == NULL
    assert client.run("SET", "a", "x" * 999) == OK


def test_setex_psetex_setnx(client: RespSession) -> None:
    assert client.run("SETEX", "a", 5, "1") == OK
    assert client.ends_in("a") == 5
    assert client.run("PSETEX", "a", 500, "1") == OK
    assert client.ends_in("a") == 0.5
    assert client.run("SETEX", "a", -5, "1") == b"-ERR invalid expire time in 'setex' command\r\n"
    assert client.run("PSETEX", "a", 0, "1") == b"-ERR invalid expire time in 'psetex' command\r\n"
    assert client.run("SETNX", "a", "2") == b":0\r\n"
    assert client.run("SETNX", "b", "2") == b":1\r\n"
    client.clock.advance(1)
    assert client.run("SETNX", "a", "3") == b":1\r\n"
    assert (client.value("a"), client.ends_in("a")) == (b"3", inf)


def test_getset_and_getdel(client: RespSession) -> None:
    assert client.run("GETSET", "a", "1") == NULL
    client.run("SET", "a", "1", "EX", 5)
    assert client.run("GETSET", "a", "2") == b"$1\r\n1\r\n"
    assert client.ends_in("a") == inf
    assert client.run("GETDEL", "a") == b"$1\r\n2\r\n"
    assert client.run("GETDEL", "a") == NULL


def test_getex(client: RespSession) -> None:
    assert client.run("GETEX", "a", "EX", "0") == NULL, "Redis looks for the key first"
    client.run("SET", "a", "1")
    client.changes.keys.clear()
    assert client.run("GETEX", "a") == b"$1\r\n1\r\n"
    assert client.run("GETEX", "a", "PERSIST") == b"$1\r\n1\r\n"
    assert client.changes.keys == []
    assert client.run("GETEX", "a", "EX", "0") == b"-ERR invalid expire time in 'getex' command\r\n"
    assert client.run("GETEX", "a", "EX", "5") == b"$1\r\n1\r\n"
    assert (client.ends_in("a"), client.changes.keys) == (5, [b"a"])
    assert client.run("GETEX", "a", "PERSIST") == b"$1\r\n1\r\n"
    assert (client.ends_in("a"), client.changes.keys) == (inf, [b"a", b"a"])
    assert client.run("GETEX", "a", "EX", "5", "PERSIST") == SYNTAX
    assert client.run("GETEX", "a", "PXAT", "1") == b"$1\r\n1\r\n"
    assert client.value("a") is None


def test_several_keys(client: RespSession) -> None:
    assert client.run("MSET", "a", "1", "b", "2", "a", "3") == OK
    assert client.run("MGET", "a", "none", "b", "a") == b"*4\r\n$1\r\n3\r\n$-1\r\n$1\r\n2\r\n$1\r\n3\r\n"
    assert client.run("MSETNX", "c", "1", "a", "2") == b":0\r\n"
    assert client.value("c") is None
    assert client.run("MSETNX", "c", "1", "d", "2") == b":1\r\n"
    assert client.run("MSET", "a", "1", "b") == b"-ERR wrong number of arguments for 'mset' command\r\n"
    assert client.run("MSETNX", "a", "1", "b") == b"-ERR wrong number of arguments for 'msetnx' command\r\n"


def test_of_several_values_one_of_which_is_too_large_none_is_set(client: RespSession) -> None:
    client.run("SET", "a", "1")
    assert client.run("MSET", "a", "2", "b", "x" * 1000) == TOO_LARGE
    assert client.run("MSETNX", "c", "2", "b", "x" * 1000) == TOO_LARGE
    assert (client.value("a"), client.value("c")) == (b"1", None)


def test_one_answer_is_not_larger_than_memory() -> None:
    client = RespSession(strings.FAMILY, max_bytes=1 << 24)
    client.run("SET", "a", b"x" * (1 << 20))
    count = MAX_REPLY_BYTES >> 20
    assert client.run("MGET", *["a"] * count).startswith(b"*%d\r\n" % count)
    assert client.run("MGET", *["a"] * (count + 1)).startswith(b"-ERR the values are more than 134217728 bytes together")


def test_append_and_strlen(client: RespSession) -> None:
    assert client.run("STRLEN", "a") == b":0\r\n"
    assert client.run("APPEND", "a", "") == b":0\r\n"
    assert client.value("a") == b""
    client.run("SET", "a", "ab", "EX", 5)
    assert client.run("APPEND", "a", "c") == b":3\r\n"
    assert (client.value("a"), client.ends_in("a")) == (b"abc", 5)
    assert client.run("STRLEN", "a") == b":3\r\n"
    assert client.run("APPEND", "a", "x" * 997) == TOO_LARGE
    assert client.value("a") == b"abc"


@pytest.mark.parametrize(
    ("first", "last", "part"),
    [
        (0, 3, "This"),
        (-3, -1, "ing"),
        (0, -1, "This is a string"),
        (10, 100, "string"),
        (5, 3, ""),
        (-1, -3, ""),
        (-100, 3, "This"),
        (-100, -200, ""),
        (0, -100, "T"),
        (100, 200, ""),
        (16, 16, ""),
        (15, 1 << 62, "g"),
    ],
)
def test_getrange(client: RespSession, first: int, last: int, part: str) -> None:
    client.run("SET", "a", "This is a string")
    answer = f"${len(part)}\r\n{part}\r\n".encode()
    assert client.run("GETRANGE", "a", first, last) == answer
    assert client.run("SUBSTR", "a", first, last) == answer


def test_getrange_of_nothing(client: RespSession) -> None:
    assert client.run("GETRANGE", "a", 0, -1) == b"$0\r\n\r\n"
    assert client.run("GETRANGE", "a", 0, 1 << 63) == b"-ERR value is not an integer or out of range\r\n"


def test_setrange(client: RespSession) -> None:
    assert client.run("SETRANGE", "a", 5, "") == b":0\r\n"
    assert client.value("a") is None
    assert client.run("SETRANGE", "a", 2, "x") == b":3\r\n"
    assert client.value("a") == b"\0\0x"
    client.run("SET", "a", "Hello World", "EX", 5)
    assert client.run("SETRANGE", "a", 6, "Redis") == b":11\r\n"
    assert (client.value("a"), client.ends_in("a")) == (b"Hello Redis", 5)
    assert client.run("SETRANGE", "a", 0, "J") == b":11\r\n"
    assert client.run("SETRANGE", "a", 10, "sss") == b":13\r\n"
    assert client.value("a") == b"Jello Redisss"
    assert client.run("SETRANGE", "a", 3, "") == b":13\r\n"


def test_setrange_far_beyond_the_end_takes_no_memory(client: RespSession) -> None:
    client.run("SET", "a", "1")
    assert client.run("SETRANGE", "a", -1, "x") == b"-ERR offset is out of range\r\n"
    for place in (999, 1 << 29, (1 << 63) - 1):
        assert client.run("SETRANGE", "a", place, "x") == TOO_LARGE
    assert client.value("a") == b"1"
