"""Field lines, rule by rule (docs/http_rules.md), then the corpus of known smuggling tricks."""

import pytest

from scalability.errors import BadMessage
from scalability.http1.fields import parse_trailer_fields
from scalability.http1.limits import Limits
from scalability.http1.request_head import parse_request_head
from scalability.http1.response_head import parse_response_head
from scalability.testing.heads import LIMITS, refused, refused_answer, request, response


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


def test_options_of_several_connection_lines_are_joined_without_their_case() -> None:
    head = request(b"Connection: Keep-Alive", b"Connection: X-One ,\tx-Two,,", b"Connection:")
    assert head.connection_options == {b"keep-alive", b"x-one", b"x-two"}


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


@pytest.mark.parametrize(
    "line",
    [b"A: b\rc", b"A: \rb", b"A\r: b", b"\rA: b", b"A: b\r", b"A: b\r\r\nB: c", b"A: b\rTransfer-Encoding: chunked"],
)
def test_rule_19_a_bare_carriage_return_is_refused(line: bytes) -> None:
    assert refused(line) == 400
    refused_answer(line)


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


def test_rule_27_too_many_fields_are_431() -> None:
    assert len(request(*[b"A: b"] * 99).fields) == 100
    assert refused(*[b"A: b"] * 100) == 431
    refused_answer(*[b"A: b"] * 101)
    with pytest.raises(BadMessage) as caught:
        parse_trailer_fields(b"A: b\r\n" * 101, LIMITS)
    assert caught.value.status == 431


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
