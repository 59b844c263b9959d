"""The parent of the workers: it keeps them running, tells them of the servers, and adds up what they have counted.

Each worker is in one of these states:

    starting  the process runs, and does not accept connections yet
    serving   it accepts connections
    ending    it was told to end and finishes its requests
    ended     there is no process; unless all are being stopped, one is started again at once, or after 0.1, 0.2, 0.4 ... up to 10 s
              when it lived for less than 5 s

    ended --start--> starting --Serving--> serving --stop--> ending;  any --the process ends--> ended
"""

import signal
from collections.abc import Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any

import msgspec
from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure

from scalability.balancer.config import BalancerOptions
from scalability.balancer.front import describe
from scalability.balancer.use import ServerUse, Use
from scalability.balancer.workers.asking import Questions
from scalability.balancer.workers.collecting import Rounds
from scalability.balancer.workers.messages import (
    AskHealth,
    Certificates,
    Changed,
    Collect,
    FromWorker,
    Health,
    Line,
    Outcomes,
    Refused,
    Report,
    Servers,
    Serving,
    Setup,
    Suspected,
    Why,
    WhyAnswer,
)
from scalability.balancer.workers.spawning import Running, Start
from scalability.config.certificate import PEM
from scalability.config.load import dump
from scalability.lifecycle.process_end import how_it_ended
from scalability.net.listen import SharedSocket
from scalability.telemetry.merge import MergedMetrics
from scalability.telemetry.metrics import OTHER
from scalability.upstream.mirror import states_of
from scalability.upstream.servers import Upstream

if TYPE_CHECKING:
    from scalability.net.certificates import CertificateStore  # loads OpenSSL, which most do without

QUICK_S = 5.0
"""A worker that lived for less, in seconds, is started again with a delay."""
FIRST_DELAY_S = 0.1
LONGEST_DELAY_S = 10.0
KILL_AFTER_S = 5.0
"""What a worker has, in seconds, beyond the grace for its requests, before it is killed."""
MAX_REFUSED = 256
"""As many refused connections to a server are taken in from one message; a few suffice to take it out."""

LEVELS = {level.name: level for level in LogLevel.iterconstants()}


class State(Enum):
    """Where a worker stands."""

    STARTING = "starting"
    SERVING = "serving"
    ENDING = "ending"
    ENDED = "ended"


class Worker:
    """One worker, through all its processes; ``number`` counts from 1, for people."""

    def __init__(self, workers: "Workers", index: int) -> None:
        self._workers = workers
        self.index = index
        self.number = index + 1
        self.state = State.ENDED
        self.restarts = 0
        self.quick_ends = 0
        self.began_s = 0.0
        self.running: Running | None = None
        self.restart: IDelayedCall | None = None
        self.report: Report | None = None
        """What its process said last."""
        self.outdated = False
        """It was not told the newest states of the servers, because its link was full."""
        self.behind = False
        """Nor, likewise, the newest configuration."""

    def received(self, message: FromWorker) -> None:
        self._workers.received(self, message)

    def ready(self) -> None:
        if self.behind:
            self._workers.tell_options(self)
        if self.outdated:
            self._workers.tell_servers(self)

    def ended(self, reason: Failure) -> None:
        self._workers.ended(self, reason)

    def send(self, message: msgspec.Struct) -> None:
        """Tell its process, if there is one."""
        if self.running is not None:
            self.running.send(message)


