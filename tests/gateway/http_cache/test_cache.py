"""The HTTP cache as its clients and its origin see it: hits, misses, waiting, validation, failures."""

from email.utils import formatdate
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from scalability.errors import NoAnswer
from scalability.gateway.exchange import GatewayFactory
from scalability.gateway.http_cache.cache import HTTPCache
from scalability.gateway.http_cache.store import AnswerStore
from scalability.lifecycle import DeadlineWheel
from scalability.testing.memory import MemoryNetwork


class Origin:
    """Keeps what it is asked; the test answers."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.lost: list[Any] = []
        self.full: list[Any] = []
        self.bodies: list[bytes] = []

    def request_received(self, exchange: Any) -> None:
        self.asked.append(exchange)
        exchange.receiver = self
        self.bodies.append(exchange.body)

    def body_received(self, data: bytes, ended: bool) -> None:
        self.bodies[-1] += data

    def client_lost(self, error: Any) -> None:
        self.lost.append(error)

    def client_full(self) -> None:
        self.full.append("full")

    def client_ready(self) -> None:
        self.full.append("ready")

    def answer(self, *lines: str, body: bytes = b"hello", status: str = "200 OK", which: int = -1) -> None:
        """A whole answer."""
        fields = "".join(f"{line}\r\n" for line in lines)
        length = "" if status.startswith(("304", "204")) else f"Content-Length: {len(body)}\r\n"
        self.asked[which].reply(int(status[:3]), f"HTTP/1.1 {status}\r\n{length}{fields}\r\n".encode() + body, keep_alive=True)

    def begin(self, *lines: str, data: bytes = b"", which: int = -1, status: str = "200 OK") -> None:
        """The beginning of one."""
        fields = "".join(f"{line}\r\n" for line in lines)
        self.asked[which].begin(int(status[:3]), f"HTTP/1.1 {status}\r\n{fields}\r\n".encode() + data, keep_alive=True)

    def field(self, name: str, which: int = -1) -> bytes | None:
        value: bytes | None = self.asked[which].head.get(name.encode())
        return value


class CacheCase(SynchronousTestCase):
    max_object_bytes = 200_000

    def setUp(self) -> None:
        self.network = MemoryNetwork()
        self.network.advance(1_000_000.0)
        self.wheel = DeadlineWheel(self.network)
        self.wheel.startService()
        self.origin = Origin()
        self.store = AnswerStore(max_bytes=10_000_000, max_object_bytes=self.max_object_bytes)
        self.cache = HTTPCache(self.origin, self.store, seconds=self.network.seconds)
        self.factory = GatewayFactory(self.cache, clock=self.network, wheel=self.wheel)

    def tearDown(self) -> None:
        self.wheel.stopService()

    def client(self) -> Any:
        return self.network.connect_to(self.factory)

    def ask(self, *lines: str, target: str = "/a", method: str = "GET", client: Any = None, body: str = "") -> Any:
        client = client or self.client()
        fields = "".join(f"{line}\r\n" for line in lines)
        client.deliver(f"{method} {target} HTTP/1.1\r\nHost: x\r\n{fields}\r\n{body}".encode())
        return client

    def date(self, ago_s: float = 0.0) -> str:
        return "Date: " + formatdate(self.network.seconds() - ago_s, usegmt=True)

    def got(self, client: Any) -> str:
        taken: str = client.taken().decode("latin-1")
        return taken

    def stored(self, *lines: str, target: str = "/a", body: bytes = b"hello", request: tuple[str, ...] = ()) -> None:
        """Have an answer stored."""
        client = self.ask(*request, target=target)
        self.origin.answer(*lines, self.date(), body=body)
        assert "stored" in self.got(client)
        self.origin.asked.clear()


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
        assert self.store.purge_prefix(b"http x ", self.network.seconds()) == 1
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


class StreamingTests(CacheCase):
    def test_a_body_streams_to_the_client_and_into_the_store(self) -> None:
        client = self.ask()
        self.origin.begin("Cache-Control: max-age=60", self.date(), "Transfer-Encoding: chunked", data=b"3\r\nabc\r\n")
        assert self.got(client).endswith("3\r\nabc\r\n")
        self.origin.asked[0].write(b"2\r\nde\r\n")
        assert self.got(client) == "2\r\nde\r\n"
        self.origin.asked[0].finish(b"0\r\n\r\n")
        assert self.got(client) == "0\r\n\r\n"
        said = self.got(self.ask())
        assert "Content-Length: 5\r\n" in said
        assert said.endswith("abcde")

    def test_a_client_that_leaves_spoils_nothing(self) -> None:
        client = self.ask()
        self.origin.begin("Cache-Control: max-age=60", self.date(), "Content-Length: 5", data=b"he")
        client.reset()
        self.origin.asked[0].finish(b"llo")
        assert self.got(self.ask()).endswith("hello")
        assert len(self.origin.asked) == 1

    def test_who_leaves_before_there_is_an_answer_cancels_it(self) -> None:
        client = self.ask()
        client.reset()
        assert len(self.origin.lost) == 1

    def test_an_answer_that_is_not_stored_is_cancelled_with_its_client(self) -> None:
        client = self.ask()
        self.origin.begin("Cache-Control: no-store", "Content-Length: 5", data=b"he")
        client.reset()
        assert len(self.origin.lost) == 1

    def test_an_origin_that_breaks_off_leaves_nothing_behind(self) -> None:
        client = self.ask()
        self.origin.begin("Cache-Control: max-age=60", self.date(), "Content-Length: 5", data=b"he")
        self.origin.asked[0].abort()
        assert client.ended == "reset"
        self.ask()
        assert len(self.origin.asked) == 2
        assert self.cache.counts.abandoned == 1
        assert self.cache.arriving_bytes == 0

    def test_what_is_too_large_passes_unstored(self) -> None:
        client = self.ask()
        self.origin.begin("Cache-Control: max-age=60", self.date(), "Transfer-Encoding: chunked")
        piece = b"x" * 60_000
        for _ in range(5):
            self.origin.asked[0].write(b"%x\r\n%b\r\n" % (len(piece), piece))
        self.origin.asked[0].finish(b"0\r\n\r\n")
        assert len(client.taken()) > 300_000
        assert len(self.store.resources) == 0
        assert self.cache.arriving_bytes == 0

    def test_a_length_beyond_the_limit_is_known_at_once(self) -> None:
        client = self.ask()
        self.origin.begin("Cache-Control: max-age=60", self.date(), "Content-Length: 900000", data=b"x")
        assert "detail=too-large" in self.got(client)

    def test_a_slow_reader_holds_the_origin_up_unless_the_answer_is_stored(self) -> None:
        client = self.ask()
        self.origin.begin("Cache-Control: no-store", "Content-Length: 300000")
        client.stop_taking()
        self.origin.asked[0].write(b"x" * 100_000)
        self.origin.asked[0].write(b"x" * 1000)
        assert self.origin.full == ["full"]
        client.take_all()
        assert self.origin.full == ["full", "ready"]

    def test_a_slow_reader_gets_everything_that_was_stored_meanwhile(self) -> None:
        client = self.ask()
        self.origin.begin("Cache-Control: max-age=60", self.date(), "Content-Length: 190000")
        client.stop_taking()
        for _ in range(19):
            self.origin.asked[0].write(b"x" * 10_000)
        self.origin.asked[0].finish()
        assert self.origin.full == []
        assert client.queued_bytes < 90_000
        client.take_all()
        client.take_all()
        assert client.taken().count(b"x") >= 190_000

    def test_interim_answers_reach_the_client(self) -> None:
        client = self.ask()
        self.origin.asked[0].send_interim(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
        assert self.got(client) == "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
        self.origin.answer("Cache-Control: no-store")
        assert "200 OK" in self.got(client)


class WaitingTests(CacheCase):
    def test_misses_of_one_uri_are_one_request(self) -> None:
        clients = [self.ask() for _ in range(50)]
        assert len(self.origin.asked) == 1
        self.origin.answer("Cache-Control: max-age=60", self.date())
        said = [self.got(client) for client in clients]
        assert all(text.endswith("hello") for text in said)
        assert sum("collapsed" in text for text in said) == 49
        assert self.cache.counts.collapsed == 49

    def test_who_comes_while_the_body_arrives_gets_it_from_its_beginning(self) -> None:
        first = self.ask()
        self.origin.begin("Cache-Control: max-age=60", self.date(), "Content-Length: 5", data=b"he")
        second = self.ask()
        assert len(self.origin.asked) == 1
        self.origin.asked[0].finish(b"llo")
        assert self.got(first).endswith("hello")
        assert self.got(second).endswith("hello")

    def test_waiters_for_what_is_not_stored_go_on_together_and_the_next_do_not_wait(self) -> None:
        clients = [self.ask() for _ in range(5)]
        assert len(self.origin.asked) == 1
        self.origin.answer("Cache-Control: private", which=0)
        assert len(self.origin.asked) == 5
        clients += [self.ask() for _ in range(3)]
        assert len(self.origin.asked) == 8
        for which in range(1, 8):
            self.origin.answer("Cache-Control: private", which=which, body=b"%d" % which)
        assert [self.got(client)[-1] for client in clients] == ["o", "1", "2", "3", "4", "5", "6", "7"]

    def test_waiters_that_the_answer_is_not_for_ask_for_their_own(self) -> None:
        english = self.ask("Accept-Language: en")
        german = self.ask("Accept-Language: de")
        also_english = self.ask("Accept-Language: en")
        assert len(self.origin.asked) == 1
        self.origin.answer("Cache-Control: max-age=60", "Vary: Accept-Language", self.date(), body=b"hello")
        assert len(self.origin.asked) == 2
        self.origin.answer("Cache-Control: max-age=60", "Vary: Accept-Language", self.date(), body=b"hallo")
        assert self.got(english).endswith("hello")
        assert self.got(also_english).endswith("hello")
        assert self.got(german).endswith("hallo")

    def test_a_failure_is_everybodys(self) -> None:
        clients = [self.ask() for _ in range(3)]
        self.origin.asked[0].fail(NoAnswer())
        assert all(self.got(client).startswith("HTTP/1.1 502 ") for client in clients)
        assert len(self.origin.asked) == 1

    def test_the_first_may_leave_while_others_wait(self) -> None:
        first, second = self.ask(), self.ask()
        first.reset()
        assert self.origin.lost == []
        self.origin.answer("Cache-Control: max-age=60", self.date())
        assert self.got(second).endswith("hello")

    def test_requests_that_are_not_for_everybody_do_not_wait(self) -> None:
        for field in ("Range: bytes=0-1", "Authorization: Bearer x", 'If-None-Match: "a"', "Cache-Control: no-cache", "Cache-Control: no-store"):
            self.ask(field)
            self.ask(field)
        assert len(self.origin.asked) == 10


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

    def test_unsafe_methods_make_it_stale(self) -> None:
        self.stored("Cache-Control: max-age=60", 'ETag: "a"', target="/b")
        client = self.ask("Content-Length: 2", method="POST", target="/b", body="hi")
        assert self.origin.bodies[-1] == b"hi"
        self.origin.answer(status="201 Created")
        assert "Cache-Status: scalelab; fwd=method" in self.got(client)
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
