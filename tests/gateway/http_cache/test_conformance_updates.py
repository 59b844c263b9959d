"""What a 304, a HEAD, an unsafe request and a part make of a stored answer: tables of cases, each played on the whole cache."""

from collections.abc import Iterator

import pytest

from scalability.gateway.http_cache.statuses import NEVER_STORED
from scalability.testing.cache_case import CacheCase

ETAG = 'ETag: "a"'
LIVES = "Cache-Control: max-age=100"
NOT_MODIFIED = "304 Not Modified"

# field, value stored, value of the update, whether it is taken over (RFC 9111 section 3.2)
FIELDS = [
    ("X-Unknown", "1", "2", True),
    ("Content-Type", "text/plain", "text/html", True),
    ("Content-Language", "en", "de", True),
    ("Content-Location", "/a/1", "/a/2", True),
    ("Content-Security-Policy", "default-src 'self'", "default-src 'none'", True),
    ("Expires", "Thu, 01 Jan 1970 00:00:00 GMT", "Fri, 02 Jan 1970 00:00:00 GMT", True),
    ("Last-Modified", "Thu, 01 Jan 1970 00:00:00 GMT", "Fri, 02 Jan 1970 00:00:00 GMT", True),
    ("Link", "</1>; rel=next", "</2>; rel=next", True),
    ("Server", "one", "two", True),
    ("Access-Control-Allow-Origin", "https://a.example", "https://b.example", True),
    ("Content-Encoding", "gzip", "br", False),
    ("Content-Range", "bytes 0-4/5", "bytes 0-4/6", False),
]
HOP_BY_HOP = ["Connection: x-hop", "X-Hop: 1", "Keep-Alive: timeout=5", "Proxy-Authenticate: Basic", "Proxy-Authentication-Info: a=b"]


class Playing(CacheCase):
    def runTest(self) -> None:  # noqa: N802 - unittest's name
        """Nothing: the tests below play."""

    def keep(self, *lines: str, request: tuple[str, ...] = ()) -> None:
        self.stored(*lines, request=request)

    def is_hit(self, *lines: str, target: str = "/a") -> bool:
        """Whether it is answered without a word to the origin."""
        asked = len(self.origin.asked)
        client = self.ask(*lines, target=target)
        if len(self.origin.asked) > asked:
            client.reset()
            return False
        return "; hit" in self.got(client)


@pytest.fixture
def playing() -> Iterator[Playing]:
    case = Playing()
    case.setUp()
    yield case
    case.tearDown()


STATUSES = [status for status in range(200, 600) if status not in NEVER_STORED and status not in (206, 304)]
"""Those that RFC 6585 forbids, and parts, need more than a lifetime."""


@pytest.mark.parametrize("status", STATUSES)
def test_a_stated_lifetime_counts_for_every_status(playing: Playing, status: int) -> None:
    playing.ask()
    playing.origin.answer(LIVES, playing.date(), status=f"{status} X", body=b"" if status in (204, 205) else b"hello")
    assert playing.is_hit()


@pytest.mark.parametrize(("name", "old", "new", "taken"), FIELDS, ids=[field[0] for field in FIELDS])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_an_update_replaces(playing: Playing, name: str, old: str, new: str, taken: bool, method: str) -> None:
    playing.keep(LIVES, ETAG, f"{name}: {old}")
    playing.ask("Cache-Control: no-cache", method=method)
    if method == "GET":
        playing.origin.answer(LIVES, ETAG, playing.date(), f"{name}: {new}", status=NOT_MODIFIED, body=b"")
    else:
        lines = (LIVES, ETAG, playing.date(), f"{name}: {new}", "Content-Length: 5")
        playing.origin.asked[-1].reply(200, ("HTTP/1.1 200 OK\r\n" + "\r\n".join(lines) + "\r\n\r\n").encode(), keep_alive=True)
    if method == "HEAD" and name == "Last-Modified":  # it contradicts what is stored (section 4.3.5)
        assert not playing.is_hit()
        return
    said = playing.got(playing.ask())
    assert "; hit" in said
    assert (f"\r\n{name}: {new}\r\n" in said) is taken, said
    assert (f"\r\n{name}: {old}\r\n" in said) is not taken, said
    assert said.count(f"\r\n{name}: ") == 1


