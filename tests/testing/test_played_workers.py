"""The workers that tests play do what real ones would."""

from typing import Any

import pytest
from twisted.python.failure import Failure

from scalability.balancer.workers.messages import Collect, Report, Serving
from scalability.testing.played_workers import PlayedWorkers


class Heard:
    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.reasons: list[Failure] = []

    def received(self, message: Any) -> None:
        self.messages.append(message)

    def ready(self) -> None:
        raise AssertionError("no worker was slow")

    def ended(self, reason: Failure) -> None:
        self.reasons.append(reason)


def test_a_played_worker_reports_serves_and_ends() -> None:
    heard = Heard()
    processes = PlayedWorkers()
    processes.start(3, heard, [])
    (worker,) = processes.started
    worker.serve()
    report, serving = heard.messages
    assert isinstance(report, Report)
    assert serving == Serving()
    worker.send(Collect(1))
    assert (worker.taken(), worker.taken()) == ([Collect(1)], [])
    worker.end(15)
    worker.end(None)
    assert [getattr(reason.value, "signal", None) for reason in heard.reasons] == [15, None]


def test_it_may_be_refused() -> None:
    processes = PlayedWorkers()
    processes.refuse = True
    with pytest.raises(OSError, match="no more"):
        processes.start(0, Heard(), [])
