"""Keys that are fetched, by a clock of the test's own."""

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from scalability.errors import DependencyDown, Overloaded
from scalability.gateway.access import jwks
from scalability.gateway.access.jwks import MAX_WAITERS, Fetched, FetchFailed, RemoteKeys
from scalability.testing.signing import ec_key, key_set, member

ONE, TWO = key_set(member(ec_key(), kid="one")), key_set(member(ec_key(1), kid="two"))


class RemoteKeysTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_700_000_000)
        self.asked: list[Deferred[Fetched]] = []
        self.cancelled = 0
        self.keys = RemoteKeys(self.fetch, self.clock, "the key set", deadline_s=5, cooldown_s=10)
        self.addCleanup(self.keys.stopService)

    def fetch(self) -> Deferred[Fetched]:
        def cancel(_: object) -> None:
            self.cancelled += 1

        asked: Deferred[Fetched] = Deferred(cancel)
        self.asked.append(asked)
        return asked

    def answer(self, document: bytes = ONE, max_age_s: float | None = None) -> None:
        self.asked[-1].callback(Fetched(document, max_age_s))

    def start(self, document: bytes = ONE, max_age_s: float | None = None) -> None:
        self.keys.startService()
        self.answer(document, max_age_s)

    def kids(self) -> list[str | None]:
        return [key.kid for key in self.keys.keys]

    def missing(self) -> "Deferred[None]":
        waiter = self.keys.missing()
        assert waiter is not None
        return waiter

    def test_they_are_fetched_at_the_start(self) -> None:
        self.start()
        assert self.kids() == ["one"]
        assert (self.keys.fetches, self.keys.failures, self.keys.age_s) == (1, 0, -300)

    def test_who_needs_a_key_before_that_waits_for_it(self) -> None:
        self.keys.startService()
        waiters = [self.missing(), self.missing()]
        self.answer()
        assert [self.successResultOf(waiter) for waiter in waiters] == [None, None]
        assert len(self.asked) == 1

    def test_old_keys_are_used_while_others_are_fetched(self) -> None:
        self.start()
        self.clock.advance(299.9)
        self.keys.look()
        assert len(self.asked) == 1
        self.clock.advance(0.2)
        self.keys.look()
        self.keys.look()
        assert (len(self.asked), self.kids()) == (2, ["one"])
        self.answer(TWO)
        assert self.kids() == ["two"]

    def test_max_age_holds_within_bounds(self) -> None:
        for said, held in ((60.0, 60.0), (0.0, 30.0), (1e9, 86_400.0), (None, 300.0)):
            self.keys = RemoteKeys(self.fetch, self.clock, "the key set")
            self.start(max_age_s=said)
            assert self.keys.age_s == -held

    def test_the_same_document_leaves_the_same_keys(self) -> None:
        self.start()
        before = self.keys.keys
        self.clock.advance(301)
        self.keys.look()
        self.answer()
        assert self.keys.keys is before

    def test_a_missing_key_is_looked_for_once_for_all_who_miss_one(self) -> None:
        self.start()
        waiters = [self.missing() for _ in range(50)]
        assert len(self.asked) == 2
        self.answer(TWO)
        for waiter in waiters:
            self.successResultOf(waiter)
        assert self.kids() == ["two"]

    def test_within_the_cooldown_nobody_fetches_again_whatever_is_missing(self) -> None:
        self.start()
        waiter = self.missing()
        self.answer(ONE)
        self.successResultOf(waiter)
        for _ in range(100):
            assert self.keys.missing() is None
        self.clock.advance(10)
        waiter = self.missing()
        self.answer(TWO)
        self.successResultOf(waiter)
        assert len(self.asked) == 3

    def test_when_a_fetch_fails_the_keys_stay_and_who_waited_is_told(self) -> None:
        self.start()
        waiter = self.missing()
        with capturedLogs() as events:
            self.asked[-1].errback(FetchFailed("answers with status 500"))
        error = self.failureResultOf(waiter, DependencyDown).value
        assert (error.status, error.retry_after_s, self.kids(), self.keys.failures) == (503, 5, ["one"], 1)
        assert [event["why"] for event in events] == ["answers with status 500"]
        with pytest.raises(DependencyDown):
            self.keys.missing()
        self.clock.advance(10)
        again = self.missing()
        with capturedLogs() as events:
            self.asked[-1].errback(FetchFailed("answers with status 500"))
        self.failureResultOf(again, DependencyDown)
        assert events == []  # it is known
        self.clock.advance(10)
        self.keys.look()
        with capturedLogs() as events:
            self.answer()
        assert [event["log_format"] for event in events] == ["{name} can be fetched again"]

    def test_an_answer_that_does_not_come_ends_at_the_deadline(self) -> None:
        self.start()
        waiter = self.missing()
        self.clock.advance(4.9)
        self.assertNoResult(waiter)
        self.clock.advance(0.1)
        self.failureResultOf(waiter, DependencyDown)
        assert (self.cancelled, self.kids()) == (1, ["one"])

    def test_a_document_that_is_no_key_set_is_a_failure(self) -> None:
        self.start()
        for document in (b"<html>", b"{}", key_set(), key_set({"kty": "oct", "k": "AAAA"}), b""):
            self.clock.advance(10)
            waiter = self.missing()
            self.answer(document)
            self.failureResultOf(waiter, DependencyDown)
            assert self.kids() == ["one"]

    def test_a_mistake_of_ours_is_logged_and_is_a_failure_all_the_same(self) -> None:
        self.start()
        waiter = self.missing()
        self.asked[-1].errback(LookupError("unheard of"))
        self.failureResultOf(waiter, DependencyDown)
        assert len(self.flushLoggedErrors(LookupError)) == 1

    def test_a_fetch_that_ends_at_once_is_no_trap(self) -> None:
        def fetch() -> Deferred[Fetched]:
            asked = self.fetch()
            self.answer(answers.pop(0))
            return asked

        answers = [ONE, TWO, b"", b""]
        self.keys = RemoteKeys(fetch, self.clock, "the key set")
        self.keys.startService()
        assert self.keys.missing() is None
        assert self.kids() == ["two"]
        self.clock.advance(10)
        with pytest.raises(DependencyDown):
            self.keys.missing()

    def test_so_many_wait_and_no_more(self) -> None:
        self.start()
        waiters = [self.missing() for _ in range(MAX_WAITERS)]
        with pytest.raises(Overloaded):
            self.keys.missing()
        waiters[7].cancel()
        self.failureResultOf(waiters[7])
        self.missing()
        self.answer()
        assert jwks.MAX_WAITERS == 1000

    def test_stopping_ends_a_fetch_without_a_word_and_fails_who_waits(self) -> None:
        self.start()
        waiter: Any = self.missing()
        with capturedLogs() as events:
            self.keys.stopService()
        self.failureResultOf(waiter, DependencyDown)
        assert (events, self.cancelled) == ([], 1)
        self.keys.look()
        with pytest.raises(DependencyDown):
            self.keys.missing()
        assert len(self.asked) == 2
