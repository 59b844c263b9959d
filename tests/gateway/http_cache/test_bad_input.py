"""Fields that nobody should send, in answers and in requests: each is answered, and the cache goes on."""

from collections.abc import Iterator

import pytest

from scalability.testing.cache_case import CacheCase

LIVES = "Cache-Control: max-age=100"

ANSWERS = [
    "Age: " + "9" * 5000,
    "Date: x",
    "Date: Fri, 31 Dec 9999 23:59:59 GMT",
    "Date: Mon, 01 Jan 0001 00:00:00 GMT",
    "Expires: \x80\xff",
    "Last-Modified: Mon, 99 Foo 0000 99:99:99 GMT",
    "Cache-Control: " + "," * 9000,
    "Cache-Control: max-age=5, no-store, public, private",
    'Cache-Control: private="',
    "CDN-Cache-Control: " + "a;" * 3000,
    "Vary: ,,,",
    "Vary: \x80",
    'ETag: "',
    'ETag: "a", "b"',
    "Content-Range: bytes 0-4/*",
    "Location: http://[",
    "Content-Location: http://x:99999999/",
]
REQUESTS = [
    "Cache-Control: max-age=x",
    'Cache-Control: "',
    'If-None-Match: "',
    "If-None-Match: " + '"x",' * 2000,
    "If-Modified-Since: \xff",
    "Range: bytes=",
    "Range: bytes=" + "0-1," * 2000,
    "Range: bytes=99999999999999999999999-",
    "If-Range: ",
    "Pragma: ,,",
    "X-A: " + "a," * 3000,
]


class Playing(CacheCase):
    def runTest(self) -> None:  # noqa: N802 - unittest's name
        """Nothing: the tests below play."""


@pytest.fixture
def playing() -> Iterator[Playing]:
    case = Playing()
    case.setUp()
    yield case
    case.tearDown()


@pytest.mark.parametrize("line", ANSWERS, ids=range(len(ANSWERS)))
def test_an_answer_with_a_malformed_field_is_passed_on(playing: Playing, line: str) -> None:
    for method in ("GET", "GET", "HEAD", "POST"):
        asked = len(playing.origin.asked)
        client = playing.ask(*(["Content-Length: 0"] if method == "POST" else []), method=method)
        if len(playing.origin.asked) > asked:
            playing.origin.answer(line, LIVES, body=b"" if method == "HEAD" else b"hello")
        assert playing.got(client).startswith("HTTP/1.1 200 ")


@pytest.mark.parametrize("line", REQUESTS, ids=range(len(REQUESTS)))
def test_a_request_with_a_malformed_field_is_answered(playing: Playing, line: str) -> None:
    playing.stored(LIVES, 'ETag: "a"', "Vary: X-A")
    client = playing.ask(line)
    if playing.origin.asked:
        playing.origin.answer(LIVES, playing.date())
    assert playing.got(client)[9:12] in ("200", "206", "416")


def test_what_an_authorized_client_has_validated_behind_is_not_for_others(playing: Playing) -> None:
    playing.stored("Cache-Control: max-age=10, stale-while-revalidate=100", 'ETag: "a"')
    playing.network.advance(20.0)
    assert "; hit" in playing.got(playing.ask("Authorization: bob"))
    playing.origin.answer(LIVES, playing.date(), body=b"bob's")
    assert "bob's" not in playing.got(playing.ask())
