"""scalelab-database over HTTP.

- ``GET /db`` answers ``{"message": ...}``, read from a row.
- ``PUT /db/<key>`` keeps the body, any JSON value up to 1 MiB, under a key of up to 1 KiB of UTF-8, percent-encoded where a URL
  asks for it: 201 when the record is new, 200 when it replaced one, both after the commit.
- ``GET /db/<key>`` answers that value as it was sent; ``DELETE /db/<key>`` removes it (200). Without such a record 404.
- ``GET /db?prefix=&limit=&after=`` lists records in the order of their keys: ``{"records": [{"key", "value", "updated_at"}],
  "next": key or null}``; ``after`` takes ``next``. At most 1,000 a page (100 unless asked), less when they are large.
"""

import time
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import quote, unquote_to_bytes

import msgspec
from klein import Klein
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.web.iweb import IRequest
from werkzeug.routing import BaseConverter

from scalability.api.component import component_service
from scalability.api.failures import json_errors
from scalability.api.json import json_answer, read_json
from scalability.api.mount import mount
from scalability.database.config import DatabaseOptions
from scalability.database.records import MAX_KEY_BYTES, SCHEMA, Records
from scalability.errors import ClientError, NotFound, Overloaded
from scalability.lifecycle import OrderedService
from scalability.lifecycle.places import Places
from scalability.sql import Store, open_store
from scalability.sql.metrics import store_metrics
from scalability.telemetry import Histogram, MetricSet

T = TypeVar("T")

QUEUE_LIMIT = 1000
PAGE = 100
MAX_PAGE = 1000


class Desk:
    """Where requests are served: at most ``concurrency`` at once, each ``latency_s`` slower than it must be."""

    def __init__(self, clock: IReactorTime, options: DatabaseOptions) -> None:
        self._clock = clock
        self._latency_s = options.latency_s
        self.places = Places(options.concurrency, QUEUE_LIMIT)
        self.duration = Histogram()
        """Seconds from a request's arrival to its outcome, the wait in line included."""
        self.served = 0
        self.refused = 0

    async def serve(self, work: Callable[[], Deferred[T]]) -> T:
        """Wait for a place, then do ``work``. Raises Overloaded when the line is full; cancelling leaves the line."""

        async def slowly() -> T:
            if self._latency_s:
                await deferLater(self._clock, self._latency_s)
            return await work()

        arrived = self._clock.seconds()
        try:
            outcome = await self.places.run(slowly)
        except Overloaded:
            self.refused += 1
            raise
        self.served += 1
        self.duration.record(self._clock.seconds() - arrived)
        return outcome


class Key(BaseConverter):
    """Whatever is left of the path, slashes at either end included. ``key_in`` reads it: here it has been decoded already."""

    regex = ".+"
    part_isolating = False


def key_in(request: IRequest) -> bytes:
    """The key that the URL names, percent-decoded once. Raises ClientError when it is too long or not UTF-8."""
    path = request.uri.partition(b"?")[0]
    return checked("key", unquote_to_bytes(path.partition(b"/db/")[2]))


def checked(name: str, text: bytes) -> bytes:
    """``text`` when it can be (the beginning of) a key; else raises ClientError, naming it ``name``."""
    if len(text) > MAX_KEY_BYTES:
        raise ClientError(f"the {name} has {len(text)} bytes; {MAX_KEY_BYTES} are allowed")
    try:
        text.decode()
    except UnicodeDecodeError as error:
        raise ClientError(f"the {name} is not UTF-8 (byte {error.start})") from error
    return text


def limit_in(value: bytes) -> int:
    """The ``limit`` of a query, 1 to 1,000. Raises ClientError."""
    if not value.isdigit() or not 1 <= int(value[:9]) <= MAX_PAGE:
        raise ClientError(f"limit must be a number from 1 to {MAX_PAGE}")
    return int(value)


