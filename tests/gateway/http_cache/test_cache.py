"""The HTTP cache as its clients and its origin see it: hits, validation, stale answers, what passes."""

from typing import Any

from scalability.errors import NoAnswer
from scalability.gateway.exchange import GatewayExchange
from scalability.http1.making import make_request_head
from scalability.proxy.inner import InnerConnection, InnerExchange
from scalability.testing.cache_case import CacheCase


class HitTests(CacheCase):
    def test_a_miss_is_passed_on_and_stored(self) -> None:
        client = self.ask()
        self.origin.answer("Cache-Control: max-age=60", self.date())
        said = self.got(client)
        assert said.startswith("HTTP/1.1 200 OK\r\n")
        assert "Content-Length: 5\r\n" in said
        assert "Cache-Status: scalelab; fwd=uri-miss; stored; ttl=60\r\n" in said
        assert said.endswith("\r\n\r\nhello")

    def test_a_hit_says_its_age_and_what_is_left(self) -> None:
        self.stored("Cache-Control: max-age=60", "Content-Type: text/plain")
        self.network.advance(7.5)
        said = self.got(self.ask())
        assert self.origin.asked == []
        assert "Age: 7\r\n" in said
        assert "Cache-Status: scalelab; hit; ttl=52\r\n" in said
        assert "Content-Type: text/plain\r\n" in said
        assert said.endswith("\r\n\r\nhello")
        assert self.cache.counts.hits == 1

    def test_a_hit_that_repeats_is_the_same_but_for_its_age(self) -> None:
        self.stored("Cache-Control: max-age=60")
        client = self.client()
        for second in range(3):
            said = []
            for _ in range(3):
                self.ask(client=client)
                said.append(self.got(client))
            assert said[0] == said[1] == said[2]
            assert f"Age: {second}\r\n" in said[0]
            self.network.advance(1.0)
        assert self.cache.counts.hits == 9
        assert self.origin.asked == []

    def test_what_has_expired_is_not_a_hit_on_a_connection_that_knows_it(self) -> None:
        self.stored("Cache-Control: max-age=2")
        client = self.client()
        self.got(self.ask(client=client))
        self.network.advance(2.0)
        self.ask(client=client)
        assert len(self.origin.asked) == 1

    def test_what_was_purged_is_not_a_hit_on_a_connection_that_knows_it(self) -> None:
        self.stored("Cache-Control: max-age=60")
        client = self.client()
        self.got(self.ask(client=client))
        assert sum(self.store.purge_prefix(b"http x ", self.network.seconds())) == 1
        self.ask(client=client)
        assert len(self.origin.asked) == 1

    def test_head_is_answered_from_a_stored_get(self) -> None:
        self.stored("Cache-Control: max-age=60")
        said = self.got(self.ask(method="HEAD"))
        assert "Content-Length: 5\r\n" in said
        assert said.endswith("\r\n\r\n")

    def test_ranges_are_cut_from_the_whole(self) -> None:
        self.stored("Cache-Control: max-age=60", 'ETag: "a"')
        client = self.client()
        for _ in range(2):
            said = self.got(self.ask("Range: bytes=1-3", client=client))
            assert said.startswith("HTTP/1.1 206 Partial Content\r\n")
            assert "Content-Range: bytes 1-3/5\r\n" in said
            assert said.endswith("\r\n\r\nell")

    def test_a_clients_precondition_is_answered_304(self) -> None:
        self.stored("Cache-Control: max-age=60", 'ETag: "a"')
        client = self.client()
        for _ in range(2):
            said = self.got(self.ask('If-None-Match: "a"', client=client))
            assert said.startswith("HTTP/1.1 304 ")
            assert "Content-Length" not in said
            assert said.endswith("\r\n\r\n")

    def test_only_if_cached_without_a_stored_answer_is_504(self) -> None:
        said = self.got(self.ask("Cache-Control: only-if-cached"))
        assert said.startswith("HTTP/1.1 504 ")
        assert "not_in_cache" in said
        assert "Cache-Status: scalelab; fwd=uri-miss; detail=only-if-cached\r\n" in said

    def test_http_1_0_clients_are_served(self) -> None:
        self.stored("Cache-Control: max-age=60")
        client = self.client()
        client.deliver(b"GET /a HTTP/1.0\r\nHost: x\r\n\r\n")
        assert "Connection: close\r\n" in self.got(client)


