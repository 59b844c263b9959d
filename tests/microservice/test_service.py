"""What the microservice answers, with time and processes under control."""

from typing import Any

from treq.testing import StubTreq
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from scalability.errors import Overloaded
from scalability.microservice.burner import Burners
from scalability.microservice.config import Kind, MicroserviceOptions
from scalability.microservice.service import Work, application, metrics_of


def client(work: Work) -> Any:
    return StubTreq(application(work).resource())


class FakeBurners(Burners):
    def __init__(self) -> None:
        self.asked: list[tuple[float, Deferred[None]]] = []

    def burn(self, seconds: float) -> Deferred[None]:
        self.asked.append((seconds, Deferred()))
        return self.asked[-1][1]


class ServiceTests(SynchronousTestCase):
    def work(self, **options: Any) -> Work:
        self.clock = Clock()
        self.burners = FakeBurners()
        return Work(self.clock, MicroserviceOptions(**options), self.burners)

    def test_process_answers_that_the_logic_was_executed(self) -> None:
        treq = client(self.work())
        answer = self.successResultOf(treq.get("http://localhost/process"))
        assert answer.code == 200
        assert self.successResultOf(answer.json()) == {"message": "Business logic executed"}

    def test_health_is_answered_while_every_place_is_taken(self) -> None:
        work = self.work(service_time_s=5, concurrency=1)
        treq = client(work)
        running = Deferred.fromCoroutine(work.do())
        answer = self.successResultOf(treq.get("http://localhost/health"))
        assert self.successResultOf(answer.json()) == {"status": "ok", "running": 1, "waiting": 0}
        self.clock.advance(5)
        self.successResultOf(running)

    def test_other_methods_and_paths_are_answered_as_json(self) -> None:
        treq = client(self.work())
        answer = self.successResultOf(treq.post("http://localhost/process"))
        assert answer.code == 405
        assert self.successResultOf(answer.json())["error"] == "method_not_allowed"
        assert self.successResultOf(treq.get("http://localhost/nothing")).code == 404

    def test_sleep_takes_the_service_time(self) -> None:
        work = self.work(service_time_s=2.0)
        done = Deferred.fromCoroutine(work.do())
        self.clock.advance(1.9)
        self.assertNoResult(done)
        self.clock.advance(0.1)
        self.successResultOf(done)
        assert work.completed == 1
        assert work.duration.count == 1

    def test_spin_burns_the_service_time(self) -> None:
        work = self.work(service_time_s=2.0, kind=Kind.SPIN)
        done = Deferred.fromCoroutine(work.do())
        ((seconds, burning),) = self.burners.asked
        assert seconds == 2.0
        self.assertNoResult(done)
        burning.callback(None)
        self.successResultOf(done)

    def test_the_101st_waits_and_the_1101st_other_is_refused(self) -> None:
        work = self.work(service_time_s=1.0)
        doing = [Deferred.fromCoroutine(work.do()) for _ in range(1100)]
        assert (work.places.running, work.places.waiting) == (100, 1000)
        treq = client(work)
        answer = self.successResultOf(treq.get("http://localhost/process"))
        assert answer.code == 503
        assert answer.headers.getRawHeaders("retry-after") == ["1"]
        assert self.successResultOf(answer.json())["error"] == "overloaded"
        assert work.refused == 1
        for _ in range(11):
            self.clock.advance(1.0)
        for done in doing:
            self.successResultOf(done)
        assert work.completed == 1100

    def test_a_client_that_leaves_the_line_gives_its_place_up(self) -> None:
        work = self.work(service_time_s=1.0, concurrency=1)
        first, leaving, last = (Deferred.fromCoroutine(work.do()) for _ in range(3))
        leaving.cancel()
        self.failureResultOf(leaving, CancelledError)
        self.clock.advance(1.0)
        self.successResultOf(first)
        self.clock.advance(1.0)
        self.successResultOf(last)
        assert work.completed == 2

    def test_a_client_that_leaves_while_it_is_worked_for_frees_its_place(self) -> None:
        work = self.work(service_time_s=1.0, concurrency=1)
        leaving = Deferred.fromCoroutine(work.do())
        leaving.cancel()
        self.failureResultOf(leaving, CancelledError)
        assert work.places.running == 0
        assert self.clock.getDelayedCalls() == []

    def test_interrupted_work_is_counted_as_refused(self) -> None:
        work = self.work(service_time_s=1.0, kind=Kind.SPIN)
        done = Deferred.fromCoroutine(work.do())
        self.burners.asked[0][1].errback(Overloaded())
        self.failureResultOf(done, Overloaded)
        assert work.refused == 1

    def test_metrics_show_places_and_work_done(self) -> None:
        work = self.work()
        self.successResultOf(Deferred.fromCoroutine(work.do()))
        found = {sample.name: sample.value for metric in metrics_of(work).collect() for sample in metric.samples}
        assert found["scalelab_work_completed_total"] == 1
        assert found["scalelab_work_running"] == 0
        assert found["scalelab_work_duration_seconds_count"] == 1