def test_an_update_brings_no_hop_by_hop_fields(playing: Playing) -> None:
    playing.keep(LIVES, ETAG, *HOP_BY_HOP)
    playing.ask("Cache-Control: no-cache")
    playing.origin.answer(LIVES, ETAG, playing.date(), *HOP_BY_HOP, "Content-Length: 77", status=NOT_MODIFIED, body=b"")
    said = playing.got(playing.ask())
    assert "; hit" in said
    assert "Content-Length: 5\r\n" in said
    for line in HOP_BY_HOP:
        assert line.lower() not in said.lower()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("asks", "says", "taken"),
    [
        ("Authorization: bob", LIVES, False),
        ("Authorization: bob", LIVES + ", public", True),
        ("Authorization: bob", "Cache-Control: s-maxage=100", True),
        ("Authorization: bob", LIVES + ", must-revalidate", True),
        ("Cache-Control: no-store", LIVES, False),
        ("X-Nothing: 1", LIVES, True),
    ],
)
def test_what_may_not_be_stored_updates_nothing(playing: Playing, method: str, asks: str, says: str, taken: bool) -> None:
    """RFC 9111 sections 3.5 and 5.2.1.5: the fields of an answer are a part of it."""
    playing.keep("Cache-Control: max-age=10", ETAG)
    playing.network.advance(20.0)
    client = playing.ask(asks, method=method)
    playing.origin.answer(says, ETAG, playing.date(), "X-User: bob", status=NOT_MODIFIED, body=b"")
    assert "X-User: bob" in playing.got(client)
    assert playing.is_hit() is taken
    if not taken:
        other = playing.ask()
        playing.origin.answer(LIVES, ETAG, playing.date(), status=NOT_MODIFIED, body=b"")
        assert "bob" not in playing.got(other)


@pytest.mark.parametrize("asks", ["Authorization: bob", "Cache-Control: no-store"])
def test_a_head_that_may_not_be_stored_updates_nothing(playing: Playing, asks: str) -> None:
    playing.keep("Cache-Control: max-age=10", "Last-Modified: Thu, 01 Jan 1970 00:00:00 GMT")
    playing.network.advance(20.0)
    playing.ask(asks, method="HEAD")
    playing.origin.answer(LIVES, playing.date(), "X-User: bob")
    assert not playing.is_hit()


@pytest.mark.parametrize("says", ["private", "no-store"])
def test_who_waits_for_a_304_that_turns_out_private_asks_by_himself(playing: Playing, says: str) -> None:
    playing.keep("Cache-Control: max-age=10", ETAG)
    playing.network.advance(20.0)
    first, second = playing.ask("Cookie: ann"), playing.ask("Cookie: bob")
    assert len(playing.origin.asked) == 1
    playing.origin.answer(f"Cache-Control: {says}", ETAG, playing.date(), "X-User: ann", status=NOT_MODIFIED, body=b"")
    assert "X-User: ann" in playing.got(first)
    assert len(playing.origin.asked) == 2
    playing.origin.answer(f"Cache-Control: {says}", playing.date(), "X-User: bob", body=b"bob's")
    said = playing.got(second)
    assert "X-User: ann" not in said
    assert said.endswith("bob's")


def test_who_waits_for_a_304_that_turns_out_to_vary_asks_by_himself(playing: Playing) -> None:
    playing.keep("Cache-Control: max-age=10", ETAG)
    playing.network.advance(20.0)
    first, second = playing.ask("X-A: 1"), playing.ask("X-A: 2")
    playing.origin.answer(LIVES, ETAG, playing.date(), "Vary: X-A", status=NOT_MODIFIED, body=b"")
    assert playing.got(first).endswith("hello")
    assert len(playing.origin.asked) == 2
    playing.origin.answer(LIVES, playing.date(), "Vary: X-A", body=b"other")
    assert playing.got(second).endswith("other")


# RFC 9111 section 4.4: method, the answer's status, its fields, what is stored, whether that is still a hit
INVALIDATIONS = [
    ("POST", "200 OK", (), "/a", False),
    ("PUT", "204 No Content", (), "/a", False),
    ("DELETE", "200 OK", (), "/a", False),
    ("PATCH", "200 OK", (), "/a", False),
    ("FROB", "200 OK", (), "/a", False),
    ("POST", "303 See Other", (), "/a", False),
    ("POST", "404 Not Found", (), "/a", True),
    ("POST", "500 Oh", (), "/a", True),
    ("OPTIONS", "200 OK", (), "/a", True),
    ("POST", "200 OK", ("Location: /b",), "/b", False),
    ("POST", "200 OK", ("Content-Location: /b",), "/b", False),
    ("POST", "201 Created", ("Location: http://x/b",), "/b", False),
    ("POST", "201 Created", ("Location: http://y/b",), "/b", True),
    ("POST", "201 Created", ("Content-Location: http://y/b",), "/b", True),
    ("POST", "201 Created", ("Location: http://x:81/b",), "/b", True),
    ("POST", "400 Bad", ("Location: /b",), "/b", True),
    ("POST", "200 OK", ("Location: ::://[",), "/b", True),
    ("FROB", "200 OK", ("Location: b",), "/b", False),
]


