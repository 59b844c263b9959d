"""scalelab-worker over HTTP.

- ``POST /task`` with ``{"task": name, ...}`` queues a task; the other members are its arguments, by name. 202 with its id and a
  Location, after the commit: from then on it runs at least once, whatever happens to this process. 422 when there is no such task
  or it does not take these arguments; 429 with Retry-After when too many wait; 503 when the store cannot take it.
- ``GET /tasks/<id>`` tells its state: queued, scheduled (a retry), running, succeeded, dead or cancelled, with its result or
  its last error. 404 when there is none, or none any more.
"""

import random
import secrets
import time
from collections.abc import Mapping
from typing import Any

import msgspec
from klein import Klein
from twisted.internet.defer import Deferred
from twisted.web.iweb import IRequest

from scalability.api.component import component_service
from scalability.api.failures import json_errors
from scalability.api.json import json_answer, read_json
from scalability.api.mount import mount
from scalability.config import fail
from scalability.errors import BadJSON, ConfigError, NotFound, StoreError
from scalability.lifecycle import OrderedService, Ticker
from scalability.lifecycle.threads import Threads
from scalability.sql import Store, open_store
from scalability.sql.metrics import store_metrics
from scalability.telemetry import Kind, MetricSet
from scalability.worker.config import WorkerOptions
from scalability.worker.ids import is_task_id
from scalability.worker.machine import State
from scalability.worker.queue import BATCH, TaskQueue, TaskView
from scalability.worker.runner import Runner, Work
from scalability.worker.schema import SCHEMA
from scalability.worker.tasks import Functions, Simulation, load_tasks

WHO = "scalelab-worker"
MAX_NAME_CHARS = 200
TENDS_PER_LEASE = 6
"""A lease of 30 s is renewed every 5 s; five renewals in a row must fail before it runs out."""
POLL_S = 1.0
PRUNE_S = 60.0

STATUS = {
    State.AVAILABLE: "queued",
    State.SCHEDULED: "scheduled",
    State.LEASED: "running",
    State.SUCCEEDED: "succeeded",
    State.DEAD: "dead",
    State.CANCELLED: "cancelled",
}


def told(uid: str, view: TaskView) -> dict[str, Any]:
    """A task as ``GET /tasks/<id>`` answers it. Times are Unix seconds."""
    job = view.job
    return {
        "task_id": uid,
        "task": view.kind,
        "status": STATUS[job.state],
        "attempts": job.attempts,
        "max_attempts": job.max_attempts,
        "created_at": view.created_at,
        "run_at": job.run_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
        "result": None if job.result is None else msgspec.Raw(job.result),
        "error": job.error,
    }


