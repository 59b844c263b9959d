"""Answers from the cache."""

import pytest

from scalability.gateway.http_cache.answer import answer_fields, made, not_modified_fields
from scalability.gateway.http_cache.ranges import MAX_MULTIPART_BYTES
from scalability.testing.messages import NOW, at, request, stored

FRESH = b"Cache-Control: max-age=100"


def test_rfc9111_4_a_hit_has_age_and_replaces_one_that_was_there() -> None:
    """A cache MUST generate an Age header field, replacing any present in the response with a value equal to the current_age."""
    fields = answer_fields(stored(FRESH, b"Age: 7", b"Age: 8"), NOW + 2.9)
    assert [value for name, value in fields if name.lower() == b"age"] == [b"9"]


def test_all_other_fields_are_as_received() -> None:
    lines = [FRESH, b"Foo: 1", b"foo: 2", b"X-Unknown: \xe9", b"Cache-Status: upstream; hit", b"Warning: 110 x y"]
    fields = answer_fields(stored(*lines), NOW)
    assert [b"%b: %b" % field for field in fields] == [b"Date: " + at(0), *lines, b"Age: 0"]


def test_rfc9111_5_2_2_4_fields_listed_by_no_cache_are_excluded_unless_validated() -> None:
    """A cache MAY use the response to satisfy a subsequent request, if the listed header fields are excluded from it, or validated."""
    answer = stored(FRESH + b', no-cache="Foo, bar"', b"Foo: 1", b"BAR: 2", b"Baz: 3")
    assert {name for name, _ in answer_fields(answer, NOW)} == {b"Date", b"Cache-Control", b"Baz", b"Age"}
    assert {b"Foo", b"BAR"} < {name for name, _ in answer_fields(answer, NOW, validated=True)}


def test_rfc9110_15_4_5_a_304_has_the_fields_that_guide_caches() -> None:
    """A 304 MUST have Content-Location, Date, ETag, Vary, Cache-Control and Expires, if a 200 would have had them."""
    lines = [FRESH, b"Content-Location: /x", b'ETag: "a"', b"Vary: Accept", b"Expires: " + at(9), b"Last-Modified: " + at(-9)]
    fields = not_modified_fields(stored(*lines, b"Content-Type: text/plain", b"Content-Encoding: gzip", b"Content-Length: 0"), NOW)
    assert [b"%b: %b" % field for field in fields] == [b"Date: " + at(0), *lines, b"Age: 0"]


BODY = b"0123456789"


def test_a_hit_is_the_stored_answer() -> None:
    answer = made(stored(FRESH, status=404, body=BODY), request(), NOW)
    assert (answer.status, answer.body) == (404, BODY)


def test_rfc9110_13_1_2_a_false_if_none_match_is_304() -> None:
    """If the condition is false, the server MUST respond with 304 (Not Modified) if the request method is GET or HEAD."""
    for method in (b"GET", b"HEAD"):
        answer = made(stored(FRESH, b'ETag: "a"', body=BODY), request(b'If-None-Match: "a"', method=method), NOW)
        assert (answer.status, answer.reason, answer.body) == (304, b"Not Modified", b"")


def test_rfc9110_13_2_2_preconditions_go_before_range() -> None:
    answer = stored(FRESH, b'ETag: "a"', body=BODY)
    lines = [b"Range: bytes=0-1", b'If-Range: "a"']
    assert made(answer, request(b'If-None-Match: "a"', *lines), NOW).status == 304
    assert made(answer, request(b'If-None-Match: "b"', *lines), NOW).status == 206


def test_rfc9110_15_3_7_1_a_single_part_has_content_range() -> None:
    """If a single part is being transferred, the server generating the 206 MUST generate a Content-Range header field."""
    answer = made(stored(FRESH, b"Content-Type: a/b", body=BODY), request(b"Range: bytes=2-4"), NOW)
    assert (answer.status, answer.reason, answer.body) == (206, b"Partial Content", b"234")
    assert answer.fields[-1] == (b"Content-Range", b"bytes 2-4/10")
    assert (b"Content-Type", b"a/b") in answer.fields