@pytest.mark.parametrize(("method", "status", "lines", "target", "stays"), INVALIDATIONS)
def test_what_an_unsafe_request_invalidates(
    playing: Playing, method: str, status: str, lines: tuple[str, ...], target: str, stays: bool
) -> None:
    playing.stored(LIVES, target=target)
    playing.ask("Content-Length: 0", method=method)
    playing.origin.answer(*lines, playing.date(), status=status, body=b"")
    assert playing.is_hit(target=target) is stays


# of ten bytes: parts that the origin gave, what is asked then, the bytes that are answered from memory (None: asks)
PARTS = [
    (((0, 4),), "bytes=1-2", b"12"),
    (((0, 4),), "bytes=0-4", b"01234"),
    (((0, 4),), "bytes=3-7", None),
    (((0, 4),), "bytes=-2", None),
    (((5, 9),), "bytes=-2", b"89"),
    (((5, 9),), "bytes=7-", b"789"),
    (((0, 4),), None, None),
    (((0, 4), (5, 9)), None, b"0123456789"),
    (((5, 9), (0, 4)), "bytes=3-7", b"34567"),
    (((0, 6), (3, 9)), None, b"0123456789"),
    (((0, 2), (5, 9)), "bytes=0-1", None),
]


@pytest.mark.parametrize(("parts", "wanted", "said"), PARTS)
def test_parts_answer_what_is_within_them(
    playing: Playing, parts: tuple[tuple[int, int], ...], wanted: str | None, said: bytes | None
) -> None:
    whole = b"0123456789"
    for first, last in parts:
        playing.ask(f"Range: bytes={first}-{last}", "Cache-Control: no-cache")
        playing.origin.answer(
            LIVES, ETAG, playing.date(), f"Content-Range: bytes {first}-{last}/10", status="206 Part", body=whole[first : last + 1]
        )
    asked = len(playing.origin.asked)
    client = playing.ask(*([] if wanted is None else [f"Range: {wanted}"]))
    assert (len(playing.origin.asked) == asked) is (said is not None)
    if said is not None:
        answer = playing.got(client)
        assert answer.startswith("HTTP/1.1 200 " if wanted is None else "HTTP/1.1 206 ")
        assert answer.endswith("\r\n\r\n" + said.decode())


def test_ten_thousand_variants_of_one_uri_are_bounded_and_kept_apart(playing: Playing) -> None:
    client = playing.client()
    for number in range(10_000):
        playing.ask(f"X-A: {number}", client=client)
        playing.origin.answer(LIVES, playing.date(), "Vary: X-A", body=b"for %d." % number)
        assert playing.got(client).endswith(f"for {number}.")
        playing.origin.asked.clear()
        playing.origin.bodies.clear()
    assert playing.got(playing.ask("X-A: 9999")).endswith("for 9999.")
    assert not playing.is_hit("X-A: 1")


@pytest.mark.parametrize("directive", ["private", "no-cache"])
@pytest.mark.parametrize("late", [False, True])
def test_who_waits_does_not_get_the_fields_that_are_for_the_first(playing: Playing, directive: str, late: bool) -> None:
    """RFC 9111 sections 5.2.2.4 and 5.2.2.7, for those who get the same answer while it arrives."""
    first = playing.ask("Cookie: ann")
    second = None if late else playing.ask("Cookie: bob")
    playing.origin.begin(
        f'{LIVES}, {directive}="set-cookie, x-user"', "Set-Cookie: who=ann", "X-User: ann", "X-All: 1", "Content-Length: 5", playing.date()
    )
    second = second or playing.ask("Cookie: bob")
    playing.origin.asked[0].finish(b"hello")
    assert len(playing.origin.asked) == 1
    said = playing.got(first)
    assert "Set-Cookie: who=ann" in said
    assert "X-User: ann" in said
    other = playing.got(second)
    assert "X-All: 1" in other
    assert other.endswith("hello")
    assert "ann" not in other, other