class ValidationTests(CacheCase):
    def setUp(self) -> None:
        super().setUp()
        self.stored("Cache-Control: max-age=10", 'ETag: "a"', "X-Old: 1")
        self.network.advance(20.0)

    def test_a_304_makes_it_fresh_again(self) -> None:
        client = self.ask()
        assert self.origin.field("if-none-match") == b'"a"'
        self.origin.answer("Cache-Control: max-age=100", 'ETag: "a"', self.date(), status="304 Not Modified", body=b"")
        said = self.got(client)
        assert said.startswith("HTTP/1.1 200 OK\r\n")
        assert "Cache-Status: scalelab; fwd=stale; fwd-status=304; stored; ttl=100\r\n" in said
        assert said.endswith("hello")
        assert "hit; ttl=100" in self.got(self.ask())
        assert self.cache.counts.revalidated == 1

    def test_many_wait_for_one_validation(self) -> None:
        clients = [self.ask() for _ in range(20)]
        assert len(self.origin.asked) == 1
        self.origin.answer("Cache-Control: max-age=100", 'ETag: "a"', self.date(), status="304 Not Modified", body=b"")
        assert all(self.got(client).endswith("hello") for client in clients)

    def test_the_clients_own_precondition_is_evaluated_afterwards(self) -> None:
        client = self.ask('If-None-Match: "old"')
        assert self.origin.field("if-none-match") == b'"a"'
        self.origin.answer("Cache-Control: max-age=100", 'ETag: "a"', self.date(), status="304 Not Modified", body=b"")
        assert self.got(client).startswith("HTTP/1.1 200 ")
        client = self.ask('If-None-Match: "a"')
        assert self.got(client).startswith("HTTP/1.1 304 ")

    def test_another_answer_takes_its_place(self) -> None:
        client = self.ask()
        self.origin.answer("Cache-Control: max-age=100", 'ETag: "b"', self.date(), body=b"other")
        assert self.got(client).endswith("other")
        assert self.got(self.ask()).endswith("other")

    def test_a_304_about_something_else_leads_to_a_whole_answer(self) -> None:
        client = self.ask()
        self.origin.answer('ETag: "unheard-of"', self.date(), status="304 Not Modified", body=b"")
        assert len(self.origin.asked) == 2
        assert self.origin.field("if-none-match") is None
        self.origin.answer("Cache-Control: max-age=100", self.date(), body=b"whole")
        assert self.got(client).endswith("whole")

    def test_an_error_is_told_unless_the_answer_allows_stale_ones(self) -> None:
        client = self.ask()
        self.origin.answer(status="503 Service Unavailable", body=b"no")
        assert self.got(client).startswith("HTTP/1.1 503 ")

    def test_rfc9111_4_3_3_a_full_response_takes_the_place_of_what_was_nominated(self) -> None:
        """A full response indicates that none of the stored responses nominated in the conditional request are suitable."""
        self.stored("Cache-Control: max-age=10", 'ETag: "a"', "Vary: X-A", target="/b")
        self.network.advance(20.0)
        self.ask(target="/b")
        self.origin.answer("Cache-Control: max-age=100", 'ETag: "b"', self.date(), body=b"other")
        assert self.got(self.ask(target="/b")).endswith("other"), "the one with Vary would go before it"

    def test_an_answer_for_everybody_that_is_not_stored_ends_what_is_stale(self) -> None:
        self.stored("Cache-Control: max-age=10, stale-while-revalidate=900", 'ETag: "a"', target="/b")
        self.network.advance(20.0)
        assert "hit" in self.got(self.ask(target="/b"))
        self.origin.answer("Content-Type: text/plain", self.date(), status="404 Not Found")
        client = self.ask(target="/b")
        assert self.origin.field("if-none-match") == b'"a"'
        self.origin.answer("Cache-Control: max-age=10", 'ETag: "a"', self.date(), status="304 Not Modified", body=b"")
        assert self.got(client).endswith("hello")
        assert "hit" in self.got(self.ask(target="/b"))

    def test_an_answer_for_one_client_ends_nothing(self) -> None:
        for number, says in enumerate(("Cache-Control: private", "Set-Cookie: a=b", "Cache-Control: no-store")):
            target = f"/{number}"
            self.stored("Cache-Control: max-age=10, stale-while-revalidate=900", 'ETag: "a"', target=target)
            self.network.advance(20.0)
            self.ask("Cache-Control: no-cache", target=target)
            self.origin.answer(says, self.date(), body=b"bob's")
            assert self.got(self.ask(target=target)).endswith("hello")

    def test_what_cannot_be_validated_goes_when_it_is_known_to_be_over(self) -> None:
        self.stored("Cache-Control: max-age=10, stale-if-error=900", target="/b")
        self.network.advance(20.0)
        self.ask(target="/b")
        self.origin.answer(self.date(), status="410 Gone")
        client = self.ask(target="/b")
        self.origin.answer(self.date(), status="503 Down", body=b"down")
        assert self.got(client).endswith("down")

    def test_the_status_of_the_origin_stands_in_cache_status_where_it_was_asked_conditionally(self) -> None:
        client = self.ask("Cache-Control: no-cache", 'If-None-Match: "b"')
        self.origin.answer("Cache-Control: max-age=100", 'ETag: "b"', self.date(), body=b"other")
        said = self.got(client)
        assert said.startswith("HTTP/1.1 304 ")
        assert "fwd-status=200" in said

    def test_unsafe_methods_make_it_stale(self) -> None:
        self.stored("Cache-Control: max-age=60", 'ETag: "a"', target="/b")
        client = self.ask("Content-Length: 2", method="POST", target="/b", body="hi")
        assert isinstance(self.origin.asked[-1], GatewayExchange)  # nobody stands in between
        assert self.origin.bodies[-1] == b"hi"
        self.origin.answer(status="201 Created")
        assert "Cache-Status: scalelab; fwd=method" in self.got(client)
        self.ask(target="/b")
        assert self.origin.field("if-none-match") == b'"a"'

    def test_an_unsafe_method_that_meets_no_server_says_so_and_changes_nothing(self) -> None:
        self.stored("Cache-Control: max-age=60", 'ETag: "a"', target="/b")
        client = self.ask(method="PUT", target="/b")
        self.origin.asked[-1].fail(NoAnswer())
        said = self.got(client)
        assert said.startswith("HTTP/1.1 502 ")
        assert said.count("Cache-Status: scalelab; fwd=method; detail=no_answer\r\n") == 1
        assert "hit" in self.got(self.ask(target="/b"))

    def test_an_unsafe_answer_with_a_location_that_cannot_be_read_makes_its_own_uri_stale(self) -> None:
        self.stored("Cache-Control: max-age=60", 'ETag: "a"', target="/b")
        client = self.ask(method="PUT", target="/b")
        self.origin.answer("Location: /c", "Bad Name: x")
        self.got(client)
        self.ask(target="/b")
        assert self.origin.field("if-none-match") == b'"a"'

    def test_a_failed_unsafe_method_changes_nothing(self) -> None:
        self.stored("Cache-Control: max-age=60", target="/b")
        self.ask(method="DELETE", target="/b")
        self.origin.answer(status="500 Oops")
        assert "hit" in self.got(self.ask(target="/b"))


