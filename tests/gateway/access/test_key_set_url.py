"""URLs of key sets."""

import pytest

from scalability.gateway.access.key_set_url import KeySetURL


@pytest.mark.parametrize(
    "text", ["https://issuer.example/keys", "http://127.0.0.1:8080/", "https://[::1]:1/k?a=b", "HTTPS://issuer.example"]
)
def test_a_url_is_taken_as_it_is(text: str) -> None:
    assert str(KeySetURL.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    ["", "issuer.example", "ftp://a/", "https://", "https:///x", "https://u:p@a/", "https://a:0/", "https://a:65536/", "https://a/#b"],
)
def test_what_is_no_url_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not https://"):
        KeySetURL.parse(text)


def test_plain_http_to_another_machine_is_known_as_such() -> None:
    plain = {"http://issuer.example/": True, "https://issuer.example/": False, "http://127.0.0.1/": False, "http://localhost:1/": False}
    assert {text: KeySetURL.parse(text).plain for text in plain} == plain


def test_a_query_is_not_told_to_logs_and_metrics() -> None:
    assert KeySetURL.parse("https://issuer.example/keys?token=secret").name == "https://issuer.example/keys"
