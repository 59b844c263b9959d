"""The balancer's workers without processes: a test plays them."""

from collections.abc import Sequence
from typing import Any

import msgspec
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.python.failure import Failure

from scalability.balancer.use import ServerUse
from scalability.balancer.workers.messages import Report, Serving
from scalability.balancer.workers.spawning import Owner, Running
from scalability.telemetry import MetricSet
from scalability.telemetry.merge import told

SERVER = "192.0.2.1:80"


class PlayedWorker:
    """A worker that does what the test says."""

    def __init__(self, index: int, owner: Owner) -> None:
        self.index = index
        self.owner = owner
        self.full = False
        self.told: list[Any] = []
        """What the parent has said."""
        self.signals: list[str | int] = []

    def send(self, message: msgspec.Struct) -> None:
        self.told.append(message)

    def signal(self, which: str | int) -> None:
        self.signals.append(which)

    def taken(self) -> list[Any]:
        """What the parent has said since the last call."""
        taken, self.told = self.told, []
        return taken

    def serve(self) -> None:
        """Say what a worker says that has begun."""
        self.report()
        self.owner.received(Serving())

    def report(self, number: int = 0, *, requests: int = 0, active: int = 0, leaving: bool = False, name: str = SERVER) -> None:
        """Report for round ``number`` what was sent to the server ``name``: ``sent_total`` and the gauge ``busy``."""
        metrics = MetricSet()
        metrics.counters("sent_total", "Sent.", ("server",)).labelled(name).value = requests
        metrics.gauge("busy", "Busy.").value = active
        self.owner.received(Report(number, told(metrics), [ServerUse(name, active, requests, leaving)], active, 0.5, 1000))

    def end(self, signal: int | None = 9) -> None:
        """End by ``signal``, or with status 0."""
        self.owner.ended(Failure(ProcessTerminated(None, signal) if signal else ProcessDone(0)))


class PlayedWorkers:
    """Starts them; while ``refuse`` is true, none can be started."""

    def __init__(self) -> None:
        self.started: list[PlayedWorker] = []
        self.refuse = False

    def start(self, index: int, owner: Owner, sockets: Sequence[int]) -> Running:
        """What ``Workers`` wants of ``start``."""
        if self.refuse:
            raise OSError(11, "no more processes")
        self.started.append(PlayedWorker(index, owner))
        return self.started[-1]
