"""Large stored bodies are not copied for each client that reads slowly."""

from scalability.gateway.http_cache.pouring import PIECE_BYTES
from scalability.testing.cache_case import CacheCase

BODY = bytes(range(256)) * (PIECE_BYTES // 64) + b"end"


class PouringTests(CacheCase):
    max_object_bytes = 2_000_000

    def setUp(self) -> None:
        super().setUp()
        self.stored("Cache-Control: max-age=60", 'ETag: "a"', body=BODY)

    def test_a_client_that_reads_gets_all_of_it_and_asks_again(self) -> None:
        client = self.ask()
        head, _, body = client.taken().partition(b"\r\n\r\n")
        assert b"Cache-Status: scalelab; hit; ttl=60" in head
        assert b"Content-Length: %d" % len(BODY) in head
        assert body == BODY
        assert client.open
        self.ask(client=client, method="HEAD")
        assert client.taken().endswith(b"\r\n\r\n")
        assert self.origin.asked == []

    def test_a_client_that_does_not_read_holds_one_piece(self) -> None:
        client = self.client()
        client.stop_taking()
        self.ask(client=client)
        assert client.queued_bytes < PIECE_BYTES + 1000
        while client.queued_bytes:
            client.take_all()
            assert client.queued_bytes < PIECE_BYTES + 1000
        assert client.taken().endswith(b"\r\n\r\n" + BODY)

    def test_a_slow_client_gets_what_it_began_with_though_that_was_purged(self) -> None:
        client = self.client()
        client.stop_taking()
        self.ask(client=client)
        self.store.clear()
        assert self.store.outside.pinned_bytes == len(BODY)
        client.take_all()
        assert client.taken().endswith(b"\r\n\r\n" + BODY)
        assert self.store.outside.pinned_bytes == 0

    def test_large_ranges_too(self) -> None:
        client = self.client()
        client.stop_taking()
        self.ask("Range: bytes=1-", client=client)
        assert client.queued_bytes < PIECE_BYTES + 1000
        client.take_all()
        said = client.taken()
        assert said.startswith(b"HTTP/1.1 206 ")
        assert said.endswith(b"\r\n\r\n" + BODY[1:])

    def test_a_client_that_leaves_is_forgotten(self) -> None:
        client = self.client()
        client.stop_taking()
        self.ask(client=client)
        assert len(self.store.pins) == 1
        client.reset()
        assert len(self.store.pins) == 0
        assert self.ask().taken().endswith(BODY)

    def test_slow_clients_of_many_evicted_answers_hold_no_more_than_the_bound(self) -> None:
        slow = []
        for number in range(20):
            target = f"/{number}"
            self.ask(target=target)
            self.origin.answer("Cache-Control: max-age=60", 'ETag: "a"', self.date(), body=BODY)
            before = self.store.pins.stored_bytes
            client = self.client()
            client.stop_taking()
            self.ask(target=target, client=client)
            if self.store.pins.stored_bytes == before:
                client.reset()  # it missed, for there was no room
            else:
                slow.append(client)
            outside = self.store.outside.total_bytes
            assert outside + self.store.resources.bytes <= self.store.max_bytes + 2 * len(BODY)
        assert self.store.counts.crowded > 0
        # what they began with they get, and then there is room again
        for client in slow:
            while client.queued_bytes:
                client.take_all()
        assert self.store.outside.pinned_bytes == 0
        self.stored("Cache-Control: max-age=60", target="/last", body=BODY)
        assert "; hit" in self.got(self.ask(target="/last"))

    def test_a_connection_that_is_to_close_closes_behind_the_last_piece(self) -> None:
        client = self.ask("Connection: close")
        assert client.taken().endswith(BODY)
        assert client.ended == "closed"