def application(records: Records, desk: Desk, store: Store) -> Klein:
    """The routes."""
    app = json_errors(Klein())
    app.url_map.converters = {**app.url_map.converters, "key": Key}

    async def page(request: IRequest, query: dict[bytes, list[bytes]]) -> bytes:
        for name in query:
            if name not in (b"prefix", b"after", b"limit"):
                raise ClientError(f"there is no parameter {name[:64].decode(errors='replace')}; there are prefix, after and limit")
        prefix = checked("prefix", query.get(b"prefix", [b""])[-1])
        after = checked("after", query.get(b"after", [b""])[-1])
        limit = limit_in(query[b"limit"][-1]) if b"limit" in query else PAGE
        found = await desk.serve(lambda: records.page(prefix=prefix, after=after, limit=limit))
        listed = [
            {"key": record.key.decode(), "value": msgspec.Raw(record.value), "updated_at": record.updated_s} for record in found.records
        ]
        return json_answer(request, {"records": listed, "next": None if found.after is None else found.after.decode()})

    @app.route("/db", methods=["GET"])
    async def db(request: IRequest) -> bytes:
        if request.args:
            return await page(request, request.args)
        return json_answer(request, {"message": await desk.serve(records.message)})

    @app.route("/db/<key:key>", methods=["GET"])
    async def get(request: IRequest, **_: str) -> bytes:
        key = key_in(request)
        record = await desk.serve(lambda: records.get(key))
        if record is None:
            raise NotFound("there is no record with this key")
        return json_answer(request, msgspec.Raw(record.value))

    @app.route("/db/<key:key>", methods=["PUT"])
    async def put(request: IRequest, **_: str) -> bytes:
        key = key_in(request)
        read_json(request, object)  # whatever it is, it must be JSON; kept as it was sent
        request.content.seek(0)
        value = request.content.read().strip()
        if await desk.serve(lambda: records.put(key, value)):
            fields = [(b"location", b"/db/" + quote(key, safe="/").encode())]
            return json_answer(request, {"status": "created", "key": key.decode()}, status=201, fields=fields)
        return json_answer(request, {"status": "replaced", "key": key.decode()})

    @app.route("/db/<key:key>", methods=["DELETE"])
    async def delete(request: IRequest, **_: str) -> bytes:
        key = key_in(request)
        if not await desk.serve(lambda: records.delete(key)):
            raise NotFound("there is no record with this key")
        return json_answer(request, {"status": "deleted", "key": key.decode()})

    @app.route("/health", methods=["GET"])
    def health(request: IRequest) -> bytes:
        body = {
            "status": "ok",
            "store": store.failing or "ok",
            "records": records.count,
            "running": desk.places.running,
            "waiting": desk.places.waiting,
        }
        return json_answer(request, body)

    return app


def metrics_of(desk: Desk, records: Records, store: Store) -> MetricSet:
    """What the database service tells Prometheus."""
    metrics = MetricSet()
    metrics.counter_from("scalelab_database_served_total", "Requests to /db that were worked on.", lambda: desk.served)
    metrics.counter_from("scalelab_database_refused_total", "Requests to /db that met a full line (503).", lambda: desk.refused)
    metrics.gauge_from("scalelab_database_running", "Requests to /db being worked on.", lambda: desk.places.running)
    metrics.gauge_from("scalelab_database_waiting", "Requests to /db waiting in line.", lambda: desk.places.waiting)
    metrics.gauge_from("scalelab_database_records", "Records kept.", lambda: records.count)
    metrics.histogram_from(
        "scalelab_database_duration_seconds",
        "From the arrival of a request to /db to its outcome, the wait in line included.",
        lambda: desk.duration,
    )
    metrics.include(store_metrics(store))
    return metrics


def database_service(reactor: Any, options: DatabaseOptions) -> OrderedService:
    """The service that twistd runs."""
    store = open_store(reactor, options.store, SCHEMA, who="scalelab-database")
    records = Records(store, time.time)
    desk = Desk(reactor, options)
    return component_service(
        reactor,
        options,
        who="scalelab-database",
        factory=mount(application(records, desk, store), reactor=reactor),
        parts=[store, records],
        collectors=[metrics_of(desk, records, store)],
        ready=lambda: store.failing,
    )
