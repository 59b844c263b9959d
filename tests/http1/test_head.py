"""Heads, rule by rule (docs/http_rules.md), then the corpus of known smuggling tricks, then the memos."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalability.errors import BadMessage
from scalability.http1.head import (
    MEMO_BYTES,
    RequestHead,
    RequestHeadMemo,
    ResponseHead,
    ResponseHeadMemo,
    find_head_end,
    parse_request_head,
    parse_response_head,
    parse_trailer_fields,
)
from scalability.http1.known_heads import KnownHeads
from scalability.http1.limits import Limits

LIMITS = Limits()


def request(*lines: bytes, start: bytes = b"GET / HTTP/1.1", host: bool = True) -> RequestHead:
    return parse_request_head(b"\r\n".join([start, *([b"Host: a"] if host else []), *lines]) + b"\r\n\r\n", LIMITS)


def response(*lines: bytes, start: bytes = b"HTTP/1.1 200 OK") -> ResponseHead:
    return parse_response_head(b"\r\n".join([start, *lines]) + b"\r\n\r\n", LIMITS)


def refused(*lines: bytes, start: bytes = b"GET / HTTP/1.1", host: bool = True) -> int:
    with pytest.raises(BadMessage) as caught:
        request(*lines, start=start, host=host)
    return caught.value.status


def refused_answer(*lines: bytes, start: bytes = b"HTTP/1.1 200 OK") -> str:
    with pytest.raises(BadMessage) as caught:
        response(*lines, start=start)
    return str(caught.value)


# What a head says


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


def test_a_list_of_values_that_was_handed_out_is_the_callers_own() -> None:
    head = request(b"A: 1", b"A: 2")
    head.get_all(b"a").append(b"3")
    assert head.get_all(b"a") == [b"1", b"2"]


@pytest.mark.parametrize("blank", [b" ", b"\t", b"  ", b" \t "])
def test_blanks_around_a_value_are_no_part_of_it(blank: bytes) -> None:
    assert request(b"A:" + blank + b"b c" + blank).get(b"a") == b"b c"
    assert request(b"A:" + blank).get(b"a") == b""
    assert response(b"A:" + blank + b"b c" + blank).get(b"a") == b"b c"


def test_octets_above_127_pass_in_values() -> None:
    assert request(b"A: caf\xc3\xa9\xff").get(b"a") == b"caf\xc3\xa9\xff"


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


def test_options_of_several_connection_lines_are_joined_without_their_case() -> None:
    head = request(b"Connection: Keep-Alive", b"Connection: X-One ,\tx-Two,,", b"Connection:")
    assert head.connection_options == {b"keep-alive", b"x-one", b"x-two"}


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


# Framing


@pytest.mark.parametrize("coding", [b"chunked", b"gzip, chunked", b"identity", b"x"])
def test_rule_08_a_request_with_both_transfer_encoding_and_content_length_is_refused(coding: bytes) -> None:
    assert refused(b"Transfer-Encoding: " + coding, b"Content-Length: 5") == 400
    assert refused(b"Content-Length: 5", b"transfer-encoding: " + coding) == 400


@pytest.mark.parametrize(
    "value",
    [
        b"+5",
        b"-5",
        b"0x10",
        b"5,",
        b",5",
        b"",
        b" ",
        b"5 5",
        b"5;",
        b"5.0",
        b"1e3",
        b"5,6",
        b"5, 05",
        b"1_0",
        b"\xb2",
        b"9" * 19,
        b"\xd9\xa5",
    ],
)
def test_rule_09_a_content_length_that_is_no_number_is_refused(value: bytes) -> None:
    assert refused(b"Content-Length: " + value) == 400
    refused_answer(b"Content-Length: " + value)


def test_rule_09_differing_content_lengths_are_refused_and_equal_ones_merged() -> None:
    assert refused(b"Content-Length: 5", b"Content-Length: 6") == 400
    assert refused(b"Content-Length: 5", b"Content-Length:") == 400
    refused_answer(b"Content-Length: 5", b"Content-Length: 6")
    assert request(b"Content-Length: 5", b"content-length: 5").content_length == 5
    assert request(b"Content-Length: 5, 5").content_length == 5
    assert response(b"Content-Length: 5", b"Content-Length: 5").content_length == 5


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ([b"gzip"], 400),
        ([b"identity"], 400),
        ([b""], 400),
        ([b",chunked"], 400),
        ([b"chunked,"], 400),
        ([b"chunked, chunked"], 400),
        ([b"chunked", b"chunked"], 400),
        ([b"chunked", b"identity"], 400),
        ([b"chunked, gzip"], 400),
        ([b"chunked;q=1"], 400),
        ([b"xchunked"], 400),
        ([b"chunked x"], 400),
        ([b'"chunked"'], 400),
        ([b"gzip, chunked"], 501),
        ([b"gzip", b"chunked"], 501),
        ([b"identity, chunked"], 501),
        ([b"cow, chunked"], 501),
    ],
)
def test_rule_10_a_transfer_encoding_other_than_chunked_is_refused(lines: list[bytes], status: int) -> None:
    assert refused(*[b"Transfer-Encoding: " + line for line in lines]) == status
    refused_answer(*[b"Transfer-Encoding: " + line for line in lines])


def test_rule_11_transfer_encoding_in_http_1_0_is_refused() -> None:
    assert refused(b"Transfer-Encoding: chunked", start=b"POST / HTTP/1.0") == 400
    refused_answer(b"Transfer-Encoding: chunked", start=b"HTTP/1.0 200 OK")


def test_rule_16_an_answer_with_both_is_chunked_without_the_length_and_its_connection_ends() -> None:
    head = response(b"Content-Length: 5", b"Transfer-Encoding: chunked")
    assert head.chunked
    assert head.content_length is None
    assert not head.keep_alive


@pytest.mark.parametrize("start", [b"HTTP/1.1 204 No Content", b"HTTP/1.1 103 Early Hints"])
@pytest.mark.parametrize("line", [b"Content-Length: 5", b"Transfer-Encoding: chunked"])
def test_a_connection_whose_bodiless_answer_announces_a_body_is_not_used_again(start: bytes, line: bytes) -> None:
    assert not response(line, start=start).keep_alive
    assert response(b"Content-Length: 0", start=start).keep_alive


# Syntax


@pytest.mark.parametrize(
    "line",
    [b"A: b\rc", b"A: \rb", b"A\r: b", b"\rA: b", b"A: b\r", b"A: b\r\r\nB: c", b"A: b\rTransfer-Encoding: chunked"],
)
def test_rule_19_a_bare_carriage_return_is_refused(line: bytes) -> None:
    assert refused(line) == 400
    refused_answer(line)


@pytest.mark.parametrize(
    "block", [b"GET / HTTP/1.1\rHost: a\r\n\r\n", b"GET /\r HTTP/1.1\r\nHost: a\r\n\r\n", b"\rGET / HTTP/1.1\r\nHost: a\r\n\r\n"]
)
def test_rule_19_a_bare_carriage_return_around_the_request_line_is_refused(block: bytes) -> None:
    with pytest.raises(BadMessage):
        parse_request_head(block, LIMITS)


@pytest.mark.parametrize(
    "block",
    [
        b"GET / HTTP/1.1\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\nB: c\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\n\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n\nGET /b HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\n\nGET /b HTTP/1.1\r\n\r\n",
        b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nA: b\n\rB: c\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n\n\rA: b\r\n\r\n",
    ],
)
def test_rule_20_a_bare_line_feed_is_refused(block: bytes) -> None:
    with pytest.raises(BadMessage) as caught:
        parse_request_head(block, LIMITS)
    assert caught.value.status == 400


def test_rule_20_the_legal_number_of_line_ends_in_another_order_is_refused() -> None:
    with pytest.raises(BadMessage):
        parse_request_head(b"GET / HTTP/1.1\r\nHost: a\r\nA: b\n\rB: c\n\r\r\n\r\n", LIMITS)


@pytest.mark.parametrize("octet", [*range(9), *range(11, 13), *range(14, 32), 127])
def test_rule_21_a_control_character_in_a_value_is_refused(octet: int) -> None:
    bad = bytes([octet])
    for line in (b"A: b" + bad + b"c", b"A:" + bad, b"A: b" + bad, b"A: " + bad + b"b"):
        assert refused(line) == 400
        refused_answer(line)


def test_rule_22_white_space_before_a_colon_is_refused_in_requests_and_removed_from_answers() -> None:
    assert refused(b"Content-Length : 5") == 400
    assert refused(b"Transfer-Encoding\t: chunked") == 400
    head = response(b"Content-Length \t: 5")
    assert head.content_length == 5
    assert head.fields == ((b"Content-Length", b"5"),)


@pytest.mark.parametrize("fold", [b" ", b"\t", b"   "])
def test_rule_23_a_folded_line_is_refused_in_requests_and_joined_with_one_space_in_answers(fold: bytes) -> None:
    assert refused(b"A: b", fold + b"c") == 400
    assert refused(b"Transfer-Encoding:", fold + b"chunked") == 400
    assert response(b"A: b ", fold + b"c", b"D: e").fields == ((b"A", b"b c"), (b"D", b"e"))
    assert response(b"Transfer-Encoding:", fold + b"chunked").chunked
    assert response(b"A:", fold, fold + b"b").get(b"a") == b"b"


@pytest.mark.parametrize("fold", [b" Host: a", b"\tHost: a", b" "])
def test_rule_23_a_folded_first_line_is_refused_everywhere(fold: bytes) -> None:
    assert refused(fold, host=False) == 400
    refused_answer(fold)


@pytest.mark.parametrize(
    "octet", [b" ", b"(", b")", b"<", b">", b"@", b",", b";", b"\\", b'"', b"/", b"[", b"]", b"?", b"=", b"{", b"}", b"\xe9", b"\x00"]
)
def test_rule_24_names_and_methods_are_tokens(octet: bytes) -> None:
    assert refused(b"A" + octet + b"B: c") == 400
    assert refused(start=b"G" + octet + b"T / HTTP/1.1") == 400
    refused_answer(b"A" + octet + b"B: c")


@pytest.mark.parametrize("line", [b": b", b"A", b"A b", b"=", b" : b"])
def test_rule_24_a_line_without_name_or_colon_is_refused(line: bytes) -> None:
    assert refused(line) == 400
    refused_answer(line)


def test_rule_24_every_token_character_may_stand_in_names_and_methods() -> None:
    token = b"!#$%&'*+-.^`|~09AZaz"
    assert request(token + b": b").get(token.lower()) == b"b"
    assert request(start=token + b"_ / HTTP/1.1").method == token + b"_"


def test_rule_25_one_empty_line_before_the_request_is_tolerated() -> None:
    block = b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"
    assert find_head_end(block, 0, LIMITS) == len(block)
    assert parse_request_head(block, LIMITS).target == b"/"
    for start in range(1, len(block)):
        assert find_head_end(block[:start], 0, LIMITS) == -1


def test_rule_25_two_empty_lines_before_the_request_are_refused() -> None:
    block = b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"
    with pytest.raises(BadMessage):
        find_head_end(block, 0, LIMITS)
    with pytest.raises(BadMessage):
        parse_request_head(block, LIMITS)


def test_rule_25_an_empty_line_before_an_answer_is_refused() -> None:
    with pytest.raises(BadMessage):
        parse_response_head(b"\r\nHTTP/1.1 200 OK\r\n\r\n", LIMITS)


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


def test_rule_27_too_many_fields_are_431() -> None:
    assert len(request(*[b"A: b"] * 99).fields) == 100
    assert refused(*[b"A: b"] * 100) == 431
    refused_answer(*[b"A: b"] * 101)
    with pytest.raises(BadMessage) as caught:
        parse_trailer_fields(b"A: b\r\n" * 101, LIMITS)
    assert caught.value.status == 431


def test_rule_27_too_large_a_head_is_431_also_for_a_caller_who_did_not_look_for_its_end() -> None:
    assert refused(b"A: " + b"b" * 32768) == 431
    assert "larger" in refused_answer(b"A: " + b"b" * 32768)


def test_rule_28_fields_keep_order_spelling_and_duplicates() -> None:
    lines = [b"Set-Cookie: a=1", b"X: y", b"set-cookie: b=2", b"Set-Cookie: c=3"]
    assert [b": ".join(field) for field in response(*lines).fields] == lines
    assert response(*lines).get_all(b"set-cookie") == [b"a=1", b"b=2", b"c=3"]


def test_rule_29_names_with_underscores_are_dropped_from_requests_by_default() -> None:
    head = request(b"X_Forwarded_For: 6.6.6.6", b"A: b", b"_: c")
    assert head.fields == ((b"Host", b"a"), (b"A", b"b"))
    assert head.get(b"x_forwarded_for") is None
    assert response(b"a_b: c").get(b"a_b") == b"c"


def test_rule_29_names_with_underscores_pass_where_they_are_wanted() -> None:
    head = parse_request_head(b"GET / HTTP/1.1\r\nHost: a\r\nA_B: c\r\n\r\n", Limits(underscore_names=True))
    assert head.get(b"a_b") == b"c"


# Target and Host


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


# Answers


@pytest.mark.parametrize(
    ("line", "status", "reason"),
    [
        (b"HTTP/1.1 200 OK", 200, b"OK"),
        (b"HTTP/1.1 404 Not Found Here", 404, b"Not Found Here"),
        (b"HTTP/1.1 599 ", 599, b""),
        (b"HTTP/1.1 600 Beyond", 600, b"Beyond"),
        (b"HTTP/1.1 999 ", 999, b""),
        (b"HTTP/1.0 301", 301, b""),
        (b"HTTP/1.1 103 Early\tHints\xe9", 103, b"Early\tHints\xe9"),
    ],
)
def test_status_lines_are_read(line: bytes, status: int, reason: bytes) -> None:
    head = response(start=line)
    assert (head.status, head.reason) == (status, reason)


@pytest.mark.parametrize(
    "line",
    [
        b"HTTP/1.1 20 OK", b"HTTP/1.1 2000 OK", b"HTTP/1.1 099 OK", b"HTTP/1.1 1000 OK", b"HTTP/1.1 OK", b"HTTP/1.1", b"", b"200 OK",
        b"HTTP/1.1  200 OK", b"HTTP/1.1 +20 OK", b"http/1.1 200 OK", b"HTTP/1.1 200 O\x00K", b"HTTP/1.1 200 O\rK", b"ICY 200 OK",
        b"HTTP/1.1 200OK", b"HTTP/1.1 2\xb20 OK", b"GET / HTTP/1.1",
    ],
)  # fmt: skip
def test_malformed_status_lines_are_refused(line: bytes) -> None:
    assert "status line" in refused_answer(start=line)


def test_an_answer_head_that_does_not_end_is_refused() -> None:
    with pytest.raises(BadMessage):
        parse_response_head(b"HTTP/1.1 200 OK\r\nA: b", LIMITS)
    with pytest.raises(BadMessage):
        parse_request_head(b"GET / HTTP/1.1\r\nHost: a", LIMITS)
    with pytest.raises(BadMessage):
        parse_request_head(b"", LIMITS)


# Tricks by which one server was led to read another message than the next


@pytest.mark.parametrize(
    "lines",
    [
        # CL.TE and TE.CL, by every spelling that some server has accepted
        [b"Content-Length: 6", b"Transfer-Encoding: chunked"],
        [b"Transfer-Encoding: chunked", b"Content-Length: 6"],
        [b"Content-Length: 6", b"Transfer-Encoding : chunked"],
        [b"Content-Length: 6", b"Transfer-Encoding\t:\tchunked"],
        [b"Content-Length: 6", b" Transfer-Encoding: chunked"],
        [b"Content-Length: 6", b"X: y\rTransfer-Encoding: chunked"],
        [b"Content-Length: 6", b"X: y\nTransfer-Encoding: chunked"],
        [b"Content-Length: 6", b"X: y", b"\tTransfer-Encoding: chunked"],
        [b"Content-Length: 6", b"Transfer-Encoding:\x0bchunked"],
        [b"Content-Length: 6", b"Transfer-Encoding:\x0cchunked"],
        [b"Content-Length: 6", b"Transfer-Encoding: chunked\x00"],
        [b"Content-Length: 6", b"Transfer-Encoding: \x00chunked"],
        [b"Content-Length: 6", b"Transfer-Encoding:\xa0chunked"],
        [b"Content-Length: 6", b"Transfer-Encoding: xchunked"],
        [b"Content-Length: 6", b"Transfer-Encoding: chunkedx"],
        [b"Content-Length: 6", b"Transfer-Encoding: identity"],
        [b"Content-Length: 6", b"Transfer-Encoding: identity, chunked"],
        [b"Content-Length: 6", b"Transfer-Encoding: chunked, identity"],
        [b"Content-Length: 6", b"Transfer-Encoding:", b" chunked"],
        [b"Content-Length: 6", b"Transfer-Encoding: c\xc4\xa8unked"],
        [b"Content-Length: 6", b"Transfer-Encoding\x00: chunked"],
        [b"Content-Length: 6", b"Transfer-Encoding\xe2\x80\x8b: chunked"],
        [b"Content-Length: 6", b"TRANSFER-ENCODING: CHUNKED"],
        # TE.TE
        [b"Transfer-Encoding: chunked", b"Transfer-Encoding: cow"],
        [b"Transfer-Encoding: chunked", b"Transfer-encoding: identity"],
        [b"Transfer-Encoding: cow", b"Transfer-Encoding: chunked"],
        [b"Transfer-Encoding: chunked\r", b"X: y"],
        # CL.CL and CL.0
        [b"Content-Length: 6", b"Content-Length: 0"],
        [b"Content-Length: 0", b"Content-Length: 6"],
        [b"Content-Length: 6, 0"],
        [b"Content-Length: 0006", b"Content-Length: 6"],
        [b"Content-Length : 6"],
        [b"Content-Length: 6 "  b"\x00"],
        [b"Content-Length:\x0b6"],
        [b"Content-Length: 6\xa0"],
        [b"Content-Length: 6", b" 0"],
        [b"Content-Length: 18446744073709551617"],
        [b"Content-Length", b"X: y"],
        # Host games
        [b"Host: evil"],
        [b" Host: evil"],
        [b"Host : evil"],
        [b"hOsT:evil"],
        # a second request in a value
        [b"X: y\r\n\r\nGET /evil HTTP/1.1"],
        [b"X: y\n\nGET /evil HTTP/1.1"],
        [b"\x00: y"],
        [b"GET /evil HTTP/1.1"],
    ],
)  # fmt: skip
def test_smuggling_tricks_are_refused(lines: list[bytes]) -> None:
    assert refused(*lines, start=b"POST / HTTP/1.1") in (400, 501)


def test_underscore_names_cannot_stand_in_for_framing_fields() -> None:
    head = request(b"Content_Length: 6", b"Transfer_Encoding: chunked", start=b"POST / HTTP/1.1")
    assert not head.has_body
    assert len(head.fields) == 1


def test_a_long_hostile_line_costs_its_length_and_not_its_square() -> None:
    # With a pattern that backtracks each of these took minutes; here it is over at once, or the test run hangs.
    limits = Limits(max_head_bytes=1 << 21, max_target_bytes=1 << 21)
    blanks = b" " * (1 << 20)
    for line in (
        b"A:" + blanks + b"\n",
        b"A:" + blanks + b"b\rc",
        b"A:b" + blanks,
        b"a" * (1 << 20),
        blanks + b"A: b",
        b"A" + blanks + b":",
    ):
        for prefix in (b"GET / HTTP/1.1\r\nHost: a\r\n", b"HTTP/1.1 200 OK\r\n"):
            parse = parse_request_head if prefix.startswith(b"GET") else parse_response_head
            try:
                head = parse(prefix + line + b"\r\n\r\n", limits)
            except BadMessage:
                continue
            assert len(head.fields) <= 2


# Finding the end


HEAD = b"GET /path HTTP/1.1\r\nHost: a\r\nA: b\r\n\r\n"


@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_the_end_is_found_at_every_split_and_not_before(kind: type[bytes] | type[bytearray]) -> None:
    for size in range(len(HEAD)):
        assert find_head_end(kind(HEAD[:size]), 0, LIMITS) == -1
        assert find_head_end(kind(HEAD), 0, LIMITS, scanned=size) == len(HEAD)
        assert find_head_end(kind(b"body" + HEAD), 4, LIMITS, scanned=size) == len(HEAD) + 4
    assert find_head_end(kind(HEAD + b"body\r\n\r\n"), 0, LIMITS) == len(HEAD)
    assert find_head_end(kind(HEAD + HEAD), len(HEAD), LIMITS) == 2 * len(HEAD)
    assert find_head_end(kind(b""), 0, LIMITS) == -1
    assert find_head_end(kind(HEAD), len(HEAD), LIMITS) == -1


@pytest.mark.parametrize(
    "start",
    [b"GET / HTTP/1.1\n", b"GET / HTTP/1.1\r\nHost: a\n", b"GET / HTTP/1.1\n\n", b"\n", b"G\rET", b"\rG", b"GET / HTTP/1.1\r\nA: b\r\r"],
)
def test_a_head_that_can_never_end_is_refused_at_once(start: bytes) -> None:
    with pytest.raises(BadMessage) as caught:
        find_head_end(start, 0, LIMITS)
    assert caught.value.status == 400


@pytest.mark.parametrize("greeting", [b"\x16\x03\x01\x02\x00", b"\x00", b"\xff\xfe", b" GET", b"\tGET"])
def test_what_is_not_http_is_refused_at_its_first_byte(greeting: bytes) -> None:
    with pytest.raises(BadMessage) as caught:
        find_head_end(greeting, 0, LIMITS)
    assert caught.value.status == 400


def test_rule_27_a_target_that_does_not_end_is_414_before_its_line_does() -> None:
    buffer = bytearray(b"GET /")
    while len(buffer) <= LIMITS.max_target_bytes:
        assert find_head_end(buffer, 0, LIMITS, scanned=len(buffer) - 1) == -1
        buffer += b"a"
    with pytest.raises(BadMessage) as caught:
        find_head_end(buffer + b"a" * 64, 0, LIMITS)
    assert caught.value.status == 414


def test_rule_27_a_head_that_does_not_end_is_431() -> None:
    buffer = bytearray(b"GET / HTTP/1.1\r\n")
    while len(buffer) + 6 <= LIMITS.max_head_bytes:
        buffer += b"A: b\r\n"
        assert find_head_end(buffer, 0, LIMITS) == -1
    with pytest.raises(BadMessage) as caught:
        find_head_end(buffer + b"A: b\r\n", 0, LIMITS)
    assert caught.value.status == 431


def test_rule_27_a_complete_head_is_held_to_the_same_limits() -> None:
    small = Limits(max_target_bytes=20, max_head_bytes=len(HEAD))
    assert find_head_end(HEAD, 0, small) == len(HEAD)
    with pytest.raises(BadMessage) as caught:
        find_head_end(b"GET /path HTTP/1.1\r\nHost: a\r\nA: bb\r\n\r\n", 0, small)
    assert caught.value.status == 431
    with pytest.raises(BadMessage) as caught:
        find_head_end(b"\r\nGET /" + b"a" * 100 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 0, small)
    assert caught.value.status == 414


# Memos


LINES = st.sampled_from(
    [
        b"GET / HTTP/1.1",
        b"GET /b HTTP/1.1",
        b"GET / HTTP/1.0",
        b"HEAD http://x/y HTTP/1.1",
        b"POST / HTTP/2.0",
        b"CONNECT a:1 HTTP/1.1",
        b"\r\nGET /c HTTP/1.1",
    ]
)
FIELDS = st.lists(
    st.sampled_from(
        [
            b"Host: a",
            b"Host: b",
            b"Connection: close",
            b"Content-Length: 5",
            b"Transfer-Encoding: chunked",
            b"X: y",
            b"X_Y: z",
            b"A:b ",
            b"bad",
            b"Expect: 100-continue",
        ]
    ),
    max_size=4,
)
NAMES = st.sampled_from(
    [
        [],
        [b"X-Request-Id: " + b"0a" * 16, b"traceparent: 00-" + b"0a" * 16 + b"-" + b"1" * 16 + b"-01"],
        [b"X-Request-Id: " + b"0b" * 16, b"traceparent: 00-" + b"0b" * 16 + b"-" + b"2" * 16 + b"-01"],
        [b"X-Request-Id: " + b"0B" * 16, b"traceparent: 00-" + b"0b" * 16 + b"-" + b"2" * 16 + b"-01"],
        [b"X-Request-Id: " + b"0c" * 15, b"traceparent: 00-" + b"0b" * 16 + b"-" + b"2" * 16 + b"-01"],
        [b"X-Request-Id: " + b"0d" * 16 + b"\n", b"traceparent: 00-" + b"0b" * 16 + b"-" + b"2" * 16 + b"-01"],
    ]
)
"""What a balancer in front of us puts at the end, and what resembles it."""
BLOCKS = st.builds(lambda line, fields, names: b"\r\n".join([line, *fields, *names]) + b"\r\n\r\n", LINES, FIELDS, NAMES)


def meaning(parse: object, block: bytes) -> object:
    try:
        head = parse(block)  # type: ignore[operator]  # any of the four ways to parse
    except BadMessage as error:
        return error.status, error.code, str(error)
    names = {name for kind in type(head).__mro__ for name, value in vars(kind).items() if not callable(value) and name[0] != "_"}
    return {name: getattr(head, name) for name in names - {"shared"}}


@given(st.lists(BLOCKS, max_size=8))
def test_a_memo_answers_what_parsing_anew_does(blocks: list[bytes]) -> None:
    memo = RequestHeadMemo(LIMITS)
    for block in blocks:
        assert meaning(memo.parse, block) == meaning(lambda b: parse_request_head(b, LIMITS), block)


@given(st.lists(st.tuples(st.integers(0, 2), BLOCKS), max_size=12))
def test_memos_that_share_what_is_known_answer_what_parsing_anew_does(turns: list[tuple[int, bytes]]) -> None:
    known = KnownHeads()
    memos = [RequestHeadMemo(LIMITS, known) for _ in range(3)]
    for which, block in turns:
        memo = memos[which]
        wanted = meaning(lambda b: parse_request_head(b, LIMITS), block)
        end = memo.find(block) if isinstance(wanted, dict) else 0
        assert end in (0, len(block))
        assert meaning(memo.parse, block) == wanted
        if end:
            assert meaning(lambda _, head=memo.head: head, b"") == wanted


def test_another_connections_request_line_does_not_move_where_this_ones_fields_begin() -> None:
    known = KnownHeads()
    one, other = RequestHeadMemo(LIMITS, known), RequestHeadMemo(LIMITS, known)
    for memo in (one, other):
        memo.parse(b"GET /a HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n")
    longer = b"GET /a/much/longer HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n"
    assert other.find(longer) == len(longer)
    # with the other's place, the last field alone would be compared
    assert one.find(b"GET /b HTTP/1.1\r\nHost: b\r\nX: y\r\n\r\n") == 0
    assert one.find(b"GET /b HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n") > 0
    assert [memo.head.fields for memo in (one, other)] == [((b"Host", b"a"), (b"X", b"y"))] * 2


def test_connections_that_send_the_same_head_keep_it_once() -> None:
    known = KnownHeads()
    one, other = RequestHeadMemo(LIMITS, known), RequestHeadMemo(LIMITS, known)
    first = one.parse(bytes(bytearray(HEAD)))
    assert other.parse(bytes(bytearray(HEAD))) is first
    assert other.block is one.block
    # of another version nothing is taken
    assert RequestHeadMemo(LIMITS, known).parse(HEAD.replace(b"1.1", b"1.0")).shared is not first.shared
    # and with the names that our balancer gives, nothing is kept: nobody sends them again
    named_head = named(b"/a", 1)
    assert one.parse(named_head).shared is not other.parse(named_head).shared


@given(st.lists(BLOCKS, max_size=8), st.binary(max_size=8))
def test_what_a_memo_finds_is_what_a_search_and_parsing_anew_find(blocks: list[bytes], following: bytes) -> None:
    memo = RequestHeadMemo(LIMITS)

    def found(data: bytes) -> object:
        end = memo.find(data)
        if not end:
            end = find_head_end(data, 0, LIMITS)
            return meaning(memo.parse, data[:end]), end
        return meaning(lambda _: memo.head, data), end

    for block in blocks:
        data = block + following
        try:
            end = find_head_end(data, 0, LIMITS)
        except BadMessage:
            assert not memo.find(data)
            continue
        wanted = meaning(lambda b: parse_request_head(b, LIMITS), data[:end])
        if isinstance(wanted, tuple):
            # refused: by the memo itself, or by parsing what it does not find
            with pytest.raises(BadMessage) as refused:
                memo.parse(data[: memo.find(data) or end])
            assert (refused.value.status, refused.value.code, str(refused.value)) == wanted
        else:
            assert found(data) == (wanted, end)


def test_a_memo_finds_a_head_with_another_request_line_and_what_follows_stays() -> None:
    memo = RequestHeadMemo(LIMITS)
    assert memo.find(HEAD) == 0
    memo.parse(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
    data = b"POST /b HTTP/1.1\r\nHost: a\r\n\r\nGET /"
    assert memo.find(data) == len(data) - 5
    assert (memo.head.method, memo.head.target) == (b"POST", b"/b")
    for other in (b"GET /a HTTP/1.0", b"GET /a HTTP/2.0", b"GET  /a HTTP/1.1", b"", b"\r", b"GET /" + b"a" * 9000 + b" HTTP/1.1"):
        assert memo.find(other + b"\r\nHost: a\r\n\r\n") == 0
    for cut in range(len(data) - 5):
        assert memo.find(data[:cut]) == 0


def test_a_memo_hands_out_the_same_fields_while_only_the_request_line_changes() -> None:
    memo = RequestHeadMemo(LIMITS)
    first = memo.parse(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
    second = memo.parse(b"GET /b HTTP/1.1\r\nHost: a\r\n\r\n")
    assert second.target == b"/b"
    assert second.fields is first.fields
    assert memo.parse(b"GET /b HTTP/1.1\r\nHost: a\r\n\r\n") is second


def named(target: bytes, number: int, *fields: bytes) -> bytes:
    names = [b"X-Request-Id: %032x" % number, b"traceparent: 00-%032x-%016x-01" % (number, number)]
    return b"\r\n".join([b"GET " + target + b" HTTP/1.1", b"Host: a", *fields, *names, b"", b""])


def test_a_memo_finds_a_head_with_other_names_at_its_end_and_parses_it_when_asked() -> None:
    memo = RequestHeadMemo(LIMITS)
    first = memo.parse(named(b"/a", 1))
    for number, fields in ((2, ()), (3, (b"X-Request-Id: mine", b"traceparent: mine"))):
        memo.parse(named(b"/a", 1, *fields))
        data = named(b"/a", number, *fields)
        assert memo.find(data + b"GET") == len(data)
        assert memo.head.shared is not first.shared
        assert meaning(lambda _: memo.head, b"") == meaning(lambda b: parse_request_head(b, LIMITS), data)
    # and after another request line too
    assert memo.find(named(b"/b/longer", 3, b"X-Request-Id: mine", b"traceparent: mine")) > 0
    data = named(b"/b/longer", 4, b"X-Request-Id: mine", b"traceparent: mine")
    assert memo.find(data) == len(data)
    assert memo.head.get_all(b"x-request-id") == [b"mine", b"%032x" % 4]
    assert first.get(b"x-request-id") == b"%032x" % 1
    for cut in range(len(data)):
        assert memo.find(data[:cut]) == 0


def test_fields_that_were_forgotten_are_read_again_from_the_bytes() -> None:
    memo = RequestHeadMemo(LIMITS)
    first = memo.parse(b"GET /a HTTP/1.1\r\nHost: a\r\nX: 1\r\nX: 2\r\n\r\n")
    before = meaning(lambda _: first, b"")
    first.shared.forget()
    memo.parse(b"GET /a/longer/one HTTP/1.1\r\nHost: a\r\nX: 1\r\nX: 2\r\n\r\n")
    assert meaning(lambda _: first, b"") == before
    assert first.get_all(b"x") == [b"1", b"2"]


def test_a_head_of_unusual_size_is_parsed_and_not_remembered() -> None:
    memo = RequestHeadMemo(LIMITS)
    small = memo.parse(HEAD)
    large = b"GET / HTTP/1.1\r\nHost: a\r\nCookie: " + b"x" * MEMO_BYTES + b"\r\n\r\n"
    assert memo.parse(large) is not memo.parse(large)
    assert memo.parse(large).get(b"cookie") == b"x" * MEMO_BYTES
    assert memo.parse(HEAD) is small
    answers = ResponseHeadMemo(LIMITS)
    answer = b"HTTP/1.1 200 OK\r\nSet-Cookie: " + b"x" * MEMO_BYTES + b"\r\n\r\n"
    assert answers.parse(answer) is not answers.parse(answer)


ANSWERS = st.builds(
    lambda line, fields: b"\r\n".join([line, *fields]) + b"\r\n\r\n",
    st.sampled_from([b"HTTP/1.1 200 OK", b"HTTP/1.1 204 No Content", b"HTTP/1.0 200 OK", b"HTTP/3.0 200 OK"]),
    st.lists(
        st.sampled_from([b"Content-Length: 5", b"Connection: close", b"Transfer-Encoding: chunked", b"X: y", b" z", b"bad", b"Date : now"]),
        max_size=4,
    ),
)


@given(st.lists(ANSWERS, max_size=8))
def test_a_memo_of_answers_answers_what_parsing_anew_does(blocks: list[bytes]) -> None:
    memo = ResponseHeadMemo(LIMITS)
    for block in [twice for one in blocks for twice in (one, one)]:
        assert meaning(memo.parse, block) == meaning(lambda b: parse_response_head(b, LIMITS), block)
        if memo.find(block + b"rest"):
            assert memo.find(block + b"rest") == len(block)
            assert meaning(lambda _: memo.head, block) == meaning(lambda b: parse_response_head(b, LIMITS), block)
            assert memo.find(block[:-1]) == 0
