"""EXPIRE, TTL and their kin."""

import pytest

from scalability.cache.resp import expiry, strings
from scalability.testing.resp_session import START, RespSession

inf = float("inf")
ONE, ZERO = b":1\r\n", b":0\r\n"


@pytest.fixture
def client() -> RespSession:
    client = RespSession(strings.FAMILY, expiry.FAMILY)
    client.run("SET", "a", "1")
    client.changes.keys.clear()
    return client


def test_the_four_ways_to_set_an_end(client: RespSession) -> None:
    for name, number, seconds in [
        ("EXPIRE", 10, 10),
        ("PEXPIRE", 1500, 1.5),
        ("EXPIREAT", int(START) + 7, 7),
        ("PEXPIREAT", int(START) * 1000 + 20, 0.02),
    ]:
        assert client.run(name, "a", number) == ONE
        assert client.ends_in("a") == pytest.approx(seconds, abs=1e-6)
        assert client.run(name, "none", number) == ZERO
    assert client.changes.keys == [b"a"] * 4
    client.clock.advance(0.03)
    assert client.run("GET", "a") == b"$-1\r\n"


@pytest.mark.parametrize("words", [("EXPIRE", -1), ("EXPIRE", 0), ("PEXPIRE", -(1 << 62)), ("EXPIREAT", int(START)), ("PEXPIREAT", 1)])
def test_a_moment_that_is_over_deletes(client: RespSession, words: tuple[str, int]) -> None:
    name, number = words
    assert client.run(name, "a", number) == ONE
    assert client.run("TTL", "a") == b":-2\r\n"
    assert len(client.cache) == 0
    assert client.changes.keys == [b"a"]


def test_options_with_and_without_an_end(client: RespSession) -> None:
    assert client.run("EXPIRE", "a", 10, "XX") == ZERO
    assert client.run("EXPIRE", "a", 10, "GT") == ZERO, "without end is later than any"
    assert client.run("EXPIRE", "a", 10, "gt", "xx") == ZERO
    assert client.run("EXPIRE", "a", 10, "LT") == ONE
    assert client.run("EXPIRE", "a", 20, "NX") == ZERO
    assert client.run("EXPIRE", "a", 20, "LT") == ZERO
    assert client.run("EXPIRE", "a", 10, "GT") == ZERO
    assert client.run("EXPIRE", "a", 20, "GT", "XX") == ONE
    assert client.run("EXPIRE", "a", 15, "xx", "lt") == ONE
    assert client.run("EXPIRE", "a", 10, "XX") == ONE
    assert client.ends_in("a") == 10
    client.run("PERSIST", "a")
    assert client.run("EXPIRE", "a", 10, "NX") == ONE
    assert client.run("EXPIRE", "a", -10, "GT") == ZERO
    assert client.value("a") == b"1"


def test_options_that_contradict(client: RespSession) -> None:
    never = b"-ERR NX and XX, GT or LT options at the same time are not compatible\r\n"
    for other in ("XX", "GT", "LT"):
        assert client.run("EXPIRE", "a", 10, "NX", other) == never
    assert client.run("EXPIRE", "a", 10, "GT", "LT") == b"-ERR GT and LT options at the same time are not compatible\r\n"
    assert client.run("EXPIRE", "a", 10, "soon\r\n") == b"-ERR Unsupported option soon  \r\n"


def test_moments_that_no_clock_reaches(client: RespSession) -> None:
    for name, number in [("EXPIRE", 1 << 62), ("EXPIRE", -(1 << 62)), ("PEXPIRE", (1 << 63) - 1), ("EXPIREAT", 1 << 60)]:
        assert client.run(name, "a", number) == f"-ERR invalid expire time in '{name.lower()}' command\r\n".encode()
    assert client.run("EXPIRE", "a", "1.5") == b"-ERR value is not an integer or out of range\r\n"
    assert client.run("EXPIRE", "a", 1 << 63) == b"-ERR value is not an integer or out of range\r\n"
    assert client.ends_in("a") == inf
    assert client.run("PEXPIREAT", "a", (1 << 63) - 1) == ONE
    assert client.run("TTL", "a").startswith(b":92233703")


def test_how_long_a_key_lives_is_told_rounded(client: RespSession) -> None:
    told = ("TTL", "PTTL", "EXPIRETIME", "PEXPIRETIME")
    assert [client.run(name, "none") for name in told] == [b":-2\r\n"] * 4
    assert [client.run(name, "a") for name in told] == [b":-1\r\n"] * 4
    client.run("PEXPIRE", "a", 1500)
    moment_ms = int(START) * 1000 + 1500
    assert [client.run(name, "a") for name in told] == [b":2\r\n", b":1500\r\n", b":%d\r\n" % (START + 2), b":%d\r\n" % moment_ms]
    client.clock.advance(1.25)
    assert [client.run(name, "a") for name in told[:2]] == [b":0\r\n", b":250\r\n"]


def test_persist(client: RespSession) -> None:
    assert client.run("PERSIST", "none") == ZERO
    assert client.run("PERSIST", "a") == ZERO
    client.run("EXPIRE", "a", 5)
    assert client.run("PERSIST", "a") == ONE
    assert client.ends_in("a") == inf
    assert client.changes.keys == [b"a", b"a"]
