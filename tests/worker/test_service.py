"""What the worker answers, with time and the store under control."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from treq.testing import StubTreq
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from scalability.api.routes import routes
from scalability.lifecycle.threads import Threads
from scalability.testing.stores import InlineStore, ThreadedClock
from scalability.worker.config import WorkerOptions
from scalability.worker.ids import is_task_id
from scalability.worker.machine import State
from scalability.worker.queue import TaskQueue
from scalability.worker.runner import Runner, Work
from scalability.worker.schema import SCHEMA
from scalability.worker.service import Upkeep, WorkerService, application, metrics_of
from scalability.worker.tasks import Functions, Simulation

URL = "http://localhost"


async def double(n: int) -> int:
    return 2 * n


async def fails() -> None:
    raise ValueError("no luck")


class ServiceTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.store = InlineStore(SCHEMA, Path(folder.name) / "tasks")
        self.store.startService()
        self.addCleanup(self.store.stopService)
        self.clock = Clock()
        self.clock.advance(1000)
        self.threads = Threads(ThreadedClock(), 1, name="task")
        self.use(Simulation(self.clock, 5.0))

    def use(self, work: Work, **options: Any) -> None:
        self.options = WorkerOptions(max_queue=3, concurrency=2, **options)
        bits = iter(range(1000))
        self.queue = TaskQueue(
            self.store,
            policy=self.options.policy,
            max_waiting=self.options.max_queue,
            wall=self.clock.seconds,
            chance=lambda: 0.5,
            chance_bits=lambda _: next(bits),
        )
        self.queue.startService()
        self.runner = Runner(self.clock, self.queue, work, concurrency=2, timeout_s=300.0, grace_s=25.0)
        self.queue.ready = self.runner.wake
        self.runner.startService()
        self.upkeep = Upkeep(self.queue, self.runner, self.options)
        self.treq: Any = StubTreq(routes(application(self.queue, self.runner, work, self.store)))

    def ask(self, method: str, path: str, **request: Any) -> tuple[int, Any, Any]:
        answer = self.successResultOf(self.treq.request(method, URL + path, **request))
        return answer.code, self.successResultOf(answer.json()), answer.headers

    def post(self, body: bytes, kind: str = "application/json") -> tuple[int, Any, Any]:
        return self.ask("POST", "/task", data=body, headers={"Content-Type": kind})

    def test_a_task_is_started_and_can_be_asked_for(self) -> None:
        code, body, headers = self.post(b'{"task": "report"}')
        uid = body["task_id"]
        assert (code, body) == (202, {"status": "Started", "task_id": uid, "task": "report"})
        assert is_task_id(uid)
        assert headers.getRawHeaders("location") == [f"/tasks/{uid}"]
        code, body, _ = self.ask("GET", f"/tasks/{uid}")
        assert (code, body["status"], body["attempts"], body["created_at"]) == (200, "running", 1, 1000.0)
        self.clock.advance(5)
        assert self.ask("GET", f"/tasks/{uid}")[1] == {
            "task_id": uid,
            "task": "report",
            "status": "succeeded",
            "attempts": 1,
            "max_attempts": 20,
            "created_at": 1000.0,
            "run_at": 1000.0,
            "started_at": 1000.0,
            "finished_at": 1005.0,
            "result": {"simulated_s": 5.0},
            "error": None,
        }

    def test_the_202_is_answered_after_the_commit_and_not_before(self) -> None:
        self.store.held = True
        answering = self.treq.post(f"{URL}/task", data=b'{"task": "report"}', headers={"Content-Type": "application/json"})
        self.treq.flush()
        self.assertNoResult(answering)
        self.store.release()
        self.treq.flush()
        assert self.successResultOf(answering).code == 202

    def test_a_store_that_refuses_is_a_503_and_never_a_202(self) -> None:
        self.store.broken = "disk full"
        code, body, headers = self.post(b'{"task": "report"}')
        assert (code, body["error"]) == (503, "store_unavailable")
        assert headers.getRawHeaders("retry-after") == ["1"]
        assert self.ask("GET", "/health")[1]["store"] == "disk full"
        self.store.broken = None
        assert self.post(b'{"task": "report"}')[0] == 202
        assert self.queue.counters.enqueued == 1

    def test_a_full_queue_is_a_429_with_retry_after(self) -> None:
        codes = [self.post(b'{"task": "report"}')[0] for _ in range(5)]
        assert codes == [202] * 5
        code, body, headers = self.post(b'{"task": "report"}')
        assert (code, body["error"]) == (429, "queue_full")
        assert headers.getRawHeaders("retry-after") == ["1"]
        self.clock.advance(5)
        assert self.post(b'{"task": "report"}')[0] == 202

    def test_bad_bodies_are_refused_and_nothing_is_queued(self) -> None:
        for body, kind, expected in (
            (b"{", "application/json", 400),
            (b"", "application/json", 400),
            (b"[]", "application/json", 400),
            (b"{}", "application/json", 400),
            (b'{"task": 1}', "application/json", 400),
            (b'{"task": ""}', "application/json", 400),
            (b'{"task": "' + b"x" * 201 + b'"}', "application/json", 400),
            (b'{"task": "\xff"}', "application/json", 400),
            (b'{"task": "a", "x": ' + b"[" * 5000, "application/json", 400),
            (b"task=report", "application/x-www-form-urlencoded", 415),
        ):
            code, answer, _ = self.post(body, kind)
            assert code == expected, body
            assert set(answer) == {"error", "message"}
        assert self.queue.counters.enqueued == 0

    def test_functions_are_called_with_the_other_members(self) -> None:
        self.use(Functions({"double": double}, self.threads))
        uid = self.post(b'{"task": "double", "n": 21}')[1]["task_id"]
        assert self.ask("GET", f"/tasks/{uid}")[1]["result"] == 42

    def test_an_unknown_task_and_wrong_arguments_are_422(self) -> None:
        self.use(Functions({"double": double}, self.threads))
        for body in (b'{"task": "treble", "n": 1}', b'{"task": "double"}', b'{"task": "double", "m": 1}'):
            code, answer, _ = self.post(body)
            assert (code, answer["error"]) == (422, "unprocessable")
        assert self.queue.counters.enqueued == 0

    def test_a_failing_task_tells_its_error_and_no_traceback(self) -> None:
        self.use(Functions({"fails": fails}, self.threads))
        uid = self.post(b'{"task": "fails"}')[1]["task_id"]
        body = self.ask("GET", f"/tasks/{uid}")[1]
        assert (body["status"], body["error"], body["run_at"]) == ("scheduled", "ValueError: no luck", 1005.0)
        assert len(self.flushLoggedErrors(ValueError)) == 1

    def test_an_unknown_or_malformed_id_is_a_404(self) -> None:
        for uid in ("01a20913-8981-7002-9296-f91c68f9d0dc", "x", "%27%3B--", "1" * 5000):
            code, body, _ = self.ask("GET", f"/tasks/{uid}")
            assert (code, body["error"]) == (404, "not_found")

    def test_other_methods_are_405(self) -> None:
        assert self.ask("GET", "/task")[0] == 405
        assert self.ask("DELETE", "/tasks/x")[0] == 405

    def test_health_tells_the_depth_of_the_queue(self) -> None:
        for _ in range(3):
            self.post(b'{"task": "report"}')
        assert self.ask("GET", "/health")[:2] == (200, {"status": "ok", "queue_depth": 1, "running": 2, "dead": 0, "store": "ok"})

    def test_metrics_count_without_asking_the_store(self) -> None:
        for _ in range(3):
            self.post(b'{"task": "report"}')
        self.clock.advance(5)
        reads = self.store.counters.reads
        readings = {
            (metric.name, labels): value
            for metric in metrics_of(self.queue, self.runner, self.threads, self.store)
            for labels, value in metric.read()
        }
        assert self.store.counters.reads == reads
        assert readings["scalelab_tasks_enqueued_total", ()] == 3
        assert readings["scalelab_tasks_finished_total", ("succeeded",)] == 2
        assert readings["scalelab_tasks_queue_depth", ("running",)] == 1
        assert readings["scalelab_tasks_inprogress", ()] == 1
        histogram: Any = readings["scalelab_tasks_run_seconds", ()]
        assert histogram.count == 2

    def test_upkeep_renews_the_leases_of_what_runs(self) -> None:
        self.use(Simulation(self.clock, 100.0))
        uid = self.post(b'{"task": "report"}')[1]["task_id"]
        for _ in range(12):
            self.clock.advance(5)
            self.successResultOf(Deferred.fromCoroutine(self.upkeep.tend()))
        body = self.ask("GET", f"/tasks/{uid}")[1]
        assert (body["status"], body["attempts"]) == ("running", 1)

    def test_upkeep_gives_up_what_was_lost(self) -> None:
        self.post(b'{"task": "report"}')
        self.store.connection.execute("UPDATE task SET claim_no = claim_no + 1")
        self.successResultOf(Deferred.fromCoroutine(self.upkeep.tend()))
        assert self.runner.lost == 1

    def test_upkeep_survives_a_store_that_refuses(self) -> None:
        self.store.broken = "disk full"
        self.successResultOf(Deferred.fromCoroutine(self.upkeep.tend()))
        self.successResultOf(Deferred.fromCoroutine(self.upkeep.prune()))

    def test_upkeep_forgets_what_is_old(self) -> None:
        uid = self.post(b'{"task": "report"}')[1]["task_id"]
        self.clock.advance(5)
        self.clock.advance(86_399)
        self.successResultOf(Deferred.fromCoroutine(self.upkeep.prune()))
        assert self.ask("GET", f"/tasks/{uid}")[0] == 200
        self.clock.advance(2)
        self.successResultOf(Deferred.fromCoroutine(self.upkeep.prune()))
        assert self.ask("GET", f"/tasks/{uid}")[0] == 404
        assert self.queue.counts[State.SUCCEEDED] == 0

    def test_stopping_the_whole_claims_nothing_more_from_that_moment(self) -> None:
        root = WorkerService(self.runner)
        root.startService()
        self.successResultOf(root.stopService())
        self.post(b'{"task": "report"}')
        assert self.runner.attempts == 0
        assert self.queue.waiting == 1
