"""What a proxy changes in a head, rule by rule (docs/http_rules.md); forwarded heads must read back strictly."""

from ipaddress import ip_network
from os import urandom
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalability.errors import BadMessage
from scalability.http1.body import ChunkedBody
from scalability.http1.forward import (
    END_OF_NAME,
    HOP_BY_HOP,
    LAST_CHUNK,
    ForwardedResponse,
    ForwardingRules,
    Framing,
    RequestForwarder,
    ResponseForwarder,
    chunk,
    end_of_chunks,
    forward_request,
    forward_response,
    forward_switch,
    forwards_left,
    upgrades_asked,
    with_field,
)
from scalability.http1.head_memo import MEMO_BYTES, RequestHeadMemo, ResponseHeadMemo
from scalability.http1.known_heads import KnownHeads
from scalability.http1.limits import Limits
from scalability.http1.request_head import RequestHead, parse_request_head
from scalability.http1.response_head import ResponseHead, parse_response_head
from scalability.http1.trace import Identifiers
from scalability.http1.trust import Networks

LIMITS = Limits()


def request(*lines: bytes, start: bytes = b"GET /p?q HTTP/1.1", host: bool = True) -> RequestHead:
    return parse_request_head(b"\r\n".join([start, *([b"Host: site:8000"] if host else []), *lines]) + b"\r\n\r\n", LIMITS)


def response(*lines: bytes, start: bytes = b"HTTP/1.1 200 OK") -> ResponseHead:
    return parse_response_head(b"\r\n".join([start, *lines]) + b"\r\n\r\n", LIMITS)


def sent(head: RequestHead, *, trusted: bool = False) -> bytes:
    return forward_request(head, peer_host=b"10.0.0.9", scheme=b"http", via=b"lab", trusted=trusted)


def upstream_sees(*lines: bytes, start: bytes = b"GET /p?q HTTP/1.1", trusted: bool = False, host: bool = True) -> RequestHead:
    return parse_request_head(sent(request(*lines, start=start, host=host), trusted=trusted), Limits(underscore_names=True))


def answered(head: ResponseHead, *, minor: int = 1, keep_alive: bool = True, method: bytes = b"GET") -> ForwardedResponse:
    return forward_response(head, client_minor=minor, client_keep_alive=keep_alive, request_method=method, via=b"lab")


def client_sees(
    *lines: bytes, start: bytes = b"HTTP/1.1 200 OK", minor: int = 1, keep_alive: bool = True, method: bytes = b"GET"
) -> ResponseHead:
    return parse_response_head(answered(response(*lines, start=start), minor=minor, keep_alive=keep_alive, method=method).head, LIMITS)


# Requests


def test_a_forwarded_request_is_exactly_this() -> None:
    head = request(b"Accept: */*", b"Connection: keep-alive", b"Cookie: a=b", b"Content-Length: 3", start=b"POST /p?q HTTP/1.1")
    assert sent(head) == (
        b"POST /p?q HTTP/1.1\r\nHost: site:8000\r\nAccept: */*\r\nCookie: a=b\r\n"
        b"X-Forwarded-For: 10.0.0.9\r\nX-Real-IP: 10.0.0.9\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: site:8000\r\n"
        b"Via: 1.1 lab\r\nContent-Length: 3\r\n\r\n"
    )


def test_rule_01_every_field_that_connection_names_is_removed_from_requests() -> None:
    head = upstream_sees(b"Connection: close, X-Secret", b"X-Secret: 1", b"x-secret: 2", b"Connection: Cookie", b"Cookie: a", b"X-Other: 3")
    assert head.get(b"x-secret") is None
    assert head.get(b"cookie") is None
    assert head.get(b"x-other") == b"3"
    assert head.keep_alive


def test_rule_01_every_field_that_connection_names_is_removed_from_answers() -> None:
    head = client_sees(b"Connection: X-Secret, close", b"X-Secret: 1", b"X-Other: 2", b"Content-Length: 0")
    assert head.get(b"x-secret") is None
    assert head.get(b"x-other") == b"2"
    assert head.keep_alive  # the upstream's close is its own affair


HOP_LINES = [b"%s: close" % name.title() for name in HOP_BY_HOP if name != b"transfer-encoding"]


def test_rule_02_hop_by_hop_fields_never_pass_a_request() -> None:
    head = upstream_sees(*HOP_LINES)
    assert not HOP_BY_HOP & set(head.index)


def test_rule_02_hop_by_hop_fields_never_pass_an_answer() -> None:
    assert not HOP_BY_HOP & set(client_sees(*HOP_LINES, b"Content-Length: 0").index)


