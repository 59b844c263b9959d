"""The closed loop: each client sends, waits for the answer, and sends again, as a user in front of a screen does.

A schedule decides when a request is sent and knows nothing of connections beyond ``Pool.acquire``; that is where an
open loop, which sends on time whatever the answers do, will stand beside this one.
"""

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from scalability.lab.loadgen.connection import Connection, Pool
from scalability.lab.loadgen.recorder import Failure, Recorder
from scalability.lab.loadgen.target import Target
from scalability.lifecycle.deadlines import DeadlineWheel, MovingDeadline

PAUSE_S = 0.05
"""What a client waits after an attempt to connect that failed: a port where nothing listens refuses 20,000 times a second."""


class ClosedLoop:
    """``clients`` users of one target.

    Each sends ``requests`` requests (None: any number), and none any more ``duration_s`` seconds after the start (None: no such
    limit). ``finished`` fires when the last answer is in, or was given up ``timeout_s`` seconds after it was asked for.
    """

    def __init__(
        self,
        clock: IReactorTime,
        pool: Pool,
        wheel: DeadlineWheel,
        target: Target,
        recorder: Recorder,
        *,
        now: Callable[[], float],
        clients: int,
        requests: int | None,
        duration_s: float | None,
        timeout_s: float,
    ) -> None:
        self.clock = clock
        self.pool = pool
        self.wheel = wheel
        self.target = target
        self.recorder = recorder
        self.now = now
        self.timeout_ticks = wheel.ticks(timeout_s)
        self.stopping = False
        self._duration_s = duration_s
        self._end: IDelayedCall | None = None
        self._clients = [_Client(self, -1 if requests is None else requests) for _ in range(clients)]
        self._active = clients
        self.finished: Deferred[None] = Deferred(lambda _: self.abandon())

    @property
    def active(self) -> int:
        """Clients that have not finished."""
        return self._active

    def start(self) -> None:
        """All clients begin."""
        if self._duration_s is not None:
            self._end = self.clock.callLater(self._duration_s, self.stop)
        for client in self._clients:
            client.begin()

    def stop(self) -> None:
        """Send nothing more; answers that are on their way are waited for."""
        self.stopping = True
        for client in self._clients:
            client.wake()

    def abandon(self) -> None:
        """Stop at once; requests in flight are not counted."""
        self.stopping = True
        self._cancel_end()
        for client in self._clients:
            client.abandon()
        self.pool.close()

    def client_finished(self) -> None:
        """Called by each client once."""
        self._active -= 1
        if not self._active:
            self._cancel_end()
            self.finished.callback(None)

    def _cancel_end(self) -> None:
        if self._end is not None and self._end.active():
            self._end.cancel()


class _Client:
    """One user."""

    __slots__ = ("_connection", "_deadline", "_left", "_loop", "_pause", "_since", "_waiting")

    def __init__(self, loop: ClosedLoop, left: int) -> None:
        self._loop = loop
        self._left = left
        self._since = 0.0
        self._connection: Connection | None = None
        self._waiting = False
        self._pause: IDelayedCall | None = None
        self._deadline = MovingDeadline(loop.wheel, self._timed_out)

    def begin(self) -> None:
        loop = self._loop
        self._pause = None
        if self._left == 0 or loop.stopping:
            self._deadline.cancel()
            loop.client_finished()
            return
        self._left -= 1
        self._since = loop.now()
        self._deadline.move(loop.timeout_ticks)
        self._waiting = True
        loop.pool.acquire(self)

    def connected(self, connection: Connection) -> None:
        self._waiting = False
        self._connection = connection
        target = self._loop.target
        connection.send(target.method, target.request, self)

    def answered(self, status: int, size: int) -> None:
        loop = self._loop
        self._connection = None
        loop.recorder.answered(status, loop.now() - self._since, size)
        self.begin()

    def failed(self, why: Failure) -> None:
        loop = self._loop
        never_connected, self._waiting = self._waiting, False
        self._connection = None
        self._deadline.stop()
        loop.recorder.failed(why, loop.now() - self._since)
        if never_connected and self._left and not loop.stopping:
            self._pause = loop.clock.callLater(PAUSE_S, self.begin)
        else:
            self.begin()

    def wake(self) -> None:
        """End a pause: the loop is stopping."""
        if self._pause is not None:
            self._pause.cancel()
            self.begin()

    def abandon(self) -> None:
        self._deadline.cancel()
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None

    def _timed_out(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort()
        else:
            self._loop.pool.leave(self)
        self._waiting = False
        self.failed(Failure.TIMEOUT)
