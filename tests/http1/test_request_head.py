"""Heads of requests, rule by rule (docs/http_rules.md); their field lines are in test_fields."""

import pytest

from scalability.errors import BadMessage
from scalability.http1.request_head import parse_request_head
from scalability.testing.heads import LIMITS, refused, refused_answer, request, response


def test_a_browser_sized_head_is_read_completely() -> None:
    head = request(b"Accept: text/html, */*;q=0.8", b"X-Empty:", b"accept:  json\t ", b"Cookie: a=b; c_d=e")
    assert (head.method, head.target, head.minor, head.host) == (b"GET", b"/", 1, b"a")
    assert head.fields == (
        (b"Host", b"a"),
        (b"Accept", b"text/html, */*;q=0.8"),
        (b"X-Empty", b""),
        (b"accept", b"json"),
        (b"Cookie", b"a=b; c_d=e"),
    )
    assert head.get(b"accept") == b"text/html, */*;q=0.8"
    assert head.get_all(b"accept") == [b"text/html, */*;q=0.8", b"json"]
    assert head.get_all(b"cookie") == [b"a=b; c_d=e"]
    assert (head.get(b"x-empty"), head.get(b"x-none"), head.get_all(b"x-none")) == (b"", None, [])
    assert (head.content_length, head.chunked, head.has_body) == (None, False, False)
    assert (head.keep_alive, head.expect_continue, head.upgrade, head.connection_options) == (True, False, None, frozenset())


@pytest.mark.parametrize(
    ("minor", "connection", "keep_alive"),
    [
        (1, None, True),
        (1, b"close", False),
        (1, b"CLOSE", False),
        (1, b"foo, Close", False),
        (1, b"keep-alive", True),
        (1, b"keep-alive, close", False),
        (0, None, False),
        (0, b"keep-alive", True),
        (0, b"Keep-Alive, x", True),
        (0, b"close", False),
        (0, b"keep-alive, close", False),
    ],
)
def test_persistence_follows_version_and_connection(minor: int, connection: bytes | None, keep_alive: bool) -> None:
    lines = [] if connection is None else [b"Connection: " + connection]
    assert request(*lines, start=b"GET / HTTP/1.%d" % minor).keep_alive is keep_alive
    assert response(*lines, b"Content-Length: 0", start=b"HTTP/1.%d 200 OK" % minor).keep_alive is keep_alive


def test_upgrade_counts_only_when_connection_names_it() -> None:
    assert request(b"Upgrade: websocket").upgrade is None
    assert request(b"Upgrade: websocket", b"Connection: keep-alive, Upgrade").upgrade == b"websocket"
    assert response(b"Upgrade: websocket", b"Connection: upgrade", start=b"HTTP/1.1 101 Switching Protocols").upgrade == b"websocket"
    assert response(b"Upgrade: h2c").upgrade is None


def test_a_length_and_chunks_announce_a_body() -> None:
    assert request(b"Content-Length: 12").content_length == 12
    assert request(b"Content-Length: 12").has_body
    assert not request(b"Content-Length: 0").has_body
    head = request(b"Transfer-Encoding: Chunked")
    assert head.chunked
    assert head.has_body
    assert head.content_length is None


def test_the_representation_shows_the_start_line() -> None:
    assert "GET" in repr(request())
    assert "200" in repr(response())


@pytest.mark.parametrize("coding", [b"chunked", b"gzip, chunked", b"identity", b"x"])
def test_rule_08_a_request_with_both_transfer_encoding_and_content_length_is_refused(coding: bytes) -> None:
    assert refused(b"Transfer-Encoding: " + coding, b"Content-Length: 5") == 400
    assert refused(b"Content-Length: 5", b"transfer-encoding: " + coding) == 400


def test_rule_11_transfer_encoding_in_http_1_0_is_refused() -> None:
    assert refused(b"Transfer-Encoding: chunked", start=b"POST / HTTP/1.0") == 400
    refused_answer(b"Transfer-Encoding: chunked", start=b"HTTP/1.0 200 OK")