def named(body: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The task's name and its arguments. Raises BadJSON."""
    arguments = dict(body)
    name = arguments.pop("task", None)
    if not isinstance(name, str) or not 1 <= len(name) <= MAX_NAME_CHARS:
        raise BadJSON(f'the body must have a member "task", the name of a task of up to {MAX_NAME_CHARS} characters')
    return name, arguments


def application(queue: TaskQueue, runner: Runner, work: Work, store: Store) -> Klein:
    """The routes."""
    app = json_errors(Klein())

    @app.route("/task", methods=["POST"])
    async def start(request: IRequest) -> bytes:
        name, arguments = named(read_json(request, dict[str, Any]))
        work.check(name, arguments)
        uid = await queue.add(name, msgspec.json.encode(arguments))
        body = {"status": "Started", "task_id": uid, "task": name}
        return json_answer(request, body, status=202, fields=[(b"location", b"/tasks/" + uid.encode())])

    @app.route("/tasks/<uid>", methods=["GET"])
    async def state(request: IRequest, uid: str) -> bytes:
        view = await queue.find(uid) if is_task_id(uid) else None
        if view is None:
            raise NotFound("there is no task with this id")
        return json_answer(request, told(uid, view))

    @app.route("/health", methods=["GET"])
    def health(request: IRequest) -> bytes:
        body = {
            "status": "ok",
            "queue_depth": queue.waiting,
            "running": runner.attempts,
            "dead": queue.counts[State.DEAD],
            "store": store.failing or "ok",
        }
        return json_answer(request, body)

    return app


def metrics_of(queue: TaskQueue, runner: Runner, threads: Threads, store: Store) -> MetricSet:
    """What the worker tells Prometheus."""
    counters = queue.counters
    metrics = MetricSet()
    metrics.readings_from(
        "scalelab_tasks_queue_depth",
        "Tasks by state.",
        Kind.GAUGE,
        ("state",),
        lambda: [((STATUS[state],), number) for state, number in queue.counts.items()],
    )
    metrics.gauge_from(
        "scalelab_tasks_queue_oldest_ready_seconds", "How long the first in the line has waited.", lambda: queue.oldest_ready_s
    )
    metrics.gauge_from("scalelab_tasks_inprogress", "Attempts that run.", lambda: runner.attempts)
    metrics.gauge_from("scalelab_tasks_abandoned_threads", "Threads whose attempt was cancelled and goes on.", lambda: threads.abandoned)
    metrics.counter_from("scalelab_tasks_enqueued_total", "Tasks that were accepted.", lambda: counters.enqueued)
    metrics.counter_from("scalelab_tasks_refused_total", "Tasks that met a full queue (429).", lambda: counters.refused)
    metrics.readings_from(
        "scalelab_tasks_finished_total",
        "Tasks that ended.",
        Kind.COUNTER,
        ("outcome",),
        lambda: [(("succeeded",), counters.succeeded), (("dead",), counters.dead)],
    )
    metrics.counter_from("scalelab_tasks_retried_total", "Attempts that failed and will be repeated.", lambda: counters.retried)
    metrics.counter_from("scalelab_tasks_timeouts_total", "Attempts that took too long.", lambda: runner.timeouts)
    metrics.counter_from("scalelab_tasks_lease_expired_total", "Attempts whose process died or fell silent.", lambda: counters.crashed)
    metrics.counter_from("scalelab_tasks_released_total", "Attempts given back unfinished.", lambda: counters.released)
    metrics.counter_from("scalelab_tasks_stale_total", "Outcomes that came too late.", lambda: counters.stale)
    metrics.counter_from("scalelab_tasks_pruned_total", "Finished tasks that were forgotten.", lambda: counters.pruned)
    metrics.histogram_from(
        "scalelab_tasks_queue_time_seconds",
        "From a task being available to its claim.",
        lambda: runner.wait_seconds,
    )
    metrics.histogram_from(
        "scalelab_tasks_run_seconds",
        "From the start of an attempt to its outcome.",
        lambda: runner.run_seconds,
    )
    metrics.include(store_metrics(store))
    return metrics


class Upkeep:
    """What must be done again and again: renew leases, take lost ones back, forget what is old."""

    def __init__(self, queue: TaskQueue, runner: Runner, options: WorkerOptions) -> None:
        self._queue = queue
        self._runner = runner
        self._keep_s = {State.SUCCEEDED: options.keep_s, State.CANCELLED: options.keep_s, State.DEAD: options.keep_dead_s}

    async def tend(self) -> None:
        """Renew and take back, once. A store that refuses has said so already; the next turn tries again."""
        try:
            lost = await self._queue.tend(self._runner.held())
        except StoreError:
            return
        for claim in lost:
            self._runner.lose(claim)

    async def prune(self) -> None:
        """Forget what is old enough, in steps that let others in between."""
        try:
            for state, keep_s in self._keep_s.items():
                while await self._queue.prune(state, keep_s) == BATCH:
                    pass
        except StoreError:
            return


class WorkerService(OrderedService):
    """The whole: when it is to stop, nothing more is claimed from that moment, before the listeners are closed."""

    def __init__(self, runner: Runner) -> None:
        super().__init__()
        self._runner = runner

    def stopService(self) -> Deferred[None]:
        self._runner.drain()
        return super().stopService()


def worker_service(reactor: Any, options: WorkerOptions) -> WorkerService:
    """The service that twistd runs. A module of ``--tasks`` that cannot be used ends the process with one line."""
    store = open_store(reactor, options.store, SCHEMA, who=WHO)
    queue = TaskQueue(
        store,
        policy=options.policy,
        max_waiting=options.max_queue,
        wall=time.time,
        chance=random.random,
        chance_bits=secrets.randbits,
    )
    threads = Threads(reactor, options.concurrency, name="task", limit=options.concurrency, grace_s=0.0, returned=lambda: runner.wake())
    work: Work
    if options.tasks:
        try:
            work = Functions(load_tasks(options.tasks), threads)
        except ConfigError as error:
            fail(WHO, str(error))
    else:
        work = Simulation(reactor, options.simulate_time_s)
    runner = Runner(
        reactor,
        queue,
        work,
        concurrency=options.concurrency,
        timeout_s=options.timeout_s,
        grace_s=options.grace_s,
        abandoned=lambda: threads.abandoned,
    )
    queue.ready = runner.wake
    upkeep = Upkeep(queue, runner, options)

    def ready() -> str | None:
        return "this server is stopping" if runner.draining else store.failing

    root = WorkerService(runner)
    component_service(
        reactor,
        options,
        who=WHO,
        factory=mount(application(queue, runner, work, store), reactor=reactor),
        # leases are renewed until the runner has stopped
        parts=[
            store,
            queue,
            Ticker(reactor, PRUNE_S, upkeep.prune),
            Ticker(reactor, options.lease_s / TENDS_PER_LEASE, upkeep.tend),
            threads,
            runner,
            Ticker(reactor, POLL_S, runner.wake),
        ],
        collectors=[metrics_of(queue, runner, threads, store)],
        ready=ready,
        grace_s=5.0,
    ).setServiceParent(root)
    return root
