"""Each message survives its way."""

import msgspec
import pytest

from scalability.balancer.config import BalancerOptions
from scalability.balancer.use import ProcessUse, ServerUse
from scalability.balancer.workers.frames import Frames, frame
from scalability.balancer.workers.messages import (
    FROM_WORKER,
    TO_WORKER,
    AskHealth,
    Certificates,
    Collect,
    Health,
    Line,
    Refused,
    Report,
    Servers,
    Serving,
    Setup,
    Why,
    WhyAnswer,
)
from scalability.config.certificate import PEM
from scalability.config.load import dump, restore
from scalability.telemetry import MetricSet
from scalability.telemetry.merge import told
from scalability.upstream.discovery import Backend
from scalability.upstream.health import State
from scalability.upstream.mirror import ServerState


@pytest.mark.parametrize(
    "message",
    [
        Setup(1, dump(BalancerOptions()), "scalelab-lb-1", ["--listen"]),
        Setup(1, dump(BalancerOptions()), "scalelab-lb-1", ["--listen"], [PEM("a", "b", b"\xff", b"\0")]),
        Certificates([PEM("a", "b", b"\xff", b"\0")]),
        Servers([ServerState("[::1]:80,weight=3", State.RISING)]),
        Collect(7),
        Health('{"status":"ok"}'),
        Why(3, "a-request"),
    ],
)
def test_what_the_parent_says(message: msgspec.Struct) -> None:
    assert list(Frames(TO_WORKER).feed(frame(message))) == [message]


def counted() -> MetricSet:
    metrics = MetricSet()
    metrics.counter("requests_total", "Requests.").value += 1
    metrics.histogram("took_seconds", "Time.").record(0.5)
    return metrics


@pytest.mark.parametrize(
    "message",
    [
        Serving(),
        Refused({"127.0.0.1:80": 2}),
        Report(3, told(counted()), [ServerUse("127.0.0.1:80", 1, 2, False)], 4, 0.5, 1 << 20),
        Report(0, [], [ServerUse("a:1", 1, 2, False, {"no_answer": 1}, ewma_s=0.5)], 0, 0.0, 0, ProcessUse(True, 3)),
        WhyAnswer(3, [{"server": "127.0.0.1:80", "candidates": [{"weight": 1}]}]),
        WhyAnswer(4, []),
        AskHealth(),
        Line("warn", "beware"),
    ],
)
def test_what_a_worker_says(message: msgspec.Struct) -> None:
    assert list(Frames(FROM_WORKER).feed(frame(message))) == [message]


def test_the_configuration_arrives_as_it_was() -> None:
    options = BalancerOptions(
        backend=(Backend.parse("192.0.2.1:80,weight=7"), Backend.parse("dns:gateway:5000")), workers=2, health_interval_s=0.5
    )
    (setup,) = Frames(TO_WORKER).feed(frame(Setup(0, dump(options), "lb", [])))
    assert isinstance(setup, Setup)
    assert restore(BalancerOptions, setup.options) == options