@pytest.mark.parametrize(
    "name",
    [b"Host", b"Content-Length", b"X-Forwarded-For", b"X-Forwarded-Proto", b"X-Forwarded-Host", b"Via", b"Expect"],
)
@pytest.mark.parametrize("trusted", [False, True])
def test_rule_03_connection_cannot_delete_what_the_proxy_relies_on(name: bytes, trusted: bool) -> None:
    lines = [
        b"Content-Length: 5",
        b"Expect: 100-continue",
        b"X-Forwarded-For: 1.1.1.1",
        b"X-Forwarded-Proto: https",
        b"X-Forwarded-Host: h",
    ]
    with_it = upstream_sees(*lines, b"Connection: " + name, start=b"POST / HTTP/1.1", trusted=trusted)
    without = upstream_sees(*lines, start=b"POST / HTTP/1.1", trusted=trusted)
    assert with_it.fields == without.fields
    assert with_it.get(name.lower()) is not None


def test_rule_03_connection_cannot_unframe_a_chunked_request_or_an_answer() -> None:
    assert upstream_sees(b"Transfer-Encoding: chunked", b"Connection: transfer-encoding", start=b"POST / HTTP/1.1").chunked
    assert client_sees(b"Content-Length: 5", b"Connection: content-length").content_length == 5
    assert client_sees(b"Transfer-Encoding: chunked", b"Connection: transfer-encoding").chunked


@pytest.mark.parametrize(
    ("te", "passes"), [(b"trailers", True), (b"Trailers, deflate;q=0.5", True), (b"gzip", False), (b"", False), (b"trailersx", False)]
)
def test_rule_04_te_is_sent_only_as_trailers_with_connection_te(te: bytes, passes: bool) -> None:
    head = upstream_sees(b"TE: " + te, b"Connection: TE")
    assert head.get(b"te") == (b"trailers" if passes else None)
    assert head.connection_options == ({b"te"} if passes else frozenset())


def test_rule_05_upgrades_are_dropped() -> None:
    head = upstream_sees(b"Upgrade: h2c", b"HTTP2-Settings: AAM", b"Connection: Upgrade, HTTP2-Settings")
    assert head.get(b"upgrade") is None
    assert head.get(b"http2-settings") is None
    assert upstream_sees(b"HTTP2-Settings: AAM").get(b"http2-settings") is None


def test_rule_06_via_is_appended() -> None:
    head = upstream_sees(b"Via: 1.0 first, 1.1 second (a proxy)")
    assert head.get_all(b"via") == [b"1.0 first, 1.1 second (a proxy)", b"1.1 lab"]
    assert upstream_sees(start=b"GET / HTTP/1.0").get_all(b"via") == [b"1.0 lab"]
    assert client_sees(b"Via: 1.1 other", b"Content-Length: 0").get_all(b"via") == [b"1.1 other", b"1.1 lab"]
    assert client_sees(b"Content-Length: 0", start=b"HTTP/1.0 200 OK").get_all(b"via") == [b"1.0 lab"]


@pytest.mark.parametrize("line", [b"1.1 lab", b"1.1 LAB", b"1.0 x, HTTP/1.1 lab (comment)", b"1.1\tlab"])
def test_rule_06_a_loop_is_508(line: bytes) -> None:
    with pytest.raises(BadMessage) as caught:
        sent(request(b"Via: 1.1 before", b"Via: " + line))
    assert (caught.value.status, caught.value.code) == (508, "loop_detected")


def test_rule_06_another_pseudonym_is_no_loop() -> None:
    assert upstream_sees(b"Via: 1.1 lab2, 1.1 my-lab, lab").get_all(b"via")[-1] == b"1.1 lab"


@pytest.mark.parametrize("method", [b"OPTIONS", b"TRACE"])
def test_rule_07_max_forwards_decrements_for_options_and_trace(method: bytes) -> None:
    start = method + b" / HTTP/1.1"
    assert upstream_sees(b"Max-Forwards: 5", start=start).get_all(b"max-forwards") == [b"4"]
    assert forwards_left(request(b"Max-Forwards: 5", start=start)) == 5
    assert forwards_left(request(b"Max-Forwards: 0", start=start)) == 0
    assert forwards_left(request(start=start)) is None
    assert forwards_left(request(b"Max-Forwards: x", start=start)) is None
    assert upstream_sees(b"Max-Forwards: x", start=start).get(b"max-forwards") == b"x"


def test_rule_07_max_forwards_means_nothing_for_other_methods() -> None:
    assert upstream_sees(b"Max-Forwards: 5").get_all(b"max-forwards") == [b"5"]
    assert forwards_left(request(b"Max-Forwards: 0")) is None