@pytest.mark.parametrize(
    "block", [b"GET / HTTP/1.1\rHost: a\r\n\r\n", b"GET /\r HTTP/1.1\r\nHost: a\r\n\r\n", b"\rGET / HTTP/1.1\r\nHost: a\r\n\r\n"]
)
def test_rule_19_a_bare_carriage_return_around_the_request_line_is_refused(block: bytes) -> None:
    with pytest.raises(BadMessage):
        parse_request_head(block, LIMITS)


@pytest.mark.parametrize("version", [b"HTTP/2.0", b"HTTP/0.9", b"HTTP/3.1", b"HTTP/9.9"])
def test_rule_26_another_major_version_is_505(version: bytes) -> None:
    assert refused(start=b"GET / " + version) == 505
    refused_answer(start=version + b" 200 OK")


def test_rule_26_the_preface_of_http_2_is_505() -> None:
    with pytest.raises(BadMessage) as caught:
        parse_request_head(b"PRI * HTTP/2.0\r\n\r\n", LIMITS)
    assert caught.value.status == 505


def test_rule_26_a_higher_minor_version_is_read_as_1_1() -> None:
    assert request(start=b"GET / HTTP/1.9").minor == 1
    assert response(start=b"HTTP/1.2 200 OK").minor == 1


@pytest.mark.parametrize(
    "version",
    [b"http/1.1", b"HTTP/1", b"HTTP/1.10", b"HTTP/01.1", b"HTTP/1.1 ", b"HTTP /1.1", b"HTTPS/1.1", b"", b"HTTP/1,1", b"HTTP/+1.1"],
)
def test_a_malformed_version_is_refused(version: bytes) -> None:
    assert refused(start=b"GET / " + version) == 400
    assert refused(start=b"GET /") == 400  # HTTP/0.9
    assert refused(start=b"GET") == 400


def test_rule_27_a_target_beyond_8_kib_is_414() -> None:
    assert request(start=b"GET /" + b"a" * 8191 + b" HTTP/1.1").target == b"/" + b"a" * 8191
    assert refused(start=b"GET /" + b"a" * 8192 + b" HTTP/1.1") == 414
    assert refused(start=b"GET /" + b"\xff" * 8192 + b" HTTP/1.1") == 414


def test_rule_27_too_large_a_head_is_431_also_for_a_caller_who_did_not_look_for_its_end() -> None:
    assert refused(b"A: " + b"b" * 32768) == 431
    assert "larger" in refused_answer(b"A: " + b"b" * 32768)


def test_rule_30_http_1_1_needs_exactly_one_host() -> None:
    assert refused(host=False) == 400
    assert refused(b"Host: a") == 400
    assert refused(b"hOST: b") == 400
    assert refused(b"Host: a", b"Host: a", start=b"GET / HTTP/1.0", host=False) == 400
    assert refused(start=b"GET http://a/ HTTP/1.1", host=False) == 400
    assert request(start=b"GET / HTTP/1.0", host=False).host == b""


@pytest.mark.parametrize(
    "host",
    [
        b"a b", b"a/b", b"a@b", b"u:p@b", b"a?b", b"a#b", b"a,b", b"a\\b", b'a"b', b"a<b", b"a:b", b"a:80:80", b"a:-1", b"a:123456",
        b"[::1", b"::1", b"[::1]x", b"[g::1]", b"[]", b"http://a", b"caf\xc3\xa9", b":80", b":", b"a^b", b"a{b}", b"a|b", b"a`b",
        b"a%", b"a%zz",
    ],
)  # fmt: skip
def test_rule_30_an_invalid_host_is_refused(host: bytes) -> None:
    assert refused(b"Host: " + host, host=False) == 400
    assert refused(b"Host: " + host, start=b"GET / HTTP/1.0", host=False) == 400
    if b"/" not in host and b"?" not in host:  # these end an authority, and the rest is a path
        assert refused(start=b"GET http://" + host + b"x/ HTTP/1.1") == 400


@pytest.mark.parametrize(
    "host",
    [
        b"a",
        b"A.example.com:8000",
        b"127.0.0.1",
        b"127.0.0.1:80",
        b"[::1]",
        b"[::ffff:1.2.3.4]:8080",
        b"a_b.local",
        b"xn--a-b",
        b"a:",
        b"%41",
        b"-",
    ],
)
def test_rule_30_valid_hosts_pass_unchanged(host: bytes) -> None:
    assert request(b"Host: " + host, host=False).host == host


