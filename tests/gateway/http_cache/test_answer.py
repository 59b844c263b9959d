"""The fields of a hit."""

from scalability.gateway.http_cache.answer import answer_fields, not_modified_fields
from scalability.testing.messages import NOW, at, stored

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