def test_framing_is_written_anew() -> None:
    start = b"POST / HTTP/1.1"
    assert sent(request(b"content-length: 5, 5", start=start)).count(b"ontent-") == 1
    assert upstream_sees(b"Content-Length: 5", b"Content-Length: 5", start=start).get_all(b"content-length") == [b"5"]
    assert upstream_sees(b"Content-Length: 0", start=start).get(b"content-length") == b"0"
    assert upstream_sees(b"transfer-encoding: CHUNKED", start=start).get_all(b"transfer-encoding") == [b"chunked"]
    assert not upstream_sees(start=start).has_body


def test_a_trailer_announcement_passes_only_where_trailers_can_follow() -> None:
    assert upstream_sees(b"Trailer: X", b"Transfer-Encoding: chunked").get(b"trailer") == b"X"
    assert upstream_sees(b"Trailer: X", b"Content-Length: 5").get(b"trailer") is None
    assert client_sees(b"Trailer: X", b"Transfer-Encoding: chunked").get(b"trailer") == b"X"
    assert client_sees(b"Trailer: X", b"Content-Length: 5").get(b"trailer") is None


def test_rule_28_fields_keep_order_spelling_and_duplicates_both_ways() -> None:
    lines = [b"X-One: 1", b"x-two: 2", b"X-ONE: 3", b"Cookie: a", b"cookie: b"]
    assert b"\r\n".join(lines) in sent(request(*lines))
    answers = [b"Set-Cookie: a=1", b"X: y", b"set-cookie: b=2", b"Set-Cookie: c=3"]
    assert b"\r\n".join(answers) in answered(response(*answers)).head


def test_rule_29_names_with_underscores_do_not_reach_the_upstream() -> None:
    assert b"_" not in sent(request(b"X_Forwarded_For: 6.6.6.6"))


@pytest.mark.parametrize("start", [b"GET http://other:81/x?y HTTP/1.1", b"GET http://other:81/x?y HTTP/1.0"])
def test_rule_31_an_absolute_target_leaves_in_origin_form_with_its_own_host(start: bytes) -> None:
    head = upstream_sees(start=start)
    assert (head.target, head.get_all(b"host"), head.get(b"x-forwarded-host")) == (b"/x?y", [b"other:81"], b"other:81")


def test_rule_30_an_empty_host_is_forwarded_as_it_came() -> None:
    head = request(b"Host:", host=False)
    assert b"\r\nHost: \r\n" in sent(head)
    forwarded = forward_request(head, peer_host=b"1.2.3.4", scheme=b"http", via=b"lab", default_host=b"front")
    assert b"Host: \r\n" in forwarded
    assert b"front" not in forwarded


def test_rule_32_options_star_stays_a_star() -> None:
    assert sent(request(start=b"OPTIONS * HTTP/1.1")).startswith(b"OPTIONS * HTTP/1.1\r\n")


@pytest.mark.parametrize("target", [b"/a%2Fb/../c;d?e=f&g=%zz", b"//a", b"/?", b"/a//b/./?x=%%"])
def test_rule_33_path_and_query_are_forwarded_byte_by_byte(target: bytes) -> None:
    assert sent(request(start=b"GET " + target + b" HTTP/1.1")).startswith(b"GET " + target + b" HTTP/1.1\r\n")


def test_a_1_0_request_is_forwarded_as_1_1_with_a_host() -> None:
    head = upstream_sees(start=b"GET / HTTP/1.0", host=False)
    assert (head.minor, head.get(b"host"), head.keep_alive) == (1, b"", True)
    forwarded = forward_request(
        request(start=b"GET / HTTP/1.0", host=False), peer_host=b"::1", scheme=b"https", via=b"lab", default_host=b"front:80"
    )
    assert (
        b"\r\nHost: front:80\r\nX-Forwarded-For: ::1\r\nX-Real-IP: ::1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: front:80\r\n"
        in forwarded
    )


def test_rule_37_expect_100_continue_is_relayed_unless_the_client_is_1_0() -> None:
    assert upstream_sees(b"Expect: 100-continue", b"Content-Length: 5").expect_continue
    assert upstream_sees(b"Expect: 100-continue", b"Content-Length: 5", start=b"POST / HTTP/1.0").get(b"expect") is None


FORGED = [
    b"X-Forwarded-For: 6.6.6.6",
    b"X-Forwarded-For: 7.7.7.7",
    b"X-Forwarded-Proto: https",
    b"X-Forwarded-Host: evil",
    b"X-Forwarded-Port: 1",
    b"X-Forwarded-Server: evil",
    b"Forwarded: for=6.6.6.6",
    b"X-Real-IP: 6.6.6.6",
]