def test_an_empty_host_is_what_rfc_9112_has_clients_send_when_there_is_no_authority() -> None:
    assert request(b"Host:", host=False).host == b""


@pytest.mark.parametrize(
    ("target", "host", "path"),
    [
        (b"http://other/x?y", b"other", b"/x?y"),
        (b"HTTP://Other:81/x", b"Other:81", b"/x"),
        (b"https://other", b"other", b"/"),
        (b"http://other?q", b"other", b"/?q"),
        (b"http://[::1]:80/", b"[::1]:80", b"/"),
        (b"http://other//x/../y%2f", b"other", b"//x/../y%2f"),
    ],
)
def test_rule_31_the_authority_of_an_absolute_target_overrides_host(target: bytes, host: bytes, path: bytes) -> None:
    head = request(start=b"GET " + target + b" HTTP/1.1")
    assert (head.host, head.target, head.get(b"host")) == (host, path, b"a")


@pytest.mark.parametrize(
    "target",
    [
        b"http:///x",
        b"http://",
        b"http://:80/",
        b"http://u@a/",
        b"http://u:p@a/",
        b"ftp://a/",
        b"http:/a",
        b"http:a",
        b"a",
        b"a/b",
        b"a:80",
        b"?x",
        b"//",
        b"file:///etc",
    ],
)
def test_rule_31_any_other_target_that_is_no_path_is_refused(target: bytes) -> None:
    if target != b"//":
        assert refused(start=b"GET " + target + b" HTTP/1.1") == 400
    else:
        assert request(start=b"GET // HTTP/1.1").target == b"//"


def test_rule_32_connect_is_405() -> None:
    assert refused(start=b"CONNECT a:443 HTTP/1.1") == 405
    assert refused(start=b"CONNECT http://a/ HTTP/1.1") == 405
    assert refused(start=b"CONNECT * HTTP/1.1") == 405
    assert refused(start=b"CONNECT / HTTP/1.1") == 405
    with pytest.raises(BadMessage) as caught:
        request(start=b"CONNECT a:443 HTTP/1.1")
    assert "GET" in caught.value.allow


def test_rule_32_options_asks_for_the_server_with_a_star_and_nobody_else_does() -> None:
    assert request(start=b"OPTIONS * HTTP/1.1").target == b"*"
    assert request(start=b"OPTIONS http://b HTTP/1.1").target == b"*"
    assert request(start=b"OPTIONS http://b/ HTTP/1.1").target == b"/"
    assert refused(start=b"GET * HTTP/1.1") == 400
    assert refused(start=b"OPTIONS *x HTTP/1.1") == 400


@pytest.mark.parametrize("target", [b"/a%2Fb/../c;d?e=f&g=%zz", b"//a", b"/?", b"/%00", b"/a'b(c)|d^e`f{g}\\h<i>\"", b"/.", b"/?a?b/c"])
def test_rule_33_path_and_query_are_kept_byte_by_byte(target: bytes) -> None:
    assert request(start=b"GET " + target + b" HTTP/1.1").target == target


@pytest.mark.parametrize("target", [b"/a#b", b"/#", b"/a b", b"/\xc3\xa9", b"/\x7f", b"/\x00", b"/a\tb", b"", b" /", b"/ ", b"/\x0b"])
def test_rule_33_fragments_spaces_and_other_octets_than_visible_ascii_are_refused(target: bytes) -> None:
    assert refused(start=b"GET " + target + b" HTTP/1.1") == 400


def test_rule_37_an_expectation_other_than_100_continue_is_417() -> None:
    assert request(b"Expect: 100-Continue").expect_continue
    assert refused(b"Expect: 200-ok") == 417
    assert refused(b"Expect: 100-continue, x") == 417
    assert refused(b"Expect: 100-continue", b"Expect: y") == 417
    assert refused(b"Expect:") == 417
    assert not request(b"Expect: 100-continue", start=b"POST / HTTP/1.0").expect_continue


def test_a_method_longer_than_any_known_is_501() -> None:
    assert request(start=b"A" * 32 + b" / HTTP/1.1").method == b"A" * 32
    assert refused(start=b"A" * 33 + b" / HTTP/1.1") == 501
