"""At most N at once, the next ones in order, the rest refused."""

import pytest
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from scalability.errors import Overloaded
from scalability.lifecycle.places import Places


class PlacesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.places = Places(2, 3)
        self.begun: dict[str, Deferred[str]] = {}

    def run_work(self, name: str) -> Deferred[str]:
        def work() -> Deferred[str]:
            self.begun[name] = Deferred()
            return self.begun[name]

        return self.places.run(work)

    def test_work_starts_at_once_while_there_are_places(self) -> None:
        self.run_work("a")
        self.run_work("b")
        self.run_work("c")
        assert list(self.begun) == ["a", "b"]
        assert (self.places.running, self.places.waiting) == (2, 1)

    def test_those_who_wait_are_served_in_order(self) -> None:
        for name in "abcde":
            self.run_work(name)
        self.begun["b"].callback("")
        self.begun["a"].callback("")
        assert list(self.begun) == ["a", "b", "c", "d"]

    def test_each_caller_gets_its_own_result(self) -> None:
        results = [self.run_work(name) for name in "abc"]
        self.begun["a"].callback("A")
        self.begun["c"].callback("C")
        assert self.successResultOf(results[0]) == "A"
        assert self.successResultOf(results[2]) == "C"
        self.assertNoResult(results[1])

    def test_a_full_queue_refuses(self) -> None:
        for name in "abcde":
            self.run_work(name)
        refused = self.failureResultOf(self.run_work("f"), Overloaded)
        assert refused.value.status == 503
        assert refused.value.retry_after_s == 1

    def test_who_leaves_the_queue_gives_the_place_up(self) -> None:
        for name in "ab":
            self.run_work(name)
        leaving = self.run_work("c")
        self.run_work("d")
        leaving.cancel()
        self.failureResultOf(leaving, CancelledError)
        assert self.places.waiting == 1
        self.begun["a"].callback("")
        assert list(self.begun) == ["a", "b", "d"]

    def test_who_cancels_running_work_frees_the_place(self) -> None:
        first = self.run_work("a")
        for name in "bcd":
            self.run_work(name)
        first.cancel()
        self.failureResultOf(first, CancelledError)
        assert list(self.begun) == ["a", "b", "c"]

    def test_who_waited_can_cancel_once_its_work_runs(self) -> None:
        for name in "ab":
            self.run_work(name)
        waited = self.run_work("c")
        self.begun["a"].callback("")
        waited.cancel()
        self.failureResultOf(waited, CancelledError)
        assert self.begun["c"].called
        assert self.places.running == 1

    def test_work_that_will_not_be_cancelled_holds_its_place_until_it_ends(self) -> None:
        places = Places(1, 5)
        going_on: Deferred[None] = Deferred()
        first: Deferred[None] = Deferred()

        async def stubborn() -> str:
            try:
                await first
            except CancelledError:
                await going_on
            return "done"

        blocker: Deferred[None] = Deferred()
        places.run(lambda: blocker)
        answer = places.run(stubborn)
        blocker.callback(None)
        answer.cancel()
        self.failureResultOf(answer, CancelledError)
        assert places.running == 1
        going_on.callback(None)
        assert places.running == 0

    def test_a_failure_is_its_callers_and_frees_the_place(self) -> None:
        failing = self.run_work("a")
        for name in "bc":
            self.run_work(name)
        self.begun["a"].errback(ValueError("x"))
        self.failureResultOf(failing, ValueError)
        assert "c" in self.begun

    def test_work_that_raises_at_once_is_a_failure_too(self) -> None:
        def broken() -> Deferred[None]:
            raise ValueError("x")

        self.failureResultOf(self.places.run(broken), ValueError)
        assert self.places.running == 0

    def test_a_thousand_synchronous_pieces_do_not_pile_up_on_the_stack(self) -> None:
        places = Places(1, 5000)
        blocker: Deferred[None] = Deferred()
        places.run(lambda: blocker)
        results = [places.run(lambda: succeed(1)) for _ in range(5000)]
        blocker.callback(None)
        assert sum(self.successResultOf(result) for result in results) == 5000


@pytest.mark.parametrize(("limit", "queue_limit"), [(0, 1), (-1, 1), (1, -1)])
def test_numbers_that_make_no_sense_are_refused(limit: int, queue_limit: int) -> None:
    with pytest.raises(ValueError, match="at least one place"):
        Places(limit, queue_limit)