class StaleTests(CacheCase):
    def test_stale_while_revalidate_answers_at_once_and_validates_once(self) -> None:
        self.stored("Cache-Control: max-age=10, stale-while-revalidate=60", 'ETag: "a"')
        self.network.advance(20.0)
        said = [self.got(self.ask()) for _ in range(5)]
        assert all("hit; ttl=-10" in text for text in said)
        assert len(self.origin.asked) == 1
        assert self.origin.field("if-none-match") == b'"a"'
        self.origin.answer("Cache-Control: max-age=10", 'ETag: "b"', self.date(), body=b"newer")
        assert self.got(self.ask()).endswith("newer")
        assert len(self.origin.asked) == 1

    def test_a_validation_that_fails_is_tried_again_with_the_next_request(self) -> None:
        self.stored("Cache-Control: max-age=10, stale-while-revalidate=60", 'ETag: "a"')
        self.network.advance(20.0)
        self.got(self.ask())
        self.origin.asked[0].fail(NoAnswer())
        assert "hit" in self.got(self.ask())
        assert len(self.origin.asked) == 2

    def test_stale_if_error_stands_in(self) -> None:
        self.stored("Cache-Control: max-age=10, stale-if-error=60", 'ETag: "a"')
        self.network.advance(20.0)
        client = self.ask()
        self.origin.asked[-1].fail(NoAnswer())
        assert self.got(client).endswith("hello")
        client = self.ask()
        self.origin.answer(status="503 Service Unavailable", body=b"no")
        assert self.got(client).endswith("hello")
        assert self.cache.counts.stale == 2

    def test_stale_if_error_needs_no_validator(self) -> None:
        self.stored("Cache-Control: max-age=1, stale-if-error=60")
        self.network.advance(5)
        client = self.ask()
        self.origin.answer(status="503 Down", body=b"down")
        said = self.got(client)
        assert said.startswith("HTTP/1.1 200 OK\r\n")
        assert said.endswith("\r\n\r\nhello")
        client = self.ask()
        self.origin.asked[-1].fail(NoAnswer())
        assert self.got(client).endswith("\r\n\r\nhello")

    def test_must_revalidate_forbids_it(self) -> None:
        self.stored("Cache-Control: max-age=10, stale-if-error=60, must-revalidate", 'ETag: "a"')
        self.network.advance(20.0)
        client = self.ask()
        self.origin.asked[-1].fail(NoAnswer())
        assert self.got(client).startswith("HTTP/1.1 504 ")


