"""Many keys in one request."""

import json
from typing import Any

import pytest
from twisted.internet.task import Clock

from scalability.cache.config import CacheOptions
from scalability.cache.entries import Entries
from scalability.cache.http_api import cache_app
from scalability.cache.http_batch import MAX_ANSWER_BYTES, MAX_BATCH
from scalability.testing.asking import Asking
from scalability.testing.client import Answer
from scalability.ttlcache import TTLCache

START = 1_700_000_000.0


class Server:
    def __init__(self, max_bytes: int = 1 << 26) -> None:
        self.clock = Clock()
        self.clock.advance(START)
        self.cache: TTLCache[bytes, bytes] = TTLCache(max_bytes=max_bytes)
        self.http = Asking(cache_app(Entries(self.cache, self.clock.seconds), self.clock, CacheOptions()), self.clock)

    def keep(self, key: bytes, value: bytes, ttl_s: float | None = 30.0) -> None:
        self.cache.set(key, value, self.clock.seconds(), ttl_s, size_bytes=len(key) + len(value))

    def read(self, *keys: Any) -> Answer:
        return self.http.post("/cache-batch/get", json={"keys": list(keys)})

    def write(self, *entries: Any) -> Answer:
        return self.http.post("/cache-batch/set", json={"entries": list(entries)})


@pytest.fixture
def server() -> Server:
    return Server()


def test_found_and_missing_keys_are_told_apart_and_a_null_is_a_value(server: Server) -> None:
    server.keep(b"a", b'{"x":1.10}')
    server.keep(b"n", b"null", 2.5)
    server.keep(b"for ever", b"plain", None)
    answer = server.read("a", "b", "n", "for ever", "a", "é/")
    assert answer.status == 200
    assert answer.json() == {
        "values": {"a": {"x": 1.1}, "n": None, "for ever": "plain"},
        "ttls": {"a": 30.0, "n": 2.5},
        "missing": ["b", "é/"],
        "failed": {},
    }
    assert b"1.10" in answer.body


def test_a_value_that_is_no_text_fails_by_itself(server: Server) -> None:
    server.keep(b"a", b"1")
    server.keep(b"b", b"\xff")
    answer = server.read("b", "a").json()
    assert answer["values"] == {"a": 1}
    assert answer["failed"] == {"b": {"error": "conflict", "message": "the value is not UTF-8 text: read it over RESP"}}


def test_an_answer_has_a_bound_and_what_does_not_fit_is_named(server: Server) -> None:
    third = b'"' + b"x" * (MAX_ANSWER_BYTES // 3) + b'"'
    for key in (b"a", b"b", b"c", b"d"):
        server.keep(key, third)
    server.keep(b"e", b"1")
    answer = server.read("a", "b", "c", "d", "e")
    assert len(answer.body) < MAX_ANSWER_BYTES + 1000
    told = answer.json()
    assert list(told["values"]) == ["a", "b", "e"]
    assert {key: failed["error"] for key, failed in told["failed"].items()} == {"c": "batch_too_large", "d": "batch_too_large"}


def test_one_value_larger_than_the_bound_is_still_given(server: Server) -> None:
    server.keep(b"a", b'"' + b"x" * (MAX_ANSWER_BYTES + 10) + b'"')
    server.keep(b"b", b"1")
    told = server.read("a", "b").json()
    assert (list(told["values"]), list(told["failed"])) == (["a"], ["b"])


def test_entries_are_written_each_with_its_own_outcome(server: Server) -> None:
    server.keep(b"there", b"1")
    answer = server.write(
        {"key": "a", "value": {"x": [1]}},
        {"key": "there", "value": 2, "if_absent": True},
        {"key": "b", "value": None, "ttl": 5, "if_absent": True},
        {"key": "a", "value": "later"},
    )
    assert answer.status == 200
    assert answer.json() == {
        "stored": 3,
        "results": [
            {"status": "stored", "expires_at": START + 30},
            {"status": "exists"},
            {"status": "stored", "expires_at": START + 5},
            {"status": "stored", "expires_at": START + 30},
        ],
    }
    assert server.read("a", "there", "b").json()["values"] == {"a": "later", "there": 1, "b": None}


def test_an_entry_too_large_for_the_cache_fails_by_itself() -> None:
    server = Server(max_bytes=10_000)
    answer = server.write({"key": "large", "value": "x" * 10_000}, {"key": "a", "value": 1})
    assert [one["status"] for one in answer.json()["results"]] == ["too_large", "stored"]


def test_numbers_keep_every_digit(server: Server) -> None:
    server.http.post("/cache-batch/set", body=b'{"entries":[{"key":"a","value":[1.10, 123456789012345678901234567890]}]}')
    assert b'"a":[1.10, 123456789012345678901234567890]' in server.read("a").body


@pytest.mark.parametrize(
    "entry",
    [
        {"key": "b"},
        {"value": 1},
        {"key": 1, "value": 1},
        {"key": "b", "value": 1, "ttl": 0},
        {"key": "b", "value": 1, "ttl": -1},
        {"key": "b", "value": 1, "ttl": 1e12},
        {"key": "b", "value": 1, "ttk": 1},
        {"key": "k" * 1025, "value": 1},
        "b",
    ],
)
def test_one_malformed_entry_and_nothing_is_written(server: Server, entry: Any) -> None:
    answer = server.write({"key": "a", "value": 1}, entry)
    assert answer.status == 400
    assert "entries[1]" in answer.json()["message"]
    assert len(server.cache) == 0


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"keys": "a"}', b'{"keys": [1]}', b'{"keys": ["\xff"]}', b'{"keys": [], "x": 1}'])
def test_a_body_that_is_not_what_is_wanted_is_refused(server: Server, body: bytes) -> None:
    for path in ("/cache-batch/get", "/cache-batch/set"):
        answer = server.http.post(path, body=body)
        assert (answer.status, answer.json()["error"]) == (400, "bad_json")


def test_a_batch_has_a_bound(server: Server) -> None:
    keys = [str(number) for number in range(MAX_BATCH + 1)]
    assert server.read(*keys[:-1]).status == 200
    assert server.write(*({"key": key, "value": 1} for key in keys[:-1])).json()["stored"] == MAX_BATCH
    assert (server.read(*keys).status, server.write(*({"key": key, "value": 1} for key in keys)).status) == (400, 400)
    assert server.read("k" * 1025).json()["message"] == "keys[0]: the key has 1025 bytes; 1024 are allowed"
    assert server.read().json() == {"values": {}, "ttls": {}, "missing": [], "failed": {}}


def test_a_body_above_the_bound_of_bodies_is_refused(server: Server) -> None:
    body = json.dumps({"entries": [{"key": "a", "value": "x" * (1 << 20)}]}).encode()
    assert server.http.post("/cache-batch/set", body=body).status == 413


def test_a_key_named_as_the_call_is_does_not_collide(server: Server) -> None:
    server.http.post("/cache/get", json={"value": 1})
    server.http.post("/cache/cache-batch/get", json={"value": 2})
    assert server.read("get", "cache-batch/get").json()["values"] == {"get": 1, "cache-batch/get": 2}
    assert server.http.get("/cache-batch/get").status == 405