def test_rule_45_an_untrusted_peers_claims_are_replaced() -> None:
    head = upstream_sees(*FORGED)
    assert head.get_all(b"x-forwarded-for") == [b"10.0.0.9"]
    assert head.get_all(b"x-forwarded-proto") == [b"http"]
    assert head.get_all(b"x-forwarded-host") == [b"site:8000"]
    assert head.get_all(b"x-real-ip") == [b"10.0.0.9"]
    assert {b"forwarded", b"x-forwarded-port", b"x-forwarded-server"}.isdisjoint(head.index)


def test_rule_45_a_trusted_peers_claims_are_kept_and_its_address_appended() -> None:
    head = upstream_sees(*FORGED, trusted=True)
    assert head.get_all(b"x-forwarded-for") == [b"6.6.6.6, 7.7.7.7, 10.0.0.9"]
    assert head.get_all(b"x-forwarded-proto") == [b"https"]
    assert head.get_all(b"x-forwarded-host") == [b"evil"]
    assert head.get_all(b"forwarded") == [b"for=6.6.6.6"]
    assert head.get_all(b"x-real-ip") == [b"6.6.6.6"]
    plain = upstream_sees(b"X-Forwarded-For:", trusted=True)
    assert plain.get_all(b"x-forwarded-for") == [b"10.0.0.9"]
    assert plain.get(b"x-forwarded-proto") == b"http"
    assert plain.get(b"x-forwarded-host") == b"site:8000"


def forwarded_of(*lines: bytes, trusted: bool = False, peer_host: bytes = b"10.0.0.9", scheme: bytes = b"http") -> list[bytes]:
    made = forward_request(request(*lines), peer_host=peer_host, scheme=scheme, via=b"lab", trusted=trusted, forwarded=True)
    return parse_request_head(made, LIMITS).get_all(b"forwarded")


def test_rule_45_forwarded_is_written_when_asked_for() -> None:
    assert forwarded_of(b"Forwarded: for=6.6.6.6") == [b'for=10.0.0.9;host="site:8000";proto=http']
    assert forwarded_of(peer_host=b"2001:db8::1", scheme=b"https") == [b'for="[2001:db8::1]";host="site:8000";proto=https']


def test_rule_45_forwarded_of_a_trusted_peer_is_appended_to_on_one_line() -> None:
    lines = [b"Forwarded: for=6.6.6.6;by=a", b"Forwarded: for=7.7.7.7"]
    assert forwarded_of(*lines, trusted=True) == [b'for=6.6.6.6;by=a, for=7.7.7.7, for=10.0.0.9;host="site:8000";proto=http']


def forwarder_of(peer_host: bytes, *, via: bytes = b"lab", **rules: Any) -> RequestForwarder:
    return RequestForwarder(ForwardingRules(via=via, **rules), peer_host, b"http")


def test_rule_45_the_client_behind_a_trusted_peer_stands_in_x_real_ip() -> None:
    trusted = Networks([ip_network("10.0.0.0/8")])
    forwarder = forwarder_of(b"10.0.0.9", trusted=trusted)
    memo = RequestHeadMemo(LIMITS)
    chain = b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6, 7.7.7.7, 10.1.1.1\r\n\r\n"
    long = chain.replace(b"7.7.7.7", b"8.8.8.8").replace(b"Host: a", b"Host: a\r\nX: " + b"x" * MEMO_BYTES)
    for block, client in [(chain, b"7.7.7.7"), (chain, b"7.7.7.7"), (long, b"8.8.8.8"), (chain, b"7.7.7.7")]:
        assert parse_request_head(forwarder.forward(memo.parse(block)), LIMITS).get_all(b"x-real-ip") == [client]
        assert (forwarder.client_host, forwarder.trusted) == (client, True)


def named(forwarder: RequestForwarder, *lines: bytes) -> tuple[RequestHead, bytes]:
    block, name = forwarder.forward_named(request(*lines))
    return parse_request_head(block, LIMITS), name


NAMED = [b"X-Request-Id: theirs", b"traceparent: 00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-00", b"tracestate: x=y"]


def test_a_request_is_named_anew_and_what_the_client_calls_it_is_dropped() -> None:
    forwarder = forwarder_of(b"1.2.3.4", identifiers=Identifiers(urandom))
    names = set()
    for _ in range(2):
        head, name = named(forwarder, *NAMED)
        assert head.get_all(b"x-request-id") == [name]
        (parent,) = head.get_all(b"traceparent")
        assert parent[3:35] == name
        assert head.get(b"tracestate") is None
        names.add(name)
    assert len(names) == 2


