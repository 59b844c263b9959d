"""The URL of a dependency, right and wrong."""

import pytest

from scalability.config.url import ServiceURL


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("http://127.0.0.1:5004", "127.0.0.1", 5004),
        ("http://cache:5004/", "cache", 5004),
        ("http://cache", "cache", 80),
        ("HTTP://cache:1", "cache", 1),
        ("http://[::1]:5004", "::1", 5004),
        ("http://[::1]", "::1", 80),
        ("http://[fe80::12]/", "fe80::12", 80),
    ],
)
def test_a_url_names_an_address(text: str, host: str, port: int) -> None:
    assert ServiceURL.parse(text).address == (host, port)


def test_a_url_is_written_as_it_is_read() -> None:
    assert str(ServiceURL.parse("http://cache:5004")) == "http://cache:5004"
    assert str(ServiceURL.parse("http://[::1]")) == "http://[::1]:80"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is not an http:// URL"),
        ("127.0.0.1:5004", "is not an http:// URL"),
        ("https://a:1", "is not an http:// URL"),
        ("redis://a:1", "is not an http:// URL"),
        ("http:/a:1", "is not an http:// URL"),
        ("http://", "and nothing more"),
        ("http:///", "and nothing more"),
        ("http://a:1/path", "and nothing more"),
        ("http://a:1//", "and nothing more"),
        ("http://a:1?x", "and nothing more"),
        ("http://a:1?", "and nothing more"),
        ("http://a:1#x", "and nothing more"),
        ("http://user:secret@a:1", "and nothing more"),
        ("http://a:0", "write http://HOST:PORT"),
        ("http://:80", "write http://HOST:PORT"),
        ("http://a:", "the port '' is not a number"),
        ("http://a:x", "the port 'x' is not a number"),
        ("http://a:65536", "is above 65535"),
        ("http://::1", "in brackets"),
        ("http://[::1", "in brackets"),
        ("http://a b", "is not HOST:PORT"),
        ("http://a\nb", "is not HOST:PORT"),
    ],
)
def test_what_is_no_url_of_a_service_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(ValueError) as caught:
        ServiceURL.parse(text)
    assert why in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