def test_rfc9110_15_3_7_2_several_parts_are_a_multipart_without_content_range() -> None:
    """A server MUST NOT generate a Content-Range header field in the HTTP header section of a multiple part response."""
    answer = made(stored(FRESH, b"Content-Type: a/b", body=BODY), request(b"Range: bytes=0-1,8-"), NOW)
    names = [name.lower() for name, _ in answer.fields]
    assert b"content-range" not in names
    assert names.count(b"content-type") == 1
    assert answer.fields[-1][1].startswith(b"multipart/byteranges; boundary=")
    assert bytes(answer.body).count(b"Content-Range: bytes") == 2


def test_rfc9110_15_3_7_2_one_range_is_no_multipart() -> None:
    """A server MUST NOT generate a multipart response to a request for a single range."""
    for line in (b"bytes=2-4", b"bytes=2-4,90-"):
        answer = made(stored(FRESH, body=BODY), request(b"Range: " + line), NOW)
        assert (answer.body, answer.fields[-1]) == (b"234", (b"Content-Range", b"bytes 2-4/10"))


def test_rfc9110_15_3_7_2_parts_come_in_the_order_asked_for() -> None:
    """A server SHOULD send the parts in the same order that the corresponding range-spec appeared in the received Range."""
    body = bytes(made(stored(FRESH, body=BODY), request(b"Range: bytes=8-9,0-1"), NOW).body)
    assert body.index(b"bytes 8-9/10") < body.index(b"bytes 0-1/10")


def test_rfc9110_15_3_7_a_206_has_the_fields_of_the_200() -> None:
    """The server MUST generate Date, Cache-Control, ETag, Expires, Content-Location and Vary; all others too without If-Range."""
    needed = [FRESH, b'ETag: "a"', b"Expires: " + at(9), b"Content-Location: /x", b"Vary: X"]
    answer = stored(*needed, b"Content-Type: a/b", b"Foo: 1", body=BODY)
    names = {name.lower() for name, _ in made(answer, request(b"Range: bytes=0-1"), NOW).fields}
    assert {b"date", b"cache-control", b"etag", b"expires", b"content-location", b"vary", b"content-type", b"foo", b"age"} < names


def test_rfc9110_15_3_7_after_if_range_only_what_is_required() -> None:
    """If a 206 is generated in response to a request with If-Range, the sender SHOULD NOT generate other representation fields."""
    answer = stored(FRESH, b'ETag: "a"', b"Content-Type: a/b", b"Last-Modified: " + at(-9), body=BODY)
    names = {name.lower() for name, _ in made(answer, request(b"Range: bytes=0-1", b'If-Range: "a"'), NOW).fields}
    assert names == {b"date", b"cache-control", b"etag", b"age", b"content-range"}


def test_rfc9110_15_5_17_a_416_tells_the_length() -> None:
    """A server that generates a 416 response to a byte-range request SHOULD generate a Content-Range with the current length."""
    answer = made(stored(FRESH, b"Content-Type: a/b", body=BODY), request(b"Range: bytes=10-"), NOW)
    assert (answer.status, answer.body, answer.fields[-1]) == (416, b"", (b"Content-Range", b"bytes */10"))
    assert b"Content-Type" not in dict(answer.fields)


def test_rfc9111_3_3_a_part_is_sent_as_206_only() -> None:
    """A cache MUST NOT send a partial response to a client without explicitly marking it using the 206 (Partial Content) status code."""
    part = stored(FRESH, b'ETag: "a"', b"Content-Range: bytes 2-5/10", status=206, body=b"2345")
    answer = made(part, request(b"Range: bytes=3-4"), NOW)
    assert (answer.status, answer.body) == (206, b"34")
    assert [value for name, value in answer.fields if name.lower() == b"content-range"] == [b"bytes 3-4/10"]
    with pytest.raises(AssertionError):
        made(part, request(), NOW)


def test_several_ranges_that_are_large_together_are_answered_with_the_whole() -> None:
    large = b"x" * (MAX_MULTIPART_BYTES + 100)
    answer = made(stored(FRESH, body=large), request(b"Range: bytes=0-9,20-%d" % (len(large) - 1)), NOW)
    assert (answer.status, answer.body) == (200, large)
    assert made(stored(FRESH, body=large), request(b"Range: bytes=0-9,20-29"), NOW).status == 206
