"""INCR and its kin."""

import pytest

from scalability.cache.resp import counters, strings
from scalability.testing.resp_session import RespSession

NOT_AN_INTEGER = b"-ERR value is not an integer or out of range\r\n"
OVERFLOW = b"-ERR increment or decrement would overflow\r\n"
inf = float("inf")


@pytest.fixture
def client() -> RespSession:
    return RespSession(strings.FAMILY, counters.FAMILY)


def test_counting_begins_at_zero(client: RespSession) -> None:
    assert client.run("INCR", "a") == b":1\r\n"
    assert client.run("INCRBY", "a", 41) == b":42\r\n"
    assert client.run("DECR", "a") == b":41\r\n"
    assert client.run("DECRBY", "a", 50) == b":-9\r\n"
    assert client.run("DECR", "b") == b":-1\r\n"
    assert (client.value("a"), client.value("b")) == (b"-9", b"-1")
    assert client.changes.keys == [b"a"] * 4 + [b"b"]
    assert client.changes.by == [client.session] * 5


def test_a_number_keeps_its_end(client: RespSession) -> None:
    client.run("SET", "a", "1", "EX", 5)
    client.run("INCR", "a")
    assert client.ends_in("a") == 5
    client.run("INCRBYFLOAT", "a", "0.5")
    assert (client.value("a"), client.ends_in("a")) == (b"2.5", 5)
    client.clock.advance(6)
    assert client.run("INCR", "a") == b":1\r\n"
    assert client.ends_in("a") == inf


@pytest.mark.parametrize("value", ["", "x", "1.0", " 1", "1 ", "+1", "01", "-0", "9223372036854775808", "1" * 5000])
def test_what_is_no_number_stays_as_it_is(client: RespSession, value: str) -> None:
    client.run("SET", "a", value)
    for words in (("INCR",), ("DECR",), ("INCRBY", "1"), ("DECRBY", "1")):
        assert client.run(words[0], "a", *words[1:]) == NOT_AN_INTEGER
    assert client.run("INCRBY", "b", value) == NOT_AN_INTEGER
    assert (client.value("a"), client.value("b")) == (value.encode(), None)


def test_numbers_stay_within_64_bits(client: RespSession) -> None:
    client.run("SET", "most", (1 << 63) - 1)
    client.run("SET", "least", -(1 << 63))
    assert client.run("INCR", "most") == OVERFLOW
    assert client.run("DECR", "least") == OVERFLOW
    assert client.run("INCRBY", "least", -1) == OVERFLOW
    assert client.run("DECRBY", "most", -1) == OVERFLOW
    assert client.run("DECRBY", "most", -(1 << 63)) == b"-ERR decrement would overflow\r\n"
    assert client.run("DECRBY", "most", (1 << 63) - 1) == b":0\r\n"
    assert client.value("least") == b"%d" % -(1 << 63)


def test_floats_are_told_without_zeros_at_the_end(client: RespSession) -> None:
    for step, told in [("10.50", "10.5"), ("0.1", "10.6"), ("-5.6", "5"), ("5.0e3", "5005"), ("-5005", "0")]:
        assert client.run("INCRBYFLOAT", "a", step) == f"${len(told)}\r\n{told}\r\n".encode()
    client.run("SET", "b", "3.0e3")
    assert client.run("INCRBYFLOAT", "b", "200") == b"$4\r\n3200\r\n"


def test_floats_that_are_none(client: RespSession) -> None:
    for step in ("", "x", "nan", "1 ", " 1", "1e", "1e5000", "1" * 2000):
        assert client.run("INCRBYFLOAT", "a", step) == b"-ERR value is not a valid float\r\n"
    for step in ("inf", "-Infinity"):
        assert client.run("INCRBYFLOAT", "a", step) == b"-ERR increment would produce NaN or Infinity\r\n"
    assert client.value("a") is None
    client.run("SET", "a", "x")
    assert client.run("INCRBYFLOAT", "a", "1") == b"-ERR value is not a valid float\r\n"
