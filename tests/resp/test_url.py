"""redis:// URLs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalability.config import Address
from scalability.resp.url import RedisURL


def test_a_url_says_where_and_how() -> None:
    assert RedisURL.parse("redis://valkey") == RedisURL((Address("valkey", 6379),))
    assert RedisURL.parse("redis://127.0.0.1:6380/2") == RedisURL((Address("127.0.0.1", 6380),), database=2)
    assert RedisURL.parse("rediss://a:1,[::1]:2,c/0?ca=/etc/ca.pem") == RedisURL(
        (Address("a", 1), Address("::1", 2), Address("c", 6379)), tls=True, ca="/etc/ca.pem"
    )
    assert RedisURL.parse("redis://:p%40ss%2F@a:1") == RedisURL((Address("a", 1),), password="p@ss/")
    assert RedisURL.parse("redis://me:pw@a:1/") == RedisURL((Address("a", 1),), user="me", password="pw")
    assert RedisURL.parse("redis://me:@a:1?password_file=f%20g") == RedisURL((Address("a", 1),), user="me", password_file="f g")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("redis:/a", "write redis://"),
        ("http://a", "write redis://"),
        ("redis://", "not HOST:PORT"),
        ("redis://:6379", "not HOST:PORT"),
        ("redis://a:0", "not HOST:PORT"),
        ("redis://a:99999", "not HOST:PORT"),
        ("redis://a,,b", "not HOST:PORT"),
        ("redis://::1:6379", "not HOST:PORT"),
        ("redis://a/x", "the database"),
        ("redis://a/-1", "the database"),
        ("redis://a/99999", "the database"),
        ("redis://a/1/2", "the database"),
        ("redis://me@a", "without a password"),
        ("redis://:pw@a?password_file=f", "two passwords"),
        ("redis://a?ca=f", "rediss://"),
        ("rediss://a?ca=", "ca= names one file"),
        ("rediss://a?ca=a&ca=b", "ca= names one file"),
        ("redis://a?db=1", "question mark"),
    ],
)
def test_a_malformed_url_is_told_why(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        RedisURL.parse(text)


@pytest.mark.parametrize(
    "text", ["redis://:hunter2@", "redis://hunter2@a", "redis://:hunter2@a/x", "x://:hunter2@a", "redis://u:hunter2@a?b"]
)
def test_no_error_tells_a_password(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        RedisURL.parse(text)
    assert "hunter2" not in str(caught.value)


def test_a_url_is_shown_without_its_password() -> None:
    url = RedisURL.parse("rediss://me:hunter2@a:1,b:2/3?ca=f")
    assert str(url) == "rediss://me:***@a:1,b:2/3?ca=f"
    assert "hunter2" not in repr(url)


@given(st.text(max_size=40))
def test_any_text_is_a_url_or_a_value_error(text: str) -> None:
    for scheme in ("redis://", ""):
        try:
            url = RedisURL.parse(scheme + text)
        except ValueError:
            continue
        if url.password is None:
            assert RedisURL.parse(str(url)).servers == url.servers
