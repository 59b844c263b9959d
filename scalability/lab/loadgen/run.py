"""One run of a load: look whether it can be done, do it, hand out what was measured."""

import resource
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from scalability.config import Address
from scalability.errors import ConfigError, ConnectError
from scalability.lab.loadgen.closed_loop import ClosedLoop
from scalability.lab.loadgen.connection import Connection, Pool
from scalability.lab.loadgen.recorder import Failure, Recorder, Second
from scalability.lab.loadgen.target import Target
from scalability.lifecycle import DeadlineWheel, Ticker

SPARE_DESCRIPTORS = 64
"""What the interpreter, the reactor and the terminal hold besides the load's sockets."""


@dataclass(frozen=True)
class Load:
    """How much of it: ``clients`` in a closed loop over at most ``connections``, ``requests`` each, for ``duration_s``."""

    clients: int = 50
    requests: int | None = 20
    duration_s: float | None = None
    timeout_s: float = 10.0
    connections: int = 50


@dataclass
class Measured:
    """A run as it was, or as far as it went."""

    target: Target
    load: Load
    recorder: Recorder = field(default_factory=Recorder)
    elapsed_s: float = 0.0
    cpu_s: float = 0.0
    connections: int = 0
    interrupted: bool = False

    @property
    def requests_per_s(self) -> float:
        return self.recorder.totals.requests / self.elapsed_s if self.elapsed_s else 0.0


def ensure_descriptors(connections: int) -> None:
    """Raise the limit of open files as far as ``connections`` need it. Raises ConfigError when the hard limit is below that."""
    wanted = connections + SPARE_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        if hard != resource.RLIM_INFINITY and hard < wanted:
            raise ConfigError("--connections", f"{connections} need {wanted} open files, and this user may have {hard} (ulimit -Hn)")
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class Run:
    """Drives one load and keeps what it measured. ``turned`` is called with each second as it ends."""

    def __init__(
        self,
        reactor: Any,
        target: Target,
        load: Load,
        *,
        now: Callable[[], float] = time.perf_counter,
        cpu: Callable[[], float] = time.process_time,
        turned: Callable[[Second], None] = lambda second: None,
    ) -> None:
        self.measured = Measured(target, load)
        self._reactor = reactor
        self._now = now
        self._cpu = cpu
        self.turned = turned
        self._began = self._cpu_began = 0.0
        self._wheel = DeadlineWheel(reactor, tick_s=min(0.1, load.timeout_s / 10))
        self._seconds = Ticker(reactor, 1.0, self._turn, now=False)
        self._pool: Pool | None = None
        self._loop: ClosedLoop | None = None

    async def run(self, address: Address) -> Measured:
        """Send the load to ``address`` (an IP address and a port). Cancelling ends it at once and keeps what there is."""
        measured, load = self.measured, self.measured.load
        self._pool = Pool(self._reactor, address, size=load.connections, keep_alive=measured.target.keep_alive)
        self._loop = ClosedLoop(
            self._reactor,
            self._pool,
            self._wheel,
            measured.target,
            measured.recorder,
            now=self._now,
            clients=load.clients,
            requests=load.requests,
            duration_s=load.duration_s,
            timeout_s=load.timeout_s,
        )
        self._wheel.startService()
        self._seconds.startService()
        self._began, self._cpu_began = self._now(), self._cpu()
        self._loop.start()
        try:
            await self._loop.finished
        except CancelledError:
            measured.interrupted = True
        finally:
            self._turn()
            self._pool.close()
            await self._seconds.stopService()
            await self._wheel.stopService()
        return measured

    def _turn(self) -> None:
        measured = self.measured
        measured.elapsed_s = self._now() - self._began
        measured.cpu_s = self._cpu() - self._cpu_began
        assert self._pool is not None
        measured.connections = self._pool.opened_total
        self.turned(measured.recorder.turn(measured.elapsed_s))


class _Knock:
    """Opens one connection and closes it again."""

    def __init__(self) -> None:
        self.opened: Deferred[Failure | None] = Deferred()

    def connected(self, connection: Connection) -> None:
        connection.close()
        self.opened.callback(None)

    def answered(self, status: int, size: int) -> None:
        raise AssertionError("nothing was asked")

    def failed(self, why: Failure) -> None:
        self.opened.callback(why)


async def reachable(reactor: Any, addresses: list[Address], timeout_s: float) -> Address:
    """The first of ``addresses`` that accepts a connection within ``timeout_s``. Raises ConnectError, saying why none does."""
    why = "it has no address"
    for address in addresses:
        knock = _Knock()
        pool = Pool(reactor, address, size=1, keep_alive=True)
        pool.acquire(knock)
        limit = reactor.callLater(timeout_s, lambda knock=knock: knock.opened.callback(Failure.TIMEOUT))
        try:
            failure = await knock.opened
        finally:
            if limit.active():
                limit.cancel()
            pool.close()
        if failure is None:
            return address
        why = {
            Failure.REFUSED: f"nothing listens on {address}",
            Failure.TIMEOUT: f"{address} did not accept a connection within {timeout_s:g} s",
        }.get(failure, f"there is no way to {address}")
    raise ConnectError(why)
