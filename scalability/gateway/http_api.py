"""The gateway's routes: ``/data``, ``/longtask``, ``/tasks/<id>``, ``/process``, ``/health``, ``/metrics``."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import msgspec
from klein import Klein
from prometheus_client.registry import Collector
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest

from scalability.api.admin import metrics_answer
from scalability.api.json import json_answer, read_json
from scalability.errors import BadAnswer, NotFound, ScalelabError, Unauthorized
from scalability.gateway.access.description import Schemes
from scalability.gateway.cache_clients.http import JSON_FIELDS
from scalability.gateway.data import DATA_KEY, DataSource, data_body
from scalability.gateway.dependencies import Dependencies, Dependency
from scalability.gateway.look_aside import Found, LookAside, Origin
from scalability.gateway.metrics import GatewayMetrics
from scalability.gateway.openapi import answers
from scalability.gateway.openapi.described import Answered, described
from scalability.gateway.openapi.http_api import describe
from scalability.gateway.openapi.own import Error, Forwarded, api_document
from scalability.net.service_client import Answer
from scalability.telemetry.exposition import asks_for_prometheus

API_VERSION = "1.0.0"
"""Of the routes in code: what a client may rely on."""

MAX_TASK_ID = 128
"""Characters; the worker's own are shorter."""

RELAYED = (b"content-type", b"retry-after")
"""Fields of a dependency's answer that its client gets too."""


class LongTask(msgspec.Struct):
    """The body of ``POST /longtask``. Further members are the worker's business."""

    task: str


class _Queued(msgspec.Struct):
    task_id: str


@dataclass(frozen=True)
class Parts:
    """What the routes stand on."""

    clock: IReactorTime
    look_aside: LookAside
    dependencies: Dependencies
    database: Dependency
    microservice: Dependency
    worker: Dependency
    metrics: GatewayMetrics
    exposed: Sequence[Collector]
    """What ``/metrics`` tells a Prometheus server."""
    security: Schemes = field(default_factory=dict)
    """The keys or tokens that are checked before ``/data`` and ``/longtask`` are asked (``access.guard``)."""
    docs: bool = True
    """Whether the gateway describes itself."""
    forwarded: Sequence[Forwarded] = ()
    """What the configuration adds, for the description."""


def gateway_app(parts: Parts) -> Klein:
    """The Klein app on ``parts``; their services must run."""
    app = Klein()
    _data_route(app, parts)
    _task_routes(app, parts)
    _plain_routes(app, parts)
    if parts.docs:
        describe(app, lambda: api_document(app, parts.forwarded, title="scalelab-gateway", version=API_VERSION, security=parts.security))
    return app


def _data_route(app: Klein, parts: Parts) -> None:
    # Plain callbacks: this is the route that is called ten times as often as all others together.
    now, look_aside, metrics = parts.clock.seconds, parts.look_aside, parts.metrics
    permit = _permission(parts)
    load = DataSource(parts.database).load

    def found(found: Found, request: Any, started: float) -> bytes:
        metrics.latency.record(now() - started)
        origin = found.origin
        if origin is Origin.HIT:
            metrics.hits += 1
        else:
            metrics.misses += 1
            metrics.stale += origin is Origin.STALE
        body = data_body(found)
        request.setHeader(b"content-type", b"application/json")
        request.setHeader(b"content-length", b"%d" % len(body))
        return body

    def not_found(failure: Failure, request: Any, started: float) -> Failure:
        if failure.check(ScalelabError):
            metrics.latency.record(now() - started)
            metrics.misses += 1
        return failure

    @app.route("/data", methods=["GET"])
    @described(
        "The value from the database, cached for --ttl seconds.",
        answers={
            200: Answered("The value.", answers.Data),
            503: Answered("Neither the cache nor the database has it; Retry-After says when to ask again.", Error),
        },
        secured=True,
    )
    def data(request: IRequest) -> Deferred[bytes]:
        permit(request)
        looking = look_aside.get(DATA_KEY, load)
        about = (request, now())
        return looking.addCallbacks(found, not_found, about, errbackArgs=about)