def test_a_trusted_peers_names_are_kept() -> None:
    trusted = Networks([ip_network("1.2.3.4")])
    forwarder = forwarder_of(b"1.2.3.4", trusted=trusted, identifiers=Identifiers(urandom))
    head, name = named(forwarder, *NAMED)
    assert name == b"theirs"
    assert head.get_all(b"x-request-id") == [b"theirs"]
    assert head.get_all(b"traceparent") == [NAMED[1][13:]]
    assert head.get_all(b"tracestate") == [b"x=y"]


def asked(method: bytes = b"GET", minor: int = 1) -> RequestHead:
    return parse_request_head(b"%b / HTTP/1.%d\r\nHost: x\r\n\r\n" % (method, minor), LIMITS)


def test_further_fields_of_an_answer_can_be_dropped() -> None:
    forwarder = ResponseForwarder(via=b"lab", without=frozenset([b"x-request-id"]))
    for lines in ([b"X-Request-Id: a"], [b"Connection: x", b"X-Request-Id: a"]):
        block = forwarder.forward(response(*lines, b"Content-Length: 0"), asked(), True)[0]
        assert b"Request-Id" not in block


def test_further_fields_can_be_dropped_and_added() -> None:
    forwarded = forward_request(
        request(b"X-Request-Id: forged", b"A: b"),
        peer_host=b"1.2.3.4",
        scheme=b"http",
        via=b"lab",
        without=frozenset([b"x-request-id"]),
        extra=[(b"X-Request-Id", b"ours")],
    )
    head = parse_request_head(forwarded, LIMITS)
    assert head.get_all(b"x-request-id") == [b"ours"]
    assert head.get(b"a") == b"b"


# Answers


def test_a_forwarded_answer_is_exactly_this() -> None:
    head = response(b"Server: s", b"Connection: keep-alive", b"Keep-Alive: timeout=5", b"Content-Length: 3", b"Set-Cookie: a")
    assert answered(head) == ForwardedResponse(
        b"HTTP/1.1 200 OK\r\nServer: s\r\nSet-Cookie: a\r\nVia: 1.1 lab\r\nContent-Length: 3\r\n\r\n", Framing.LENGTH, True
    )


def test_the_connection_field_tells_the_client_what_becomes_of_its_connection() -> None:
    assert client_sees(b"Content-Length: 0", keep_alive=False).connection_options == {b"close"}
    assert client_sees(b"Content-Length: 0", keep_alive=True, minor=0).connection_options == {b"keep-alive"}
    assert client_sees(b"Content-Length: 0", keep_alive=True).connection_options == frozenset()


def test_rule_16_an_answer_with_both_is_forwarded_as_chunks_alone() -> None:
    head = client_sees(b"Content-Length: 5", b"Transfer-Encoding: chunked")
    assert head.chunked
    assert head.get(b"content-length") is None


@pytest.mark.parametrize("lines", [[], [b"Connection: close"], [b"Transfer-Encoding: chunked"]])
def test_rule_18_an_answer_of_unknown_length_becomes_chunks_for_1_1_and_a_close_for_1_0(lines: list[bytes]) -> None:
    modern = answered(response(*lines))
    assert (modern.framing, modern.keep_alive) == (Framing.CHUNKED, True)
    assert parse_response_head(modern.head, LIMITS).chunked
    old = answered(response(*lines), minor=0)
    assert (old.framing, old.keep_alive) == (Framing.CLOSE, False)
    head = parse_response_head(old.head, LIMITS)
    assert (head.chunked, head.connection_options) == (False, frozenset({b"close"}))


def test_rule_35_heads_answer_keeps_its_length_and_has_no_body() -> None:
    forwarded = answered(response(b"Content-Length: 5"), method=b"HEAD")
    assert forwarded.framing is Framing.NONE
    assert b"Content-Length: 5\r\n" in forwarded.head
    chunks = answered(response(b"Transfer-Encoding: chunked"), method=b"HEAD", minor=0)
    assert (chunks.framing, chunks.keep_alive) == (Framing.NONE, True)
    assert answered(response(), method=b"HEAD").framing is Framing.NONE


@pytest.mark.parametrize("line", [b"Content-Length: 5", b"Transfer-Encoding: chunked", b"X: y"])
def test_rule_35_204_has_neither_body_nor_framing_fields(line: bytes) -> None:
    forwarded = answered(response(line, start=b"HTTP/1.1 204 No Content"))
    assert forwarded.framing is Framing.NONE
    assert {b"content-length", b"transfer-encoding"}.isdisjoint(parse_response_head(forwarded.head, LIMITS).index)


