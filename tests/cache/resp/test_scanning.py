"""SCAN, KEYS and RANDOMKEY."""

import re

import pytest

from scalability.cache.resp import keys, scanning, strings
from scalability.cache.resp.scanning import MAX_COUNT, MAX_KEYS, MAX_STEPS
from scalability.testing.resp_session import RespSession

SYNTAX = b"-ERR syntax error\r\n"


@pytest.fixture
def client() -> RespSession:
    return RespSession(strings.FAMILY, keys.FAMILY, scanning.FAMILY, max_bytes=1 << 26)


def fill(client: RespSession, count: int, name: str = "key:") -> set[bytes]:
    names = {f"{name}{number}".encode() for number in range(count)}
    for key in names:
        client.run("SET", key, "1")
    return names


def told(answer: bytes) -> list[bytes]:
    """The keys of an answer: those of these tests are short and have no line ends."""
    return re.findall(rb"\$\d+\r\n([^\r]+)\r\n", answer)


def scanned(client: RespSession, *words: str | int) -> list[bytes]:
    found: list[bytes] = []
    cursor = b"0"
    for _ in range(10_000):
        cursor, *some = told(client.run("SCAN", cursor, *words))
        found += some
        if cursor == b"0":
            return found
    raise AssertionError("it has no end")


@pytest.mark.parametrize("count", [0, 1, 10, 2500])
def test_a_scan_tells_every_key(client: RespSession, count: int) -> None:
    names = fill(client, count)
    assert set(scanned(client)) == names
    assert set(scanned(client, "COUNT", 1)) == names
    assert set(scanned(client, "COUNT", 1_000_000)) == names


def test_the_answer_of_scan(client: RespSession) -> None:
    assert client.run("SCAN", "0") == b"*2\r\n$1\r\n0\r\n*0\r\n"
    client.run("SET", "a", "1")
    assert client.run("SCAN", "0", "count", "100000") == b"*2\r\n$1\r\n0\r\n*1\r\n$1\r\na\r\n"


def test_a_scan_tells_what_matches_and_what_lives(client: RespSession) -> None:
    fill(client, 300)
    others = fill(client, 200, "other:")
    client.run("SET", "other:dead", "1", "PX", 1)
    client.clock.advance(1)
    assert set(scanned(client, "MATCH", "o*:*")) == others
    assert set(scanned(client, "match", "[^k]*", "count", 7, "type", "STRING")) == others
    assert scanned(client, "TYPE", "hash") == []


def test_keys_that_stay_are_told_whatever_comes_and_goes(client: RespSession) -> None:
    names = fill(client, 1000)
    found: set[bytes] = set()
    cursor, number = b"0", 0
    while True:
        cursor, *some = told(client.run("SCAN", cursor, "COUNT", 20))
        found.update(some)
        if cursor == b"0":
            break
        for _ in range(20):
            client.run("SET", f"new:{number}", "1")
            client.run("DEL", f"new:{number - 10}")
            number += 1
    assert names <= found


def test_one_scan_looks_at_a_bounded_number_of_keys(client: RespSession) -> None:
    fill(client, 3 * MAX_COUNT)
    cursor, *some = told(client.run("SCAN", "0", "COUNT", (1 << 63) - 1))
    assert cursor != b"0"
    assert len(some) < 2 * MAX_COUNT


def test_long_keys_end_a_scan_sooner(client: RespSession) -> None:
    for number in range(300):
        client.run("SET", b"%d" % number + b"x" * 10_000, "1")
    cursor, *some = told(client.run("SCAN", "0", "COUNT", "300", "MATCH", "*[xy][xy][xy]y*"))
    assert (cursor != b"0", some) == (True, [])
    assert client.run("KEYS", "*[xy][xy][xy]y*") == b"-ERR KEYS would take too long for such long keys and this pattern, use SCAN\r\n"
    assert MAX_STEPS < 300 * 10_000


def test_scan_refuses_what_it_cannot_mean(client: RespSession) -> None:
    for cursor in ("", "x", "-1", "1.5", " 1", "9" * 21, 1 << 64, "1" * 5000):
        assert client.run("SCAN", cursor) == b"-ERR invalid cursor\r\n"
    for words in (("COUNT",), ("COUNT", 0), ("COUNT", -1), ("MATCH",), ("SORT", "x"), ("MATCH", "*", "COUNT")):
        assert client.run("SCAN", 0, *words) == SYNTAX
    assert client.run("SCAN", 0, "COUNT", "x") == b"-ERR value is not an integer or out of range\r\n"
    assert client.run("SCAN", 0, "MATCH", "x" * 1025) == b"-ERR the pattern has 1025 bytes; 1024 are allowed\r\n"


def test_a_cursor_that_was_never_given_does_no_harm(client: RespSession) -> None:
    fill(client, 10)
    assert client.run("SCAN", (1 << 64) - 1).startswith(b"*2\r\n")


def test_keys(client: RespSession) -> None:
    names = fill(client, 20)
    client.run("SET", "dead", "1", "PX", 1)
    client.clock.advance(1)
    assert client.run("KEYS", "none*") == b"*0\r\n"
    assert set(told(client.run("KEYS", "*"))) == names
    assert set(told(client.run("KEYS", "key:1?"))) == {b"key:%d" % number for number in range(10, 20)}
    assert client.run("KEYS", "x" * 1025).startswith(b"-ERR the pattern has 1025 bytes")


def test_keys_is_refused_where_there_are_very_many(client: RespSession) -> None:
    fill(client, MAX_KEYS)
    assert len(told(client.run("KEYS", "*"))) == MAX_KEYS
    client.run("SET", "one more", "1")
    assert client.run("KEYS", "*") == b"-ERR KEYS looks at no more than 5000 keys and there are 5001, use SCAN\r\n"
    assert client.run("KEYS", "one more") == b"*1\r\n$8\r\none more\r\n", "looking for one is cheap"
    assert client.run("KEYS", "two more") == b"*0\r\n"


def test_randomkey(client: RespSession) -> None:
    assert client.run("RANDOMKEY") == b"$-1\r\n"
    fill(client, 3)
    # keys are not equally likely: one may stand for few of the places that are drawn
    assert {client.run("RANDOMKEY") for _ in range(10_000)} == {b"$5\r\nkey:%d\r\n" % number for number in range(3)}


def test_randomkey_tells_none_that_has_expired(client: RespSession) -> None:
    client.run("SET", "dead", "1", "PX", 1)
    client.clock.advance(1)
    assert client.run("RANDOMKEY") == b"$-1\r\n"
    client.run("SET", "alive", "1")
    assert client.run("RANDOMKEY") == b"$5\r\nalive\r\n"


def test_of_several_patterns_the_last_one_counts(client: RespSession) -> None:
    client.run("SET", "a", 1)
    client.run("SET", "b", 1)
    assert set(scanned(client, "MATCH", "x" * 2000, "MATCH", "b*")) == {b"b"}
