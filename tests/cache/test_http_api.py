"""The cache's HTTP API, on a clock of its own."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock

from scalability.cache.config import MAX_TTL_S, CacheOptions
from scalability.cache.entries import Entries
from scalability.cache.http_api import cache_app
from scalability.cache.keys import MAX_KEY_BYTES
from scalability.testing.asking import Asking
from scalability.ttlcache import TTLCache

START = 1_700_000_000.0


class Server:
    def __init__(self, **bounds: int) -> None:
        self.clock = Clock()
        self.clock.advance(START)
        self.cache: TTLCache[bytes, bytes] = TTLCache(max_bytes=bounds.pop("max_bytes", 1 << 22), **bounds)
        self.http = Asking(cache_app(Entries(self.cache, self.clock.seconds), self.clock, CacheOptions()), self.clock)

    def value(self, path: str) -> Any:
        answer = self.http.get(path)
        assert answer.status == 200
        assert answer.headers["content-type"] == "application/json"
        found = answer.json()
        assert set(found) == {"value"}
        return found["value"]


@pytest.fixture
def server() -> Server:
    return Server()


def test_a_value_is_kept_for_thirty_seconds_unless_told_otherwise(server: Server) -> None:
    assert server.value("/cache/a") is None
    stored = server.http.post("/cache/a", json={"value": "x"})
    assert (stored.status, stored.json()) == (200, {"status": "ok", "expires_at": START + 30})
    server.clock.advance(29.9)
    assert server.value("/cache/a") == "x"
    server.clock.advance(0.2)
    assert server.value("/cache/a") is None


def test_how_long_a_value_will_still_be_kept_is_told_beside_it(server: Server) -> None:
    server.http.post("/cache/a", json={"value": None, "ttl": 2.5})
    assert float(server.http.get("/cache/a").headers["cache-ttl"]) == pytest.approx(2.5, abs=0.002)
    server.clock.advance(2)
    told = server.http.get("/cache/a")
    assert (0.49 < float(told.headers["cache-ttl"]) <= 0.5, told.json()) == (True, {"value": None})
    server.clock.advance(1)
    assert "cache-ttl" not in server.http.get("/cache/a").headers, "nothing, and not a null that somebody wrote"


def test_a_value_without_end_says_so(server: Server) -> None:
    server.cache.set(b"a", b"null", START, None, size_bytes=5)
    told = server.http.get("/cache/a")
    assert (told.headers["cache-ttl"], told.json()) == ("never", {"value": None})


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (b"1.50", b"1.50"),
        (b' {"a": [1]}', b'{"a": [1]}'),
        (b"plain text", b'"plain text"'),
        ("é\n".encode(), '"é\\n"'.encode()),
        (b"", b'""'),
    ],
)
def test_a_value_written_over_resp_is_its_json_or_a_string(server: Server, value: bytes, read: bytes) -> None:
    server.cache.set(b"a", value, START, None, size_bytes=10)
    assert server.http.get("/cache/a").body == b'{"value":%b}' % read


def test_a_value_that_is_no_text_is_to_be_read_over_resp(server: Server) -> None:
    server.cache.set(b"a", b"\xff\x00", START, None, size_bytes=10)
    answer = server.http.get("/cache/a")
    assert (answer.status, answer.json()) == (
        409,
        {"error": "conflict", "message": "the value is not UTF-8 text: read it over RESP"},
    )


def test_a_key_that_is_no_text_has_no_path(server: Server) -> None:
    server.cache.set(b"\xff", b"1", START, None, size_bytes=10)
    answer = server.http.get("/cache/%FF")
    assert (answer.status, answer.json()["error"]) == (400, "bad_request")


def test_a_writer_chooses_the_time_to_live(server: Server) -> None:
    assert server.http.post("/cache/a", json={"value": 1, "ttl": 0.5}).json()["expires_at"] == START + 0.5
    assert server.http.post("/cache/b", json={"value": 1, "ttl": 100}).json()["expires_at"] == START + 100
    assert server.http.post("/cache/c", json={"value": 1, "ttl": None}).json()["expires_at"] == START + 30
    server.clock.advance(50)
    assert [server.value(f"/cache/{key}") for key in "abc"] == [None, 1, None]


@pytest.mark.parametrize("ttl", ["0", "-1", "NaN", "Infinity", "1e400", '"30"', "true", "[]", str(MAX_TTL_S * 2)])
def test_a_time_to_live_that_makes_no_sense_is_refused(server: Server, ttl: str) -> None:
    answer = server.http.post("/cache/a", body=f'{{"value": 1, "ttl": {ttl}}}'.encode())
    assert answer.status == 400
    assert answer.json()["error"] == "bad_json"
    assert len(server.cache) == 0


def test_if_absent_leaves_an_existing_key_and_says_so(server: Server) -> None:
    assert server.http.post("/cache/lease", json={"value": "me", "ttl": 5, "if_absent": True}).status == 200
    refused = server.http.post("/cache/lease", json={"value": "you", "ttl": 5, "if_absent": True})
    assert (refused.status, refused.json()["error"]) == (409, "conflict")
    assert server.value("/cache/lease") == "me"
    server.clock.advance(5)
    assert server.http.post("/cache/lease", json={"value": "you", "ttl": 5, "if_absent": True}).status == 200
    assert server.value("/cache/lease") == "you"


def test_a_key_can_be_deleted(server: Server) -> None:
    server.http.post("/cache/a", json={"value": 1})
    assert server.http.delete("/cache/a").json() == {"status": "ok", "deleted": True}
    assert server.http.delete("/cache/a").json() == {"status": "ok", "deleted": False}
    assert server.value("/cache/a") is None


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@given(value=JSON)
def test_any_json_comes_back_as_it_was(value: Any) -> None:
    server = Server()
    body = json.dumps({"value": value}, ensure_ascii=False).encode("utf-8", "surrogatepass")
    try:
        body.decode()
    except UnicodeDecodeError:
        return
    assert server.http.post("/cache/a", body=body).status == 200
    assert server.value("/cache/a") == value


def test_numbers_keep_every_digit(server: Server) -> None:
    text = b"[1.10, 123456789012345678901234567890, 1e999, -0.0]"
    server.http.post("/cache/a", body=b'{"value": %b}' % text)
    assert server.http.get("/cache/a").body == b'{"value":%b}' % text


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("/cache/a/b", "/cache/a%2Fb"),
        ("/cache/a%20b", "/cache/a%20b"),
        ("/cache/%C3%A9", "/cache/%c3%a9"),
        ("/cache//a", "/cache/%2Fa"),
        ("/cache/a//b", "/cache/a%2F%2Fb"),
        ("/cache/a/", "/cache/a%2F"),
        ("/cache/a%3Fb", "/cache/a%3fb"),
        ("/cache/%25", "/cache/%25"),
        ("/cache/a?x=1", "/cache/a"),
        ("/cache/a%00b", "/cache/a%00b"),
        ("/cache/a%0Ab", "/cache/a%0Ab"),
        ("/cache/..%2F..", "/cache/../.."),
    ],
)
def test_one_key_in_two_spellings_is_one_entry(server: Server, written: str, read: str) -> None:
    assert server.http.post(written, json={"value": written}).status == 200
    assert server.value(read) == written
    assert len(server.cache) == 1


def test_different_keys_never_meet(server: Server) -> None:
    paths = [
        "/cache/a",
        "/cache/a/",
        "/cache//a",
        "/cache/a//b",
        "/cache/a/b",
        "/cache/A",
        "/cache/a%20",
        "/cache/%2561",
        "/cache/a+b",
        "/cache/a%20b",
    ]
    for path in paths:
        server.http.post(path, json={"value": path})
    assert [server.value(path) for path in paths] == paths


def test_a_key_has_a_longest_length_in_bytes(server: Server) -> None:
    assert server.http.post("/cache/" + "k" * MAX_KEY_BYTES, json={"value": 1}).status == 200
    for path in ("/cache/" + "k" * (MAX_KEY_BYTES + 1), "/cache/" + "%C3%A9" * (MAX_KEY_BYTES // 2 + 1)):
        for method in ("GET", "POST", "DELETE"):
            answer = server.http.ask(method, path, json={"value": 1})
            assert (answer.status, answer.json()["error"]) == (400, "bad_request")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nonsense",
        b"[]",
        b"{}",
        b'{"value": 1',
        b'{"value": \xff}',
        b'{"value": "\xff"}',
        b'{"value": NaN}',
        b'{"value": 1, "tll": 5}',
        b'{"value": 1, "if_absent": "yes"}',
        b'{"value": ' + b"[" * 200_000 + b"]" * 200_000 + b"}",
        b'\xff\xfe{"value": 1}',
    ],
    ids=lambda body: repr(body[:24]),
)
def test_a_body_that_is_not_what_is_wanted_is_refused_with_the_reason(server: Server, body: bytes) -> None:
    answer = server.http.post("/cache/a", body=body, headers={"Content-Type": "application/json"})
    assert answer.status == 400
    assert answer.json()["error"] == "bad_json"
    assert answer.json()["message"]
    assert len(server.cache) == 0


def test_another_content_type_is_refused(server: Server) -> None:
    answer = server.http.post("/cache/a", body=b'{"value": 1}', headers={"Content-Type": "text/plain"})
    assert (answer.status, answer.json()["error"]) == (415, "unsupported_content_type")


def test_a_value_larger_than_the_whole_cache_is_refused(server: Server) -> None:
    small = Server(max_bytes=2_000)
    answer = small.http.post("/cache/a", json={"value": "x" * 3_000})
    assert (answer.status, answer.json()["error"]) == (413, "body_too_large")
    assert small.value("/cache/a") is None


def test_other_methods_are_refused_by_name(server: Server) -> None:
    answer = server.http.ask("PATCH", "/cache/a", json={"value": 1})
    assert (answer.status, answer.json()["error"]) == (405, "method_not_allowed")
    assert {"GET", "POST", "DELETE"} <= set(answer.headers["allow"].split(", "))


@pytest.mark.parametrize("path", ["/", "/cache/", "/nothing"])
def test_where_nothing_is_the_answer_is_json_too(server: Server, path: str) -> None:
    answer = server.http.get(path)
    assert (answer.status, answer.json()["error"]) == (404, "not_found")


def test_health_and_statistics_tell_what_is_kept(server: Server) -> None:
    server.http.post("/cache/a", json={"value": 1})
    server.value("/cache/a")
    server.value("/cache/b")
    health = server.http.get("/health")
    assert health.status == 200
    assert health.json() == {"status": "ok", "entries": 1, "bytes": server.cache.bytes}
    stats = server.http.get("/stats").json()
    assert (stats["entries"], stats["hits"], stats["misses"], stats["stored"], stats["expired"]) == (1, 1, 1, 1, 0)
    assert (stats["max_bytes"], stats["max_entries"], stats["ttl_s"]) == (1 << 22, 0, 30.0)