def test_rule_35_304_keeps_its_length_and_has_no_body() -> None:
    forwarded = answered(response(b"Content-Length: 5", b"ETag: x", start=b"HTTP/1.1 304 Not Modified"))
    assert forwarded.framing is Framing.NONE
    assert parse_response_head(forwarded.head, LIMITS).content_length == 5


def test_rule_36_interim_answers_reach_1_1_clients_only() -> None:
    early = response(b"Link: </a>; rel=preload", b"Connection: close", start=b"HTTP/1.1 103 Early Hints")
    assert answered(early, keep_alive=False).head == b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\nVia: 1.1 lab\r\n\r\n"
    assert answered(early, minor=0).head == b""
    assert answered(early).keep_alive


WEBSOCKETS = frozenset([b"websocket"])


@pytest.mark.parametrize(
    ("lines", "passed"),
    [
        ([b"Connection: Upgrade", b"Upgrade: websocket"], b"Upgrade: websocket\r\nConnection: Upgrade\r\n"),
        ([b"Connection: keep-alive, upgrade", b"Upgrade: WebSocket"], b"Upgrade: WebSocket\r\nConnection: Upgrade\r\n"),
        ([b"Connection: Upgrade", b"Upgrade: h2c, websocket"], b"Upgrade: websocket\r\nConnection: Upgrade\r\n"),
        ([b"Connection: Upgrade", b"Upgrade: h2c", b"Upgrade: websocket"], b"Upgrade: websocket\r\nConnection: Upgrade\r\n"),
        (
            [b"Connection: Upgrade, TE", b"Upgrade: websocket", b"TE: trailers"],
            b"TE: trailers\r\nUpgrade: websocket\r\nConnection: TE, Upgrade\r\n",
        ),
    ],
)
def test_rule_05_enabled_protocols_pass_with_a_connection_of_our_own(lines: list[bytes], passed: bytes) -> None:
    anew = forward_request(request(*lines), peer_host=b"192.0.2.1", scheme=b"http", via=b"lb", upgrades=WEBSOCKETS)
    for block in (anew, forwarder_of(b"192.0.2.1", via=b"lb", upgrades=WEBSOCKETS).forward(request(*lines))):
        assert block.endswith(b"Via: 1.1 lb\r\n" + passed + b"\r\n")
        assert block.count(b"Connection:") == block.lower().count(b"upgrade: ") == 1


