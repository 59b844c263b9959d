"""The whole lab as one service: the children, who watches them, and what its user is told."""

import os
import signal
import sys
from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from scalability.config import Address, fail
from scalability.lab.exit_status import ExitStatus
from scalability.lab.plan import LabPlan, reachable, taken
from scalability.lab.readiness import Ask, ReadinessWatch
from scalability.lab.supervisor import Supervisor
from scalability.lifecycle import DeadlineWheel, OrderedService, ParentWatch
from scalability.lifecycle.parent import wanted

START_DEADLINE_S = 60.0
"""A lab in which a server is not ready by then ends, and says which."""

TOUR = """\
everything is ready after {seconds:.1f} s; in another terminal try:
curl -s {front}/data
curl -s {front}/process
curl -s {front}/health
curl -s -i -X POST -H 'Content-Type: application/json' -d '{{"task": "report"}}' {front}/longtask
curl -s {gateway}/metrics
python3 tools/loadtest.py{target}
Ctrl-C here stops everything"""


class Lab(OrderedService):
    """Supervises the children of a plan.

    A child that cannot start, or is not ready in time, ends the lab with status 1. Once everything was ready, a child
    that is given up stays down and the others go on: a dependency that is down never takes the rest with it.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        plan: LabPlan,
        *,
        environ: Mapping[str, str],
        ask: Ask,
        exit_status: ExitStatus,
        hurry_signals: Callable[[Callable[[], None]], None] = lambda hurry: None,
        complain: Callable[[str], object] = lambda line: sys.__stderr__ and sys.__stderr__.write(f"scalelab: {line}\n"),
    ) -> None:
        super().__init__()
        self._reactor = reactor
        self._plan = plan
        self._exit_status = exit_status
        self._hurry_signals = hurry_signals
        self._complain = complain
        self._deadline: IDelayedCall | None = None
        self._began = 0.0
        self._failed = False
        self.announced = False
        """Everything was ready once."""
        self.supervisor = Supervisor(reactor, environ=environ, ended=self._ended, given_up=self._given_up)
        self.readiness = ReadinessWatch(reactor, [child.name for child in plan.children], ask, self._ready)
        for child in plan.children:
            self.supervisor.add(child.spec())
        self.supervisor.setServiceParent(self)
        self.readiness.setServiceParent(self)

    def why_not_ready(self) -> str | None:
        """For ``/readyz``: None when every server is ready."""
        reasons = {**self.readiness.waiting, **self.readiness.given_up}
        return "; ".join(f"{name}: {why}" for name, why in sorted(reasons.items())) or None

    def startService(self) -> None:
        self._began = self._reactor.seconds()
        self.log.info("starting {names}", names=", ".join(self.supervisor.children), log_system="lab")
        self._deadline = self._reactor.callLater(START_DEADLINE_S, self._too_late)
        super().startService()

    def stopService(self) -> Deferred[None]:
        self._cancel_deadline()
        if self.running:
            self.log.info("stopping every server; a second Ctrl-C is a hurry", log_system="lab")
            self._hurry_signals(self.supervisor.hurry)
        return super().stopService()

    def _ready(self, name: str) -> None:
        again = self.supervisor.children[name].was_ready
        self.supervisor.mark_ready(name)
        if again:
            since_s = self._reactor.seconds() - self.supervisor.timeStarted[name]
            self.log.info("{child} is ready again, {since_s:.1f} s after its start", child=name, since_s=since_s, log_system="lab")
        if self.why_not_ready() is None and not self.announced and not self._failed:
            self.announced = True
            self._cancel_deadline()
            self._announce()

    def _ended(self, name: str) -> None:
        self.readiness.expect(name)

    def _given_up(self, name: str, why: str) -> None:
        self.readiness.give_up(name)
        if self.announced:
            self.log.critical("{child} {why}; it stays down until the lab is started again", child=name, why=why, log_system="lab")
        else:
            self._fail(f"{name} {why}")

    def _too_late(self) -> None:
        self._fail(f"not ready after {START_DEADLINE_S:.0f} s: {self.why_not_ready()}")

    def _fail(self, line: str) -> None:
        if self._failed:
            return
        self._failed = True
        self._complain(line)
        self._exit_status.failed()
        self._cancel_deadline()
        # not now: a child may fail inside startService, before the reactor runs
        self._reactor.callWhenRunning(self._reactor.stop)

    def _cancel_deadline(self) -> None:
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()

    def _announce(self) -> None:
        front = reachable(self._plan.of("lb")[0].listen)
        self.log.info(
            TOUR,
            seconds=self._reactor.seconds() - self._began,
            front=f"http://{front}",
            gateway=f"http://{reachable(self._plan.of('gateway')[0].listen)}",
            target="" if front == Address("127.0.0.1", 8000) else f" http://{front}/data",
            log_system="lab",
        )


def preflight(plan: LabPlan) -> None:
    """Make the data folder, and end with one line when it cannot be written or an address is taken: before anything starts."""
    try:
        os.makedirs(plan.options.data_dir, exist_ok=True)
    except OSError as error:
        fail("scalelab", f"--data-dir: cannot make {plan.options.data_dir}: {error.strerror}")
    if not os.access(plan.options.data_dir, os.W_OK | os.X_OK):
        fail("scalelab", f"--data-dir: cannot write in {plan.options.data_dir}")
    why = taken(plan.addresses())
    if why is not None:
        fail("scalelab", why)


def on_second_signal(reactor: Any) -> Callable[[Callable[[], None]], None]:
    """Once the lab is stopping, SIGINT and SIGTERM mean a hurry; twistd would log them as errors."""

    def take(hurry: Callable[[], None]) -> None:
        def heard(_number: int, _frame: object) -> None:
            reactor.callFromThread(hurry)

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, heard)

    return take


def children_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Ours, plus where this very package stands: the lab may have found it through its working folder alone."""
    here = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    paths = [here, *(path for path in environ.get("PYTHONPATH", "").split(os.pathsep) if path and path != here)]
    return {**environ, "PYTHONPATH": os.pathsep.join(paths)}


def lab_service(reactor: Any, plan: LabPlan) -> Lab:
    """What ``twistd -n scalelab`` runs."""
    from scalability.lab.ready_probe import asks

    preflight(plan)
    wheel = DeadlineWheel(reactor)
    lab = Lab(
        reactor,
        plan,
        environ=children_environment(os.environ),
        ask=asks(reactor, wheel, {child.name: child.admin for child in plan.children}),
        exit_status=ExitStatus(),
        hurry_signals=on_second_signal(reactor),
    )
    wheel.setServiceParent(lab)
    if wanted(os.environ):
        ParentWatch(reactor, reactor).setServiceParent(lab)
    if plan.options.admin is not None:
        # Klein costs 0.2 s of start-up, and who asked for no admin listener need not wait for it
        from scalability.api.admin import admin_app
        from scalability.api.mount import mount
        from scalability.lab.metrics import LabCollector
        from scalability.net.listen import Listener

        factory = mount(admin_app([LabCollector(lab.supervisor)], lab.why_not_ready), reactor=reactor)
        Listener(reactor, plan.options.admin, factory, who="scalelab admin", flag="--admin", grace_s=1.0).setServiceParent(lab)
    return lab
