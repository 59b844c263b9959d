"""One request for many: streaming into the store, waiting, giving up."""

from scalability.errors import NoAnswer
from scalability.testing.cache_case import CacheCase


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
        assert self.store.outside.arriving_bytes == 0

    def test_what_is_too_large_passes_unstored(self) -> None:
        client = self.ask()
        self.origin.begin("Cache-Control: max-age=60", self.date(), "Transfer-Encoding: chunked")
        piece = b"x" * 60_000
        for _ in range(5):
            self.origin.asked[0].write(b"%x\r\n%b\r\n" % (len(piece), piece))
        self.origin.asked[0].finish(b"0\r\n\r\n")
        assert len(client.taken()) > 300_000
        assert len(self.store.resources) == 0
        assert self.store.outside.arriving_bytes == 0

    def test_what_is_given_up_since_too_much_arrives_at_once_may_be_stored_the_next_time(self) -> None:
        self.store.outside.share_bytes = 1000
        self.ask()
        self.origin.answer("Cache-Control: max-age=60", self.date(), body=b"x" * 2000)
        assert len(self.store.resources) == 0
        self.store.outside.share_bytes = 100_000
        self.ask()
        self.origin.answer("Cache-Control: max-age=60", self.date(), body=b"x" * 2000)
        assert len(self.store.resources) == 1
        assert not self.store.is_uncacheable(b"http x /a", self.network.seconds())

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

    def test_what_a_slow_reader_still_has_to_get_is_counted(self) -> None:
        client = self.ask()
        self.origin.begin("Cache-Control: max-age=60", self.date(), "Content-Length: 190000")
        client.stop_taking()
        for _ in range(19):
            self.origin.asked[0].write(b"x" * 10_000)
        self.origin.asked[0].finish()
        assert (self.store.outside.arriving_bytes, self.store.outside.held_bytes) == (0, 190_000)
        client.take_all()
        client.take_all()
        assert self.store.outside.held_bytes == 0

    def test_a_slow_reader_that_leaves_holds_nothing(self) -> None:
        client = self.ask()
        self.origin.begin("Cache-Control: max-age=60", self.date(), "Content-Length: 190000")
        client.stop_taking()
        for _ in range(19):
            self.origin.asked[0].write(b"x" * 10_000)
        self.origin.asked[0].finish()
        client.reset()
        assert self.store.outside.held_bytes == 0
        assert self.got(self.ask()).count("x") >= 190_000

    def test_slow_readers_hold_their_origins_up_when_too_much_waits_for_them(self) -> None:
        self.store.outside.held_bytes = self.store.outside.share_bytes + 1
        client = self.ask()
        self.origin.begin("Cache-Control: max-age=60", self.date(), "Content-Length: 190000")
        client.stop_taking()
        self.origin.asked[0].write(b"x" * 100_000)
        assert self.origin.full == ["full"]
        self.store.outside.held_bytes = 0
        client.take_all()
        assert self.origin.full == ["full", "ready"]
        self.origin.asked[0].write(b"x" * 90_000)
        self.origin.asked[0].finish()
        assert len(self.store.resources) == 1

    def test_what_was_given_up_is_counted_until_it_is_taken(self) -> None:
        self.store.outside.share_bytes = 100_000
        client = self.ask()
        self.origin.begin("Cache-Control: max-age=60", self.date(), "Content-Length: 190000")
        client.stop_taking()
        for _ in range(11):
            self.origin.asked[0].write(b"x" * 10_000)
        assert self.store.outside.arriving_bytes == 0
        assert self.store.outside.held_bytes > 0
        assert self.origin.full == ["full"]
        client.take_all()
        client.take_all()
        assert self.store.outside.held_bytes == 0
        assert self.origin.full == ["full", "ready"]

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
        said = [self.got(client) for client in clients]
        assert all(text.startswith("HTTP/1.1 502 ") for text in said)
        assert "Cache-Status: scalelab; fwd=uri-miss; detail=no_answer\r\n" in said[0]
        assert "Cache-Status: scalelab; fwd=uri-miss; collapsed; detail=no_answer\r\n" in said[1]
        assert len(self.origin.asked) == 1

    def test_the_first_may_leave_while_others_wait(self) -> None:
        first, second = self.ask(), self.ask()
        first.reset()
        assert self.origin.lost == []
        self.origin.answer("Cache-Control: max-age=60", self.date())
        assert self.got(second).endswith("hello")

    def test_requests_that_are_not_for_everybody_do_not_wait(self) -> None:
        for field in (
            "Range: bytes=0-1",
            "Authorization: Bearer x",
            'If-None-Match: "a"',
            "Cache-Control: no-cache",
            "Cache-Control: no-store",
        ):
            self.ask(field)
            self.ask(field)
        assert len(self.origin.asked) == 10


class ChangingTests(CacheCase):
    """An answer to a request that was sent before the URI changed may be of what was there before."""

    def change(self) -> None:
        self.network.advance(0.001)
        client = self.ask("Content-Length: 0", method="POST")
        self.origin.answer(status="204 No Content", body=b"")
        assert self.got(client).startswith("HTTP/1.1 204 ")
        self.network.advance(0.001)

    def test_it_is_validated_before_it_is_used(self) -> None:
        client = self.ask()
        self.change()
        self.origin.answer("Cache-Control: max-age=60", 'ETag: "old"', self.date(), which=0)
        assert self.got(client).endswith("hello")
        self.ask()
        assert self.origin.field("if-none-match") == b'"old"'

    def test_it_is_not_kept_if_it_cannot_be_validated(self) -> None:
        for change in (
            self.change,
            lambda: self.store.purge(b"http x /a", self.network.seconds() + 0.001),
            lambda: list(self.store.purge_prefix(b"", self.network.seconds() + 0.001)),
            lambda: list(self.store.purge_tag(b"t", self.network.seconds() + 0.001)),
        ):
            self.origin.asked.clear()
            self.ask()
            change()
            self.network.advance(0.002)
            self.origin.answer("Cache-Control: max-age=60", self.date(), which=0)
            assert len(self.store.resources) == 0

    def test_who_comes_after_the_change_does_not_wait_for_it(self) -> None:
        before = self.ask()
        self.change()
        after, another = self.ask(), self.ask()
        assert len(self.origin.asked) == 3
        self.origin.answer("Cache-Control: max-age=60", 'ETag: "new"', self.date(), body=b"newer")
        self.origin.answer("Cache-Control: max-age=60", 'ETag: "old"', self.date(), which=0)
        assert self.got(before).endswith("hello")
        assert self.got(after).endswith("newer")
        assert self.got(another).endswith("newer")
