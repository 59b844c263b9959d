"""scalelab-microservice: requests that cost a known amount of time or of processor."""

import os
from typing import Any

from klein import Klein
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import deferLater
from twisted.web.iweb import IRequest

from scalability.api.component import component_service
from scalability.api.failures import json_errors
from scalability.api.json import json_answer
from scalability.api.mount import mount
from scalability.errors import Overloaded
from scalability.lifecycle import OrderedService
from scalability.lifecycle.places import Places
from scalability.microservice.burner import Burners
from scalability.microservice.config import Kind, MicroserviceOptions
from scalability.telemetry import Histogram, MetricSet

QUEUE_LIMIT = 1000


class Work:
    """The business logic: ``do`` takes its service time, at most ``concurrency`` requests at once."""

    def __init__(self, reactor: Any, options: MicroserviceOptions, burners: Burners) -> None:
        self._reactor = reactor
        self._service_time_s = options.service_time_s
        self._kind = options.kind
        self._burners = burners
        self.places = Places(options.concurrency, QUEUE_LIMIT)
        self.duration = Histogram()
        """Seconds from a request's arrival to the end of its work, the wait in line included."""
        self.completed = 0
        self.refused = 0

    async def do(self) -> None:
        """Wait for a place, then work. Raises Overloaded when the line is full; cancelling leaves the line."""
        arrived = self._reactor.seconds()
        try:
            await self.places.run(self._work)
        except Overloaded:
            self.refused += 1
            raise
        self.completed += 1
        self.duration.record(self._reactor.seconds() - arrived)

    def _work(self) -> Deferred[None]:
        if not self._service_time_s:
            return succeed(None)
        if self._kind is Kind.SPIN:
            return self._burners.burn(self._service_time_s)
        return deferLater(self._reactor, self._service_time_s)


def metrics_of(work: Work) -> MetricSet:
    """What the work tells Prometheus."""
    metrics = MetricSet()
    metrics.counter_from("scalelab_work_completed_total", "Requests whose work was done.", lambda: work.completed)
    metrics.counter_from("scalelab_work_refused_total", "Requests that were answered 503: the line was full.", lambda: work.refused)
    metrics.gauge_from("scalelab_work_running", "Requests being worked on.", lambda: work.places.running)
    metrics.gauge_from("scalelab_work_waiting", "Requests waiting in line.", lambda: work.places.waiting)
    metrics.histogram_from(
        "scalelab_work_duration_seconds",
        "From a request's arrival to the end of its work, the wait in line included.",
        lambda: work.duration,
    )
    return metrics


def application(work: Work) -> Klein:
    """The routes."""
    app = json_errors(Klein())

    @app.route("/process", methods=["GET"])
    async def process(request: IRequest) -> bytes:
        await work.do()
        return json_answer(request, {"message": "Business logic executed"})

    @app.route("/health", methods=["GET"])
    def health(request: IRequest) -> bytes:
        return json_answer(request, {"status": "ok", "running": work.places.running, "waiting": work.places.waiting})

    return app


def microservice(reactor: Any, options: MicroserviceOptions) -> OrderedService:
    """The service that twistd runs."""
    # more processes than processors would only take turns
    burners = Burners(reactor, min(options.concurrency, len(os.sched_getaffinity(0))), max_waiting=options.concurrency)
    work = Work(reactor, options, burners)
    return component_service(
        reactor,
        options,
        who="scalelab-microservice",
        factory=mount(application(work), reactor=reactor),
        parts=[burners],
        collectors=[metrics_of(work)],
    )