def _task_routes(app: Klein, parts: Parts) -> None:
    permit = _permission(parts)
    decode = msgspec.json.Decoder(_Queued).decode

    @app.route("/longtask", methods=["POST"])
    @described(
        "Queue a task on the worker.",
        text="Members besides task are the task's arguments.",
        body=LongTask,
        answers={
            202: Answered("It is queued; Location says where its state is.", answers.Queued),
            400: Answered("The body is not the JSON that is wanted; the message says where.", Error),
            503: Answered("The worker does not answer; Retry-After says when to ask again.", Error),
        },
        secured=True,
    )
    async def longtask(request: IRequest) -> bytes:
        permit(request)
        read_json(request, LongTask)
        request.content.seek(0)
        answer = await parts.worker.ask(b"POST", b"/task", JSON_FIELDS, request.content.read())
        if answer.status != 202:
            return _relay(request, answer)
        try:
            task_id = decode(answer.body).task_id
        except msgspec.DecodeError as error:
            raise BadAnswer("the worker's answer cannot be read") from error
        location = b"/tasks/" + quote(task_id, safe="").encode()
        return json_answer(request, {"status": "Task queued", "task_id": task_id}, status=202, fields=[(b"location", location)])

    @app.route("/tasks/<string:task_id>", methods=["GET"])
    @described(
        "The state of a task.",
        answers={200: Answered("Where it is.", answers.Task), 404: Answered("There is no such task.", Error)},
        parameters={"task_id": "What /longtask answered."},
        examples={"task_id": "none"},
    )
    async def task(request: IRequest, task_id: str) -> bytes:
        if len(task_id) > MAX_TASK_ID:
            raise NotFound("there is no such task")
        return _relay(request, await parts.worker.ask(b"GET", b"/tasks/" + quote(task_id, safe="").encode()))


def _plain_routes(app: Klein, parts: Parts) -> None:
    @app.route("/process", methods=["GET"])
    @described("Business logic, done by the microservice.", answers={200: Answered("It is done.", answers.Processed)})
    async def process(request: IRequest) -> bytes:
        return _relay(request, await parts.microservice.ask(b"GET", b"/process"))

    @app.route("/health", methods=["GET"])
    @described("Whether the gateway can answer.", answers={200: Answered("It can.", answers.Health)})
    def health(request: IRequest) -> bytes:
        states = {one.name: {"status": _STATES[one.up], "failures": one.failures} for one in parts.dependencies}
        return json_answer(request, {"status": "ok", "dependencies": states})

    @app.route("/metrics", methods=["GET"])
    @described(
        "What was counted.",
        text="JSON, or Prometheus's text for who asks for that with Accept.",
        answers={200: Answered("The counts.", answers.Metrics, ("text/plain",))},
    )
    def metrics(request: IRequest) -> bytes:
        request.setHeader(b"vary", b"Accept")
        accept = request.getHeader("accept") or ""
        if not asks_for_prometheus(accept):
            return json_answer(request, parts.metrics.as_json())
        return metrics_answer(request, parts.exposed)


_STATES = {None: "unknown", True: "up", False: "down"}


def _permission(parts: Parts) -> Callable[[Any], None]:
    """What raises Unauthorized for a request that has come here past whoever checks keys and tokens, should there be a way."""
    if not parts.security:
        return lambda request: None

    def permit(request: Any) -> None:
        # what another part of the gateway asks, the HTTP cache say, is as good as the client that it asks for
        if not request.channel.exchange.authenticated:
            raise Unauthorized

    return permit


def _relay(request: Any, answer: Answer) -> bytes:
    """A dependency's answer as ours: status, body, and what the client needs to understand them."""
    request.setResponseCode(answer.status)
    for name in RELAYED:
        value = answer.get(name)
        if value is not None:
            request.setHeader(name, value)
    request.setHeader(b"content-length", b"%d" % len(answer.body))
    return answer.body
