"""RFC 9110 section 8.8."""

import pytest

from scalability.gateway.transform.entity_tags import Condition, encoded_tag


@pytest.mark.parametrize(
    ("tag", "encoded"),
    [
        (b'"v1"', b'W/"v1-gzip"'),
        (b'W/"v1"', b'W/"v1-gzip"'),
        (b'""', b'W/"-gzip"'),
        (b"v1", None),
        (b'"a"b"', None),
        (b'w/"v1"', None),
    ],
)
def test_the_encoded_body_has_a_weak_tag_of_its_own(tag: bytes, encoded: bytes | None) -> None:
    assert encoded_tag(tag, b"gzip") == encoded


def test_our_tags_are_asked_for_as_what_they_stand_for() -> None:
    condition = Condition([b'W/"v1-gzip", "other"', b'W/"v2-br"'], b"gzip")
    assert condition
    assert condition.value == b'W/"v1-gzip", "other", W/"v2-br", "v1", W/"v1"'
    assert condition.restore(b'"v1"') == b'W/"v1-gzip"'
    assert condition.restore(b'"other"') == b'"other"'
    assert condition.restore(b'"v2"') == b'"v2"'


def test_a_tag_of_another_coding_than_the_one_to_be_sent_is_not_ours() -> None:
    # a 304 would name a body that the client may not have
    assert not Condition([b'W/"v1-br"'], b"gzip")
    assert not Condition([b'"v1-gzip"'], b"gzip")
    assert not Condition([b"*"], b"gzip")
    assert not Condition([], b"gzip")


def test_a_tag_of_the_server_that_only_looks_like_ours_is_still_asked_for() -> None:
    condition = Condition([b'W/"v1-gzip"'], b"gzip")
    assert condition.value.startswith(b'W/"v1-gzip", ')
    assert condition.restore(b'W/"v1-gzip"') == b'W/"v1-gzip"'


@pytest.mark.parametrize("value", [b'W/"a-gzip" junk, "b"', b'"' * 50_000, b", " * 50_000, b'W/"' + b"x" * 50_000])
def test_malformed_lists_are_read_in_linear_time(value: bytes) -> None:
    Condition([value], b"gzip")
