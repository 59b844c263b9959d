"""What the parent and its workers tell each other."""

from typing import Any

import msgspec

from scalability.balancer.use import ProcessUse, ServerUse
from scalability.config.certificate import PEM
from scalability.telemetry.merge import ToldMetric
from scalability.upstream.mirror import ServerState


class Setup(msgspec.Struct, tag="setup"):
    """To a worker, first of all: who it is."""

    index: int
    """Counted from 0."""
    options: dict[str, Any]
    """The effective configuration of the whole balancer."""
    via: str
    """The balancer's pseudonym, the same in every worker."""
    sockets: list[str]
    """The flags whose listening sockets are inherited, as descriptors 3, 4, ... in this order."""
    certificates: list[PEM] = []
    """What the TLS listener serves. A worker that begins while a file is broken serves what the others do."""


class Changed(msgspec.Struct, tag="changed"):
    """To a worker: what holds from now on. It differs only in what a worker can take in."""

    options: dict[str, Any]
    """The effective configuration of the whole balancer."""


class Servers(msgspec.Struct, tag="servers"):
    """To a worker: which servers there are now, and which take traffic."""

    servers: list[ServerState]


class Certificates(msgspec.Struct, tag="certificates"):
    """To a worker: what the TLS listener serves from now on."""

    certificates: list[PEM]


class Collect(msgspec.Struct, tag="collect"):
    """To a worker: report now, for this round."""

    round: int


class Why(msgspec.Struct, tag="why"):
    """To a worker: what it remembers of the decisions about a request. It answers with this number."""

    number: int
    request_id: str


class Health(msgspec.Struct, tag="health"):
    """To a worker that asked: the answer of ``/health``, as JSON."""

    body: str


class Serving(msgspec.Struct, tag="serving"):
    """From a worker: it accepts connections."""


class Refused(msgspec.Struct, tag="refused"):
    """From a worker: how many connections to each server could not be made."""

    counts: dict[str, int]


class Suspected(msgspec.Struct, tag="suspected"):
    """From a worker: as many requests in a row have failed at this server as may eject it."""

    server: str


class Outcomes(msgspec.Struct, tag="outcomes"):
    """From a worker: how many requests to each server succeeded, and failed, since it said so last."""

    counts: dict[str, tuple[int, int]]


class Report(msgspec.Struct, tag="report"):
    """From a worker: all that it has counted since its start; ``round`` is 0 when nobody asked."""

    round: int
    metrics: list[ToldMetric]
    servers: list[ServerUse]
    open_connections: int
    cpu_s: float
    resident_bytes: int
    process: ProcessUse = msgspec.field(default_factory=ProcessUse)


class WhyAnswer(msgspec.Struct, tag="why_answer"):
    """From a worker: the decisions that it remembers, as JSON shows them; none when it knows nothing of the request."""

    number: int
    decisions: list[dict[str, Any]]


class AskHealth(msgspec.Struct, tag="ask_health"):
    """From a worker: a client asks for ``/health``."""


class Line(msgspec.Struct, tag="line"):
    """From a worker: something to be logged."""

    level: str
    text: str


ToWorker = Setup | Changed | Servers | Certificates | Collect | Why | Health
FromWorker = Serving | Refused | Suspected | Outcomes | Report | WhyAnswer | AskHealth | Line

TO_WORKER: "msgspec.json.Decoder[ToWorker]" = msgspec.json.Decoder(ToWorker)
FROM_WORKER: "msgspec.json.Decoder[FromWorker]" = msgspec.json.Decoder(FromWorker)
