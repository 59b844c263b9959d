"""The value that the cache keeps."""

from dataclasses import replace

from scalability.gateway.http_cache.stored import StoredAnswer
from scalability.testing.messages import NOW, stored


def test_it_ages_from_when_it_came_and_is_fresh_until_its_lifetime_is_over() -> None:
    answer = stored(b"Cache-Control: max-age=10", b"Age: 4")
    assert answer.fresh_until_s == NOW + 6
    assert answer.age_s(NOW + 5) == 9
    assert replace(answer, lifetime_s=20).fresh_until_s == NOW + 16


def test_a_clock_that_is_set_back_makes_nothing_younger() -> None:
    assert stored(b"Cache-Control: max-age=10", b"Age: 4").age_s(NOW - 100) == 4


def test_fields_are_found_by_lower_case_names() -> None:
    answer = stored(b"Cache-Control: max-age=10", b"X-A: 1", b"x-a: 2")
    assert answer.get(b"x-a") == b"1"
    assert answer.get_all(b"x-a") == [b"1", b"2"]
    assert answer.get(b"y") is None
    assert answer.get_all(b"y") == []


def test_its_size_grows_with_all_that_it_holds() -> None:
    small = StoredAnswer(200, b"OK", (), b"")
    assert replace(small, body=b"x" * 1000).size_bytes == small.size_bytes + 1000
    assert replace(small, fields=((b"a", b"b" * 500),)).size_bytes > small.size_bytes + 500
    assert replace(small, vary=(b"a",), selecting=(b"x" * 300,)).size_bytes >= small.size_bytes + 300
    assert replace(small, tags=frozenset([b"t" * 300])).size_bytes >= small.size_bytes + 300


def test_a_validator_is_an_entity_tag_or_a_date() -> None:
    assert not StoredAnswer(200, b"OK", (), b"").validators
    assert StoredAnswer(200, b"OK", (), b"", etag=b'"a"').validators
    assert StoredAnswer(200, b"OK", (), b"", last_modified_s=0).validators
