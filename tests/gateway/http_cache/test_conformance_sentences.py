"""Sentences of the RFCs that only the whole cache can be held to: what it passes on, what it keeps nothing of, whom it asks and how."""

import pytest

from scalability.gateway.http_cache.structured import parse_dictionary
from scalability.testing.cache_case import CacheCase

LIVES = "Cache-Control: max-age=60"
ETAG = 'ETag: "a"'
PART = "206 Partial Content"


class PassingOnTests(CacheCase):
    def test_rfc9111_5_2_directives_are_passed_through_to_the_origin_and_to_the_client(self) -> None:
        """A proxy MUST pass cache directives through in forwarded messages, regardless of their significance to that application."""
        asks = "Cache-Control: no-cache, min-fresh=3, unheard-of=1"
        for _ in range(2):  # the second one is a validation
            client = self.ask(asks)
            assert self.origin.field("cache-control") == b"no-cache, min-fresh=3, unheard-of=1"
            self.origin.answer('Cache-Control: max-age=60, no-cache="x", unheard-of', ETAG, self.date())
            assert 'Cache-Control: max-age=60, no-cache="x", unheard-of\r\n' in self.got(client)
        assert 'Cache-Control: max-age=60, no-cache="x", unheard-of\r\n' in self.got(self.ask())

    def test_rfc9213_2_2_targeted_fields_are_passed_through(self) -> None:
        """Targeted fields that are not on a cache's target list MUST NOT change that cache's behavior and MUST be passed through."""
        lines = ("Other-Cache-Control: no-store", "CDN-Cache-Control: max-age=60", "Cache-Control: no-store")
        client = self.ask()
        self.origin.answer(*lines, self.date())
        for said in (self.got(client), self.got(self.ask())):
            assert all(f"\r\n{line}\r\n" in said for line in lines)
        assert len(self.origin.asked) == 1

    def test_rfc9211_2_the_members_of_other_caches_are_preserved(self) -> None:
        """When adding a value to the Cache-Status header field, caches SHOULD preserve the existing field value."""
        client = self.ask()
        self.origin.answer(LIVES, "Cache-Status: Inner; hit; ttl=9", self.date())
        for said, own in ((self.got(client), "fwd=uri-miss"), (self.got(self.ask()), "hit")):
            before, _, after = said.partition("Cache-Status: Inner; hit; ttl=9\r\n")
            assert "Cache-Status" not in before
            assert f"Cache-Status: scalelab; {own}" in after

    def test_rfc9211_2_each_member_is_a_token_with_parameters(self) -> None:
        """Each List member identifies the cache that inserted it, and this identifier MUST be a String or Token."""
        client = self.ask()
        self.origin.answer(LIVES, self.date())
        for said in (self.got(client), self.got(self.ask())):
            member = said.partition("Cache-Status: ")[2].partition("\r\n")[0]
            assert parse_dictionary([member.encode()]) == {b"scalelab": True}

    def test_rfc9110_15_2_interim_answers_are_forwarded_but_not_to_http_1_0(self) -> None:
        """A proxy MUST forward 1xx responses; a server MUST NOT send a 1xx response to an HTTP/1.0 client."""
        new, old = self.ask(), self.client()
        self.origin.asked[0].send_interim(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
        assert self.got(new).startswith("HTTP/1.1 103 ")
        self.origin.answer("Cache-Control: no-store")
        old.deliver(b"GET /old HTTP/1.0\r\nHost: x\r\n\r\n")
        self.origin.asked[1].send_interim(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
        assert self.got(old) == ""

    def test_rfc9110_15_4_5_a_304_to_the_clients_own_precondition_is_forwarded(self) -> None:
        """If the conditional request originated with an outbound client, the proxy SHOULD forward the 304 response to that client."""
        client = self.ask('If-None-Match: "mine"')
        assert self.origin.field("if-none-match") == b'"mine"'
        self.origin.answer('ETag: "mine"', self.date(), status="304 Not Modified")
        assert self.got(client).startswith("HTTP/1.1 304 ")
        assert len(self.store.resources) == 0

    def test_rfc9110_13_2_1_preconditions_of_other_methods_are_forwarded(self) -> None:
        """A server that cannot act as a cache for the request MUST NOT evaluate the conditional fields, and MUST forward them."""
        self.stored(LIVES, ETAG)
        for number, method in enumerate(("PUT", "DELETE", "OPTIONS", "PATCH")):
            client = self.ask('If-None-Match: "a"', "Content-Length: 0", method=method)
            assert len(self.origin.asked) == number + 1
            assert self.origin.field("if-none-match") == b'"a"'
            self.origin.answer(status="412 Precondition Failed", body=b"")
            assert self.got(client).startswith("HTTP/1.1 412 ")

    def test_rfc9110_15_5_2_a_stored_401_has_its_challenge(self) -> None:
        """The server generating a 401 response MUST send a WWW-Authenticate header field."""
        self.ask()
        self.origin.answer(LIVES, 'WWW-Authenticate: Basic realm="x"', self.date(), status="401 Unauthorized")
        said = self.got(self.ask())
        assert "; hit" in said
        assert 'WWW-Authenticate: Basic realm="x"\r\n' in said
        assert "; hit" not in self.got(self.ask("Authorization: Basic eDp5"))
        assert len(self.origin.asked) == 2


class KeepingNothingTests(CacheCase):
    def nothing_stays(self) -> bool:
        outside = self.store.outside
        return len(self.store.resources) == 0 and outside.total_bytes == 0 and not self.cache._flights

    def test_rfc9111_5_2_1_5_nothing_of_what_a_no_store_request_got_stays(self) -> None:
        """A cache MUST make a best-effort attempt to remove the information from volatile storage as promptly as possible."""
        client = self.ask("Cache-Control: no-store")
        self.origin.answer(LIVES, ETAG, self.date(), body=b"x" * 50_000)
        assert self.got(client).endswith("x" * 50_000)
        assert self.nothing_stays()

    def test_rfc9111_5_2_2_5_nothing_of_a_no_store_answer_stays(self) -> None:
        """The same of the answer's no-store."""
        clients = [self.ask(), self.ask()]
        self.origin.answer("Cache-Control: no-store, max-age=60", ETAG, self.date(), body=b"x" * 50_000, which=0)
        self.origin.answer("Cache-Control: no-store, max-age=60", ETAG, self.date(), body=b"x" * 50_000, which=1)
        assert all(self.got(client).endswith("x" * 50_000) for client in clients)
        assert self.nothing_stays()


class PartTests(CacheCase):
    def part(self, *lines: str, lives: str = LIVES) -> None:
        self.ask("Range: bytes=0-4")
        self.origin.answer(lives, *(lines or (ETAG, "Content-Range: bytes 0-4/10")), self.date(), status=PART, body=b"01234")
        self.origin.asked.clear()

    def test_rfc9111_4_3_2_preconditions_are_evaluated_on_a_stored_part(self) -> None:
        """A request that can be satisfied by a stored 200 or 206: the cache SHOULD evaluate its preconditions."""
        self.part()
        assert self.got(self.ask("Range: bytes=1-2", 'If-None-Match: "a"')).startswith("HTTP/1.1 304 ")
        assert self.got(self.ask("Range: bytes=1-2", 'If-None-Match: "b"')).startswith("HTTP/1.1 206 ")
        assert self.origin.asked == []

    def test_rfc9111_4_3_2_the_tag_of_a_part_is_not_added_to_a_clients_list(self) -> None:
        """If a stored response contains only partial content, the cache MUST NOT include its entity tag in the union."""
        self.part()
        self.ask('If-None-Match: "b"')
        assert self.origin.field("if-none-match") == b'"b"'
        self.network.advance(100.0)
        self.ask()
        assert self.origin.field("if-none-match") is None

    def test_rfc9110_14_4_what_is_in_an_unknown_unit_is_forwarded_and_not_recombined(self) -> None:
        """The recipient MUST NOT attempt to recombine it with a stored representation; a proxy SHOULD forward it downstream."""
        self.part()
        client = self.ask("Range: pages=1-2", "Cache-Control: no-cache")
        self.origin.answer(LIVES, ETAG, "Content-Range: pages 1-2/3", self.date(), status=PART, body=b"pages")
        said = self.got(client)
        assert said.startswith("HTTP/1.1 206 ")
        assert "Content-Range: pages 1-2/3\r\n" in said
        assert said.endswith("pages")
        self.origin.asked.clear()
        assert self.got(self.ask("Range: bytes=0-4")).endswith("01234")
        assert self.origin.asked == []

    def test_rfc9110_15_3_7_3_parts_that_make_the_whole_are_a_200_with_its_length(self) -> None:
        """If the union is the entire range the client MUST process it as a complete 200, with a Content-Length of the complete length."""
        self.part()
        self.ask("Range: bytes=5-9")
        self.origin.answer(LIVES, ETAG, "Content-Range: bytes 5-9/10", self.date(), status=PART, body=b"56789")
        said = self.got(self.ask())
        assert said.startswith("HTTP/1.1 200 ")
        assert "Content-Length: 10\r\n" in said
        assert "Content-Range" not in said
        assert said.endswith("0123456789")


class StaleTests(CacheCase):
    def test_rfc5861_3_a_stale_answer_is_visibly_so_and_not_given_after_its_time(self) -> None:
        """ "stale" implies a non-zero Age; if delta-seconds passes it SHOULD NOT continue to be served stale."""
        self.stored("Cache-Control: max-age=10, stale-while-revalidate=20", ETAG)
        self.network.advance(30.0)
        said = self.got(self.ask())
        assert "Age: 30\r\n" in said
        assert "hit; ttl=-20" in said
        self.origin.asked[-1].abort()
        self.network.advance(1.0)
        client = self.ask()
        assert self.got(client) == "", "it waits for the origin"

    def test_rfc5861_4_a_stale_answer_is_visibly_so_and_not_given_after_its_time(self) -> None:
        """Stale cached responses that are used SHOULD be visibly stale; beyond the limit they SHOULD NOT be used."""
        self.stored("Cache-Control: max-age=10, stale-if-error=20", ETAG)
        self.network.advance(30.0)
        client = self.ask()
        self.origin.answer(status="500 Oh", body=b"oh")
        assert "Age: 30\r\n" in self.got(client)
        self.network.advance(1.0)
        client = self.ask()
        self.origin.answer(status="500 Oh", body=b"oh")
        assert self.got(client).startswith("HTTP/1.1 500 ")

    def test_rfc8246_2_what_is_fresh_and_immutable_is_not_validated(self) -> None:
        """Proxies SHOULD skip conditionally revalidating fresh responses containing the immutable extension, unless a client asks."""
        self.stored("Cache-Control: max-age=60, immutable", ETAG)
        assert self.got(self.ask('If-None-Match: "a"')).startswith("HTTP/1.1 304 ")
        assert "hit" in self.got(self.ask())
        assert self.origin.asked == []
        self.ask("Cache-Control: no-cache")
        assert self.origin.field("if-none-match") == b'"a"'


@pytest.mark.parametrize(
    "value", ["max-age=sixty", 'max-age="60"', "max-age=60.0", "max-age", "max-age=?1", "max-age=(60)", "max-age=:Ng==:"]
)
def test_rfc9213_2_1_a_lifetime_of_another_type_gives_none(value: str) -> None:
    """Implementations SHOULD NOT consume values that violate these inferred constraints."""
    case = PassingOnTests("test_rfc9213_2_2_targeted_fields_are_passed_through")
    case.setUp()
    for _ in range(2):
        case.ask()
        case.origin.answer(f"CDN-Cache-Control: {value}", LIVES, case.date())
    assert len(case.origin.asked) == 2
    case.tearDown()
