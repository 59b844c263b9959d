"""Body framing: every split of the input, every trick with chunks (docs/http_rules.md, rules 12 to 15 and 27)."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalability.errors import BadMessage
from scalability.http1.body import BodyReader, ChunkedBody, CloseBody, LengthBody, NoBody, request_body, response_body
from scalability.http1.limits import Limits
from scalability.http1.request_head import parse_request_head
from scalability.http1.response_head import parse_response_head

LIMITS = Limits()


def reader_of_request(*lines: bytes, limits: Limits = LIMITS) -> BodyReader:
    return request_body(parse_request_head(b"\r\n".join([b"POST / HTTP/1.1", b"Host: a", *lines]) + b"\r\n\r\n", LIMITS), limits)


def reader_of_answer(*lines: bytes, status: int = 200, method: bytes = b"GET") -> BodyReader:
    return response_body(parse_response_head(b"\r\n".join([b"HTTP/1.1 %d X" % status, *lines]) + b"\r\n\r\n", LIMITS), method, LIMITS)


def chunked(limits: Limits = LIMITS) -> ChunkedBody:
    return ChunkedBody(limits, limits.max_body_bytes)


def read(reader: BodyReader, *pieces: bytes) -> tuple[bytes, bytes]:
    """Feed ``pieces``; answer the whole payload and the whole rest."""
    payload = rest = b""
    for piece in pieces:
        assert not (rest and not reader.complete)
        more, after = reader.feed(piece)
        payload += more
        rest += after
    return payload, rest


def octets(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


def refusal(body: bytes, limits: Limits = LIMITS) -> BadMessage:
    """The error of ``body``, which must be the same whole and byte by byte."""
    with pytest.raises(BadMessage) as whole:
        read(chunked(limits), body)
    with pytest.raises(BadMessage) as split:
        read(chunked(limits), *octets(body))
    assert whole.value.status == split.value.status
    return whole.value


# Which reader


def test_a_request_without_framing_fields_has_no_body() -> None:
    reader = reader_of_request()
    assert isinstance(reader, NoBody)
    assert reader.complete
    assert reader.feed(b"GET") == (b"", b"GET")
    reader.eof()
    assert isinstance(reader_of_request(b"Content-Length: 0"), NoBody)


def test_framing_fields_choose_the_reader() -> None:
    assert isinstance(reader_of_request(b"Content-Length: 5"), LengthBody)
    assert isinstance(reader_of_request(b"Transfer-Encoding: chunked"), ChunkedBody)
    assert isinstance(reader_of_answer(b"Content-Length: 5"), LengthBody)
    assert isinstance(reader_of_answer(b"Content-Length: 0"), NoBody)
    assert isinstance(reader_of_answer(b"Transfer-Encoding: chunked"), ChunkedBody)
    assert isinstance(reader_of_answer(b"Transfer-Encoding: chunked", b"Content-Length: 5"), ChunkedBody)
    assert isinstance(reader_of_answer(), CloseBody)


@pytest.mark.parametrize("line", [b"X: y", b"Content-Length: 5", b"Transfer-Encoding: chunked"])
@pytest.mark.parametrize(("status", "method"), [(200, b"HEAD"), (500, b"HEAD"), (100, b"GET"), (103, b"GET"), (204, b"GET"), (304, b"GET")])
def test_rule_35_answers_to_head_and_1xx_204_304_have_no_body(line: bytes, status: int, method: bytes) -> None:
    reader = reader_of_answer(line, status=status, method=method)
    assert reader.complete
    assert reader.feed(b"HTTP/1.1") == (b"", b"HTTP/1.1")


# Content-Length


@pytest.mark.parametrize("cut", range(10))
def test_a_length_is_read_across_any_split_and_the_rest_returned(cut: int) -> None:
    data = b"helloGET /"
    reader = reader_of_request(b"Content-Length: 5")
    assert read(reader, data[:cut], data[cut:]) == (b"hello", b"GET /")
    assert reader.complete
    assert reader.reusable
    assert reader.trailers == ()
    reader.eof()


def test_a_length_in_one_piece_is_handed_through_without_a_copy() -> None:
    data = b"x" * 5000
    assert LengthBody(5000).feed(data)[0] is data


def test_a_length_cut_short_is_an_error() -> None:
    reader = reader_of_request(b"Content-Length: 5")
    assert read(reader, b"hell") == (b"hell", b"")
    assert not reader.complete
    with pytest.raises(BadMessage, match="1 bytes before"):
        reader.eof()


def test_rule_27_a_length_above_the_limit_is_413_before_any_of_it_is_read() -> None:
    limits = Limits(max_body_bytes=10)
    assert not reader_of_request(b"Content-Length: 10", limits=limits).complete
    with pytest.raises(BadMessage) as caught:
        reader_of_request(b"Content-Length: 11", limits=limits)
    assert (caught.value.status, caught.value.code) == (413, "body_too_large")


def test_answers_may_be_larger_than_requests_may() -> None:
    head = parse_response_head(b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n", LIMITS)
    assert not response_body(head, b"GET", Limits(max_body_bytes=10)).complete
    head = parse_response_head(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", LIMITS)
    assert response_body(head, b"GET", Limits(max_body_bytes=10)).feed(b"b\r\nhello world\r\n")[0] == b"hello world"


# Until the connection ends


def test_a_close_delimited_answer_is_complete_at_eof_and_its_connection_is_not_reusable() -> None:
    reader = reader_of_answer()
    assert read(reader, b"any", b"", b"thing") == (b"anything", b"")
    assert not reader.complete
    reader.eof()
    assert reader.complete
    assert not reader.reusable


# Chunks


BODY = b"5\r\nhello\r\n06;a=b\r\n world\r\nA\r\n0123456789\r\n0\r\n\r\n"


def test_chunks_are_decoded_whole() -> None:
    reader = chunked()
    assert read(reader, BODY + b"GET /") == (b"hello world0123456789", b"GET /")
    assert reader.complete
    assert reader.feed(b"more") == (b"", b"more")
    reader.eof()


@pytest.mark.parametrize("cut", range(len(BODY) + 1))
def test_chunks_are_decoded_at_every_split(cut: int) -> None:
    reader = chunked()
    assert read(reader, BODY[:cut], BODY[cut:]) == (b"hello world0123456789", b"")
    assert reader.complete


def test_chunks_are_decoded_byte_by_byte() -> None:
    reader = chunked()
    assert read(reader, *octets(BODY + b"GET")) == (b"hello world0123456789", b"GET")


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=6), st.lists(st.integers(0, 400), max_size=8), st.booleans())
def test_any_chunks_at_any_splits_give_the_same_payload(chunks: list[bytes], cuts: list[int], trailers: bool) -> None:
    body = b"".join(b"%X\r\n%b\r\n" % (len(c), c) for c in chunks) + (b"0\r\nA: b\r\n\r\n" if trailers else b"0\r\n\r\n") + b"NEXT"
    edges = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    reader = chunked()
    assert read(reader, *[body[a:b] for a, b in itertools.pairwise(edges)]) == (b"".join(chunks), b"NEXT")
    assert reader.trailers == (((b"A", b"b"),) if trailers else ())


def test_payload_is_handed_on_before_its_chunk_is_complete() -> None:
    reader = chunked()
    assert reader.feed(b"5\r\nhel") == (b"hel", b"")
    assert reader.feed(b"lo\r") == (b"lo", b"")
    assert reader.feed(b"\n0\r\n\r") == (b"", b"")
    assert not reader.complete
    assert reader.feed(b"\n") == (b"", b"")
    assert reader.complete


@pytest.mark.parametrize("cut", range(len(BODY)))
def test_chunks_cut_short_are_an_error(cut: int) -> None:
    reader = chunked()
    reader.feed(BODY[:cut])
    with pytest.raises(BadMessage, match="ended before the last chunk"):
        reader.eof()


@pytest.mark.parametrize(
    "size",
    [
        b"+5", b"-5", b"0x5", b"5_0", b" 5", b"5 ", b"5\t", b"5 ;a", b"", b"g", b"5.", b"5,5", b"\xb2", b"\x005", b"5\x00", b"5\x0b",
        b"5h", b";a", b"00000000000000005", b"10000000000000000", b"fffffffffffffffff", b"5\n", b"\n5", b"5;\x00", b"5;a\nb", b"5;a\rb",
    ],
)  # fmt: skip
def test_rule_12_chunk_sizes_are_hexadecimal_digits_and_nothing_else(size: bytes) -> None:
    assert refusal(size + b"\r\nhello\r\n0\r\n\r\n").status == 400


@pytest.mark.parametrize("size", [b"5", b"05", b"0000000000000005"])
def test_rule_12_up_to_16_digits_in_either_case_are_read(size: bytes) -> None:
    assert read(chunked(), size + b"\r\nhello\r\n0\r\n\r\n")[0] == b"hello"
    assert read(chunked(), b"a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n")[0] == b"0123456789" * 2


@pytest.mark.parametrize("end", [b"\n", b"\r", b"", b"\n\n", b" \r\n", b"x\r\n", b"\n\r", b"\r\r\n"])
def test_rule_13_chunk_data_is_followed_by_exactly_crlf(end: bytes) -> None:
    assert refusal(b"5\r\nhello" + end + b"0\r\n\r\nxx").status == 400


@pytest.mark.parametrize("end", [b"\n", b"\r\r\n", b"\rx"])
def test_rule_13_a_chunk_line_ends_with_exactly_crlf(end: bytes) -> None:
    assert refusal(b"5" + end + b"hello\r\n0\r\n\r\n").status == 400


def test_rule_13_the_last_chunk_counts_as_one_only_with_crlf() -> None:
    assert refusal(b"0\n\r\n").status == 400
    assert refusal(b"0\r\n\n\r\n\r\n").status == 400


@pytest.mark.parametrize("extension", [b";", b";a", b";a=b", b'; a = "b c"', b";a;b=c", b";\xc3\xa9"])
def test_rule_14_chunk_extensions_are_dropped(extension: bytes) -> None:
    body = b"5" + extension + b"\r\nhello\r\n0" + extension + b"\r\n\r\n"
    assert read(chunked(), body) == (b"hello", b"")
    assert read(chunked(), *octets(body)) == (b"hello", b"")


def test_rule_14_a_chunk_line_is_limited() -> None:
    limits = Limits(max_chunk_line_bytes=20)
    assert read(chunked(limits), b"5;" + b"a" * 16 + b"\r\nhello\r\n0\r\n\r\n")[0] == b"hello"
    assert refusal(b"5;" + b"a" * 17 + b"\r\nhello\r\n0\r\n\r\n", limits).status == 400
    reader = chunked()
    reader.feed(b"5;" + b"a" * 4093)
    with pytest.raises(BadMessage):
        reader.feed(b"aa")


def test_rule_14_extensions_cannot_outweigh_the_data_by_far() -> None:
    reader = chunked()
    chunk = b"1;" + b"a" * 1000 + b"\r\nx\r\n"
    with pytest.raises(BadMessage, match="far more"):
        read(reader, *[chunk] * 20)
    honest = b"400;" + b"a" * 1000 + b"\r\n" + b"x" * 1024 + b"\r\n"
    assert len(read(chunked(), *[honest] * 100)[0]) == 102400


def test_many_small_chunks_are_no_crime() -> None:
    assert len(read(chunked(), b"1\r\nx\r\n" * 20000)[0]) == 20000


def test_rule_27_chunks_above_the_limit_are_413_when_announced() -> None:
    limits = Limits(max_body_bytes=10)
    assert read(chunked(limits), b"5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n")[0] == b"helloworld"
    assert refusal(b"5\r\nhello\r\n6\r\nworld!\r\n0\r\n\r\n", limits).status == 413
    assert refusal(b"ffffffffffffffff\r\n", limits).code == "body_too_large"


TRAILERS = b"0\r\nChecksum: abc\r\nX: y\r\n\r\n"


@pytest.mark.parametrize("cut", range(len(TRAILERS) + 1))
def test_rule_15_trailers_are_read_at_every_split(cut: int) -> None:
    reader = chunked()
    assert read(reader, TRAILERS[:cut], TRAILERS[cut:], b"GET") == (b"", b"GET")
    assert reader.trailers == ((b"Checksum", b"abc"), (b"X", b"y"))


@pytest.mark.parametrize(
    "trailers",
    [b"A: b\n\r\n\r\n", b"A : b\r\n\r\n", b" A: b\r\n\r\n", b"A: b\r\n c\r\n\r\n", b"A\r\n\r\n", b"A: \x00\r\n\r\n", b"A: b\rc\r\n\r\n"],
)
def test_rule_15_trailers_are_as_strict_as_heads(trailers: bytes) -> None:
    assert refusal(b"0\r\n" + trailers).status == 400


def test_rule_15_the_trailer_section_is_limited_whether_or_not_it_ends() -> None:
    limits = Limits(max_trailer_bytes=16)
    assert read(chunked(limits), b"0\r\nA: bcdefghij\r\n\r\n")[1] == b""
    assert refusal(b"0\r\nA: bcdefghijk\r\n\r\n", limits).status == 431
    assert refusal(b"0\r\nA: bcdefghijklmnopq", limits).status == 431
    assert refusal(b"0\r\n" + b"A: b\r\n" * 101 + b"\r\n").status == 431


def test_readers_keep_no_payload() -> None:
    reader = chunked()
    reader.feed(b"100000\r\n" + b"x" * 65536)
    assert len(reader._held) == 0
    reader.feed(b"x" * (0x100000 - 65536) + b"\r\n12")
    assert len(reader._held) == len(b"12")


def test_feeding_nothing_changes_nothing() -> None:
    reader = chunked()
    assert read(reader, b"", b"5\r\n", b"", b"he", b"", b"llo", b"", b"\r\n0\r\n", b"", b"\r\n", b"") == (b"hello", b"")
    assert reader.complete


def test_whoever_wants_the_body_may_take_less_of_it_than_the_reader_would() -> None:
    reader = chunked()
    assert isinstance(reader, ChunkedBody)
    assert read(reader, b"5\r\nhello\r\n") == (b"hello", b"")
    reader.limit(8)
    reader.limit(1000)
    reader.feed(b"3\r\n")
    with pytest.raises(BadMessage, match="larger than 8 bytes") as caught:
        reader.feed(b"abc\r\n1\r\n")
    assert caught.value.status == 413
    with pytest.raises(BadMessage, match="larger than 7 bytes"):
        reader.limit(7)
