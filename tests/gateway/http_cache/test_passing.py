"""A glance at an answer never says that one is not stored which the rules would store."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalability.errors import NoAnswer
from scalability.gateway.exchange import GatewayExchange
from scalability.gateway.http_cache.passing import PASSED_AFTER, surely_not_stored
from scalability.gateway.http_cache.storing import NotStored, store
from scalability.http1.limits import DEFAULT_LIMITS
from scalability.http1.response_head import parse_response_head
from scalability.testing.cache_case import CacheCase
from scalability.testing.messages import NOW, request


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ([], NotStored.USELESS),
        (["Content-Type: a/b", "X-ETag: x", "Vary: A"], NotStored.USELESS),
        (["Cache-Control: no-store"], NotStored.NO_STORE),
        (["cache-control: max-age=3 , No-Store"], NotStored.NO_STORE),
        (["Cache-Control: max-age=60,private", 'ETag: "a"'], NotStored.PRIVATE),
        (["ETag: x"], None),
        (["Expires: 0"], None),
        (["Last-Modified: x"], None),
        (["Cache-Control: max-age=60"], None),
        (['Cache-Control: private="x-a"'], None),
        (["Cache-Control: x-no-store"], None),
        (["Cache-Control: no-store-x"], None),
        (["Cache-Control: no-store, must-understand"], None),
        (["Cache-Control: no-store", "CDN-Cache-Control: max-age=60"], None),
        (["Scalelab-Cache-Control: max-age=60"], None),
    ],
)
def test_a_glance_says_why_or_nothing(lines: list[str], why: NotStored | None) -> None:
    assert surely_not_stored("\r\n".join(["HTTP/1.1 200 OK", *lines, "", ""]).encode()) is why


LINES = st.sampled_from(
    [
        b"Cache-Control: no-store",
        b"Cache-Control: private",
        b"Cache-Control: max-age=60",
        b'Cache-Control: private="a", max-age=60',
        b'Cache-Control: x="no-store", max-age=60',
        b'Cache-Control: x="a, no-store, b", max-age=60',
        b"Cache-Control: must-understand, no-store, max-age=60",
        b"CDN-Cache-Control: max-age=60",
        b"Scalelab-Cache-Control: max-age=60",
        b'ETag: "a"',
        b"Last-Modified: Thu, 26 Nov 2020 00:00:00 GMT",
        b"Expires: Thu, 26 Nov 2099 00:00:00 GMT",
        b"Vary: A",
        b"X: no-store",
    ]
)


@given(st.lists(LINES, max_size=4), st.sampled_from([200, 203, 204, 301, 404, 410, 500, 206]))
def test_what_it_says_is_never_stored(lines: list[bytes], status: int) -> None:
    block = b"HTTP/1.1 %d X\r\n" % status + b"".join(line + b"\r\n" for line in lines) + b"\r\n"
    if surely_not_stored(block) is not None:
        head = parse_response_head(block, DEFAULT_LIMITS)
        kept = store(request(), head, b"", request_time_s=NOW, response_time_s=NOW, wall=NOW)
        assert isinstance(kept, NotStored) or b'"' in block  # within quotes it may be wrong: that answer passes, and no harm is done


class PassingTests(CacheCase):
    def answered(self, *lines: str, target: str = "/a", status: str = "200 OK") -> tuple[Any, str]:
        client = self.ask(target=target)
        asked = self.origin.asked[-1]
        self.origin.answer(*lines, self.date(), status=status)
        said = self.got(client)
        return asked, next(line for line in said.split("\r\n") if line.startswith("Cache-Status"))

    def test_after_some_that_were_not_stored_requests_pass_by_and_say_the_same(self) -> None:
        for lines, detail in ((("Cache-Control: no-store",), "no-store"), ((), "no-lifetime"), (("Cache-Control: private",), "private")):
            target = f"/{detail}"
            passed = []
            for _ in range(PASSED_AFTER + 3):
                asked, said = self.answered(*lines, target=target)
                assert said == f"Cache-Status: scalelab; fwd=uri-miss; detail={detail}"
                passed.append(isinstance(asked, GatewayExchange))
            assert passed == [False] * PASSED_AFTER + [True] * 3
        assert self.cache.counts.misses == self.cache.counts.uncacheable == 3 * (PASSED_AFTER + 3)

    def test_one_that_may_be_stored_has_the_next_one_stored(self) -> None:
        for _ in range(PASSED_AFTER + 1):
            self.answered("Cache-Control: no-store")
        _, said = self.answered("Cache-Control: max-age=60")
        assert said == "Cache-Status: scalelab; fwd=uri-miss; detail=unread"
        asked, said = self.answered("Cache-Control: max-age=60")
        assert not isinstance(asked, GatewayExchange)
        assert "stored" in said
        assert "hit" in self.got(self.ask())

    def test_nobody_waits_for_one_that_is_read_again(self) -> None:
        for _ in range(PASSED_AFTER):
            self.answered("Cache-Control: no-store")
        self.answered("Cache-Control: max-age=60", "Vary: *")
        before = len(self.origin.asked)
        self.ask()
        self.ask()
        assert len(self.origin.asked) == before + 2

    def test_what_is_too_large_goes_on_saying_so(self) -> None:
        for _ in range(PASSED_AFTER + 2):
            self.ask()
            self.origin.begin("Cache-Control: max-age=60", self.date(), "Content-Length: 900000", data=b"x")
            assert not isinstance(self.origin.asked[-1], GatewayExchange)

    def test_it_is_looked_at_anew_after_a_while(self) -> None:
        for _ in range(PASSED_AFTER):
            self.answered("Cache-Control: no-store")
        self.network.advance(121.0)
        asked, _ = self.answered("Cache-Control: no-store")
        assert not isinstance(asked, GatewayExchange)

    def test_only_if_cached_is_504_as_ever_and_a_failure_says_which(self) -> None:
        for _ in range(PASSED_AFTER):
            self.answered("Cache-Control: no-store")
        assert self.got(self.ask("Cache-Control: only-if-cached")).startswith("HTTP/1.1 504 ")
        client = self.ask()
        self.origin.asked[-1].fail(NoAnswer())
        assert "Cache-Status: scalelab; fwd=uri-miss; detail=no_answer\r\n" in self.got(client)