class Workers(Service):
    """All workers of a balancer, in the place of its listener: starting it opens ``sockets``, stopping it ends every worker in order."""

    log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        options: BalancerOptions,
        sockets: Sequence[SharedSocket],
        upstream: Upstream,
        *,
        via: str,
        start: Start,
        certificates: "CertificateStore | None" = None,
    ) -> None:
        self._clock = clock
        self._options = options
        self._sockets = sockets
        self._upstream = upstream
        self._via = via
        self._start = start
        self._changed = Changed(dump(options))
        self._telling: IDelayedCall | None = None
        self._stopped: list[Deferred[None]] = []
        self._limit: IDelayedCall | None = None
        self._past_requests: dict[str, int] = {}
        self.stopping = False
        self.workers = [Worker(self, index) for index in range(options.workers)]
        self.metrics = MergedMetrics()
        """What all workers have counted."""
        self.rounds = Rounds(clock, self._ask_all)
        self._questions = Questions(clock, self._ask_why)
        self._certificates = certificates
        upstream.when_changed(self._servers_changed)
        if certificates is not None:
            certificates.when_changed(self._certificates_changed)

    # as a service

    def privilegedStartService(self) -> None:
        super().privilegedStartService()
        for shared in self._sockets:
            shared.open()

    def startService(self) -> None:
        for shared in self._sockets:
            shared.open()
        super().startService()
        for worker in self.workers:
            self._begin(worker)
        for shared in self._sockets:
            shared.announce()

    def stopService(self) -> Deferred[None]:
        """Accept nothing more, and end every worker; fires when the last one has ended, 5 s after the grace at the latest."""
        super().stopService()
        for shared in self._sockets:
            shared.close()
        if self._telling is not None:
            self._telling.cancel()
            self._telling = None
        if not self.stopping:
            self.stopping = True
            for worker in self.workers:
                if worker.restart is not None:
                    worker.restart.cancel()
                    worker.restart = None
                elif worker.running is not None:
                    worker.state = State.ENDING
                    worker.running.signal("TERM")
            self._limit = self._clock.callLater(self._options.grace_s + KILL_AFTER_S, self._kill)
        if self._all_ended():
            self._finish()
            return succeed(None)
        stopped: Deferred[None] = Deferred()
        self._stopped.append(stopped)
        return stopped

    def configure(self, options: BalancerOptions, *, tell: bool) -> None:
        """Go by ``options`` from now on; ``tell`` those workers of it that run."""
        self._options = options
        self._changed = Changed(dump(options))
        if tell:
            for worker in self.workers:
                self.tell_options(worker)

    def reopen_logs(self) -> None:
        """Have every worker open the access log anew. One that has only just been started opens it anyway."""
        for worker in self.workers:
            if worker.running is not None and worker.state is not State.STARTING:
                worker.running.signal(signal.SIGUSR1)

    # what is told to others

    @property
    def serving(self) -> int:
        """How many accept connections."""
        return sum(worker.state is State.SERVING for worker in self.workers)

    def not_ready(self) -> str | None:
        """None when requests would be answered, else why not."""
        if self.stopping:
            return "it is stopping"
        if not self.serving:
            return "no worker accepts connections"
        return self._upstream.not_ready()

    def health(self) -> dict[str, Any]:
        """What ``/health`` answers: as one process would, from what the workers reported last."""
        active: dict[str, int] = {}
        requests = dict(self._past_requests)
        leaving: dict[str, ServerUse] = {}
        for use in self._uses():
            active[use.name] = active.get(use.name, 0) + use.active
            requests[use.name] = requests.get(use.name, 0) + use.requests
            if use.leaving:
                leaving[use.name] = use
        servers = [
            {**describe(server), "active": active.get(server.name, 0), "requests": requests.get(server.name, 0)}
            for server in self._upstream
        ]
        known = {server.name for server in self._upstream}
        servers += [
            {"name": name, "state": "leaving", "active": active[name], "requests": requests[name]} for name in leaving if name not in known
        ]
        return {"status": "ok", "workers": {"serving": self.serving, "of": len(self.workers)}, "servers": servers}

    async def collect(self) -> None:
        """Have every worker report, so that ``metrics`` and ``health`` say what is true now."""
        await self.rounds.fresh()
        names = {use.name for use in self._uses()} | {server.name for server in self._upstream} | {OTHER}
        self.metrics.forget("server", names)
        self._past_requests = {name: count for name, count in self._past_requests.items() if name in names}

    async def uses(self) -> list[Use]:
        """What each worker does, asked for afresh; and, as worker 0, the requests of those that have ended."""
        await self.collect()
        past = [ServerUse(name, 0, count, False) for name, count in self._past_requests.items()]
        return [Use(0, past)] + [
            Use(worker.number, worker.report.servers, worker.report.process) for worker in self.workers if worker.report is not None
        ]

    async def why(self, request_id: str) -> list[dict[str, Any]]:
        """What the worker that served it remembers of the decisions about a request; nothing after 1 s. Raises Overloaded."""
        return await self._questions.ask(request_id)

    # what workers say

    def received(self, worker: Worker, message: FromWorker) -> None:
        """``worker`` says ``message``."""
        match message:
            case Report():
                worker.report = message
                self.metrics.tell(worker.index, message.metrics)
                if message.round:
                    self.rounds.reported(worker.index, message.round)
            case Refused():
                for server in list(self._upstream):
                    for _ in range(min(message.counts.get(server.name, 0), MAX_REFUSED)):
                        self._upstream.judge(server, False, "a request could not connect", unreachable=True)
            case Suspected():
                if (suspect := self._upstream.server_named(message.server)) is not None:
                    self._upstream.suspected(suspect)
            case Outcomes():
                for name, (successes, failures) in message.counts.items():
                    if (seen := self._upstream.server_named(name)) is not None:
                        self._upstream.ejections.merge(seen, successes, failures)
            case WhyAnswer():
                decisions = [{"worker": worker.number, **decision} for decision in message.decisions]
                self._questions.answered(worker.index, message.number, decisions)
            case AskHealth():
                self._answer_health(worker)
            case Line():
                self.log.emit(LEVELS.get(message.level, LogLevel.info), "{text}", text=message.text, log_system=f"worker {worker.number}")
            case Serving():
                if worker.state is State.STARTING:
                    worker.state = State.SERVING
                    self.log.info(
                        "worker {number} serves, {after_s:.1f} s after its start",
                        number=worker.number,
                        after_s=self._clock.seconds() - worker.began_s,
                    )

    def ended(self, worker: Worker, reason: Failure) -> None:
        """The process of ``worker`` is gone."""
        lived_s = self._clock.seconds() - worker.began_s
        worker.running = None
        worker.state = State.ENDED
        self.metrics.ended(worker.index)
        for use in worker.report.servers if worker.report is not None else ():
            self._past_requests[use.name] = self._past_requests.get(use.name, 0) + use.requests
        worker.report = None
        self.rounds.gone(worker.index)
        self._questions.gone(worker.index)
        if self.stopping:
            if self._all_ended():
                self._finish()
            return
        worker.quick_ends = worker.quick_ends + 1 if lived_s < QUICK_S else 0
        delay_s = min(FIRST_DELAY_S * 2 ** (worker.quick_ends - 1), LONGEST_DELAY_S) if worker.quick_ends else 0.0
        self.log.warn(
            "worker {number} {how} after {lived_s:.1f} s; starting it again in {delay_s:.1f} s",
            number=worker.number,
            how=how_it_ended(reason),
            lived_s=lived_s,
            delay_s=delay_s,
        )
        worker.restart = self._clock.callLater(delay_s, self._again, worker)

    # telling workers

    def tell_options(self, worker: Worker) -> None:
        """Tell ``worker`` what holds now, or as soon as it has read what it was told before."""
        running = worker.running
        worker.behind = running is not None and running.full
        if running is not None and not running.full:
            running.send(self._changed)

    def tell_servers(self, worker: Worker) -> None:
        """Tell ``worker`` which servers there are now, or as soon as it has read what it was told before."""
        running = worker.running
        worker.outdated = running is not None and running.full
        if running is not None and not running.full:
            running.send(Servers(states_of(self._upstream)))

    def _servers_changed(self) -> None:
        # once for all that changes in a turn of the loop
        if self._telling is None and self.running:
            self._telling = self._clock.callLater(0, self._tell_all)

    def _tell_all(self) -> None:
        self._telling = None
        for worker in self.workers:
            self.tell_servers(worker)

    def _certificates_changed(self) -> None:
        for worker in self.workers:
            worker.send(Certificates(self._pems()))

    def _pems(self) -> list[PEM]:
        return [] if self._certificates is None else [certificate.pem for certificate in self._certificates.certificates]

    def _ask_all(self, number: int) -> list[int]:
        asked = [worker for worker in self.workers if worker.state in (State.SERVING, State.ENDING) and worker.report is not None]
        for worker in asked:
            worker.send(Collect(number))
        return [worker.index for worker in asked]

    def _ask_why(self, number: int, request_id: str) -> list[int]:
        asked = [worker for worker in self.workers if worker.state in (State.SERVING, State.ENDING)]
        for worker in asked:
            worker.send(Why(number, request_id))
        return [worker.index for worker in asked]

    def _answer_health(self, worker: Worker) -> None:
        def answer(_: None) -> None:
            worker.send(Health(msgspec.json.encode(self.health()).decode()))

        Deferred.fromCoroutine(self.collect()).addCallback(answer).addErrback(self._not_answered)

    def _not_answered(self, failure: Failure) -> None:
        self.log.failure("a question for the balancer's health could not be answered", failure)

    # starting and ending

    def _again(self, worker: Worker) -> None:
        worker.restart = None
        worker.restarts += 1
        self._begin(worker)

    def _begin(self, worker: Worker) -> None:
        worker.state = State.STARTING
        worker.began_s = self._clock.seconds()
        try:
            worker.running = self._start(worker.index, worker, [shared.descriptor for shared in self._sockets])
        except OSError:
            self.ended(worker, Failure())
            return
        flags = [shared.flag for shared in self._sockets]
        worker.send(Setup(worker.index, self._changed.options, self._via, flags, self._pems()))
        worker.send(Servers(states_of(self._upstream)))

    def _uses(self) -> list[ServerUse]:
        return [use for worker in self.workers if worker.report is not None for use in worker.report.servers]

    def _all_ended(self) -> bool:
        return all(worker.state is State.ENDED for worker in self.workers)

    def _kill(self) -> None:
        self._limit = None
        for worker in self.workers:
            if worker.running is not None:
                self.log.error("worker {number} did not end in time and is killed", number=worker.number)
                worker.running.signal("KILL")

    def _finish(self) -> None:
        self.rounds.stop()
        self._questions.stop()
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None
        stopped, self._stopped = self._stopped, []
        for waiting in stopped:
            waiting.callback(None)