@pytest.mark.parametrize(
    "lines",
    [
        [b"Upgrade: websocket"],
        [b"Connection: Upgrade"],
        [b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA"],
        [b"Connection: Upgrade", b"Upgrade: chat"],
        [b"Connection: Upgrade", b"Upgrade: websocket", b"Content-Length: 5"],
        [b"Connection: Upgrade", b"Upgrade: websocket", b"Transfer-Encoding: chunked"],
    ],
)
def test_rule_05_other_upgrades_are_dropped(lines: list[bytes]) -> None:
    head = request(*lines)
    assert upgrades_asked(head, WEBSOCKETS) == ()
    block = forward_request(head, peer_host=b"192.0.2.1", scheme=b"http", via=b"lb", upgrades=WEBSOCKETS)
    assert b"pgrade" not in block
    assert b"HTTP2" not in block


def test_rule_05_an_http_1_0_request_cannot_upgrade() -> None:
    head = parse_request_head(b"GET / HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", LIMITS)
    assert upgrades_asked(head, WEBSOCKETS) == ()


def test_a_switch_passes_with_a_connection_of_our_own_and_without_framing() -> None:
    lines = [
        b"Upgrade: WebSocket",
        b"Connection: upgrade, X-Hop",
        b"X-Hop: 1",
        b"Content-Length: 3",
        b"Sec-WebSocket-Accept: a",
        b"X-Id: 1",
    ]
    head = response(*lines, start=b"HTTP/1.1 101 Switching Protocols")
    assert forward_switch(head, via=b"lb", without=frozenset([b"x-id"]), extra=[(b"X-Id", b"2")]) == (
        b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: a\r\nVia: 1.1 lb\r\nX-Id: 2\r\n"
        b"Connection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n"
    )


def test_rule_36_a_101_that_nobody_asked_for_is_refused() -> None:
    with pytest.raises(BadMessage):
        answered(response(b"Upgrade: websocket", b"Connection: upgrade", start=b"HTTP/1.1 101 Switching Protocols"))


def test_a_missing_reason_is_filled_in_and_a_strange_one_kept() -> None:
    assert answered(response(start=b"HTTP/1.0 404")).head.startswith(b"HTTP/1.1 404 Not Found\r\n")
    assert answered(response(start=b"HTTP/1.1 404 Gone Fishing")).head.startswith(b"HTTP/1.1 404 Gone Fishing\r\n")
    assert answered(response(start=b"HTTP/1.1 599")).head.startswith(b"HTTP/1.1 599 \r\n")


def test_fields_can_be_added_to_an_answer() -> None:
    forwarded = forward_response(
        response(b"Content-Length: 0"), client_minor=1, client_keep_alive=True, request_method=b"GET", via=b"lab", extra=[(b"Date", b"now")]
    )
    assert parse_response_head(forwarded.head, LIMITS).get(b"date") == b"now"


# Chunks


def test_chunks_read_back() -> None:
    body = chunk(b"hello") + chunk(b"") + chunk(b"x" * 300) + end_of_chunks(())
    assert ChunkedBody(LIMITS, None).feed(body) == (b"hello" + b"x" * 300, b"")
    assert end_of_chunks(()) == LAST_CHUNK


@pytest.mark.parametrize(
    "name",
    [b"Content-Length", b"Transfer-Encoding", b"Host", b"Authorization", b"Set-Cookie", b"Connection", b"TE", b"Trailer", b"Content-Type",
     b"Cache-Control", b"X-Forwarded-For", b"Content-Encoding", b"WWW-Authenticate", b"Proxy-Authorization", b"Upgrade", b"Via", b"Range"],
)  # fmt: skip
def test_rule_15_trailers_that_must_not_be_are_dropped(name: bytes) -> None:
    assert end_of_chunks(((name, b"x"),)) == LAST_CHUNK
    assert end_of_chunks(((name.lower(), b"x"), (b"Checksum", b"abc"))) == b"0\r\nChecksum: abc\r\n\r\n"


def test_rule_01_what_connection_names_is_removed_from_trailers_too() -> None:
    trailers = ((b"X-Sum", b"1"), (b"X-Other", b"2"))
    assert end_of_chunks(trailers, frozenset([b"x-sum", b"close"])) == b"0\r\nX-Other: 2\r\n\r\n"
    assert end_of_chunks((), frozenset([b"close"])) == LAST_CHUNK


# Memories

HEADS = st.builds(
    lambda line, fields: b"\r\n".join([line, b"Host: a", *fields]) + b"\r\n\r\n",
    st.sampled_from(
        [b"GET / HTTP/1.1", b"GET /b HTTP/1.1", b"GET / HTTP/1.0", b"GET http://b/ HTTP/1.1", b"OPTIONS * HTTP/1.1", b"TRACE / HTTP/1.1"]
    ),
    st.lists(
        st.sampled_from(
            [b"Connection: x", b"X: y", b"Max-Forwards: 3", b"Via: 1.1 lab", b"TE: trailers", b"Content-Length: 4", b"Forwarded: a"]
        ),
        max_size=3,
    ),
)


@given(st.lists(HEADS, max_size=8), st.booleans())
def test_a_request_forwarder_answers_what_forwarding_anew_does(blocks: list[bytes], trusted: bool) -> None:
    memo = RequestHeadMemo(LIMITS)
    networks = Networks([ip_network("10.0.0.9")] if trusted else [])
    forwarder = forwarder_of(b"10.0.0.9", trusted=networks, default_host=b"d")
    for block in blocks:
        head = memo_or_error(lambda b: forwarder.forward(memo.parse(b)), block)
        assert head == memo_or_error(
            lambda b: forward_request(
                parse_request_head(b, LIMITS), peer_host=b"10.0.0.9", scheme=b"http", via=b"lab", trusted=trusted, default_host=b"d"
            ),
            block,
        )


RULES = [
    ForwardingRules(via=b"lab"),
    ForwardingRules(via=b"lab", trusted=Networks([ip_network("10.0.0.0/8")]), forwarded=True),
    ForwardingRules(via=b"lab", default_host=b"d"),
]


@given(st.lists(st.tuples(st.integers(0, 4), HEADS), max_size=12))
def test_what_connections_know_of_each_other_changes_nothing(turns: list[tuple[int, bytes]]) -> None:
    known = KnownHeads()
    clients = [
        (rules, peer, scheme, RequestHeadMemo(LIMITS, known), RequestForwarder(rules, peer, scheme))
        for rules, peer, scheme in [
            (RULES[0], b"10.0.0.9", b"http"),
            (RULES[0], b"10.0.0.9", b"http"),
            (RULES[0], b"10.0.0.8", b"https"),
            (RULES[1], b"10.0.0.9", b"http"),
            (RULES[2], b"10.0.0.9", b"http"),
        ]
    ]
    for which, block in turns:
        rules, peer, scheme, memo, forwarder = clients[which]
        trusted = peer in rules.trusted
        assert memo_or_error(lambda b, memo=memo, forwarder=forwarder: forwarder.forward(memo.parse(b)), block) == memo_or_error(
            lambda b, rules=rules, peer=peer, scheme=scheme, trusted=trusted: forward_request(
                parse_request_head(b, LIMITS),
                peer_host=peer,
                scheme=scheme,
                via=b"lab",
                trusted=trusted,
                forwarded=rules.forwarded,
                default_host=rules.default_host,
            ),
            block,
        )


def test_another_connections_forwarded_head_is_taken_without_parsing_it_again() -> None:
    known = KnownHeads()
    rules = ForwardingRules(via=b"lab")
    blocks = []
    for target in (b"/a", b"/a", b"/b/c"):
        head = RequestHeadMemo(LIMITS, known).parse(b"GET %b HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n" % target)
        blocks.append(RequestForwarder(rules, b"10.0.0.9", b"http").forward(head))
        assert head.shared._parsed is None
    assert blocks[1] is blocks[0]
    assert blocks[2] == blocks[0].replace(b"/a", b"/b/c")


def memo_or_error(forward: object, block: bytes) -> object:
    try:
        return forward(block)  # type: ignore[operator]  # one of the two ways to forward
    except BadMessage as error:
        return error.status, error.code


RESPONSES = st.builds(
    lambda line, fields: b"\r\n".join([line, *fields]) + b"\r\n\r\n",
    st.sampled_from([b"HTTP/1.1 200 OK", b"HTTP/1.1 204 No Content", b"HTTP/1.0 200 OK", b"HTTP/1.1 103 E", b"HTTP/1.1 101 S"]),
    st.lists(st.sampled_from([b"Content-Length: 5", b"Connection: x", b"X: y", b"Trailer: z"]), max_size=3),
)


@given(st.lists(st.tuples(RESPONSES, st.integers(0, 1), st.booleans(), st.sampled_from([b"GET", b"HEAD", b"POST"])), max_size=8))
def test_an_answer_forwarder_answers_what_forwarding_anew_does(answers: list[tuple[bytes, int, bool, bytes]]) -> None:
    memo = ResponseHeadMemo(LIMITS)
    forwarder = ResponseForwarder(via=b"lab")
    for block, minor, keep_alive, method in [twice for one in answers for twice in (one, one)]:

        def anew(data: bytes, minor: int = minor, keep_alive: bool = keep_alive, method: bytes = method) -> ForwardedResponse:
            return answered(parse_response_head(data, LIMITS), minor=minor, keep_alive=keep_alive, method=method)

        def remembered(data: bytes, minor: int = minor, keep_alive: bool = keep_alive, method: bytes = method) -> tuple[object, ...]:
            return forwarder.forward(memo.parse(data), asked(method, minor), keep_alive)

        assert memo_or_error(remembered, block) == memo_or_error(anew, block)


def test_blocks_of_unusual_size_are_forwarded_and_not_remembered() -> None:
    long = b"X: " + b"y" * MEMO_BYTES
    forwarder = forwarder_of(b"10.0.0.9")
    assert forwarder.forward(request(long)) == forwarder.forward(request(long)) == sent(request(long))
    assert len(forwarder._block) == 0
    answers = ResponseForwarder(via=b"lab")
    head = response(long)
    assert answers.forward(head, asked(), True) == answers.forward(head, asked(), True) == answered(head)
    assert len(answers._forwarded[0]) == 0


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("minor", [0, 1])
def test_a_forwarded_head_may_get_one_more_field(named: bool, minor: int) -> None:
    head = parse_response_head(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", LIMITS)
    block = ResponseForwarder(via=b"lab", named=named).forward(head, asked(minor=minor), True)[0]
    with_cookie = with_field(block, (b"Set-Cookie", b"a=b"), named=named)
    if named:
        assert block.endswith(b"\r\nX-Request-Id: ")
        assert with_cookie.endswith(b"\r\nSet-Cookie: a=b\r\nX-Request-Id: ")
        with_cookie += b"1" + END_OF_NAME
    read = parse_response_head(with_cookie, LIMITS)
    assert read.get_all(b"set-cookie") == [b"a=b"]
    assert read.get_all(b"content-length") == [b"2"]
    assert with_cookie.replace(b"Set-Cookie: a=b\r\n", b"") == block + (b"1" + END_OF_NAME) * named
