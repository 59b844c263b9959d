"""The heads that tests of http1 make from lines."""

import pytest

from scalability.testing.heads import refused, refused_answer, request, response


def test_heads_are_made_of_their_lines() -> None:
    assert request(b"A: b").fields == ((b"Host", b"a"), (b"A", b"b"))
    assert request(start=b"GET / HTTP/1.0", host=False).fields == ()
    assert response(b"A: b").fields == ((b"A", b"b"),)


def test_what_is_refused_is_known_by_its_status_or_its_words_and_what_is_not_fails_the_test() -> None:
    assert refused(host=False) == 400
    assert refused_answer(start=b"hello") == "The status line is malformed."
    with pytest.raises(pytest.fail.Exception):
        refused()
    with pytest.raises(pytest.fail.Exception):
        refused_answer()
