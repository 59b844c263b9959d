"""Heads and stored answers for the cache's tests."""

from scalability.testing.messages import NOW, at, request, response, stored


def test_heads_have_the_lines_given_and_a_date() -> None:
    assert request(b"A: b", method=b"HEAD", target=b"/x").get(b"a") == b"b"
    assert response(b"A: b").get(b"date") == at(0) == b"Sun, 09 Sep 2001 01:46:40 GMT"
    assert response(b"Date: x").get_all(b"date") == [b"x"]
    assert response(dated=False).get(b"date") is None


def test_a_stored_answer_is_fresh_from_now() -> None:
    answer = stored(b"Cache-Control: max-age=10", body=b"x", must_validate=True)
    assert answer.fresh_until_s == NOW + 10
    assert answer.must_validate
