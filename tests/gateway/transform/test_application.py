"""Requests and answers of a route, changed on their way, as a client and the server behind see them."""

import gzip
from typing import Any

import brotli
import msgspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from scalability.gateway.exchange import GatewayExchange
from scalability.gateway.transform.application import TransformingApplication
from scalability.gateway.transform.config import CompressionOptions, RewriteOptions
from scalability.http1.limits import DEFAULT_LIMITS
from scalability.net.exchange import Exchange
from scalability.testing.memory import MemoryNetwork
from scalability.testing.played_application import Client, PlayedApplication

BODY = b'{"name": "value"}' * 200


def reply(*fields: bytes, status: int = 200, body: bytes = BODY, length: bool = True) -> Any:
    """Answer at once, whole."""
    lines = [b"HTTP/1.1 %d X" % status, *fields, *([b"Content-Length: %d" % len(body)] if length else [])]

    def answers(exchange: Exchange) -> None:
        sent = b"" if exchange.head.method == b"HEAD" else body
        exchange.reply(status, b"\r\n".join(lines) + b"\r\n\r\n" + sent, keep_alive=True)

    return answers


class Route:
    def __init__(self, answers: Any = None, *, rewrite: Any = None, compression: Any = None, prefix: str = "/api") -> None:
        self.played = PlayedApplication(answers)
        self.application: TransformingApplication

        def make(network: MemoryNetwork) -> TransformingApplication:
            self.application = TransformingApplication(
                self.played,
                network,
                prefix=prefix,
                limits=DEFAULT_LIMITS,
                rewrite=None if rewrite is None else msgspec.convert(rewrite, RewriteOptions),
                compression=None if compression is None else msgspec.convert(compression, CompressionOptions),
            )
            return self.application

        self.client = Client(make)
        self.ask = self.client.ask


JSON = b"Content-Type: application/json"
GZIP = "Accept-Encoding: gzip"


# rewriting


def test_the_path_that_is_asked_for_is_changed() -> None:
    route = Route(reply(), rewrite={"replace_prefix": "/v2"})
    assert route.ask("GET", "/api/x?y=%2F", "X-Keep: 1").status == 200
    head = route.played.last.head
    assert head.target == b"/v2/x?y=%2F"
    assert head.fields == ((b"Host", b"gateway.example"), (b"X-Keep", b"1"))


def test_fields_of_answers_are_changed_and_the_body_is_not() -> None:
    rules = {"answer": {"remove": ["Server"], "set": {"X-Frame-Options": "DENY"}, "add": {"Vary": "X-A"}}}
    answered = Route(reply(b"Server: secret/1.0", b"X-Frame-Options: ALLOW", b"Vary: Origin"), rewrite=rules).ask("GET", "/api")
    assert answered.body == BODY
    assert {name: answered.get(name) for name, _ in answered.fields} == {
        "content-length": str(len(BODY)),
        "x-frame-options": "DENY",
        "vary": "Origin, X-A",
    }


def test_nothing_is_read_anew_where_there_is_nothing_to_change() -> None:
    route = Route(reply(), rewrite={"replace_prefix": "/v2"})
    route.ask("GET", "/api")
    assert isinstance(route.played.last, GatewayExchange)


def test_an_answers_head_that_becomes_too_large_is_502() -> None:
    assert Route(reply(), rewrite={"answer": {"add": {f"X-{n}": "x" * 4096 for n in range(20)}}}).ask("GET", "/api").status == 502


def test_who_asks_for_another_protocol_in_vain_gets_the_changed_answer_too() -> None:
    route = Route(reply(b"Server: secret"), rewrite={"answer": {"remove": ["Server"]}}, compression={})
    answered = route.ask("GET", "/api", "Connection: Upgrade", "Upgrade: websocket")
    assert (answered.status, answered.get("server"), answered.body) == (200, None, BODY)


def test_what_is_each_clients_own_is_not_said_behind_a_cache() -> None:
    rules = {"answer": {"set": {"X-Who": "${consumer}", "X-Where": "${path} ${route} ${method} ${host} ${scheme}"}}}
    answered = Route(reply(), rewrite=rules).ask("GET", "/api/x?y")
    assert answered.get("x-who") is None
    assert answered.get("x-where") == "/api/x /api GET gateway.example http"