class PassingTests(CacheCase):
    def test_other_methods_stream_their_bodies(self) -> None:
        client = self.ask("Content-Length: 6", method="PUT", body="abc")
        client.deliver(b"def")
        assert self.origin.bodies == [b"abcdef"]
        self.origin.answer(status="204 No Content", body=b"")
        assert self.got(client).startswith("HTTP/1.1 204 ")

    def test_any_status_passes(self) -> None:
        for status in ("200 OK", "299 Well", "404 Not Found", "599 X", "600 Y", "999 Z"):
            client = self.ask(target=f"/{status[:3]}", method="OPTIONS")
            self.origin.answer(status=status)
            assert self.got(client).startswith(f"HTTP/1.1 {status}\r\n")

    def test_a_mistake_of_the_application_is_a_500(self) -> None:
        def broken(exchange: Any) -> None:
            raise ZeroDivisionError

        self.origin.request_received = broken  # type: ignore[method-assign]
        assert self.got(self.ask()).startswith("HTTP/1.1 500 ")
        assert len(self.flushLoggedErrors(ZeroDivisionError)) == 1


class WithinTests(CacheCase):
    """Requests of this process, as the parts of a composed route are."""

    def test_they_are_answered_from_the_store_and_fill_it(self) -> None:
        told: list[bytes] = []

        class Reader:
            def interim_received(self, head: Any) -> None: ...

            def head_received(self, head: Any) -> None:
                told.append(b"%d" % head.status)

            def body_received(self, data: bytes) -> None:
                told.append(data)

            def answer_ended(self, trailers: Any) -> None:
                told.append(b"ended")

            def answer_failed(self, error: Any) -> None:
                told.append(str(error).encode())

        for _ in range(2):
            head = make_request_head(b"GET", b"/a", [(b"Host", b"x")])
            InnerExchange(head, Reader(), InnerConnection(self.factory)).ask(self.cache)
            if len(told) == 0:
                self.origin.answer("Cache-Control: max-age=60", self.date())
        assert told == [b"200", b"hello", b"ended"] * 2
        assert len(self.origin.asked) == 1
        assert "hit" in self.got(self.ask())
        refused = make_request_head(b"GET", b"/b", [(b"Host", b"x"), (b"Cache-Control", b"only-if-cached")])
        InnerExchange(refused, Reader(), InnerConnection(self.factory)).ask(self.cache)
        assert b"no stored answer" in told[-1]


class OptInTests(CacheCase):
    """In front of routes in code."""

    def setUp(self) -> None:
        super().setUp()
        self.cache.opt_in = True

    def test_what_says_nothing_of_caches_is_left_alone(self) -> None:
        for _ in range(2):
            client = self.ask()
            self.origin.answer("Content-Type: text/plain")
            said = self.got(client)
            assert "Cache-Status" not in said
            assert said.endswith("hello")
        assert self.cache.counts.fetches == 1, "the second one was passed on as it was"

    def test_only_a_stored_answer_is_asked_for_in_vain_before_and_after_it_is_known_that_nothing_is_stored(self) -> None:
        for _ in range(2):
            assert " 504 " in self.got(self.ask("Cache-Control: only-if-cached"))
            self.ask()
            self.origin.answer("Content-Type: text/plain")

    def test_nobody_waits_for_an_answer_that_may_not_be_for_him(self) -> None:
        for _ in range(3):
            self.ask()
        assert len(self.origin.asked) == 3

    def test_what_sets_a_lifetime_is_stored(self) -> None:
        self.stored("Cache-Control: max-age=60")
        assert "hit; ttl=60" in self.got(self.ask())

    def test_an_unsafe_request_makes_it_stale_and_is_passed_untouched(self) -> None:
        self.stored("Cache-Control: max-age=60", 'ETag: "a"')
        client = self.ask(method="POST")
        self.origin.answer(status="201 Created")
        assert "Cache-Status" not in self.got(client)
        self.ask()
        assert self.origin.field("if-none-match") == b'"a"'
