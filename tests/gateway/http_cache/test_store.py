"""Where answers are kept: replaced, purged, bounded."""

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from scalability.gateway.http_cache.directives import ResponseDirectives
from scalability.gateway.http_cache.prepared import Prepared
from scalability.gateway.http_cache.store import AnswerStore
from scalability.gateway.http_cache.stored import StoredAnswer

NOW = 1e9


def answer(body: bytes = b"hello", *, tags: tuple[bytes, ...] = (), etag: bytes | None = b'"a"', lifetime_s: float = 60.0) -> StoredAnswer:
    return StoredAnswer(
        status=200, reason=b"OK", fields=(), body=body, response_time_s=NOW, lifetime_s=lifetime_s, etag=etag, tags=frozenset(tags)
    )


class StoreTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.store = AnswerStore(max_bytes=1_000_000, max_object_bytes=100_000)

    def bodies(self, key: bytes, now: float = NOW) -> list[bytes]:
        resource = self.store.resource(key, now)
        return [] if resource is None else [answer.body for answer in resource.variants.answers]

    def test_an_answer_is_kept_under_its_key(self) -> None:
        assert self.store.put(b"k", answer(), NOW)
        assert self.bodies(b"k") == [b"hello"]
        assert self.bodies(b"other") == []

    def test_one_that_is_too_large_is_not(self) -> None:
        assert not self.store.put(b"k", answer(b"x" * 100_001), NOW)
        assert self.store.put(b"k", answer(b"x" * 100_000), NOW)

    def test_all_together_are_bounded(self) -> None:
        for number in range(100):
            self.store.put(b"%d" % number, answer(b"x" * 50_000), NOW)
        assert self.store.resources.bytes <= 1_000_000
        assert 10 < len(self.store.resources) < 20

    def test_what_is_held_outside_counts_against_the_bound(self) -> None:
        for number in range(100):
            self.store.put(b"%d" % number, answer(b"x" * 50_000), NOW)
        self.store.outside.held_bytes = 400_000
        assert self.store.put(b"one more", answer(b"x" * 50_000), NOW)
        assert self.store.resources.bytes <= 600_000
        self.store.outside.prepared_bytes = 400_000
        assert not self.store.put(b"another", answer(), NOW)
        assert self.store.counts.crowded == 1
        self.store.outside.held_bytes = self.store.outside.prepared_bytes = 0
        for number in range(100):
            self.store.put(b"%d" % number, answer(b"x" * 50_000), NOW)
        assert 800_000 < self.store.resources.bytes <= 1_000_000

    def test_what_is_evicted_purged_or_replaced_while_it_is_read_stays_counted_until_it_is_not(self) -> None:
        outside, pins = self.store.outside, self.store.pins
        body = b"x" * 50_000
        self.store.put(b"k", answer(body), NOW)
        first, second = self.store.pin(b"k", body, NOW), self.store.pin(b"k", body, NOW)
        assert outside.pinned_bytes == 0
        for number in range(100):
            self.store.put(b"%d" % number, answer(b"y" * 50_000), NOW)
            assert self.store.resources.bytes + outside.pinned_bytes <= 1_000_000 + 60_000
        assert self.bodies(b"k") == []
        assert outside.pinned_bytes == 50_000
        pins.drop(first)
        assert outside.pinned_bytes == 50_000
        pins.drop(second)
        assert (outside.pinned_bytes, len(pins)) == (0, 0)

        for undo in (
            lambda: self.store.purge(b"k", NOW),
            lambda: self.store.clear(),
            lambda: self.store.put(b"k", answer(b"z"), NOW),
            lambda: self.store.put(b"k", answer(b"z", lifetime_s=-1.0), NOW),
        ):
            self.store.put(b"k", answer(body), NOW)
            pin = self.store.pin(b"k", body, NOW)
            undo()
            assert outside.pinned_bytes == 50_000
            pins.drop(pin)
            assert outside.pinned_bytes == 0

    def test_a_copy_that_one_client_reads_is_never_stored(self) -> None:
        copy = b"x" * 50_000
        pin = self.store.pin(b"k", copy, NOW)
        assert self.store.outside.pinned_bytes == 50_000
        self.store.pins.drop(pin)
        assert self.store.outside.pinned_bytes == 0

    def test_what_cannot_be_validated_goes_when_it_is_stale(self) -> None:
        self.store.put(b"k", answer(etag=None), NOW)
        assert self.bodies(b"k", NOW + 59) == [b"hello"]
        assert self.bodies(b"k", NOW + 61) == []
        directives = ResponseDirectives(stale_if_error=100)
        self.store.put(b"k", replace(answer(etag=None), directives=directives), NOW)
        assert self.bodies(b"k", NOW + 159) == [b"hello"]

    def test_a_version_tells_every_change(self) -> None:
        first = answer()
        self.store.put(b"k", first, NOW)
        resource = self.store.resource(b"k", NOW)
        assert resource is not None
        before = resource.version
        resource.prepared[1] = Prepared(200, b"", NOW, NOW)
        second = answer(b"other")
        self.store.replace(b"k", first, second, NOW)
        assert resource.version > before
        assert resource.prepared == {}
        self.store.replace(b"k", first, answer(b"lost"), NOW)
        assert self.bodies(b"k") == [b"other"]
        self.store.replace(b"k", second, None, NOW)
        assert self.bodies(b"k") == []
        self.store.replace(b"k", second, None, NOW)

    def test_purging_by_uri_and_prefix(self) -> None:
        for key in (b"http a /x", b"http a /x/1", b"http b /x"):
            self.store.put(key, answer(), NOW)
        assert self.store.purge(b"http b /x", NOW) == 1
        assert self.store.purge(b"http b /x", NOW) == 0
        assert sum(self.store.purge_prefix(b"http a /x", NOW)) == 2
        assert len(self.store.resources) == 0
        assert self.store.counts.purged == 3

    def test_purging_by_tag_leaves_what_has_it_no_more(self) -> None:
        self.store.put(b"1", answer(tags=(b"t", b"u")), NOW)
        self.store.put(b"2", answer(tags=(b"u",)), NOW)
        self.store.put(b"3", answer(tags=(b"t",)), NOW)
        self.store.put(b"3", answer(), NOW)
        assert sum(self.store.purge_tag(b"t", NOW)) == 1
        assert self.bodies(b"2") == [b"hello"]
        assert self.bodies(b"3") == [b"hello"]
        assert sum(self.store.purge_tag(b"none", NOW)) == 0

    def test_a_soft_purge_has_them_validated(self) -> None:
        self.store.put(b"k", answer(tags=(b"t",)), NOW)
        self.store.put(b"n", answer(tags=(b"t",), etag=None), NOW)
        assert sum(self.store.purge_tag(b"t", NOW, soft=True)) == 2
        resource = self.store.resource(b"k", NOW)
        assert resource is not None
        assert resource.variants.answers[0].must_validate
        assert self.bodies(b"n") == []
        assert sum(self.store.purge_tag(b"t", NOW)) == 1

    def test_an_invalidated_answer_is_validated_before_it_is_used(self) -> None:
        self.store.put(b"k", answer(), NOW)
        assert self.store.invalidate(b"k", NOW) == 1
        assert self.store.invalidate(b"none", NOW) == 0

    def test_what_must_not_be_stored_is_remembered_for_a_while_and_forgotten_when_it_may(self) -> None:
        assert not self.store.is_uncacheable(b"k", NOW)
        self.store.note_uncacheable(b"k", NOW)
        assert self.store.is_uncacheable(b"k", NOW)
        self.store.note_uncacheable(b"k", NOW)
        assert self.store.uncacheable_times(b"k", NOW) == 2
        for forget in (lambda: self.store.note_uncacheable(b"k", NOW, forbidden=False), lambda: self.store.perhaps_cacheable(b"k", NOW)):
            self.store.note_uncacheable(b"k", NOW)
            forget()
            assert (self.store.uncacheable_times(b"k", NOW), self.store.is_uncacheable(b"k", NOW)) == (1, True)
        assert not self.store.is_uncacheable(b"k", NOW + 121)
        self.store.note_uncacheable(b"k", NOW)
        self.store.put(b"k", answer(), NOW)
        assert not self.store.is_uncacheable(b"k", NOW)

    def test_tags_of_what_is_gone_are_forgotten(self) -> None:
        for number in range(3000):
            self.store.put(b"k", answer(tags=(b"t%d" % number,)), NOW)
        turns = 1
        while self.store.sweep(NOW, 500) == 500:
            turns += 1
        assert turns == 7
        assert len(self.store._tags) == 1

    def test_everything_can_be_forgotten(self) -> None:
        self.store.put(b"k", answer(tags=(b"t",)), NOW)
        resource = self.store.resource(b"k", NOW)
        assert resource is not None
        version = resource.version
        self.store.clear()
        assert self.bodies(b"k") == []
        assert resource.version > version