def test_errors_and_interim_answers_are_passed_on() -> None:
    def answers(exchange: Exchange) -> None:
        exchange.send_interim(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        reply(status=599)(exchange)

    route = Route(answers, compression={})
    route.client.send("GET", "/api")
    route.client.network.advance(0)
    received = route.client.transport.taken()
    assert received.startswith(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 599 X\r\n")


def test_request_bodies_stream_through() -> None:
    route = Route(compression={})
    route.client.transport.deliver(b"POST /api HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc")
    assert route.played.last.body == b"abc"
    route.client.transport.deliver(b"def")
    assert route.played.heard == ["body def end"]
    reply()(route.played.last)
    assert route.client.answered("POST").body == BODY


# compression


@pytest.mark.parametrize(
    ("accepted", "coding", "decode"),
    [
        ("gzip", "gzip", gzip.decompress),
        ("br, gzip", "br", brotli.decompress),
        ("zstd", "zstd", lambda body: zstandard.decompress(body, 1 << 20)),
    ],
)
def test_a_body_is_encoded_as_the_client_likes_it(accepted: str, coding: str, decode: Any) -> None:
    # zstd writes no length in its frames here
    decode = decode if coding != "zstd" else lambda body: zstandard.ZstdDecompressor().decompressobj().decompress(body)
    answered = Route(reply(JSON, b'ETag: "v1"'), compression={}).ask("GET", "/api", f"Accept-Encoding: {accepted}")
    assert answered.get("content-encoding") == coding
    assert answered.get("etag") == f'W/"v1-{coding}"'
    assert answered.get("vary") == "Accept-Encoding"
    assert answered.get("content-length") == str(len(answered.body))
    assert len(answered.body) < len(BODY) // 4
    assert decode(answered.body) == BODY


def test_who_accepts_nothing_gets_the_body_as_it_is() -> None:
    answered = Route(reply(JSON, b'ETag: "v1"'), compression={}).ask("GET", "/api")
    assert (answered.body, answered.get("content-encoding"), answered.get("etag")) == (BODY, None, '"v1"')
    assert answered.get("vary") == "Accept-Encoding"


def test_head_says_what_get_says_but_for_the_length() -> None:
    route = Route(reply(JSON, b'ETag: "v1"'), compression={})
    got, asked = route.ask("GET", "/api", GZIP), route.ask("HEAD", "/api", GZIP)
    assert [field for field in got.fields if field[0] != "content-length"] == asked.fields
    assert (asked.body, asked.rest) == (b"", b"")
    assert route.application.compression is not None
    assert route.application.compression.at_once == 0


def test_the_client_comes_back_with_its_tag_and_is_told_that_nothing_changed() -> None:
    def answers(exchange: Exchange) -> None:
        if b'"v1"' in (exchange.head.get(b"if-none-match") or b"").split(b", "):
            exchange.reply(304, b'HTTP/1.1 304 X\r\nETag: "v1"\r\n\r\n', keep_alive=True)
        else:
            reply(JSON, b'ETag: "v1"')(exchange)

    route = Route(answers, compression={})
    tag = route.ask("GET", "/api", GZIP).get("etag")
    again = route.ask("GET", "/api", GZIP, f"If-None-Match: {tag}")
    assert (again.status, again.body, again.get("etag"), again.get("vary")) == (304, b"", tag, "Accept-Encoding")
    other = route.ask("GET", "/api", "Accept-Encoding: br", f"If-None-Match: {tag}")
    assert (other.status, other.get("content-encoding")) == (200, "br")


@pytest.mark.parametrize("fields", [(b"Content-Type: image/png",), (JSON, b"Content-Encoding: br"), (JSON, b"Cache-Control: no-transform")])
def test_what_must_not_be_encoded_is_not(fields: tuple[bytes, ...]) -> None:
    answered = Route(reply(*fields), compression={}).ask("GET", "/api", GZIP)
    assert answered.body == BODY
    assert answered.get("content-encoding") in (None, "br")


def test_a_part_is_not_encoded() -> None:
    part = reply(JSON, b"Content-Range: bytes 0-3399/9999", status=206)
    assert Route(part, compression={}).ask("GET", "/api", GZIP, "Range: bytes=0-3399").body == BODY


def test_events_are_not_held_back() -> None:
    route = Route(compression={})
    route.client.send("GET", "/api", GZIP)
    exchange = route.played.last
    exchange.begin(200, b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n", keep_alive=True)
    route.client.network.advance(0)
    assert b"Content-Encoding: gzip\r\n" in route.client.transport.taken()
    for _ in range(3):
        exchange.write(b"9\r\ndata: 1\n\n\r\n")
        route.client.network.advance(0)
        assert len(route.client.transport.taken()) > 10
    exchange.finish(b"0\r\n\r\n")
    route.client.network.advance(0)
    assert route.client.transport.taken().endswith(b"0\r\n\r\n")
    assert route.client.transport.open


def test_an_old_client_gets_the_end_of_the_connection_for_the_end_of_the_body() -> None:
    route = Route(compression={})
    route.client.send("GET", "/api", GZIP, minor=0)
    route.played.last.begin(200, b"HTTP/1.1 200 OK\r\n" + JSON + b"\r\nTransfer-Encoding: chunked\r\n\r\n", keep_alive=True)
    route.client.network.advance(0)
    route.played.last.finish(b"3\r\n[1]\r\n0\r\n\r\n")
    route.client.network.advance(0)
    received = route.client.transport.taken()
    assert b"Transfer-Encoding" not in received
    assert b"Connection: close" in received
    assert gzip.decompress(received.partition(b"\r\n\r\n")[2]) == b"[1]"
    assert route.client.transport.disconnecting


def test_trailers_are_passed_on() -> None:
    answers = reply(JSON, b"Transfer-Encoding: chunked", body=b"3\r\n[1]\r\n0\r\nX-T: 1\r\n\r\n", length=False)
    route = Route(answers, compression={})
    route.client.send("GET", "/api", "Accept-Encoding: identity")
    assert route.client.transport.taken().endswith(b"3\r\n[1]\r\n0\r\nX-T: 1\r\n\r\n")


def test_a_large_body_is_encoded_a_piece_a_turn_and_its_server_told_to_wait() -> None:
    route = Route(compression={})
    route.client.send("GET", "/api", GZIP)
    large = bytes(range(256)) * 4096
    route.played.last.begin(200, b"HTTP/1.1 200 OK\r\n%b\r\nContent-Length: %d\r\n\r\n" % (JSON, len(large)), keep_alive=True)
    route.played.last.write(large)
    assert route.played.heard == ["full"]
    route.played.last.finish()
    answered = route.client.answered()
    assert gzip.decompress(answered.body) == large


def test_a_slow_client_pauses_the_server_behind() -> None:
    route = Route(compression={})
    route.client.send("GET", "/api")
    route.client.transport.stop_taking()
    route.played.last.begin(200, b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n", keep_alive=True)
    route.played.last.write(b"x" * 150_000)
    assert route.played.heard == ["full"]
    route.client.transport.take_all()
    assert route.played.heard == ["full", "ready"]
    route.played.last.finish(b"x" * 50_000)
    assert route.client.answered().body == b"x" * 200_000


def test_only_so_many_are_encoded_at_once() -> None:
    route = Route(compression={"max_at_once": 1})
    compression = route.application.compression
    assert compression is not None
    route.client.send("GET", "/api", GZIP)
    route.played.last.begin(200, b"HTTP/1.1 200 OK\r\n" + JSON + b"\r\nTransfer-Encoding: chunked\r\n\r\n", keep_alive=True)
    assert compression.at_once == 1
    application = route.application
    other = Client(lambda network: application)
    route.played.answers = reply(JSON, b'ETag: "v1"')
    answered = other.ask("GET", "/api", GZIP)
    assert (answered.body, answered.get("etag"), answered.get("vary")) == (BODY, '"v1"', "Accept-Encoding")
    assert (compression.at_once, compression.encoded, compression.passed_over) == (1, 1, 1)
    route.client.transport.reset()
    assert compression.at_once == 0
    assert "lost" in route.played.heard


def test_an_answer_that_breaks_off_is_never_a_complete_one() -> None:
    route = Route(compression={})
    route.client.send("GET", "/api", GZIP)
    route.played.last.begin(200, b"HTTP/1.1 200 OK\r\n%b\r\nContent-Length: 5000\r\n\r\n" % JSON, keep_alive=True)
    route.client.network.advance(0)
    route.played.last.write(b"x" * 3000)
    route.played.last.abort()
    assert route.client.transport.ended == "reset"
    assert not route.client.transport.taken().endswith(b"0\r\n\r\n")


def test_an_answer_that_breaks_off_before_its_head_went_out_is_502() -> None:
    route = Route(compression={})
    route.client.send("GET", "/api", GZIP)
    route.played.last.begin(200, b"HTTP/1.1 200 OK\r\n%b\r\nContent-Length: 5000\r\n\r\n" % JSON, keep_alive=True)
    route.played.last.abort()
    assert route.client.answered().status == 502


def test_an_answer_that_is_no_http_is_502() -> None:
    def answers(exchange: Exchange) -> None:
        exchange.reply(200, b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", keep_alive=True)

    assert Route(answers, compression={}).ask("GET", "/api").status == 502


DECODE: dict[str, Any] = {
    "gzip": gzip.decompress,
    "br": brotli.decompress,
    "zstd": lambda body: zstandard.ZstdDecompressor().decompressobj().decompress(body),
    "identity": bytes,
}


@given(
    st.lists(st.one_of(st.binary(min_size=1, max_size=60), st.just(b"words and words " * 3000)), max_size=6),
    st.sampled_from(sorted(DECODE)),
    st.booleans(),
    st.sampled_from([0, 1]),
    st.lists(st.booleans(), min_size=6, max_size=6),
)
def test_the_client_decodes_what_the_server_sent_however_it_was_cut(
    pieces: list[bytes], coding: str, stated: bool, minor: int, turns: list[bool]
) -> None:
    route = Route(compression={"min_bytes": 0})
    route.client.send("GET", "/api", f"Accept-Encoding: {coding}", minor=minor)
    body = b"".join(pieces)
    framing = b"Content-Length: %d" % len(body) if stated else b"Transfer-Encoding: chunked"
    route.played.last.begin(200, b"HTTP/1.1 200 OK\r\n%b\r\n%b\r\n\r\n" % (JSON, framing), keep_alive=True)
    for piece, turn in zip(pieces, turns, strict=False):
        route.played.last.write(piece if stated else b"%x\r\n%b\r\n" % (len(piece), piece))
        if turn:
            route.client.network.advance(0)
    route.played.last.finish(b"" if stated else b"0\r\n\r\n")
    answered = route.client.answered()
    assert answered.get("content-encoding") == (None if coding == "identity" else coding)
    assert DECODE[coding](answered.body) == body
    assert answered.rest == b""
    assert route.application.compression is not None
    assert route.application.compression.at_once == 0
